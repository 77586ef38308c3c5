package dev.manners.train;

import static java.util.Map.entry;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.manners.BadInput;
import dev.manners.NonFinite;
import dev.manners.config.Options;
import dev.manners.data.Packed;
import dev.manners.files.Json;
import dev.manners.files.Sha256;
import dev.manners.model.Decoder;
import dev.manners.model.Lora;
import dev.manners.model.Parameter;
import dev.manners.model.TensorFile;
import dev.manners.tensor.DType;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import dev.manners.testing.NativeMemory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;

/// The SFT trainer on a model of a few thousand parameters.
class SftTrainerTest {

    private static final long SEED = Long.getLong("tests.seed", 42);

    @TempDir
    Path folder;

    static ObjectNode tinyLlama() {
        return Json.parseObject("""
                {"model_type": "llama", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 64,
                 "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
                 "max_position_embeddings": 128, "tie_word_embeddings": true, "initializer_range": 0.1}""".getBytes(java.nio.charset.StandardCharsets.UTF_8), "test");
    }

    static Decoder tiny() {
        return Decoder.initialise(tinyLlama(), SEED, DType.F32);
    }

    /// Rows of random tokens, the second half of each trained.
    static Rows rows(int count, long seed) {
        Random random = new Random(seed);
        List<Packed> packs = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int length = 6 + random.nextInt(20);
            int[] ids = random.ints(length, 3, 96).toArray();
            boolean[] trained = new boolean[length];
            Arrays.fill(trained, length / 2, length, true);
            packs.add(new Packed(ids, trained, new int[] {length}));
        }
        return of(packs);
    }

    static Rows of(List<Packed> packs) {
        return new Rows() {
            @Override
            public int size() {
                return packs.size();
            }

            @Override
            public Packed get(int i) {
                return packs.get(i);
            }
        };
    }

    static SftConfig config(long steps, int batch, int accumulation, double learningRate) {
        return config(steps, batch, accumulation, learningRate, "adamw_torch_fused");
    }

    private static SftConfig config(long steps, int batch, int accumulation, double learningRate, String optim) {
        return Options.with(
                SftConfig.class,
                Map.ofEntries(
                        entry("learning_rate", learningRate),
                        entry("per_device_train_batch_size", batch),
                        entry("gradient_accumulation_steps", accumulation),
                        entry("max_steps", steps),
                        entry("optim", optim),
                        entry("weight_decay", 0.01),
                        entry("bf16", false),
                        entry("max_length", 0),
                        entry("logging_steps", 1),
                        entry("save_steps", 3),
                        entry("seed", SEED)));
    }

    /// What a run told its tracker.
    static final class Told implements Tracker {
        final List<Map<String, Double>> metrics = new ArrayList<>();
        final List<String> events = new ArrayList<>();
        final List<Map<String, ?>> samples = new ArrayList<>();

        @Override
        public void metrics(long step, Map<String, Double> values) {
            Map<String, Double> line = new LinkedHashMap<>(values);
            line.put("step", (double) step);
            metrics.add(line);
        }

        @Override
        public void sample(long step, String prompt, String completion, Map<String, ?> extra) {
            samples.add(extra);
        }

        @Override
        public void event(String name, Map<String, ?> details) {
            events.add(name);
        }

        @Override
        public void progress(long step, long total, Map<String, Double> shown) {}
    }

    private SftTrainer trainer(
            Decoder model, SftConfig config, Rows data, Tracker tracker, @Nullable Path checkpoints) {
        return trainer(model, config, data, tracker, checkpoints, () -> false);
    }

    private SftTrainer trainer(
            Decoder model,
            SftConfig config,
            Rows data,
            Tracker tracker,
            @Nullable Path checkpoints,
            BooleanSupplier stop) {
        return new SftTrainer(model, config, data, null, tracker, checkpoints, Map.of("data", "d1"), stop, step -> {});
    }

    static Map<String, float[]> values(Decoder model) {
        Map<String, float[]> values = new LinkedHashMap<>();
        for (Parameter p : model.parameters()) {
            values.put(p.name(), p.value().toFloats());
        }
        model.adapterParameters().forEach(p -> values.put(p.name(), p.value().toFloats()));
        return values;
    }

    @ParameterizedTest
    @ValueSource(strings = {"adamw_torch_fused", "muon"})
    void overfitsOneBatchAndMovesEveryParameter(String optim) {
        try (Decoder model = tiny()) {
            Map<String, float[]> before = values(model);
            Told told = new Told();
            trainer(model, config(150, 4, 1, 1e-2, optim), rows(4, SEED), told, null)
                    .train();
            assertThat(told.metrics.getLast().get("loss")).isLessThan(0.05);
            assertThat(told.metrics.getLast().get("mean_token_accuracy")).isEqualTo(1.0);
            values(model).forEach((name, after) -> assertThat(after).as(name).isNotEqualTo(before.get(name)));
        }
    }

    @Test
    void withAdaptersOnlyTheyMove() {
        try (Decoder model = tiny()) {
            model.attach(new Lora(4, 8, 0.1, false, List.of("all-linear")), SEED);
            Map<String, float[]> before = values(model);
            trainer(model, config(30, 4, 1, 1e-2), rows(4, SEED), new Told(), null)
                    .train();
            values(model).forEach((name, after) -> {
                if (name.contains("lora_")) {
                    assertThat(after).as(name).isNotEqualTo(before.get(name));
                } else {
                    assertThat(after).as(name).isEqualTo(before.get(name));
                }
            });
        }
    }

    @Test
    void tr18_accumulationIsOneBigBatch() {
        List<Map<String, Double>> whole;
        try (Decoder model = tiny()) {
            Told told = new Told();
            trainer(model, config(4, 8, 1, 1e-3), rows(32, SEED), told, null).train();
            whole = told.metrics;
        }
        for (int accumulation : new int[] {2, 4, 8}) {
            try (Decoder model = tiny()) {
                Told told = new Told();
                trainer(model, config(4, 8 / accumulation, accumulation, 1e-3), rows(32, SEED), told, null)
                        .train();
                for (int i = 0; i < whole.size(); i++) {
                    for (String metric : List.of("loss", "grad_norm")) {
                        // The first update's gradient is the same to rounding; later ones add up what Adam, which
                        // divides by tiny moments, makes of the rounding.
                        double wanted = whole.get(i).getOrDefault(metric, Double.NaN);
                        assertThat(told.metrics.get(i).get(metric))
                                .as(metric + " of update " + (i + 1) + ", accumulation " + accumulation)
                                .isEqualTo(wanted, within((i == 0 ? 1e-6 : 1e-4) * wanted));
                    }
                }
            }
        }
    }

    @Test
    void tr18_packedRowsGiveTheLossOfRowsApart() {
        List<Packed> apart = new ArrayList<>();
        Rows source = rows(6, SEED);
        for (int i = 0; i < 6; i++) {
            apart.add(source.get(i));
        }
        int[] ids = apart.stream().flatMapToInt(p -> Arrays.stream(p.ids())).toArray();
        boolean[] trained = new boolean[ids.length];
        int at = 0;
        for (Packed p : apart) {
            System.arraycopy(p.trained(), 0, trained, at, p.length());
            at += p.length();
        }
        Packed together =
                new Packed(ids, trained, apart.stream().mapToInt(Packed::length).toArray());
        double one = firstLoss(of(apart), 6);
        double other = firstLoss(of(List.of(together)), 1);
        assertThat(other).isEqualTo(one, within(1e-6));
    }

    private double firstLoss(Rows data, int batch) {
        try (Decoder model = tiny()) {
            Told told = new Told();
            trainer(model, config(1, batch, 1, 1e-3), data, told, null).train();
            return told.metrics.getFirst().getOrDefault("loss", Double.NaN);
        }
    }

    @Test
    void muonMovesTheMatricesOfTheLayersAndAdamWAllElse() {
        Map<String, float[]> by = new LinkedHashMap<>();
        for (String optim : List.of("adamw_torch_fused", "muon")) {
            try (Decoder model = tiny()) {
                Path checkpoints = folder.resolve(optim);
                trainer(model, config(1, 4, 1, 1e-2, optim), rows(4, SEED), new Told(), checkpoints)
                        .train();
                values(model).forEach((name, values) -> by.put(optim + " " + name, values));
                try (TensorFile moments = TensorFile.open(checkpoints.resolve("checkpoint-1/optimizer.safetensors"))) {
                    for (Parameter p : model.parameters()) {
                        boolean matrixOfLayer =
                                p.name().contains(".layers.") && p.value().dim() == 2;
                        boolean byMuon = optim.equals("muon") && matrixOfLayer;
                        assertThat(moments.names())
                                .as(p.name())
                                .satisfies(names -> assertThat(names.contains("momentum_buffer." + p.name()))
                                        .isEqualTo(byMuon))
                                .satisfies(names -> assertThat(names.contains("exp_avg_sq." + p.name()))
                                        .isEqualTo(!byMuon));
                    }
                }
            }
        }
        try (Decoder model = tiny()) {
            for (Parameter p : model.parameters()) {
                boolean same = Arrays.equals(by.get("adamw_torch_fused " + p.name()), by.get("muon " + p.name()));
                assertThat(same)
                        .as(p.name())
                        .isEqualTo(!(p.name().contains(".layers.") && p.value().dim() == 2));
            }
        }
    }

    @ParameterizedTest
    @CsvSource({
        "1, adamw_torch_fused",
        "3, adamw_torch_fused",
        "5, adamw_torch_fused",
        "6, adamw_torch_fused",
        "8, adamw_torch_fused",
        "5, muon"
    })
    void tr12_interruptedAndResumedIsByteIdentical(int stopAfter, String optim) throws Exception {
        SftConfig config = config(9, 4, 2, 1e-2, optim);
        Path straight = folder.resolve("straight");
        Path broken = folder.resolve("broken");
        Told all = new Told();
        try (Decoder model = tiny()) {
            model.attach(new Lora(4, 8, 0.2, true, List.of("all-linear")), SEED);
            trainer(model, config, rows(20, SEED), all, straight).train();
        }
        Told told = new Told();
        int[] asked = {0};
        try (Decoder model = tiny()) {
            model.attach(new Lora(4, 8, 0.2, true, List.of("all-linear")), SEED);
            Outcome outcome = trainer(model, config, rows(20, SEED), told, broken, () -> ++asked[0] >= stopAfter)
                    .train();
            assertThat(outcome.interrupted()).isTrue();
            assertThat(outcome.steps()).isEqualTo(stopAfter);
        }
        try (Decoder model = tiny()) {
            model.attach(new Lora(4, 8, 0.2, true, List.of("all-linear")), SEED);
            trainer(model, config, rows(20, SEED), told, broken).train();
        }
        assertThat(told.metrics).isEqualTo(all.metrics);
        assertThat(hashes(broken.resolve("checkpoint-9"))).isEqualTo(hashes(straight.resolve("checkpoint-9")));
    }

    /// Three held-out batches before the first update, three after the last: stopped within either, and between.
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 7, 8, 9, 10})
    void tr12_stoppedWhileItEvaluatesAndResumed(int stopAtQuestion) throws Exception {
        Told all = new Told();
        try (Decoder model = tiny()) {
            evaluating(model, all, folder.resolve("straight"), () -> false).train();
        }
        assertThat(all.metrics)
                .filteredOn(line -> line.containsKey("eval_loss"))
                .hasSize(2);
        Told told = new Told();
        int[] asked = {0};
        Outcome outcome;
        try (Decoder model = tiny()) {
            outcome = evaluating(model, told, folder.resolve("broken"), () -> ++asked[0] >= stopAtQuestion)
                    .train();
        }
        assertThat(outcome.interrupted()).isTrue();
        try (Decoder model = tiny()) {
            outcome = evaluating(model, told, folder.resolve("broken"), () -> false)
                    .train();
        }
        assertThat(outcome.interrupted()).isFalse();
        assertThat(told.metrics).isEqualTo(all.metrics);
        assertThat(outcome.evalLoss()).isEqualTo(all.metrics.getLast().get("eval_loss"));
        assertThat(hashes(folder.resolve("broken/checkpoint-4")))
                .isEqualTo(hashes(folder.resolve("straight/checkpoint-4")));
    }

    private SftTrainer evaluating(Decoder model, Tracker tracker, Path checkpoints, BooleanSupplier stop) {
        return new SftTrainer(
                model,
                config(4, 4, 1, 1e-2),
                rows(20, SEED),
                rows(20, SEED + 1),
                tracker,
                checkpoints,
                Map.of(),
                stop,
                step -> {});
    }

    @Test
    void tr14_aDamagedCheckpointIsSetAsideAndTheOneBeforeItUsed() throws Exception {
        Path straight = folder.resolve("straight");
        Path broken = folder.resolve("broken");
        try (Decoder model = tiny()) {
            trainer(model, config(9, 4, 1, 1e-2), rows(20, SEED), new Told(), straight)
                    .train();
        }
        int[] asked = {0};
        try (Decoder model = tiny()) {
            trainer(model, config(9, 4, 1, 1e-2), rows(20, SEED), new Told(), broken, () -> ++asked[0] >= 6)
                    .train();
        }
        Path moments = broken.resolve("checkpoint-6/optimizer.safetensors");
        byte[] bytes = Files.readAllBytes(moments);
        bytes[bytes.length / 2] ^= 1;
        Files.write(moments, bytes);

        Told told = new Told();
        try (Decoder model = tiny()) {
            trainer(model, config(9, 4, 1, 1e-2), rows(20, SEED), told, broken).train();
        }
        assertThat(told.events).contains("checkpoint_skipped", "resumed");
        assertThat(told.metrics.getFirst()).containsEntry("step", 4.0);
        assertThat(hashes(broken.resolve("checkpoint-9"))).isEqualTo(hashes(straight.resolve("checkpoint-9")));
        try (Stream<Path> left = Files.list(broken)) {
            assertThat(left.map(path -> path.getFileName().toString()))
                    .anyMatch(name -> name.startsWith("damaged-checkpoint-6-"));
        }
    }

    private static Map<String, String> hashes(Path directory) throws Exception {
        Map<String, String> hashes = new LinkedHashMap<>();
        try (Stream<Path> files = Files.list(directory)) {
            files.sorted().forEach(f -> hashes.put(f.getFileName().toString(), Sha256.of(f)));
        }
        assertThat(hashes).isNotEmpty();
        return hashes;
    }

    @Test
    void tr11_resumingWithOtherInputsIsRefusedAndListed() {
        try (Decoder model = tiny()) {
            trainer(model, config(2, 4, 1, 1e-2), rows(20, SEED), new Told(), folder)
                    .train();
        }
        try (Decoder model = tiny()) {
            SftTrainer other = new SftTrainer(
                    model,
                    config(4, 4, 1, 1e-2),
                    rows(20, SEED),
                    null,
                    new Told(),
                    folder,
                    Map.of("data", "d2", "threads", "3"),
                    () -> false,
                    step -> {});
            assertThatThrownBy(other::train)
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("data was d1, is d2")
                    .hasMessageContaining("threads was absent, is 3");
        }
    }

    @Test
    void tr09_aNanInTheWeightsStopsBeforeTheUpdate() {
        try (Decoder model = tiny();
                Scope scope = Scope.open()) {
            Parameter norm = model.parameter("model.norm.weight");
            norm.value().detach().narrow(0, 3, 1).copy_(Tensor.full(Double.NaN, DType.F32, 1));
            model.refresh();
            Map<String, float[]> before = values(model);
            Told told = new Told();
            SftTrainer trainer = trainer(model, config(3, 4, 1, 1e-2), rows(8, SEED), told, folder);
            assertThatThrownBy(trainer::train)
                    .isInstanceOf(NonFinite.class)
                    .hasMessageContaining("loss")
                    .hasMessageContaining("update 1 of 3");
            assertThat(told.events).contains("non_finite");
            // By bits: a NaN is not equal to itself.
            values(model)
                    .forEach((name, after) -> assertThat(Arrays.equals(after, before.get(name)))
                            .as(name)
                            .isTrue());
            assertThat(folder.resolve("checkpoint-1")).doesNotExist();
        }
    }

    @Test
    void tr09_anInfiniteGradientNormIsNeverStepped() {
        try (Decoder model = tiny();
                Optimizer optimizer =
                        new Optimizer(model.trainableByName(), Optim.ADAMW_TORCH_FUSED, 0.9, 0.999, 1e-8, 0)) {
            for (double norm : new double[] {Double.POSITIVE_INFINITY, Double.NaN}) {
                assertThatThrownBy(() -> optimizer.step(1e-3, norm, 1)).isInstanceOf(IllegalArgumentException.class);
            }
            assertThat(optimizer.updates()).isZero();
        }
    }

    @Test
    void tr20_noStepAndOneStepAndWarmupLongerThanTheRun() {
        try (Decoder model = tiny()) {
            Map<String, float[]> before = values(model);
            Outcome none = trainer(model, config(0, 4, 1, 1e-2), rows(8, SEED), new Told(), folder)
                    .train();
            assertThat(none.steps()).isZero();
            assertThat(folder.resolve("checkpoint-0").resolve("MANIFEST.json")).exists();
            assertThat(values(model)).usingRecursiveComparison().isEqualTo(before);
        }
        try (Decoder model = tiny()) {
            Told told = new Told();
            trainer(model, config(1, 4, 1, 1e-2), rows(8, SEED), told, folder.resolve("one"))
                    .train();
            assertThat(told.metrics).hasSize(1);
            assertThat(folder.resolve("one/checkpoint-1/MANIFEST.json")).exists();
        }
        assertThat(Schedule.LINEAR.factor(0, 10, 4)).isEqualTo(0);
        assertThat(Schedule.LINEAR.factor(3, 10, 4)).isEqualTo(0.3);
    }

    @Test
    void tr19_savedLoadedSavedIsTheSameBytes() {
        try (Decoder model = tiny()) {
            trainer(model, config(2, 4, 1, 1e-2), rows(8, SEED), new Told(), folder.resolve("a"))
                    .train();
        }
        try (Decoder model = tiny()) {
            // Nothing is left to do: it loads the checkpoint and saves it again.
            trainer(model, config(2, 4, 1, 1e-2), rows(8, SEED), new Told(), folder.resolve("a"))
                    .train();
            Path again = folder.resolve("a/checkpoint-2");
            assertThat(Sha256.of(again.resolve("optimizer.safetensors"))).isNotEmpty();
            assertThat(again.resolve("MANIFEST.json")).exists();
        }
    }

    @Test
    void nativeMemoryStaysFlatOverHundredsOfSteps() {
        assumeThat(NativeMemory.inUse()).as("glibc's mallinfo2").isPresent();
        List<Long> inUse = inUseAfterUpdates(() -> {});
        assertThat(medianGrowth(inUse)).as("bytes kept by an update, median").isLessThan(64);
        assertThat(inUse.get(390) - inUse.get(100))
                .as("bytes kept by 290 updates")
                .isLessThan(20L << 20);
        // The measure would see one scalar leaked by every update.
        assertThat(NativeMemory.withALeak(leak -> medianGrowth(inUseAfterUpdates(leak))))
                .as("bytes kept by a leaking update")
                .isGreaterThan(64);
    }

    private List<Long> inUseAfterUpdates(Runnable everyUpdate) {
        List<Long> inUse = new ArrayList<>();
        try (Decoder model = tiny()) {
            trainer(model, config(400, 4, 1, 1e-4), rows(8, SEED), new Told(), null, () -> {
                        everyUpdate.run();
                        inUse.add(NativeMemory.inUse().orElseThrow());
                        return false;
                    })
                    .train();
        }
        return inUse;
    }

    /// The JVM's compiler allocates from the same books now and then, some MB at a time, which moves a sum but not the
    /// median.
    private static long medianGrowth(List<Long> inUse) {
        return NativeMemory.medianGrowth(inUse, 100, 390);
    }
}
