package dev.manners.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.manners.config.Options;
import dev.manners.model.Lora;
import dev.manners.reward.Reward;
import dev.manners.reward.Score;
import dev.manners.reward.WeightedReward;
import dev.manners.run.LoadedModel;
import dev.manners.tensor.DType;
import dev.manners.testing.TinyModel;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// GRPO and its relatives: what they learn, from which tokens, rewards and references.
class GrpoTrainerTest {

    @TempDir
    Path folder;

    private GrpoRuns grpo;

    @BeforeEach
    void twelvePrompts() throws IOException {
        grpo = new GrpoRuns(folder);
    }

    // ---- learning

    @ParameterizedTest
    @CsvSource({
        "grpo, 1",
        "grpo, 2",
        "grpo, 3",
        "rloo, 1",
        "rloo, 2",
        "rloo, 3",
        "reinforce, 1",
        "reinforce, 2",
        "reinforce, 3",
        "raft, 1",
        "raft, 2",
        "raft, 3"
    })
    void whatIsRewardedBecomesMoreFrequent(String algorithm, long seed) {
        Map<String, Object> options =
                GrpoRuns.small(30, "per_device_train_batch_size", 32, "num_generations", 8, "beta", 0, "seed", seed);
        if (algorithm.equals("raft")) {
            options.remove("beta");
        }
        PolicyGradient config = switch (algorithm) {
            case "grpo" -> GrpoRuns.grpo(options);
            case "rloo" -> Options.with(RlooConfig.class, options);
            case "reinforce" -> Options.with(ReinforceConfig.class, options);
            default -> Options.with(RaftConfig.class, options);
        };
        try (LoadedModel model = TinyModel.make(seed)) {
            GrpoRuns.Told told = grpo.run(model, config, GrpoRuns.liked());
            double first = told.metrics.subList(0, 5).stream()
                    .mapToDouble(m -> m.get("reward"))
                    .average()
                    .orElseThrow();
            double last = told.metrics.subList(25, 30).stream()
                    .mapToDouble(m -> m.get("reward"))
                    .average()
                    .orElseThrow();
            assertThat(first).as("a tenth of all tokens").isLessThan(0.3);
            // RAFT learns from an eighth of the completions.
            assertThat(last).isGreaterThan((algorithm.equals("raft") ? 1.4 : 2) * first);
            assertThat(told.names()).contains("verdict");
        }
    }

    // ---- bookkeeping of groups

    @Test
    void rolloutsHoldWholeGroupsAndEveryPromptOfAnEpochOnce() {
        try (LoadedModel model = TinyModel.make(GrpoRuns.SEED)) {
            Rollouts rollouts = grpo.rollouts(model, GrpoRuns.grpo(GrpoRuns.small(1)), GrpoRuns.liked(), () -> false);
            Map<Integer, Integer> times = new TreeMap<>();
            for (int number = 0; number < 6; number++) {
                Rollout rollout = Objects.requireNonNull(rollouts.at(number, 2, 4));
                assertThat(rollout.samples()).hasSize(8);
                for (int g = 0; g < 2; g++) {
                    List<Rollout.Sample> group = rollout.samples().subList(4 * g, 4 * g + 4);
                    assertThat(group)
                            .extracting(Rollout.Sample::row)
                            .containsOnly(group.getFirst().row());
                    assertThat(group)
                            .allSatisfy(s -> assertThat(s.prompt())
                                    .isEqualTo(grpo.prompts.get(s.row()).ids()));
                    times.merge(group.getFirst().row(), 1, Integer::sum);
                }
            }
            assertThat(times).hasSize(12).allSatisfy((row, n) -> assertThat(n).isEqualTo(1));
        }
    }

    @Test
    void rl07_samplesOfAGroupAndOfLaterRolloutsAreAllDistinct() {
        try (LoadedModel model = TinyModel.make(GrpoRuns.SEED)) {
            Rollouts rollouts = grpo.rollouts(model, GrpoRuns.grpo(GrpoRuns.small(1)), GrpoRuns.liked(), () -> false);
            List<List<Integer>> all = new ArrayList<>();
            for (int number = 0; number < 12; number++) {
                for (Rollout.Sample s :
                        Objects.requireNonNull(rollouts.at(number, 2, 8)).samples()) {
                    if (s.ids().length > 6) {
                        all.add(Arrays.stream(s.ids()).boxed().toList());
                    }
                }
            }
            assertThat(all).hasSizeGreaterThan(100).doesNotHaveDuplicates();
        }
    }

    @Test
    void rl10_aRolloutIsAFunctionOfPolicySeedAndNumber() {
        try (LoadedModel model = TinyModel.make(GrpoRuns.SEED)) {
            Rollouts rollouts = grpo.rollouts(model, GrpoRuns.grpo(GrpoRuns.small(1)), GrpoRuns.liked(), () -> false);
            Rollout first = Objects.requireNonNull(rollouts.at(3, 2, 4));
            rollouts.at(4, 2, 4);
            int[] asked = {0};
            Rollouts dies =
                    grpo.rollouts(model, GrpoRuns.grpo(GrpoRuns.small(1)), GrpoRuns.liked(), () -> ++asked[0] > 5);
            assertThat(dies.at(3, 2, 4)).as("stopped amid sampling").isNull();
            assertThat(Objects.requireNonNull(rollouts.at(3, 2, 4)))
                    .usingRecursiveComparison()
                    .isEqualTo(first);
        }
    }

