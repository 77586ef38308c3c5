package dev.manners.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.manners.BadInput;
import dev.manners.NonFinite;
import dev.manners.model.Decoder;
import dev.manners.model.Lora;
import dev.manners.model.Parameter;
import dev.manners.tensor.DType;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import dev.manners.testing.NativeMemory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.BooleanSupplier;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// KTO on a model of a few thousand parameters.
class KtoTrainerTest {

    private static final long SEED = Long.getLong("tests.seed", 42);

    @TempDir
    Path folder;

    static List<Judged> rows(int count, long seed) {
        Random random = new Random(seed);
        return IntStream.range(0, count)
                .mapToObj(i -> new Judged(
                        random.ints(3 + random.nextInt(10), 3, 96).toArray(),
                        random.ints(1 + random.nextInt(9), 3, 96).toArray(),
                        i % 2 == 0))
                .toList();
    }

    private static KtoConfig config(Map<String, ?> more) {
        return DpoRuns.config(KtoConfig.class, more);
    }

    private static KtoTrainer trainer(
            Decoder policy,
            @Nullable Decoder reference,
            KtoConfig config,
            List<Judged> rows,
            List<Judged> heldOut,
            Tracker tracker,
            @Nullable Path checkpoints,
            BooleanSupplier stop) {
        return new KtoTrainer(
                policy, reference, config, rows, heldOut, tracker, checkpoints, Map.of("data", "d1"), stop, step -> {});
    }

    private static List<Map<String, Double>> told(KtoConfig config, List<Judged> rows) {
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        try (Decoder policy = DpoRuns.tiny();
                Decoder reference = DpoRuns.other()) {
            trainer(policy, reference, config, rows, List.of(), told, null, () -> false)
                    .train();
        }
        return told.metrics;
    }

    @ParameterizedTest
    @ValueSource(strings = {"kto", "apo_zero_unpaired"})
    void overfitsOneBatchAndMovesEveryParameterButNotTheReference(String loss) {
        try (Decoder policy = DpoRuns.tiny();
                Decoder reference = DpoRuns.tiny()) {
            Map<String, float[]> before = DpoRuns.values(policy);
            SftTrainerTest.Told told = new SftTrainerTest.Told();
            KtoConfig config = config(Map.of("learning_rate", 1e-2, "max_steps", 80, "beta", 0.5, "loss_type", loss));
            trainer(policy, reference, config, rows(4, SEED), List.of(), told, null, () -> false)
                    .train();
            assertThat(told.metrics.getFirst().get("loss")).isEqualTo(0.5, within(1e-5));
            assertThat(told.metrics.getLast().get("loss")).isLessThan(0.2);
            assertThat(told.metrics.getLast().get("rewards/margins")).isGreaterThan(2);
            DpoRuns.values(policy)
                    .forEach((name, after) -> assertThat(after).as(name).isNotEqualTo(before.get(name)));
            assertThat(DpoRuns.values(reference)).usingRecursiveComparison().isEqualTo(before);
        }
    }

    @Test
    void withAdaptersOnlyTheyMoveAndTheReferenceIsTheBase() {
        KtoConfig config = config(Map.of("learning_rate", 1e-2, "max_steps", 20));
        SftTrainerTest.Told ownBase = new SftTrainerTest.Told();
        try (Decoder policy = DpoRuns.tiny()) {
            policy.attach(new Lora(4, 8, 0, false, List.of("all-linear")), SEED);
            Map<String, float[]> before = DpoRuns.values(policy);
            trainer(policy, null, config, rows(8, SEED), List.of(), ownBase, null, () -> false)
                    .train();
            DpoRuns.values(policy).forEach((name, after) -> {
                if (name.contains("lora_")) {
                    assertThat(after).as(name).isNotEqualTo(before.get(name));
                } else {
                    assertThat(after).as(name).isEqualTo(before.get(name));
                }
            });
        }
        SftTrainerTest.Told beside = new SftTrainerTest.Told();
        try (Decoder policy = DpoRuns.tiny();
                Decoder reference = DpoRuns.tiny()) {
            policy.attach(new Lora(4, 8, 0, false, List.of("all-linear")), SEED);
            trainer(policy, reference, config, rows(8, SEED), List.of(), beside, null, () -> false)
                    .train();
        }
        assertThat(ownBase.metrics).isEqualTo(beside.metrics);
        assertThat(ownBase.metrics.getLast().get("rewards/margins")).isGreaterThan(0.1);
    }

