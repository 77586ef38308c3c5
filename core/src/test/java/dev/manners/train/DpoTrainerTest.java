package dev.manners.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.manners.BadInput;
import dev.manners.model.Decoder;
import dev.manners.model.Lora;
import dev.manners.tensor.DType;
import dev.manners.tensor.Scope;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// DPO, CPO and ORPO on a model of a few thousand parameters.
class DpoTrainerTest {

    // ---- it learns, and only what it should

    @Test
    void overfitsOneBatchAndMovesEveryParameterButNotTheReference() {
        try (Decoder policy = DpoRuns.tiny();
                Decoder reference = DpoRuns.tiny()) {
            Map<String, float[]> before = DpoRuns.values(policy);
            SftTrainerTest.Told told = new SftTrainerTest.Told();
            DpoRuns.trainer(
                            policy,
                            reference,
                            DpoRuns.dpo(Map.of("learning_rate", 1e-2, "max_steps", 60, "beta", 0.5)),
                            DpoRuns.pairs(4, DpoRuns.SEED),
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
            DpoRuns.values(policy)
                    .forEach((name, after) -> assertThat(after).as(name).isNotEqualTo(before.get(name)));
            assertThat(DpoRuns.values(reference)).usingRecursiveComparison().isEqualTo(before);
        }
    }

    @Test
    void withoutAReferenceItOverfitsToo() {
        for (String loss : List.of("sigmoid", "hinge", "ipo", "simpo", "alphapo")) {
            try (Decoder policy = DpoRuns.tiny()) {
                CpoConfig config = DpoRuns.config(
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
                                DpoRuns.pairs(4, DpoRuns.SEED),
                                List.of(),
                                told,
                                null,
                                Map.of(),
                                () -> false,
                                step -> {}));
            }
        }
        try (Decoder policy = DpoRuns.tiny()) {
            OrpoConfig config =
                    DpoRuns.config(OrpoConfig.class, Map.of("learning_rate", 1e-2, "max_steps", 80, "beta", 0.5));
            assertLearnt(
                    "orpo",
                    policy,
                    told -> DpoTrainer.orpo(
                            policy,
                            config,
                            DpoRuns.pairs(4, DpoRuns.SEED),
                            List.of(),
                            told,
                            null,
                            Map.of(),
                            () -> false,
                            step -> {}));
        }
    }

    private interface Makes {
        DpoTrainer with(Tracker tracker);
    }

    private static void assertLearnt(String loss, Decoder policy, Makes trainer) {
        Map<String, float[]> before = DpoRuns.values(policy);
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        trainer.with(told).train();
        assertThat(told.metrics.getLast().get("rewards/accuracies")).as(loss).isEqualTo(1.0);
        assertThat(told.metrics.getLast().get("loss"))
                .as(loss)
                .isLessThan(0.5 * told.metrics.getFirst().getOrDefault("loss", Double.NaN));
        DpoRuns.values(policy)
                .forEach(
                        (name, after) -> assertThat(after).as(loss + " " + name).isNotEqualTo(before.get(name)));
    }

    @Test
    void withAdaptersOnlyTheyMoveAndTheReferenceIsTheBase() {
        List<Pair> data = DpoRuns.pairs(4, DpoRuns.SEED);
        DpoConfig config = DpoRuns.dpo(Map.of("learning_rate", 1e-2, "max_steps", 20));
        SftTrainerTest.Told ownBase = new SftTrainerTest.Told();
        try (Decoder policy = DpoRuns.tiny()) {
            policy.attach(new Lora(4, 8, 0, false, List.of("all-linear")), DpoRuns.SEED);
            Map<String, float[]> before = DpoRuns.values(policy);
            DpoRuns.trainer(policy, null, config, data, ownBase, null, () -> false)
                    .train();
            DpoRuns.values(policy).forEach((name, after) -> {
                if (name.contains("lora_")) {
                    assertThat(after).as(name).isNotEqualTo(before.get(name));
                } else {
                    assertThat(after).as(name).isEqualTo(before.get(name));
                }
            });
        }
        // The base beside it as a model of its own gives the same run.
        SftTrainerTest.Told beside = new SftTrainerTest.Told();
        try (Decoder policy = DpoRuns.tiny();
                Decoder reference = DpoRuns.tiny()) {
            policy.attach(new Lora(4, 8, 0, false, List.of("all-linear")), DpoRuns.SEED);
            DpoRuns.trainer(policy, reference, config, data, beside, null, () -> false)
                    .train();
        }
        assertThat(ownBase.metrics).isEqualTo(beside.metrics);
        assertThat(ownBase.metrics.getLast().get("rewards/margins")).isGreaterThan(0.1);
    }

