package dev.manners.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.manners.BadInput;
import dev.manners.NonFinite;
import dev.manners.config.Options;
import dev.manners.data.PreferenceRow.Ranking;
import dev.manners.data.Tokenisation.Truncation;
import dev.manners.files.Sha256;
import dev.manners.model.Decoder;
import dev.manners.model.Lora;
import dev.manners.model.Parameter;
import dev.manners.tensor.DType;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import dev.manners.testing.NativeMemory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.function.BooleanSupplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// DPO, CPO and ORPO on a model of a few thousand parameters.
class DpoTrainerTest {

    private static final long SEED = Long.getLong("tests.seed", 42);

    @TempDir
    Path folder;

    private static Decoder tiny() {
        return SftTrainerTest.tiny();
    }

    /// A reference that is not the policy.
    private static Decoder other() {
        return Decoder.initialise(SftTrainerTest.tinyLlama(), SEED + 7, DType.F32);
    }

    private static int[] tokens(Random random, int length) {
        return random.ints(length, 3, 96).toArray();
    }

    static List<Pair> pairs(int count, long seed) {
        Random random = new Random(seed);
        return IntStream.range(0, count)
                .mapToObj(i -> new Pair(
                        tokens(random, 3 + random.nextInt(10)),
                        tokens(random, 1 + random.nextInt(9)),
                        tokens(random, 1 + random.nextInt(9))))
                .toList();
    }

    private static <T extends Record> T config(Class<T> type, Map<String, ?> more) {
        Map<String, Object> options = new HashMap<>(Map.of(
                "learning_rate",
                1e-3,
                "per_device_train_batch_size",
                4,
                "weight_decay",
                0.01,
                "bf16",
                false,
                "logging_steps",
                1,
                "save_steps",
                3,
                "seed",
                SEED));
        options.putAll(more);
        return Options.with(type, options);
    }

    private static DpoConfig dpo(Map<String, ?> more) {
        return config(DpoConfig.class, more);
    }

    private static DpoTrainer trainer(
            Decoder policy,
            @Nullable Decoder reference,
            DpoConfig config,
            List<Pair> pairs,
            Tracker tracker,
            @Nullable Path checkpoints,
            BooleanSupplier stop) {
        return DpoTrainer.dpo(
                policy,
                reference,
                config,
                pairs,
                List.of(),
                null,
                tracker,
                checkpoints,
                Map.of("data", "d1"),
                stop,
                step -> {});
    }

    private static List<Map<String, Double>> told(DpoConfig config, List<Pair> pairs) {
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        try (Decoder policy = tiny();
                Decoder reference = other()) {
            trainer(policy, reference, config, pairs, told, null, () -> false).train();
        }
        return told.metrics;
    }

    private static Map<String, float[]> values(Decoder model) {
        return SftTrainerTest.values(model);
    }

    static Map<String, String> hashes(Path directory) throws Exception {
        Map<String, String> hashes = new LinkedHashMap<>();
        try (Stream<Path> files = Files.list(directory)) {
            files.sorted().forEach(f -> hashes.put(f.getFileName().toString(), Sha256.of(f)));
        }
        assertThat(hashes).isNotEmpty();
        return hashes;
    }

    // ---- it learns, and only what it should

    @Test
    void overfitsOneBatchAndMovesEveryParameterButNotTheReference() {
        try (Decoder policy = tiny();
                Decoder reference = tiny()) {
            Map<String, float[]> before = values(policy);
            SftTrainerTest.Told told = new SftTrainerTest.Told();
            trainer(
                            policy,
                            reference,
                            dpo(Map.of("learning_rate", 1e-2, "max_steps", 60, "beta", 0.5)),
                            pairs(4, SEED),
                            told,
                            null,
                            () -> false)
                    .train();
            Map<String, Double> first = told.metrics.getFirst();
            assertThat(first.get("loss")).isEqualTo(Math.log(2), within(1e-5));
            assertThat(first.get("rewards/margins")).isEqualTo(0, within(1e-5));
            Map<String, Double> last = told.metrics.getLast();
            assertThat(last.get("loss")).isLessThan(0.02);
            assertThat(last.get("rewards/accuracies")).isEqualTo(1.0);
            values(policy).forEach((name, after) -> assertThat(after).as(name).isNotEqualTo(before.get(name)));
            assertThat(values(reference)).usingRecursiveComparison().isEqualTo(before);
        }
    }