    @Test
    void groupsOfLikeRewardsAreReplacedByOtherPrompts() {
        // Only every third prompt's completions differ in reward; of the others' some cannot be scored.
        Reward picky = GrpoRuns.reward("picky", c -> {
            if (c.columns().path("answer").asInt() % 3 == 0) {
                return GrpoRuns.share(c.completionIds());
            }
            return c.completionIds().length % 2 == 0 ? Double.valueOf(1) : null;
        });
        try (LoadedModel model = TinyModel.make(GrpoRuns.SEED)) {
            Rollouts rollouts = grpo.rollouts(model, GrpoRuns.grpo(GrpoRuns.small(1)), picky, () -> false);
            Rollout plain = Objects.requireNonNull(rollouts.at(0, 4, 4));
            Rollout dynamic = Objects.requireNonNull(rollouts.at(0, 4, 4, 6));
            assertThat(alike(plain)).isPositive();
            assertThat(alike(dynamic)).isLessThan(alike(plain));
            assertThat(dynamic.generations()).isBetween(2, 6);
            assertThat(dynamic.samples().stream().map(Rollout.Sample::row).distinct())
                    .hasSize(4);
        }
    }

    private static int alike(Rollout rollout) {
        int alike = 0;
        for (int g = 0; g < rollout.samples().size(); g += rollout.group()) {
            alike += rollout.rewards().subList(g, g + rollout.group()).stream()
                                    .filter(Objects::nonNull)
                                    .distinct()
                                    .count()
                            < 2
                    ? 1
                    : 0;
        }
        return alike;
    }

    // ---- which tokens and which rewards

    /// With a quantile of 0 a single token carries loss, at ratio 1: the loss is -A of its completion by all
    /// tokens.
    @Test
    void tokensOfLowEntropyCarryNoLoss() {
        List<Double> norms = new ArrayList<>();
        for (double top : new double[] {1, 0.5, 0.1, 0}) {
            try (LoadedModel model = TinyModel.make(GrpoRuns.SEED)) {
                GrpoRuns.Told told = grpo.run(
                        model, GrpoRuns.grpo(GrpoRuns.small(1, "top_entropy_quantile", top)), GrpoRuns.liked());
                norms.add(told.last("grad_norm"));
                double tokens = told.samples.stream()
                        .mapToInt(s -> (int) Objects.requireNonNull(s.get("tokens")))
                        .sum();
                if (top == 0) {
                    assertThat(told.last("loss")).isNotZero();
                    assertThat(told.samples)
                            .extracting(s -> -(double) Objects.requireNonNull(s.get("advantage")) / tokens)
                            .anySatisfy(loss -> assertThat(loss).isCloseTo(told.last("loss"), within(1e-7)));
                }
            }
        }
        assertThat(norms)
                .doesNotHaveDuplicates()
                .allSatisfy(norm -> assertThat(norm).isPositive());
    }

    @Test
    void everyRewardIsMeasuredAgainstItsOwnGroupWhereAskedFor() {
        Reward both = new WeightedReward(
                List.of(GrpoRuns.liked(), GrpoRuns.reward("length", c -> 100.0 * c.completionIds().length)),
                List.of(2.0, 0.5));
        try (LoadedModel model = TinyModel.make(GrpoRuns.SEED)) {
            GrpoRuns.Told told = grpo.run(
                    model, GrpoRuns.grpo(GrpoRuns.small(1, "multi_objective_aggregation", "normalize_then_sum")), both);
            List<List<@Nullable Double>> parts = told.samples.stream()
                    .map(s -> ((Score) Objects.requireNonNull(s.get("score")))
                            .parts().stream()
                                    .<@Nullable Double>map(Score::value)
                                    .toList())
                    .toList();
            double[] wanted = dev.manners.loss.Advantages.normalizeThenSum(parts, List.of(2.0, 0.5), 4)
                    .advantages();
            double[] summed = dev.manners.loss.Advantages.group(
                            told.samples.stream()
                                    .<@Nullable Double>map(s -> (Double) s.get("reward"))
                                    .toList(),
                            4,
                            dev.manners.loss.Advantages.Scale.GROUP)
                    .advantages();
            double apart = 0;
            for (int i = 0; i < wanted.length; i++) {
                assertThat((double) Objects.requireNonNull(told.samples.get(i).get("advantage")))
                        .isCloseTo(wanted[i], within(1e-6));
                apart = Math.max(apart, Math.abs(wanted[i] - summed[i]));
            }
            assertThat(apart).as("the sum's advantages are others").isGreaterThan(0.1);
        }
    }

    // ---- the split