    @Test
    void aPolicyTrainedInFullNeedsAReference() {
        try (Decoder policy = DpoRuns.tiny()) {
            assertThatThrownBy(() -> DpoRuns.trainer(
                            policy,
                            null,
                            DpoRuns.dpo(Map.of()),
                            DpoRuns.pairs(2, 1),
                            Tracker.none(),
                            null,
                            () -> false))
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
        return split(batch, accumulation, options, DpoRuns.pairs(16, DpoRuns.SEED));
    }

    private static List<Map<String, Double>> split(
            int batch, int accumulation, Map<String, ?> options, List<Pair> data) {
        Map<String, Object> all = new HashMap<>(options);
        all.put("per_device_train_batch_size", batch);
        all.put("gradient_accumulation_steps", accumulation);
        all.put("max_steps", 2);
        return DpoRuns.told(DpoRuns.dpo(all), data);
    }

    /// aot sorts a micro-batch: how an update is split is part of what it means.
    @ParameterizedTest
    @ValueSource(strings = {"aot", "aot_unpaired"})
    void tr18_aotIsALossOfTheMicroBatch(String loss) {
        Map<String, ?> options = Map.of("loss_type", List.of(loss), "beta", 0.3);
        // All as long as one another: lengths would put both models' log-probabilities into the same order.
        Random random = new Random(DpoRuns.SEED);
        List<Pair> data = IntStream.range(0, 16)
                .mapToObj(
                        i -> new Pair(DpoRuns.tokens(random, 4), DpoRuns.tokens(random, 6), DpoRuns.tokens(random, 6)))
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
        Random random = new Random(DpoRuns.SEED);
        List<Pair> data = IntStream.range(0, 32)
                .mapToObj(i ->
                        new Pair(DpoRuns.tokens(random, 70), DpoRuns.tokens(random, 40), DpoRuns.tokens(random, 30)))
                .toList();
        try (Decoder policy = DpoRuns.tiny()) {
            assertThat(Pieces.of(policy.config(), IntStream.range(0, 32).toArray(), i -> 140))
                    .hasSizeGreaterThan(1);
        }
        double together = DpoRuns.told(DpoRuns.dpo(Map.of("max_steps", 1, "per_device_train_batch_size", 32)), data)
                .getFirst()
                .getOrDefault("grad_norm", Double.NaN);
        double apart = DpoRuns.told(
                        DpoRuns.dpo(Map.of(
                                "max_steps", 1,
                                "per_device_train_batch_size", 1,
                                "gradient_accumulation_steps", 32)),
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
            DpoConfig config = DpoRuns.dpo(all);
            SftTrainerTest.Told told = new SftTrainerTest.Told();
            SftTrainerTest.Told fly = new SftTrainerTest.Told();
            List<Pair> data = DpoRuns.pairs(12, DpoRuns.SEED);
            List<Pair> heldOut = DpoRuns.pairs(6, DpoRuns.SEED + 1);
            try (Decoder policy = DpoRuns.tiny();
                    Decoder reference = DpoRuns.other()) {
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
            try (Decoder policy = DpoRuns.tiny();
                    Decoder reference = DpoRuns.other()) {
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
        try (Decoder policy = DpoRuns.tiny();
                Decoder reference = DpoRuns.other()) {
            assertThat(DpoTrainer.precompute(
                            policy, reference, DpoRuns.dpo(Map.of()), DpoRuns.pairs(4, DpoRuns.SEED), () -> true))
                    .isNull();
        }
    }

    /// ref ← (1 - α) ref + α policy after updates 2 and 4, and not between.
    @Test
    void theReferenceFollowsAtItsSteps() {
        List<Pair> data = DpoRuns.pairs(8, DpoRuns.SEED);
        double alpha = 0.25;
        try (Decoder policy = DpoRuns.tiny();
                Decoder reference = DpoRuns.other()) {
            String name = "model.norm.weight";
            List<float[]> seen = new ArrayList<>();
            List<float[]> followed = new ArrayList<>();
            seen.add(policy.parameter(name).value().toFloats());
            followed.add(reference.parameter(name).value().toFloats());
            DpoRuns.trainer(policy, reference, DpoRuns.following(5, alpha), data, Tracker.none(), null, () -> {
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

    @Test
    void aReferenceThatCannotFollowIsRefusedAtOnce() {
        try (Decoder policy = DpoRuns.tiny()) {
            policy.attach(new Lora(4, 8, 0, false, List.of("all-linear")), DpoRuns.SEED);
            assertThatThrownBy(() -> DpoRuns.trainer(
                            policy,
                            null,
                            DpoRuns.following(2, 0.5),
                            DpoRuns.pairs(4, 1),
                            Tracker.none(),
                            null,
                            () -> false))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("does not move");
        }
        try (Decoder policy = DpoRuns.tiny();
                Decoder wider = Decoder.initialise(
                        SftTrainerTest.tinyLlama().put("intermediate_size", 48), DpoRuns.SEED, DType.F32)) {
            assertThatThrownBy(() -> DpoRuns.trainer(
                            policy,
                            wider,
                            DpoRuns.following(2, 0.5),
                            DpoRuns.pairs(4, 1),
                            Tracker.none(),
                            null,
                            () -> false))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("6 parameters differ");
        }
        assertThatThrownBy(() -> DpoRuns.dpo(Map.of("sync_ref_model", true, "precompute_ref_log_probs", true)))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("would not be the moving reference's");
    }
}