    @Test
    void withoutAReferenceItOverfitsToo() {
        for (String loss : List.of("sigmoid", "hinge", "ipo", "simpo", "alphapo")) {
            try (Decoder policy = tiny()) {
                CpoConfig config = config(
                        CpoConfig.class,
                        Map.of(
                                "learning_rate",
                                1e-2,
                                "max_steps",
                                80,
                                "beta",
                                1.0,
                                "cpo_alpha",
                                0.5,
                                "loss_type",
                                loss));
                assertLearnt(
                        loss,
                        policy,
                        told -> DpoTrainer.cpo(
                                policy,
                                config,
                                pairs(4, SEED),
                                List.of(),
                                told,
                                null,
                                Map.of(),
                                () -> false,
                                step -> {}));
            }
        }
        try (Decoder policy = tiny()) {
            OrpoConfig config = config(OrpoConfig.class, Map.of("learning_rate", 1e-2, "max_steps", 80, "beta", 0.5));
            assertLearnt(
                    "orpo",
                    policy,
                    told -> DpoTrainer.orpo(
                            policy, config, pairs(4, SEED), List.of(), told, null, Map.of(), () -> false, step -> {}));
        }
    }

    private interface Makes {
        DpoTrainer with(Tracker tracker);
    }

    private static void assertLearnt(String loss, Decoder policy, Makes trainer) {
        Map<String, float[]> before = values(policy);
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        trainer.with(told).train();
        assertThat(told.metrics.getLast().get("rewards/accuracies")).as(loss).isEqualTo(1.0);
        assertThat(told.metrics.getLast().get("loss"))
                .as(loss)
                .isLessThan(0.5 * told.metrics.getFirst().getOrDefault("loss", Double.NaN));
        values(policy)
                .forEach(
                        (name, after) -> assertThat(after).as(loss + " " + name).isNotEqualTo(before.get(name)));
    }

    @Test
    void withAdaptersOnlyTheyMoveAndTheReferenceIsTheBase() {
        List<Pair> data = pairs(4, SEED);
        DpoConfig config = dpo(Map.of("learning_rate", 1e-2, "max_steps", 20));
        SftTrainerTest.Told ownBase = new SftTrainerTest.Told();
        try (Decoder policy = tiny()) {
            policy.attach(new Lora(4, 8, 0, false, List.of("all-linear")), SEED);
            Map<String, float[]> before = values(policy);
            trainer(policy, null, config, data, ownBase, null, () -> false).train();
            values(policy).forEach((name, after) -> {
                if (name.contains("lora_")) {
                    assertThat(after).as(name).isNotEqualTo(before.get(name));
                } else {
                    assertThat(after).as(name).isEqualTo(before.get(name));
                }
            });
        }
        // The base beside it as a model of its own gives the same run.
        SftTrainerTest.Told beside = new SftTrainerTest.Told();
        try (Decoder policy = tiny();
                Decoder reference = tiny()) {
            policy.attach(new Lora(4, 8, 0, false, List.of("all-linear")), SEED);
            trainer(policy, reference, config, data, beside, null, () -> false).train();
        }
        assertThat(ownBase.metrics).isEqualTo(beside.metrics);
        assertThat(ownBase.metrics.getLast().get("rewards/margins")).isGreaterThan(0.1);
    }

    @Test
    void aPolicyTrainedInFullNeedsAReference() {
        try (Decoder policy = tiny()) {
            assertThatThrownBy(
                            () -> trainer(policy, null, dpo(Map.of()), pairs(2, 1), Tracker.none(), null, () -> false))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("there is no reference");
        }
    }

    // ---- how an update is split

    @Test
    void tr18_accumulationIsOneBigBatch() {
        for (String loss : List.of("sigmoid", "ipo", "apo_zero", "sft", "sigmoid_norm", "discopop")) {
            assertSplitMattersNot(Map.of("loss_type", List.of(loss), "beta", 0.3));
        }
        assertSplitMattersNot(Map.of("loss_type", List.of("sigmoid", "sft"), "loss_weights", List.of("0.8", "0.2")));
        assertSplitMattersNot(Map.of("ld_alpha", 0.5, "use_weighting", true));
    }