    /// The KL term too is of the whole update, whatever prompts its micro-batches share. Two models are policy and
    /// reference in turn: of one of them it is not 0.
    @ParameterizedTest
    @ValueSource(strings = {"kto", "apo_zero_unpaired"})
    void tr18_accumulationIsOneBigBatch(String loss) {
        double kl = 0;
        for (boolean swapped : new boolean[] {false, true}) {
            List<Map<String, Double>> whole = split(8, 1, loss, swapped);
            kl += whole.getFirst().getOrDefault("kl", 1.0);
            for (int accumulation : new int[] {2, 8}) {
                List<Map<String, Double>> split = split(8 / accumulation, accumulation, loss, swapped);
                for (int i = 0; i < whole.size(); i++) {
                    for (String metric : List.of("loss", "grad_norm", "rewards/margins", "logps/chosen", "entropy")) {
                        double wanted = whole.get(i).getOrDefault(metric, Double.NaN);
                        assertThat(split.get(i).get(metric))
                                .as(metric + " of update " + (i + 1) + ", accumulation " + accumulation)
                                .isEqualTo(wanted, within((i == 0 ? 1e-5 : 1e-3) * Math.max(0.1, Math.abs(wanted))));
                    }
                }
            }
        }
        assertThat(kl).isGreaterThan(0);
    }

    private static List<Map<String, Double>> split(int batch, int accumulation, String loss, boolean swapped) {
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        KtoConfig config = config(Map.of(
                "per_device_train_batch_size",
                batch,
                "gradient_accumulation_steps",
                accumulation,
                "max_steps",
                2,
                "beta",
                0.3,
                "undesirable_weight",
                1.5,
                "loss_type",
                loss));
        try (Decoder one = DpoRuns.tiny();
                Decoder two = DpoRuns.other()) {
            Decoder policy = swapped ? two : one;
            Decoder reference = swapped ? one : two;
            trainer(policy, reference, config, sideBySide(16, 3), List.of(), told, null, () -> false)
                    .train();
        }
        return told.metrics;
    }

    // ---- the KL term

    /// max(0, mean of log π - log π_ref) of each prompt with the completion of the row before it. The last
    /// update of an epoch has one row, whose neighbour is in the update before.
    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void theKlTermIsOfMismatchedRows(int update) {
        List<Judged> data = rows(5, SEED);
        int[] rows = update == 1 ? new int[] {0, 1, 2, 3} : new int[] {4};
        int[] before = update == 1 ? new int[] {3, 0, 1, 2} : new int[] {3};
        try (Decoder one = DpoRuns.tiny();
                Decoder two = DpoRuns.other()) {
            double mean = 0;
            for (int i = 0; i < rows.length; i++) {
                Judged mixed = new Judged(
                        data.get(rows[i]).prompt(), data.get(before[i]).completion(), true);
                mean += (logp(one, mixed) - logp(two, mixed)) / rows.length;
            }
            // Whichever has gained is the policy; that the other gives 0 is looked at too.
            assertThat(z(one, two, data, update)).isEqualTo(Math.max(0, mean), within(1e-3));
            assertThat(z(two, one, data, update)).isEqualTo(Math.max(0, -mean), within(1e-3));
            assertThat(Math.abs(mean)).isGreaterThan(0.01);
        }
    }

