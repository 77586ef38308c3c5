package dev.manners.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.manners.BadInput;
import dev.manners.NonFinite;
import dev.manners.config.Options;
import dev.manners.data.PreferenceRow.Ranking;
import dev.manners.files.Sha256;
import dev.manners.model.Decoder;
import dev.manners.model.Lora;
import dev.manners.model.Parameter;
import dev.manners.model.ScalarModel;
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

/// The reward trainer on a model of a few thousand parameters.
class RewardTrainerTest {

    private static final long SEED = Long.getLong("tests.seed", 42);

    @TempDir
    Path folder;

    private static ScalarModel tiny() {
        try (Decoder decoder = SftTrainerTest.tiny()) {
            return ScalarModel.of(decoder, SEED);
        }
    }

    /// Pairs of random tokens with a prompt.
    static List<Ranking> pairs(int count, long seed, @Nullable Double margin) {
        Random random = new Random(seed);
        List<Ranking> rows = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            rows.add(new Ranking(
                    tokens(random, 3 + random.nextInt(10)),
                    List.of(tokens(random, 1 + random.nextInt(9)), tokens(random, 1 + random.nextInt(9))),
                    new int[] {1, 2},
                    margin,
                    "row " + i));
        }
        return rows;
    }

    /// Rankings of two to five completions, with ties.
    private static List<Ranking> rankings(int count, long seed) {
        Random random = new Random(seed);
        List<Ranking> rows = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int k = 2 + i % 4;
            List<int[]> completions = new ArrayList<>();
            for (int c = 0; c < k; c++) {
                completions.add(tokens(random, 2 + random.nextInt(6)));
            }
            int[] ranks = IntStream.range(0, k).map(c -> c / 2 + 1).toArray();
            if (k == 2) {
                ranks[1] = 2;
            }
            rows.add(new Ranking(tokens(random, 4), completions, ranks, null, "row " + i));
        }
        return rows;
    }

    private static int[] tokens(Random random, int length) {
        return random.ints(length, 3, 96).toArray();
    }

    private static RewardConfig config(long steps, int batch, int accumulation, double learningRate) {
        return Options.with(
                RewardConfig.class,
                Map.of(
                        "learning_rate", learningRate,
                        "per_device_train_batch_size", batch,
                        "gradient_accumulation_steps", accumulation,
                        "max_steps", steps,
                        "weight_decay", 0.01,
                        "center_rewards_coefficient", 0.01,
                        "logging_steps", 1,
                        "save_steps", 3,
                        "seed", SEED));
    }

    private static RewardTrainer trainer(
            ScalarModel model,
            RewardConfig config,
            List<Ranking> data,
            Tracker tracker,
            @Nullable Path checkpoints,
            BooleanSupplier stop) {
        return new RewardTrainer(model, config, data, List.of(), tracker, checkpoints, Map.of("data", "d1"), stop);
    }

    private static Map<String, float[]> values(ScalarModel model) {
        Map<String, float[]> values = new LinkedHashMap<>();
        model.parameters().forEach(p -> values.put(p.name(), p.value().toFloats()));
        model.trainableByName().forEach((name, p) -> values.put(name, p.value().toFloats()));
        return values;
    }

    @Test
    void overfitsOneBatchAndMovesEveryParameter() {
        for (List<Ranking> data : List.of(pairs(4, SEED, 0.5), pairs(4, SEED, null))) {
            try (ScalarModel model = tiny()) {
                Map<String, float[]> before = values(model);
                SftTrainerTest.Told told = new SftTrainerTest.Told();
                RewardConfig config = Options.with(
                        RewardConfig.class,
                        Map.of("learning_rate", 1e-2, "max_steps", 60, "logging_steps", 1, "bf16", false));
                trainer(model, config, data, told, null, () -> false).train();
                assertThat(told.metrics.getLast().get("loss")).isLessThan(0.01);
                assertThat(told.metrics.getLast().get("accuracy")).isEqualTo(1.0);
                assertThat(told.metrics.getLast().get("margin")).isGreaterThan(3);
                values(model)
                        .forEach((name, after) -> assertThat(after).as(name).isNotEqualTo(before.get(name)));
            }
        }
    }

    @Test
    void learnsRankingsWithTies() {
        List<Ranking> data = rankings(8, SEED);
        try (ScalarModel model = tiny()) {
            SftTrainerTest.Told told = new SftTrainerTest.Told();
            trainer(model, config(120, 8, 1, 1e-2), data, told, null, () -> false)
                    .train();
            assertThat(told.metrics.getLast().get("accuracy")).isEqualTo(1.0);
            List<float[]> scores = Objects.requireNonNull(RewardTrainer.scores(model, data, () -> false));
            // k = 4: ranks 1 1 2 2.
            float[] four = scores.get(2);
            assertThat(Math.abs(four[0] - four[1])).isLessThan(0.5f * (Math.min(four[0], four[1]) - four[2]));
        }
    }

    @Test
    void withAdaptersOnlyTheyAndTheHeadMove() {
        try (ScalarModel model = tiny()) {
            model.attach(new Lora(4, 8, 0.1, false, List.of("all-linear")), SEED);
            Map<String, float[]> before = values(model);
            trainer(model, config(20, 4, 1, 1e-2), pairs(4, SEED, null), new SftTrainerTest.Told(), null, () -> false)
                    .train();
            values(model).forEach((name, after) -> {
                if (name.contains("lora_") || name.equals("score.weight")) {
                    assertThat(after).as(name).isNotEqualTo(before.get(name));
                } else {
                    assertThat(after).as(name).isEqualTo(before.get(name));
                }
            });
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void tr18_accumulationIsOneBigBatch(boolean pairs) {
        List<Ranking> data = pairs ? pairs(24, SEED, 0.1) : rankings(24, SEED);
        List<Map<String, Double>> whole = told(config(3, 8, 1, 1e-3), data);
        for (int accumulation : new int[] {2, 8}) {
            List<Map<String, Double>> split = told(config(3, 8 / accumulation, accumulation, 1e-3), data);
            for (int i = 0; i < whole.size(); i++) {
                for (String metric : List.of("loss", "grad_norm")) {
                    double wanted = whole.get(i).getOrDefault(metric, Double.NaN);
                    assertThat(split.get(i).get(metric))
                            .as(metric + " of update " + (i + 1) + ", accumulation " + accumulation)
                            .isEqualTo(wanted, within((i == 0 ? 2e-6 : 1e-4) * wanted));
                }
            }
        }
    }

    /// The same rows with a margin of 0 where they have none, and the same update cut into its rows.
    @Test
    void tr18_marginsOfSomeRowsDoNotDependOnHowTheBatchIsCut() {
        List<Ranking> some = new ArrayList<>();
        List<Ranking> filled = new ArrayList<>();
        for (Ranking row : pairs(24, SEED, 2.0)) {
            boolean without = some.size() % 3 == 0;
            some.add(without ? margin(row, null) : row);
            filled.add(without ? margin(row, 0.0) : row);
        }
        List<Map<String, Double>> whole = told(config(3, 8, 1, 1e-3), some);
        assertThat(whole).isEqualTo(told(config(3, 8, 1, 1e-3), filled));
        List<Map<String, Double>> split = told(config(3, 1, 8, 1e-3), some);
        for (int i = 0; i < whole.size(); i++) {
            double wanted = whole.get(i).getOrDefault("loss", Double.NaN);
            assertThat(split.get(i).get("loss")).isEqualTo(wanted, within((i == 0 ? 2e-6 : 1e-4) * wanted));
        }
        double none =
                told(config(3, 8, 1, 1e-3), pairs(24, SEED, null)).getFirst().getOrDefault("loss", Double.NaN);
        assertThat(whole.getFirst().getOrDefault("loss", Double.NaN)).isGreaterThan(none + 0.5);
    }

    private static Ranking margin(Ranking row, @Nullable Double margin) {
        return new Ranking(row.prompt(), row.completions(), row.ranks(), margin, row.source());
    }

    @Test
    void heldOutRowsDoNotChooseTheLossThatIsTrained() {
        List<Ranking> data = pairs(8, SEED, 2.0);
        List<Map<String, Double>> alone = told(config(2, 4, 1, 1e-3), data);
        List<Map<String, Double>> beside = new ArrayList<>();
        for (List<Ranking> heldOut : List.of(rankings(8, SEED), pairs(8, SEED + 1, null))) {
            SftTrainerTest.Told told = new SftTrainerTest.Told();
            try (ScalarModel model = tiny()) {
                new RewardTrainer(model, config(2, 4, 1, 1e-3), data, heldOut, told, null, Map.of(), () -> false)
                        .train();
            }
            assertThat(told.metrics)
                    .filteredOn(line -> line.containsKey("loss"))
                    .isEqualTo(alone);
            told.metrics.stream()
                    .filter(line -> line.containsKey("eval_loss"))
                    .findFirst()
                    .ifPresent(beside::add);
        }
        // Each set by the loss of its own, of pairs before anything is learned -log σ of what the better one has more.
        assertThat(beside).hasSize(2);
        double loss = 0;
        List<Ranking> pairs = pairs(8, SEED + 1, null);
        try (ScalarModel model = tiny()) {
            List<float[]> scores = Objects.requireNonNull(RewardTrainer.scores(model, pairs, () -> false));
            for (int i = 0; i < pairs.size(); i++) {
                int better = pairs.get(i).ranks()[0] < pairs.get(i).ranks()[1] ? 0 : 1;
                float[] s = scores.get(i);
                double center = Objects.requireNonNull(config(2, 4, 1, 1e-3).centerRewardsCoefficient());
                loss += Math.log1p(Math.exp(s[1 - better] - s[better])) / pairs.size();
                loss += center * Math.pow(s[0] + s[1], 2) / pairs.size();
            }
        }
        assertThat(beside.get(1).get("eval_loss")).isEqualTo(loss, within(1e-5));
        assertThat(beside.get(0).get("eval_loss")).isNotCloseTo(loss, within(1e-3));
        assertThat(alone.getFirst().getOrDefault("loss", Double.NaN)).isGreaterThan(1.5);
    }

    @Test
    void marginsBesideRankingsAreRefused() {
        List<Ranking> data = new ArrayList<>(pairs(2, SEED, null));
        data.add(margin(pairs(1, SEED, null).getFirst(), 1.0));
        Ranking three = rankings(2, SEED).get(1);
        data.add(new Ranking(three.prompt(), three.completions(), three.ranks(), null, "rows.jsonl:4"));
        try (ScalarModel model = tiny()) {
            assertThatThrownBy(() -> trainer(model, config(1, 4, 1, 1e-3), data, Tracker.none(), null, () -> false))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("row 0: has a margin, and rows.jsonl:4 is no pair")
                    .hasMessageContaining("a ranking of 3")
                    .hasMessageContaining("leave the margins out");
        }
    }

    /// 140 tokens a row make pieces of a few rows each.
    @Test
    void tr18_piecesOfAMicroBatchAddUp() {
        Random random = new Random(SEED);
        List<Ranking> data = new ArrayList<>();
        for (int i = 0; i < 32; i++) {
            data.add(new Ranking(
                    tokens(random, 90), List.of(tokens(random, 30), tokens(random, 20)), new int[] {1, 2}, null, ""));
        }
        assertThat(Pieces.of(
                        SftTrainerTest.tiny().config(), IntStream.range(0, 32).toArray(), i -> 140))
                .hasSizeGreaterThan(1);
        double together = told(config(1, 32, 1, 1e-3), data).getFirst().getOrDefault("grad_norm", Double.NaN);
        double apart = told(config(1, 1, 32, 1e-3), data).getFirst().getOrDefault("grad_norm", Double.NaN);
        assertThat(apart).isEqualTo(together, within(2e-6 * together));
    }

    private static List<Map<String, Double>> told(RewardConfig config, List<Ranking> data) {
        try (ScalarModel model = tiny()) {
            SftTrainerTest.Told told = new SftTrainerTest.Told();
            trainer(model, config, data, told, null, () -> false).train();
            return told.metrics;
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3, 5, 8})
    void tr12_interruptedAndResumedIsByteIdentical(int stopAfter) throws Exception {
        List<Ranking> data = rankings(20, SEED);
        SftTrainerTest.Told all = new SftTrainerTest.Told();
        adapted(all, folder.resolve("straight"), data, () -> false);
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        int[] asked = {0};
        assertThat(adapted(told, folder.resolve("broken"), data, () -> ++asked[0] >= stopAfter)
                        .interrupted())
                .isTrue();
        adapted(told, folder.resolve("broken"), data, () -> false);
        assertThat(told.metrics).isEqualTo(all.metrics);
        assertThat(hashes(folder.resolve("broken/checkpoint-9")))
                .isEqualTo(hashes(folder.resolve("straight/checkpoint-9")));
    }

    /// Adapters with dropout, two lines of metrics in what is kept.
    private static Outcome adapted(Tracker tracker, Path checkpoints, List<Ranking> data, BooleanSupplier stop) {
        try (ScalarModel model = tiny()) {
            model.attach(new Lora(4, 8, 0.2, true, List.of("all-linear")), SEED);
            RewardConfig config = Options.with(
                    RewardConfig.class,
                    Map.of(
                            "learning_rate", 1e-2,
                            "per_device_train_batch_size", 4,
                            "gradient_accumulation_steps", 2,
                            "max_steps", 9,
                            "disable_dropout", false,
                            "logging_steps", 2,
                            "save_steps", 3,
                            "seed", SEED));
            return trainer(model, config, data, tracker, checkpoints, stop).train();
        }
    }

    /// Three held-out batches before the first update, three after the last: stopped within either, and between.
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 4, 7, 9})
    void tr12_stoppedWhileItEvaluatesAndResumed(int stopAtQuestion) throws Exception {
        SftTrainerTest.Told all = new SftTrainerTest.Told();
        evaluating(all, folder.resolve("straight"), () -> false);
        assertThat(all.metrics)
                .filteredOn(line -> line.containsKey("eval_accuracy"))
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
        try (ScalarModel model = tiny()) {
            return new RewardTrainer(
                            model,
                            config(4, 4, 1, 1e-2),
                            pairs(20, SEED, null),
                            pairs(20, SEED + 1, null),
                            tracker,
                            checkpoints,
                            Map.of(),
                            stop)
                    .train();
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
        try (ScalarModel model = tiny()) {
            trainer(model, config(2, 4, 1, 1e-2), pairs(8, SEED, null), new SftTrainerTest.Told(), folder, () -> false)
                    .train();
            RewardTrainer other = new RewardTrainer(
                    model,
                    config(4, 4, 1, 1e-2),
                    pairs(8, SEED, null),
                    List.of(),
                    new SftTrainerTest.Told(),
                    folder,
                    Map.of("data", "d2"),
                    () -> false);
            assertThatThrownBy(other::train).isInstanceOf(BadInput.class).hasMessageContaining("data was d1, is d2");
        }
    }

    @Test
    void tr09_aNanInTheWeightsStopsBeforeTheUpdate() {
        try (ScalarModel model = tiny();
                Scope scope = Scope.open()) {
            Parameter head = Objects.requireNonNull(model.trainableByName().get("score.weight"));
            head.value().detach().view(-1).narrow(0, 3, 1).copy_(Tensor.full(Double.NaN, DType.F32, 1));
            model.refresh();
            Map<String, float[]> before = values(model);
            SftTrainerTest.Told told = new SftTrainerTest.Told();
            RewardTrainer trainer =
                    trainer(model, config(3, 4, 1, 1e-2), pairs(8, SEED, null), told, folder, () -> false);
            assertThatThrownBy(trainer::train)
                    .isInstanceOf(NonFinite.class)
                    .hasMessageContaining("loss")
                    .hasMessageContaining("update 1 of 3");
            assertThat(told.events).contains("non_finite");
            values(model)
                    .forEach((name, after) -> assertThat(Arrays.equals(after, before.get(name)))
                            .as(name)
                            .isTrue());
            assertThat(folder.resolve("checkpoint-1")).doesNotExist();
        }
    }

    @Test
    void tr08_nativeMemoryStaysFlatOverHundredsOfSteps() {
        assumeThat(NativeMemory.inUse()).as("glibc's mallinfo2").isPresent();
        List<Long> inUse = inUseAfterUpdates(() -> {});
        assertThat(medianGrowth(inUse)).as("bytes kept by an update, median").isLessThan(64);
        assertThat(inUse.get(290) - inUse.get(100))
                .as("bytes kept by 190 updates")
                .isLessThan(20L << 20);
        // The measure would see one scalar leaked by every update.
        assertThat(NativeMemory.withALeak(leak -> medianGrowth(inUseAfterUpdates(leak))))
                .as("bytes kept by a leaking update")
                .isGreaterThan(64);
    }

    private static List<Long> inUseAfterUpdates(Runnable everyUpdate) {
        List<Long> inUse = new ArrayList<>();
        try (ScalarModel model = tiny()) {
            trainer(model, config(300, 2, 1, 1e-4), rankings(8, SEED), new SftTrainerTest.Told(), null, () -> {
                        everyUpdate.run();
                        inUse.add(NativeMemory.inUse().orElseThrow());
                        return false;
                    })
                    .train();
        }
        return inUse;
    }

    private static long medianGrowth(List<Long> inUse) {
        return NativeMemory.medianGrowth(inUse, 100, 290);
    }
}