    private static void assertSplitMattersNot(Map<String, ?> options) {
        List<Map<String, Double>> whole = split(8, 1, options);
        for (int accumulation : new int[] {2, 8}) {
            List<Map<String, Double>> split = split(8 / accumulation, accumulation, options);
            for (int i = 0; i < whole.size(); i++) {
                for (String metric : List.of("loss", "grad_norm", "rewards/margins", "logps/chosen", "entropy")) {
                    double wanted = whole.get(i).getOrDefault(metric, Double.NaN);
                    assertThat(split.get(i).get(metric))
                            .as(options + " " + metric + " of update " + (i + 1) + ", accumulation " + accumulation)
                            .isEqualTo(wanted, within((i == 0 ? 1e-5 : 1e-3) * Math.max(0.1, Math.abs(wanted))));
                }
            }
        }
    }

    private static List<Map<String, Double>> split(int batch, int accumulation, Map<String, ?> options) {
        return split(batch, accumulation, options, pairs(16, SEED));
    }

    private static List<Map<String, Double>> split(
            int batch, int accumulation, Map<String, ?> options, List<Pair> data) {
        Map<String, Object> all = new HashMap<>(options);
        all.put("per_device_train_batch_size", batch);
        all.put("gradient_accumulation_steps", accumulation);
        all.put("max_steps", 2);
        return told(dpo(all), data);
    }

    /// aot sorts a micro-batch: how an update is split is part of what it means.
    @ParameterizedTest
    @ValueSource(strings = {"aot", "aot_unpaired"})
    void tr18_aotIsALossOfTheMicroBatch(String loss) {
        Map<String, ?> options = Map.of("loss_type", List.of(loss), "beta", 0.3);
        // All as long as one another: lengths would put both models' log-probabilities into the same order.
        Random random = new Random(SEED);
        List<Pair> data = IntStream.range(0, 16)
                .mapToObj(i -> new Pair(tokens(random, 4), tokens(random, 6), tokens(random, 6)))
                .toList();
        double whole = split(8, 1, options, data).getFirst().getOrDefault("loss", Double.NaN);
        double alone = split(1, 8, options, data).getFirst().getOrDefault("loss", Double.NaN);
        assertThat(Math.abs(whole - alone)).isGreaterThan(1e-3);
        // With a pair at a time there is nothing to sort.
        double sigmoid = split(8, 1, Map.of("beta", 0.3), data).getFirst().getOrDefault("loss", Double.NaN);
        if (loss.equals("aot")) {
            assertThat(alone).isEqualTo(sigmoid, within(1e-5));
        }
    }

    @Test
    void tr18_piecesOfAMicroBatchAddUp() {
        Random random = new Random(SEED);
        List<Pair> data = IntStream.range(0, 8)
                .mapToObj(i -> new Pair(tokens(random, 70), tokens(random, 40), tokens(random, 30)))
                .toList();
        try (Decoder policy = tiny()) {
            assertThat(Pieces.of(policy.config(), IntStream.range(0, 8).toArray(), i -> 140))
                    .hasSize(2);
        }
        double together = told(dpo(Map.of("max_steps", 1, "per_device_train_batch_size", 8)), data)
                .getFirst()
                .getOrDefault("grad_norm", Double.NaN);
        double apart = told(
                        dpo(Map.of(
                                "max_steps", 1,
                                "per_device_train_batch_size", 1,
                                "gradient_accumulation_steps", 8)),
                        data)
                .getFirst()
                .getOrDefault("grad_norm", Double.NaN);
        assertThat(apart).isEqualTo(together, within(1e-5 * together));
    }

    // ---- the reference