    private static double z(Decoder policy, Decoder reference, List<Judged> data, int update) {
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        KtoConfig config = config(Map.of("learning_rate", 1e-12, "max_steps", 2, "weight_decay", 0.0));
        trainer(policy, reference, config, data, List.of(), told, null, () -> false)
                .train();
        return told.metrics.get(update - 1).getOrDefault("kl", Double.NaN);
    }

    private static double logp(Decoder model, Judged row) {
        try (Scope scope = Scope.open()) {
            return Completions.of(List.of(new Completions.Group(row.prompt(), List.of(row.completion()))))
                    .logProbs(model, 1)
                    .logps()
                    .sum()
                    .item();
        }
    }

    /// Two rows of each prompt, one behind the other: each prompt is given the two completions of the other.
    @Test
    void rowsOfOnePromptSideBySideAreNoNeighbours() {
        List<Judged> data = sideBySide(4, 2);
        int[] lenders = {2, 3, 0, 1};
        try (Decoder one = DpoRuns.tiny();
                Decoder two = DpoRuns.other()) {
            double mean = 0;
            for (int i = 0; i < 4; i++) {
                Judged mixed =
                        new Judged(data.get(i).prompt(), data.get(lenders[i]).completion(), true);
                mean += (logp(one, mixed) - logp(two, mixed)) / 4;
            }
            assertThat(z(one, two, data, 1)).isEqualTo(Math.max(0, mean), within(1e-3));
            assertThat(z(two, one, data, 1)).isEqualTo(Math.max(0, -mean), within(1e-3));
            assertThat(Math.abs(mean)).isGreaterThan(0.01);
        }
    }

    /// Rows of which so many, one behind the other, answer one prompt.
    private static List<Judged> sideBySide(int count, int together) {
        List<Judged> rows = new ArrayList<>();
        for (Judged row : rows(count, SEED)) {
            int[] prompt =
                    rows.size() % together == 0 ? row.prompt() : rows.getLast().prompt();
            rows.add(new Judged(prompt.clone(), row.completion(), row.desirable()));
        }
        return rows;
    }

    @Test
    void anUpdateOfOnePromptIsToldOnce() {
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        SftTrainerTest.Told larger = new SftTrainerTest.Told();
        try (Decoder policy = DpoRuns.tiny();
                Decoder reference = DpoRuns.other()) {
            trainer(
                            policy,
                            reference,
                            config(Map.of("max_steps", 4)),
                            sideBySide(16, 4),
                            List.of(),
                            told,
                            null,
                            () -> false)
                    .train();
            trainer(
                            policy,
                            reference,
                            config(Map.of("max_steps", 2, "gradient_accumulation_steps", 2)),
                            sideBySide(16, 4),
                            List.of(),
                            larger,
                            null,
                            () -> false)
                    .train();
        }
        assertThat(told.events).containsOnlyOnce("kl_of_one_prompt");
        assertThat(larger.events).contains("started").doesNotContain("kl_of_one_prompt");
    }

    @Test
    void oneRowHasNoNeighbour() {
        try (Decoder policy = DpoRuns.tiny();
                Decoder reference = DpoRuns.other()) {
            assertThatThrownBy(() -> trainer(
                            policy,
                            reference,
                            config(Map.of()),
                            rows(1, SEED),
                            List.of(),
                            Tracker.none(),
                            null,
                            () -> false))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("apo_zero_unpaired");
        }
        assertThatThrownBy(() -> config(Map.of("per_device_train_batch_size", 1)))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("an update has 1 row");
    }