    @ParameterizedTest
    @CsvSource({
        "grpo, token",
        "dr_grpo, token",
        "dapo, token",
        "cispo, token",
        "sapo, token",
        "vespo, token",
        "luspo, sequence",
        "dapo, sequence"
    })
    void tr18_lossAndGradientDoNotDependOnTheSplit(String lossType, String level) {
        List<Map<String, Double>> whole = new ArrayList<>();
        for (int accumulation : new int[] {1, 2, 8}) {
            try (LoadedModel model = TinyModel.make(GrpoRuns.SEED)) {
                GrpoRuns.Told told = grpo.run(
                        model,
                        GrpoRuns.grpo(GrpoRuns.small(
                                3,
                                "per_device_train_batch_size",
                                8 / accumulation,
                                "gradient_accumulation_steps",
                                accumulation,
                                "learning_rate",
                                1e-3,
                                "loss_type",
                                lossType,
                                "entropy_coef",
                                0.01,
                                "importance_sampling_level",
                                level)),
                        GrpoRuns.liked());
                if (accumulation == 1) {
                    whole = told.metrics;
                }
                for (int i = 0; i < 3; i++) {
                    for (String metric : List.of("loss", "grad_norm", "entropy", "reward")) {
                        double expected = Objects.requireNonNull(whole.get(i).get(metric));
                        assertThat(told.metrics.get(i).get(metric))
                                .as(metric)
                                .isCloseTo(expected, within(1e-5 * Math.max(0.1, Math.abs(expected))));
                    }
                }
            }
        }
    }

    // ---- the reference

    @Test
    void withAdaptersTheReferenceIsTheBaseAndOnlyTheyMove() {
        try (LoadedModel model = TinyModel.make(GrpoRuns.SEED)) {
            model.decoder().attach(new Lora(4, 8, 0.1, false, List.of("all-linear")), GrpoRuns.SEED);
            Map<String, float[]> before = GrpoRuns.values(model);
            GrpoRuns.Told told = grpo.run(model, GrpoRuns.grpo(GrpoRuns.small(6, "beta", 0.1)), GrpoRuns.liked());
            assertThat(told.metrics.getFirst().get("kl")).isCloseTo(0, within(1e-9));
            assertThat(told.last("kl")).isPositive();
            assertThat(told.metrics.getFirst().get("val/ratio_first")).isCloseTo(1, within(1e-5));
            GrpoRuns.values(model).forEach((name, after) -> {
                if (name.contains("lora_")) {
                    assertThat(after).as(name).isNotEqualTo(before.get(name));
                } else {
                    assertThat(after).as(name).isEqualTo(before.get(name));
                }
            });
        }
    }

    // ---- number formats

    /// Working weights in bf16, master weights and the optimiser's in F32: an update that bf16 would round away
    /// counts.
    @Test
    void inBf16ItLearnsAsInF32() {
        Map<DType, List<Double>> rewards = new EnumMap<>(DType.class);
        Map<DType, Double> entropies = new EnumMap<>(DType.class);
        for (DType dtype : List.of(DType.F32, DType.BF16)) {
            try (LoadedModel model = TinyModel.make(GrpoRuns.SEED, dtype)) {
                GrpoRuns.Told told = grpo.run(
                        model,
                        GrpoRuns.grpo(GrpoRuns.small(
                                24,
                                "per_device_train_batch_size",
                                32,
                                "num_generations",
                                8,
                                "bf16",
                                dtype == DType.BF16,
                                "beta",
                                0)),
                        GrpoRuns.liked());
                assertThat(told.metrics).allSatisfy(m -> {
                    // Sampler and trainer share the rounding of weights, not the order in which sums are rounded.
                    double allowed = dtype == DType.BF16 ? 0.02 : 1e-5;
                    assertThat(m.get("val/ratio_first")).isCloseTo(1, within(allowed));
                    assertThat(m.get("sampling/sampling_logp_difference/mean")).isLessThan(allowed);
                });
                entropies.put(
                        dtype, Objects.requireNonNull(told.metrics.getFirst().get("entropy")));
                rewards.put(
                        dtype, told.metrics.stream().map(m -> m.get("reward")).toList());
                GrpoRuns.values(model)
                        .forEach((name, after) -> assertThat(inBf16(after))
                                .as("the master weights are finer than bf16: " + name)
                                .isFalse());
            }
        }
        assertThat(entropies.get(DType.BF16))
                .as("it is another numerics, and nearly the same")
                .isCloseTo(Objects.requireNonNull(entropies.get(DType.F32)), within(0.05))
                .isNotCloseTo(Objects.requireNonNull(entropies.get(DType.F32)), within(1e-6));
        for (List<Double> reward : rewards.values()) {
            assertThat(mean(reward.subList(19, 24))).isGreaterThan(2 * mean(reward.subList(0, 5)));
        }
    }

    /// Whether all values are such that bf16 can hold them.
    static boolean inBf16(float[] values) {
        for (float value : values) {
            if ((Float.floatToRawIntBits(value) & 0xFFFF) != 0) {
                return false;
            }
        }
        return true;
    }

    private static double mean(List<Double> values) {
        return values.stream().mapToDouble(v -> v).average().orElseThrow();
    }
}