    /// Log-probabilities taken once give the run that computes them as it goes, to rounding: another company in a
    /// matrix
    /// product may change the last bits.
    @Test
    void whatIsPrecomputedIsWhatWouldBeComputed() {
        List<Map<String, ?>> cases = List.of(Map.of(), Map.of("ld_alpha", 0.3), Map.of("loss_type", List.of("ipo")));
        for (Map<String, ?> options : cases) {
            Map<String, Object> all = new HashMap<>(options);
            all.put("max_steps", 4);
            DpoConfig config = dpo(all);
            SftTrainerTest.Told told = new SftTrainerTest.Told();
            SftTrainerTest.Told fly = new SftTrainerTest.Told();
            List<Pair> data = pairs(12, SEED);
            List<Pair> heldOut = pairs(6, SEED + 1);
            try (Decoder policy = tiny();
                    Decoder reference = other()) {
                float[] train =
                        Objects.requireNonNull(DpoTrainer.precompute(policy, reference, config, data, () -> false));
                float[] held =
                        Objects.requireNonNull(DpoTrainer.precompute(policy, reference, config, heldOut, () -> false));
                assertThat(train).hasSize(24);
                assertSumsOfTokens(train, reference, data, config.ldAlpha());
                // The reference is not asked again.
                DpoTrainer.dpo(
                                policy,
                                null,
                                config,
                                data,
                                heldOut,
                                new DpoTrainer.RefLogProbs(train, held),
                                told,
                                null,
                                Map.of(),
                                () -> false,
                                step -> {})
                        .train();
            }
            try (Decoder policy = tiny();
                    Decoder reference = other()) {
                DpoTrainer.dpo(
                                policy,
                                reference,
                                config,
                                data,
                                heldOut,
                                null,
                                fly,
                                null,
                                Map.of(),
                                () -> false,
                                step -> {})
                        .train();
            }
            assertThat(told.metrics).hasSameSizeAs(fly.metrics);
            for (int i = 0; i < fly.metrics.size(); i++) {
                for (Map.Entry<String, Double> e : fly.metrics.get(i).entrySet()) {
                    assertThat(told.metrics.get(i).get(e.getKey()))
                            .as(options + " " + e.getKey())
                            .isEqualTo(e.getValue(), within(1e-3 * Math.max(0.1, Math.abs(e.getValue()))));
                }
            }
        }
    }

    /// Each completion by itself, token by token.
    private static void assertSumsOfTokens(
            float[] sums, Decoder reference, List<Pair> pairs, @Nullable Double ldAlpha) {
        for (int i = 0; i < pairs.size(); i++) {
            Pair pair = pairs.get(i);
            int shared = Math.min(pair.chosen().length, pair.rejected().length);
            for (int which = 0; which < 2; which++) {
                int[] completion = which == 0 ? pair.chosen() : pair.rejected();
                try (Scope scope = Scope.open()) {
                    float[] logps = Completions.of(List.of(new Completions.Group(pair.prompt(), List.of(completion))))
                            .logProbs(reference, 1)
                            .logps()
                            .toFloats();
                    double sum = 0;
                    for (int t = 0; t < logps.length; t++) {
                        sum += logps[t] * (ldAlpha != null && t >= shared ? ldAlpha : 1);
                    }
                    assertThat((double) sums[2 * i + which]).isEqualTo(sum, within(1e-5 * Math.abs(sum)));
                }
            }
        }
    }

    @Test
    void precomputingStopsWhenAsked() {
        try (Decoder policy = tiny();
                Decoder reference = other()) {
            assertThat(DpoTrainer.precompute(policy, reference, dpo(Map.of()), pairs(4, SEED), () -> true))
                    .isNull();
        }
    }

    /// ref ← (1 - α) ref + α policy after updates 2 and 4, and not between.
    @Test
    void theReferenceFollowsAtItsSteps() {
        List<Pair> data = pairs(8, SEED);
        double alpha = 0.25;
        try (Decoder policy = tiny();
                Decoder reference = other()) {
            String name = "model.norm.weight";
            List<float[]> seen = new ArrayList<>();
            List<float[]> followed = new ArrayList<>();
            seen.add(policy.parameter(name).value().toFloats());
            followed.add(reference.parameter(name).value().toFloats());
            trainer(policy, reference, following(5, alpha), data, Tracker.none(), null, () -> {
                        seen.add(policy.parameter(name).value().toFloats());
                        followed.add(reference.parameter(name).value().toFloats());
                        return false;
                    })
                    .train();
            assertThat(followed).hasSize(6);
            for (int step = 1; step <= 5; step++) {
                float[] before = followed.get(step - 1);
                float[] after = followed.get(step);
                if (step % 2 != 0) {
                    assertThat(after).as("after update " + step).isEqualTo(before);
                    continue;
                }
                for (int i = 0; i < after.length; i++) {
                    double wanted = (1 - alpha) * before[i] + alpha * seen.get(step)[i];
                    assertThat((double) after[i]).as("after update " + step).isEqualTo(wanted, within(1e-6));
                }
                assertThat(after).isNotEqualTo(before);
            }
        }
    }