    @Test
    void pairsTakenApartHaveNeighboursOfOtherPrompts() {
        for (int n : new int[] {2, 5, 6}) {
            List<Pair> pairs = DpoRuns.pairs(n, SEED);
            List<Judged> rows = Judged.unpaired(pairs);
            assertThat(rows).hasSize(2 * n);
            assertThat(rows.stream().filter(Judged::desirable)).hasSize(n);
            for (int i = 1; i < rows.size(); i++) {
                assertThat(rows.get(i).prompt()).isNotSameAs(rows.get(i - 1).prompt());
            }
            for (Pair pair : pairs) {
                assertThat(rows).anyMatch(r -> Arrays.equals(r.completion(), pair.chosen()) && r.desirable());
                assertThat(rows).anyMatch(r -> Arrays.equals(r.completion(), pair.rejected()) && !r.desirable());
            }
        }
    }

    /// As the feedback store exports rankings of four: six pairs of a prompt, one behind the other.
    @Test
    void pairsOfOneRankingAreDealtApart() {
        List<Pair> pairs = new ArrayList<>();
        for (Pair pair : DpoRuns.pairs(5, SEED)) {
            for (int i = 0; i < 6; i++) {
                pairs.add(new Pair(pair.prompt().clone(), new int[] {3 + i}, new int[] {20 + i}));
            }
        }
        List<Judged> rows = Judged.unpaired(pairs);
        assertThat(rows).hasSize(60);
        assertThat(rows.stream().filter(Judged::desirable)).hasSize(30);
        for (int i = 1; i < rows.size(); i++) {
            assertThat(rows.get(i).prompt())
                    .as("row " + i)
                    .isNotEqualTo(rows.get(i - 1).prompt());
        }
        for (int i = 0; i < 6; i++) {
            int[] good = {3 + i};
            assertThat(rows.stream().filter(r -> Arrays.equals(r.completion(), good)))
                    .hasSize(5)
                    .allMatch(Judged::desirable);
        }
    }

    @Test
    void completionsAreCutToMaxLengthAndRowsWithoutRoomLeftOut() {
        List<Judged> data = new ArrayList<>(rows(4, SEED));
        data.add(new Judged(new int[20], new int[] {5}, true));
        List<Map<String, Double>> lines = told(config(Map.of("max_length", 14, "num_train_epochs", 1.0)), data);
        // The row of 20 tokens is not there: four rows are one update.
        assertThat(lines).hasSize(1);
        double tokens = rows(4, SEED).stream()
                .mapToInt(r -> Math.min(14, r.prompt().length + r.completion().length))
                .sum();
        assertThat(lines.getFirst()).containsEntry("num_tokens", tokens);
    }

    // ---- stopped and resumed

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7, 8})
    void tr12_interruptedAndResumedIsByteIdentical(int stopAfter) throws Exception {
        SftTrainerTest.Told all = new SftTrainerTest.Told();
        following(all, folder.resolve("straight"), () -> false);
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        int[] asked = {0};
        Outcome outcome = following(told, folder.resolve("broken"), () -> ++asked[0] >= stopAfter);
        assertThat(outcome.interrupted()).isTrue();
        assertThat(outcome.steps()).isEqualTo(stopAfter);
        following(told, folder.resolve("broken"), () -> false);
        assertThat(told.metrics).isEqualTo(all.metrics);
        assertThat(DpoRuns.hashes(folder.resolve("broken/checkpoint-9")))
                .isEqualTo(DpoRuns.hashes(folder.resolve("straight/checkpoint-9")))
                .containsKey("trainer.safetensors");
    }

    /// With a reference that follows, and two updates in a line of metrics.
    private static Outcome following(Tracker tracker, Path checkpoints, BooleanSupplier stop) {
        try (Decoder policy = DpoRuns.tiny();
                Decoder reference = DpoRuns.other()) {
            KtoConfig config = config(Map.of(
                    "learning_rate", 1e-2,
                    "max_steps", 9,
                    "logging_steps", 2,
                    "sync_ref_model", true,
                    "ref_model_sync_steps", 2));
            return trainer(policy, reference, config, rows(20, SEED), List.of(), tracker, checkpoints, stop)
                    .train();
        }
    }

    /// Three held-out batches before the first update, three after the last: stopped within either, and between.
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 7, 8, 9, 10})
    void tr12_stoppedWhileItEvaluatesAndResumed(int stopAtQuestion) throws Exception {
        SftTrainerTest.Told all = new SftTrainerTest.Told();
        evaluating(all, folder.resolve("straight"), () -> false);
        assertThat(all.metrics).filteredOn(line -> line.containsKey("eval_kl")).hasSize(2);
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        int[] asked = {0};
        assertThat(evaluating(told, folder.resolve("broken"), () -> ++asked[0] >= stopAtQuestion)
                        .interrupted())
                .isTrue();
        assertThat(evaluating(told, folder.resolve("broken"), () -> false).interrupted())
                .isFalse();
        assertThat(told.metrics).isEqualTo(all.metrics);
        assertThat(DpoRuns.hashes(folder.resolve("broken/checkpoint-4")))
                .isEqualTo(DpoRuns.hashes(folder.resolve("straight/checkpoint-4")));
    }

    private static Outcome evaluating(Tracker tracker, Path checkpoints, BooleanSupplier stop) {
        try (Decoder policy = DpoRuns.tiny();
                Decoder reference = DpoRuns.other()) {
            KtoConfig config = config(Map.of("max_steps", 4, "learning_rate", 1e-2));
            return trainer(policy, reference, config, rows(20, SEED), rows(20, SEED + 1), tracker, checkpoints, stop)
                    .train();
        }
    }

    @Test
    void tr11_resumingWithOtherInputsIsRefusedAndListed() {
        try (Decoder policy = DpoRuns.tiny();
                Decoder reference = DpoRuns.other()) {
            KtoConfig config = config(Map.of("max_steps", 2));
            trainer(policy, reference, config, rows(8, SEED), List.of(), Tracker.none(), folder, () -> false)
                    .train();
            KtoTrainer changed = new KtoTrainer(
                    policy,
                    reference,
                    config,
                    rows(8, SEED),
                    List.of(),
                    Tracker.none(),
                    folder,
                    Map.of("data", "d2"),
                    () -> false,
                    step -> {});
            assertThatThrownBy(changed::train).isInstanceOf(BadInput.class).hasMessageContaining("data was d1, is d2");
        }
    }

    /// In the policy, and in the reference, whose NaN reaches the loss only.
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void tr09_aNanStopsBeforeTheUpdate(boolean inPolicy) {
        try (Decoder policy = DpoRuns.tiny();
                Decoder reference = DpoRuns.other();
                Scope scope = Scope.open()) {
            Decoder broken = inPolicy ? policy : reference;
            Parameter norm = broken.parameter("model.norm.weight");
            norm.value().detach().narrow(0, 3, 1).copy_(Tensor.full(Double.NaN, DType.F32, 1));
            broken.refresh();
            Map<String, float[]> before = DpoRuns.values(policy);
            SftTrainerTest.Told told = new SftTrainerTest.Told();
            KtoTrainer trainer = trainer(
                    policy,
                    reference,
                    config(Map.of("max_steps", 3)),
                    rows(8, SEED),
                    List.of(),
                    told,
                    folder,
                    () -> false);
            assertThatThrownBy(trainer::train)
                    .isInstanceOf(NonFinite.class)
                    .hasMessageContaining("loss")
                    .hasMessageContaining("update 1 of 3");
            assertThat(told.events).contains("non_finite");
            DpoRuns.values(policy)
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
        assertThat(NativeMemory.withALeak(leak -> medianGrowth(leak)))
                .as("bytes kept by a leaking update")
                .isGreaterThan(64);
    }

    private static long medianGrowth(Runnable everyUpdate) {
        List<Long> inUse = new ArrayList<>();
        try (Decoder policy = DpoRuns.tiny();
                Decoder reference = DpoRuns.other()) {
            trainer(
                            policy,
                            reference,
                            config(Map.of("max_steps", 300, "learning_rate", 1e-4)),
                            rows(8, SEED),
                            List.of(),
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
}