    private static DpoConfig following(int steps, double alpha) {
        return dpo(Map.of(
                "max_steps",
                steps,
                "learning_rate",
                1e-2,
                "sync_ref_model",
                true,
                "ref_model_sync_steps",
                2,
                "ref_model_mixup_alpha",
                alpha));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5})
    void tr12_aReferenceThatFollowsIsResumedWithTheRun(int stopAfter) throws Exception {
        SftTrainerTest.Told all = new SftTrainerTest.Told();
        Map<String, float[]> wanted = followed(all, folder.resolve("straight"), () -> false);
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        int[] asked = {0};
        followed(told, folder.resolve("broken"), () -> ++asked[0] >= stopAfter);
        Map<String, float[]> found = followed(told, folder.resolve("broken"), () -> false);
        assertThat(told.metrics).isEqualTo(all.metrics);
        assertThat(found).usingRecursiveComparison().isEqualTo(wanted);
        assertThat(hashes(folder.resolve("broken/checkpoint-6")))
                .isEqualTo(hashes(folder.resolve("straight/checkpoint-6")))
                .containsKey("trainer.safetensors");
    }

    private static Map<String, float[]> followed(Tracker tracker, Path checkpoints, BooleanSupplier stop) {
        try (Decoder policy = tiny();
                Decoder reference = other()) {
            trainer(policy, reference, following(6, 0.25), pairs(8, SEED), tracker, checkpoints, stop)
                    .train();
            return values(reference);
        }
    }

    @Test
    void aReferenceThatCannotFollowIsRefusedAtOnce() {
        try (Decoder policy = tiny()) {
            policy.attach(new Lora(4, 8, 0, false, List.of("all-linear")), SEED);
            assertThatThrownBy(() ->
                            trainer(policy, null, following(2, 0.5), pairs(4, 1), Tracker.none(), null, () -> false))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("does not move");
        }
        try (Decoder policy = tiny();
                Decoder wider =
                        Decoder.initialise(SftTrainerTest.tinyLlama().put("intermediate_size", 48), SEED, DType.F32)) {
            assertThatThrownBy(() ->
                            trainer(policy, wider, following(2, 0.5), pairs(4, 1), Tracker.none(), null, () -> false))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("6 parameters differ");
        }
        assertThatThrownBy(() -> dpo(Map.of("sync_ref_model", true, "precompute_ref_log_probs", true)))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("would not be the moving reference's");
    }

    // ---- stopped and resumed

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7, 8})
    void tr12_interruptedAndResumedIsByteIdentical(int stopAfter) throws Exception {
        SftTrainerTest.Told all = new SftTrainerTest.Told();
        adapted(all, folder.resolve("straight"), () -> false);
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        int[] asked = {0};
        Outcome outcome = adapted(told, folder.resolve("broken"), () -> ++asked[0] >= stopAfter);
        assertThat(outcome.interrupted()).isTrue();
        assertThat(outcome.steps()).isEqualTo(stopAfter);
        adapted(told, folder.resolve("broken"), () -> false);
        assertThat(told.metrics).isEqualTo(all.metrics);
        assertThat(hashes(folder.resolve("broken/checkpoint-9")))
                .isEqualTo(hashes(folder.resolve("straight/checkpoint-9")));
    }

    /// Adapters, and two updates in a line of metrics, so that a stop falls between.
    private static Outcome adapted(Tracker tracker, Path checkpoints, BooleanSupplier stop) {
        try (Decoder policy = tiny()) {
            policy.attach(new Lora(4, 8, 0.2, true, List.of("all-linear")), SEED);
            DpoConfig config = dpo(Map.of(
                    "learning_rate", 1e-2, "max_steps", 9, "gradient_accumulation_steps", 2, "logging_steps", 2));
            return trainer(policy, null, config, pairs(20, SEED), tracker, checkpoints, stop)
                    .train();
        }
    }

    /// Three held-out batches before the first update, three after the last: stopped within either, and between.
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 7, 8, 9, 10})
    void tr12_stoppedWhileItEvaluatesAndResumed(int stopAtQuestion) throws Exception {
        SftTrainerTest.Told all = new SftTrainerTest.Told();
        evaluating(all, folder.resolve("straight"), () -> false);
        assertThat(all.metrics)
                .filteredOn(line -> line.containsKey("eval_rewards/accuracies"))
                .hasSize(2);
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        int[] asked = {0};
        assertThat(evaluating(told, folder.resolve("broken"), () -> ++asked[0] >= stopAtQuestion)
                        .interrupted())
                .isTrue();
        assertThat(evaluating(told, folder.resolve("broken"), () -> false).interrupted())
                .isFalse();
        assertThat(told.metrics).isEqualTo(all.metrics);
        assertThat(hashes(folder.resolve("broken/checkpoint-4")))
                .isEqualTo(hashes(folder.resolve("straight/checkpoint-4")));
    }

    private static Outcome evaluating(Tracker tracker, Path checkpoints, BooleanSupplier stop) {
        try (Decoder policy = tiny();
                Decoder reference = other()) {
            return DpoTrainer.dpo(
                            policy,
                            reference,
                            dpo(Map.of("max_steps", 4, "learning_rate", 1e-2)),
                            pairs(20, SEED),
                            pairs(20, SEED + 1),
                            null,
                            tracker,
                            checkpoints,
                            Map.of(),
                            stop,
                            step -> {})
                    .train();
        }
    }

    @Test
    void tr11_resumingWithOtherInputsIsRefusedAndListed() {
        try (Decoder policy = tiny();
                Decoder reference = other()) {
            trainer(policy, reference, dpo(Map.of("max_steps", 2)), pairs(8, SEED), Tracker.none(), folder, () -> false)
                    .train();
            DpoTrainer changed = DpoTrainer.dpo(
                    policy,
                    reference,
                    dpo(Map.of("max_steps", 4)),
                    pairs(8, SEED),
                    List.of(),
                    null,
                    Tracker.none(),
                    folder,
                    Map.of("data", "d2", "ref_model", "r1"),
                    () -> false,
                    step -> {});
            assertThatThrownBy(changed::train)
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("data was d1, is d2")
                    .hasMessageContaining("ref_model was absent, is r1");
        }
    }

    /// In the policy, and in the reference, whose NaN reaches the loss only.
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void tr09_aNanStopsBeforeTheUpdate(boolean inPolicy) {
        try (Decoder policy = tiny();
                Decoder reference = other();
                Scope scope = Scope.open()) {
            Decoder broken = inPolicy ? policy : reference;
            Parameter norm = broken.parameter("model.norm.weight");
            norm.value().detach().narrow(0, 3, 1).copy_(Tensor.full(Double.NaN, DType.F32, 1));
            broken.refresh();
            Map<String, float[]> before = values(policy);
            SftTrainerTest.Told told = new SftTrainerTest.Told();
            DpoTrainer trainer =
                    trainer(policy, reference, dpo(Map.of("max_steps", 3)), pairs(8, SEED), told, folder, () -> false);
            assertThatThrownBy(trainer::train)
                    .isInstanceOf(NonFinite.class)
                    .hasMessageContaining("loss")
                    .hasMessageContaining("update 1 of 3");
            assertThat(told.events).contains("non_finite");
            values(policy)
                    .forEach((name, after) -> assertThat(Arrays.equals(after, before.get(name)))
                            .as(name)
                            .isTrue());
            assertThat(folder.resolve("checkpoint-1")).doesNotExist();
        }
    }

    @Test
    void tr08_nativeMemoryStaysFlatOverHundredsOfSteps() {
        assumeThat(NativeMemory.inUse()).as("glibc's mallinfo2").isPresent();
        assertThat(medianGrowth(() -> {})).as("bytes kept by an update, median").isLessThan(64);
        // The measure would see one scalar leaked by every update.
        List<Tensor> leaked = new ArrayList<>();
        long leaking = medianGrowth(() -> {
            try (Scope scope = Scope.open()) {
                leaked.add(scope.keepForever(Tensor.full(1, DType.F32)));
            }
        });
        assertThat(leaking).as("bytes kept by a leaking update").isGreaterThan(64);
        leaked.forEach(Tensor::close);
    }

    private static long medianGrowth(Runnable everyUpdate) {
        List<Long> inUse = new ArrayList<>();
        try (Decoder policy = tiny();
                Decoder reference = other()) {
            trainer(
                            policy,
                            reference,
                            dpo(Map.of(
                                    "max_steps",
                                    300,
                                    "learning_rate",
                                    1e-4,
                                    "sync_ref_model",
                                    true,
                                    "ref_model_sync_steps",
                                    3)),
                            pairs(8, SEED),
                            Tracker.none(),
                            null,
                            () -> {
                                everyUpdate.run();
                                inUse.add(NativeMemory.inUse().orElseThrow());
                                return false;
                            })
                    .train();
        }
        return NativeMemory.medianGrowth(inUse, 100, 290);
    }

    // ---- rows

    private static Ranking ranking(int[] prompt, int[] ranks, int[]... completions) {
        return new Ranking(prompt, List.of(completions), ranks, null, "row");
    }

    @Test
    void longPairsAreCutAtTheirEndsAndWhatIsLeftOutIsCounted() {
        int[] prompt = {1, 2, 3};
        int[] two = {1, 2};
        List<Ranking> rows = List.of(
                ranking(prompt, two, new int[] {4, 5, 6}, new int[] {7}), // cut
                ranking(prompt, two, new int[] {4, 5}, new int[] {7}), // fits
                ranking(prompt, two, new int[] {4, 5, 6}, new int[] {4, 5, 7}), // the same once they are cut
                ranking(new int[] {1, 2, 3, 4, 5}, two, new int[] {6}, new int[] {7}), // the prompt fills it
                ranking(prompt, new int[] {1, 1}, new int[] {4}, new int[] {7})); // a tie
        Pair.Fitted fitted = Pair.fitted(rows, 5, Truncation.KEEP_START);
        assertThat(fitted.pairs().stream().map(p -> p.chosen().length)).containsExactly(2, 2);
        assertThat(fitted.cut()).isEqualTo(1);
        assertThat(fitted.same()).isEqualTo(1);
        assertThat(fitted.noRoom()).isEqualTo(1);
        assertThat(fitted.ties()).isEqualTo(1);
        assertThat(fitted.notes(5)).hasSize(4);
        assertThat(Pair.fitted(rows, 0, Truncation.KEEP_START).pairs()).hasSize(4);
    }

    @Test
    void keepingTheEndBothCompletionsKeepOnePrompt() {
        int[] two = {1, 2};
        Pair.Fitted fitted = Pair.fitted(
                List.of(
                        ranking(new int[] {1, 2, 3, 4}, two, new int[] {5}, new int[] {6, 7, 8}),
                        ranking(new int[] {1, 2}, two, new int[] {3, 4, 5, 6, 7}, new int[] {8})),
                5,
                Truncation.KEEP_END);
        Pair pair = fitted.pairs().getFirst();
        assertThat(pair.prompt()).containsExactly(3, 4);
        assertThat(pair.chosen()).containsExactly(5);
        assertThat(pair.rejected()).containsExactly(6, 7, 8);
        assertThat(fitted.noRoom()).isEqualTo(1);
    }

    @Test
    void aRankingIsEveryPairOfWhichOneIsBetter() {
        Pair.Fitted fitted = Pair.fitted(
                List.of(ranking(
                        new int[] {1}, new int[] {1, 2, 2, 3}, new int[] {4}, new int[] {5}, new int[] {6}, new int[] {7
                        })),
                0,
                Truncation.KEEP_START);
        assertThat(fitted.pairs()).hasSize(5);
        assertThat(fitted.ties()).isEqualTo(1);
    }
}
