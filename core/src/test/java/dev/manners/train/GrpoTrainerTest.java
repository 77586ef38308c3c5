package dev.manners.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.manners.BadInput;
import dev.manners.NonFinite;
import dev.manners.config.Options;
import dev.manners.data.DatasetFile;
import dev.manners.data.ModelEncoder;
import dev.manners.data.Prompts;
import dev.manners.data.Sampler;
import dev.manners.files.Json;
import dev.manners.files.Sha256;
import dev.manners.model.Decoder;
import dev.manners.model.Lora;
import dev.manners.model.Parameter;
import dev.manners.reward.Candidate;
import dev.manners.reward.Reward;
import dev.manners.reward.Score;
import dev.manners.reward.WeightedReward;
import dev.manners.rollout.Sampling;
import dev.manners.run.LoadedModel;
import dev.manners.tensor.DType;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import dev.manners.testing.NativeMemory;
import dev.manners.testing.TinyModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// GRPO and its relatives on a model of some ten thousand parameters.
class GrpoTrainerTest {

    private static final long SEED = Long.getLong("tests.seed", 42);

    /// What the toy reward likes: a tenth of the vocabulary.
    private static final int LIKED = 30;

    @TempDir
    Path folder;

    private Prompts prompts;

    @BeforeEach
    void twelvePrompts() throws IOException {
        Path file = folder.resolve("prompts.jsonl");
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 12; i++) {
            lines.append(Json.MAPPER.writeValueAsString(
                            Map.of("prompt", "What is " + i + " + " + i % 5 + "?", "answer", i + i % 5)))
                    .append('\n');
        }
        Files.writeString(file, lines);
        try (LoadedModel model = TinyModel.make(1)) {
            prompts = Prompts.of(
                    DatasetFile.open(file), "prompt", new ModelEncoder(model.tokenizer()), 100, false, n -> {});
        }
    }

    /// The share of tokens that are among the liked.
    private static Reward liked() {
        return reward("liked", c -> share(c.completionIds()));
    }

    private static double share(int[] ids) {
        return (double) Arrays.stream(ids)
                        .filter(id -> id >= 100 && id < 100 + LIKED)
                        .count()
                / ids.length;
    }

    private static Reward reward(String name, Function<Candidate, @Nullable Double> of) {
        return new Reward() {
            @Override
            public String name() {
                return name;
            }

            @Override
            public List<Score> score(List<Candidate> candidates) {
                return candidates.stream()
                        .map(c -> {
                            Double value = of.apply(c);
                            return value == null ? Score.none(name, "none") : Score.of(name, value, "toy");
                        })
                        .toList();
            }
        };
    }

    /// What a run told its tracker.
    private static final class Told implements Tracker {
        final List<Map<String, Double>> metrics = new ArrayList<>();
        final List<Map<String, Object>> events = new ArrayList<>();
        final List<Map<String, Object>> samples = new ArrayList<>();

        @Override
        public void metrics(long step, Map<String, Double> values) {
            Map<String, Double> line = new LinkedHashMap<>(values);
            line.put("step", (double) step);
            metrics.add(line);
        }

        @Override
        public void sample(long step, String prompt, String completion, Map<String, ?> extra) {
            Map<String, Object> line = new LinkedHashMap<>(extra);
            line.put("step", step);
            line.put("completion", completion);
            samples.add(line);
        }

        @Override
        public void event(String name, Map<String, ?> details) {
            Map<String, Object> line = new LinkedHashMap<>(details);
            line.put("event", name);
            events.add(line);
        }

        List<Object> names() {
            return events.stream()
                    .map(e -> Objects.requireNonNull(e.get("event")))
                    .toList();
        }

        double last(String metric) {
            return Objects.requireNonNull(metrics.getLast().get(metric), metric);
        }
    }

    /// Options that make a run of a second: 2 prompts with 4 completions of at most 12 tokens, unless said otherwise.
    private static Map<String, Object> small(long steps, Object... others) {
        Map<String, Object> options = new HashMap<>(Map.of(
                "per_device_train_batch_size", 8,
                "num_generations", 4,
                "max_completion_length", 12,
                "max_steps", steps,
                "learning_rate", 1e-2,
                "bf16", false,
                "logging_steps", 1,
                "save_steps", 1,
                "seed", SEED));
        for (int i = 0; i < others.length; i += 2) {
            options.put((String) others[i], others[i + 1]);
        }
        return options;
    }

    private static GrpoConfig grpo(Map<String, Object> options) {
        return Options.with(GrpoConfig.class, options);
    }

    private Rollouts rollouts(LoadedModel model, PolicyGradient config, Reward reward, BooleanSupplier stop) {
        return new Rollouts(
                prompts,
                model.engine(16)::rollout,
                Sampling.at(
                        config.rollout().temperature(),
                        config.rollout().maxCompletionLength(),
                        config.training().seed()),
                reward,
                Sampler.Order.RANDOM,
                stop);
    }

    private GrpoTrainer trainer(
            LoadedModel model,
            @Nullable Decoder reference,
            PolicyGradient config,
            Reward reward,
            Tracker tracker,
            @Nullable Path checkpoints,
            BooleanSupplier stop) {
        return new GrpoTrainer(
                model.decoder(),
                reference,
                config,
                rollouts(model, config, reward, stop),
                step -> Map.of(),
                tracker,
                checkpoints,
                Map.of("data", "toy"),
                stop);
    }

    private Told run(LoadedModel model, PolicyGradient config, Reward reward) {
        Told told = new Told();
        trainer(model, null, config, reward, told, null, () -> false).train();
        return told;
    }

    private static Map<String, float[]> values(LoadedModel model) {
        return SftTrainerTest.values(model.decoder());
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
                small(30, "per_device_train_batch_size", 32, "num_generations", 8, "beta", 0, "seed", seed);
        if (algorithm.equals("raft")) {
            options.remove("beta");
        }
        PolicyGradient config = switch (algorithm) {
            case "grpo" -> grpo(options);
            case "rloo" -> Options.with(RlooConfig.class, options);
            case "reinforce" -> Options.with(ReinforceConfig.class, options);
            default -> Options.with(RaftConfig.class, options);
        };
        try (LoadedModel model = TinyModel.make(seed)) {
            Told told = run(model, config, liked());
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
        try (LoadedModel model = TinyModel.make(SEED)) {
            Rollouts rollouts = rollouts(model, grpo(small(1)), liked(), () -> false);
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
                                    .isEqualTo(prompts.get(s.row()).ids()));
                    times.merge(group.getFirst().row(), 1, Integer::sum);
                }
            }
            assertThat(times).hasSize(12).allSatisfy((row, n) -> assertThat(n).isEqualTo(1));
        }
    }

    @Test
    void groupsThatAreNotWholeAreRefused() {
        assertThatThrownBy(() -> grpo(small(1, "num_generations", 3)))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("num_generations is 3");
        assertThatThrownBy(() -> grpo(small(1, "generation_batch_size", 12)))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("an update takes 8");
        assertThatThrownBy(() -> grpo(small(1, "delta", 1.1)))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("delta");
    }

    @Test
    void rl07_samplesOfAGroupAndOfLaterRolloutsAreAllDistinct() {
        try (LoadedModel model = TinyModel.make(SEED)) {
            Rollouts rollouts = rollouts(model, grpo(small(1)), liked(), () -> false);
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
        try (LoadedModel model = TinyModel.make(SEED)) {
            Rollouts rollouts = rollouts(model, grpo(small(1)), liked(), () -> false);
            Rollout first = Objects.requireNonNull(rollouts.at(3, 2, 4));
            rollouts.at(4, 2, 4);
            int[] asked = {0};
            Rollouts dies = rollouts(model, grpo(small(1)), liked(), () -> ++asked[0] > 5);
            assertThat(dies.at(3, 2, 4)).as("stopped amid sampling").isNull();
            assertThat(Objects.requireNonNull(rollouts.at(3, 2, 4)))
                    .usingRecursiveComparison()
                    .isEqualTo(first);
        }
    }

    @Test
    void groupsOfLikeRewardsAreReplacedByOtherPrompts() {
        // Only every third prompt's completions differ in reward; of the others' some cannot be scored.
        Reward picky = reward("picky", c -> {
            if (c.columns().path("answer").asInt() % 3 == 0) {
                return share(c.completionIds());
            }
            return c.completionIds().length % 2 == 0 ? Double.valueOf(1) : null;
        });
        try (LoadedModel model = TinyModel.make(SEED)) {
            Rollouts rollouts = rollouts(model, grpo(small(1)), picky, () -> false);
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

    // ---- what carries no loss

    @Test
    void rl01_whatCannotBeScoredIsInNoMeanAndTeachesNothing() {
        Reward some =
                reward("some", c -> c.columns().path("answer").asInt() % 2 == 0 ? null : share(c.completionIds()));
        try (LoadedModel model = TinyModel.make(SEED)) {
            Told told = run(model, grpo(small(4)), some);
            assertThat(told.metrics)
                    .anySatisfy(m -> assertThat(m.get("frac_unscorable")).isBetween(0.4, 1.0));
            assertThat(told.samples)
                    .filteredOn(s -> s.get("reward") == null)
                    .isNotEmpty()
                    .allSatisfy(s -> {
                        assertThat(s.get("advantage")).isEqualTo(0.0);
                        assertThat(s.get("in_loss")).isEqualTo(false);
                    });
            assertThat(told.metrics)
                    .allSatisfy(
                            m -> m.forEach((name, v) -> assertThat(v).as(name).isFinite()));
        }
        try (LoadedModel model = TinyModel.make(SEED)) {
            Map<String, float[]> before = values(model);
            Told told = run(model, grpo(small(2, "beta", 0)), reward("none", c -> null));
            assertThat(told.names()).contains("no_update");
            assertThat(told.metrics).allSatisfy(m -> assertThat(m).doesNotContainKeys("loss", "grad_norm"));
            assertThat(told.metrics.getLast()).doesNotContainKeys("reward", "reward_std");
            assertThat(values(model)).usingRecursiveComparison().isEqualTo(before);
        }
    }

    @Test
    void rl01_aRewardThatLosesScoresStopsTheRun() {
        Reward loses = new Reward() {
            @Override
            public String name() {
                return "loses";
            }

            @Override
            public List<Score> score(List<Candidate> candidates) {
                return List.of(Score.of("loses", 1, "only one"));
            }
        };
        try (LoadedModel model = TinyModel.make(SEED)) {
            assertThatThrownBy(() -> run(model, grpo(small(1)), loses))
                    .hasMessageContaining("loses gave 1 scores to 8 completions");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo"})
    void rl05_groupsOfLikeRewardsMoveNothing(String lossType) {
        try (LoadedModel model = TinyModel.make(SEED)) {
            Map<String, float[]> before = values(model);
            Told told = run(model, grpo(small(2, "loss_type", lossType)), reward("same", c -> 0.5));
            assertThat(told.last("frac_reward_zero_std")).isEqualTo(1);
            assertThat(told.last("reward_std")).isEqualTo(0);
            assertThat(told.last("grad_norm")).isEqualTo(0);
            assertThat(values(model)).usingRecursiveComparison().isEqualTo(before);
            assertThat(told.events.getLast().get("verdict")).isEqualTo("dead");
        }
    }

    @Test
    void rl05_whatWasCutOffIsMaskedWhereAskedFor() {
        // Two tokens are too few to come to an end.
        Map<String, Object> options = small(2, "max_completion_length", 2, "mask_truncated_completions", true);
        try (LoadedModel model = TinyModel.make(SEED)) {
            Told told = run(model, grpo(options), liked());
            assertThat(told.samples)
                    .allSatisfy(s -> assertThat(s.get("in_loss")).isEqualTo(s.get("finished")));
            assertThat(told.samples)
                    .anySatisfy(s -> assertThat(s.get("finished")).isEqualTo(false));
        }
    }

    // ---- sampler and trainer

    @ParameterizedTest
    @ValueSource(doubles = {1, 0.7, 2})
    void rl06_samplerAndTrainerAgreeAndTheFirstRatioIsOne(double temperature) {
        try (LoadedModel model = TinyModel.make(SEED)) {
            Told told = run(model, grpo(small(5, "temperature", temperature)), liked());
            assertThat(told.metrics).allSatisfy(m -> {
                assertThat(m.get("sampling/sampling_logp_difference/max")).isLessThan(1e-4);
                assertThat(m.get("sampling/frac_recomputed")).isEqualTo(0);
                assertThat(m.get("val/ratio_first")).isCloseTo(1, within(1e-5));
            });
        }
    }

    @Test
    void rl06_whereTheyDoNotTheOldLogProbsAreRecomputed() {
        // Every log-probability of the sampler is off by a tenth, as if it were another numerics.
        for (double allowed : new double[] {0.001, 0.5}) {
            Told told = sampledOff(2, "max_sampling_logp_difference", allowed);
            assertThat(told.last("sampling/sampling_logp_difference/mean")).isCloseTo(0.1, within(1e-3));
            assertThat(told.last("sampling/token_mult_prob_error")).isCloseTo(Math.exp(0.1), within(1e-3));
            assertThat(told.last("sampling/frac_recomputed")).isEqualTo(allowed < 0.1 ? 1 : 0);
            assertThat(told.last("val/ratio_first")).isCloseTo(allowed < 0.1 ? 1 : Math.exp(0.1), within(1e-3));
        }
    }

    /// A sampler that finds every token less likely by a tenth of a nat.
    private static Rollouts.Generator off(LoadedModel model) {
        return (asked, samples, sampling, first, stop) ->
                Objects.requireNonNull(model.engine(16).rollout(asked, samples, sampling, first, stop)).stream()
                        .map(c -> {
                            float[] logps = c.logps().clone();
                            for (int i = 0; i < logps.length; i++) {
                                logps[i] -= 0.1f;
                            }
                            return new dev.manners.rollout.Completion(
                                    c.prompt(), c.sample(), c.ids(), logps, c.text(), c.finish());
                        })
                        .toList();
    }

    private Told sampledOff(int steps, Object... options) {
        try (LoadedModel model = TinyModel.make(SEED)) {
            Told told = new Told();
            new GrpoTrainer(
                            model.decoder(),
                            null,
                            grpo(small(steps, options)),
                            new Rollouts(
                                    prompts,
                                    off(model),
                                    Sampling.at(1, 12, SEED),
                                    liked(),
                                    Sampler.Order.RANDOM,
                                    () -> false),
                            step -> Map.of(),
                            told,
                            null,
                            Map.of(),
                            () -> false)
                    .train();
            return told;
        }
    }

    /// Truncated at 1.05 every token counts 1.05, and so does the gradient; truncated above e^0.1 it counts that.
    @ParameterizedTest
    @CsvSource({"1, 1.05, 1.05, 1", "1, 3, 1.1051709, 0", "2, 1.05, 1.05, 1"})
    void rl06_samplerRatiosWeightTheLoss(int iterations, double cap, double weight, double outside) {
        double plain = sampledOff(1, "num_iterations", iterations).last("grad_norm");
        Told told = sampledOff(
                1,
                "num_iterations",
                iterations,
                "sampler_importance_sampling_correction",
                true,
                "sampler_importance_sampling_mode",
                "token_truncate",
                "sampler_importance_sampling_clip_max",
                cap);
        assertThat(told.last("grad_norm") / plain).isCloseTo(weight, within(1e-3));
        assertThat(told.last("sampling/importance_sampling_clip_ratio")).isEqualTo(outside);
        assertThat(told.last("sampling/importance_sampling_ratio/mean")).isCloseTo(Math.exp(0.1), within(1e-3));
        assertThat(told.last("val/ratio_first")).isCloseTo(1, within(1e-5));
    }

    /// Of a completion's 12 tokens, e^1.2 is beyond 3: it is masked, its length apart.
    @Test
    void rl06_completionsBeyondTheLimitAreMasked() {
        Told told = sampledOff(1, "max_completion_length", 12, "sampler_importance_sampling_correction", true);
        double tokens = 0;
        double masked = 0;
        for (Map<String, Object> s : told.samples) {
            int n = (int) Objects.requireNonNull(s.get("tokens"));
            tokens += n;
            masked += Math.exp(0.1 * n) > 3 ? n : 0;
        }
        assertThat(masked).isPositive();
        assertThat(told.last("sampling/importance_sampling_clip_ratio")).isCloseTo(masked / tokens, within(1e-9));
    }

    /// With a quantile of 0 a single token carries loss, at ratio 1: the loss is -A of its completion by all tokens.
    @Test
    void tokensOfLowEntropyCarryNoLoss() {
        List<Double> norms = new ArrayList<>();
        for (double top : new double[] {1, 0.5, 0.1, 0}) {
            try (LoadedModel model = TinyModel.make(SEED)) {
                Told told = run(model, grpo(small(1, "top_entropy_quantile", top)), liked());
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

    /// The factor rises while entropy is at or below its target. The first update knows of no entropy yet and has no
    /// bonus; from the second on there is one, and the model is another than without.
    @Test
    void theEntropyBonusMovesWithTheEntropyAndIsRestored() throws IOException {
        Map<String, Object> adaptive =
                small(4, "use_adaptive_entropy", true, "entropy_coef_delta", 0.5, "entropy_target", 100);
        List<List<Double>> norms = new ArrayList<>();
        for (Map<String, Object> options : List.of(adaptive, small(4))) {
            try (LoadedModel model = TinyModel.make(SEED)) {
                Told told = run(model, grpo(options), liked());
                norms.add(told.metrics.stream()
                        .map(m -> Objects.requireNonNull(m.get("grad_norm")))
                        .toList());
                if (options.equals(adaptive)) {
                    assertThat(told.metrics)
                            .extracting(m -> m.get("entropy_coef"))
                            .containsExactly(0.5, 1.0, 1.0, 1.0);
                }
            }
        }
        assertThat(norms.get(0).getFirst()).isEqualTo(norms.get(1).getFirst());
        assertThat(norms.get(0).get(1)).isNotEqualTo(norms.get(1).get(1));
        try (LoadedModel model = TinyModel.make(SEED)) {
            Map<String, Object> above = small(
                    2,
                    "use_adaptive_entropy",
                    true,
                    "entropy_coef",
                    1,
                    "entropy_target",
                    0,
                    "top_entropy_quantile",
                    0.5);
            Told told = run(model, grpo(above), liked());
            assertThat(told.last("entropy_coef")).isCloseTo(0.99, within(1e-9));
            assertThat(told.last("entropy/in_loss")).isGreaterThan(told.last("entropy"));
        }
        interruptedAndResumed(grpo(adaptive), 2, false);
        assertThatThrownBy(() -> grpo(small(1, "use_adaptive_entropy", true, "entropy_coef", 2)))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("entropy_coef is 2.0");
    }

    @Test
    void everyRewardIsMeasuredAgainstItsOwnGroupWhereAskedFor() {
        Reward both = new WeightedReward(
                List.of(liked(), reward("length", c -> 100.0 * c.completionIds().length)), List.of(2.0, 0.5));
        try (LoadedModel model = TinyModel.make(SEED)) {
            Told told = run(model, grpo(small(1, "multi_objective_aggregation", "normalize_then_sum")), both);
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

    @Test
    void cf03_optionsThatContradictAreRefused() {
        assertThatThrownBy(() -> grpo(small(
                        1,
                        "loss_type",
                        "vespo",
                        "sampler_importance_sampling_correction",
                        true,
                        "multi_objective_aggregation",
                        "normalize_then_sum",
                        "scale_rewards",
                        "none",
                        "sampler_importance_sampling_clip_min",
                        4)))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("sampler_importance_sampling_mode is sequence_mask: choose token_truncate")
                .hasMessageContaining("scale_rewards is none: leave it out")
                .hasMessageContaining("clip_min is 4.0, above");
    }

    @Test
    void rl06_wholeDistributionsOnly() {
        assertThatThrownBy(() -> new Rollouts(
                        prompts,
                        (asked, samples, sampling, first, stop) -> null,
                        new Sampling(8, true, 1, 0, 0.9, 0, 1, List.of(), 1),
                        liked(),
                        Sampler.Order.RANDOM,
                        () -> false))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("whole distribution");
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
            try (LoadedModel model = TinyModel.make(SEED)) {
                Told told = run(
                        model,
                        grpo(small(
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
                        liked());
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
        try (LoadedModel model = TinyModel.make(SEED)) {
            model.decoder().attach(new Lora(4, 8, 0.1, false, List.of("all-linear")), SEED);
            Map<String, float[]> before = values(model);
            Told told = run(model, grpo(small(6, "beta", 0.1)), liked());
            assertThat(told.metrics.getFirst().get("kl")).isCloseTo(0, within(1e-9));
            assertThat(told.last("kl")).isPositive();
            assertThat(told.metrics.getFirst().get("val/ratio_first")).isCloseTo(1, within(1e-5));
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
    void aReferenceThatFollowsComesNearerAndIsRestored() throws IOException {
        Map<String, Object> options =
                small(5, "beta", 0.05, "sync_ref_model", true, "ref_model_sync_steps", 2, "ref_model_mixup_alpha", 1);
        interruptedAndResumed(grpo(options), 3, true);
        try (LoadedModel model = TinyModel.make(SEED);
                LoadedModel reference = TinyModel.make(SEED)) {
            trainer(
                            model,
                            reference.decoder(),
                            grpo(small(
                                    4,
                                    "beta",
                                    0.05,
                                    "sync_ref_model",
                                    true,
                                    "ref_model_sync_steps",
                                    4,
                                    "ref_model_mixup_alpha",
                                    1)),
                            liked(),
                            new Told(),
                            null,
                            () -> false)
                    .train();
            assertThat(values(reference)).usingRecursiveComparison().isEqualTo(values(model));
        }
    }

    // ---- stopping and going on

    /// Within a rollout of 2 × 2 updates, and between two.
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5, 6})
    void tr12_interruptedAmidARolloutAndResumedIsByteIdentical(int stopAfter) throws IOException {
        interruptedAndResumed(
                grpo(small(
                        7,
                        "per_device_train_batch_size",
                        4,
                        "steps_per_generation",
                        2,
                        "num_iterations",
                        2,
                        "beta",
                        0.05,
                        "logging_steps",
                        2)),
                stopAfter,
                true);
    }

    /// The stop is heard an update later: amid the rollout of four.
    @Test
    void tr12_soAreTokensWithWeights() throws IOException {
        interruptedAndResumed(
                grpo(small(
                        5,
                        "per_device_train_batch_size",
                        4,
                        "steps_per_generation",
                        2,
                        "num_iterations",
                        2,
                        "top_entropy_quantile",
                        0.5,
                        "sampler_importance_sampling_correction",
                        true)),
                2,
                false);
    }

    @ParameterizedTest
    @ValueSource(strings = {"rloo", "reinforce", "raft"})
    void tr12_soAreTheOthers(String algorithm) throws IOException {
        Map<String, Object> options = small(5, "per_device_train_batch_size", 4, "steps_per_generation", 2);
        interruptedAndResumed(
                switch (algorithm) {
                    case "rloo" -> Options.with(RlooConfig.class, options);
                    case "reinforce" -> Options.with(ReinforceConfig.class, options);
                    default -> Options.with(RaftConfig.class, options);
                },
                3,
                !algorithm.equals("raft"));
    }

    private void interruptedAndResumed(PolicyGradient config, int stopAfter, boolean hasReference) throws IOException {
        Path straight = folder.resolve("straight");
        Path broken = folder.resolve("broken");
        Told all = new Told();
        resumable(config, all, straight, hasReference, () -> false);
        Told told = new Told();
        // Asked to stop while the completions of an update are sampled, or after it where none are.
        Outcome outcome = resumable(
                config,
                told,
                broken,
                hasReference,
                () -> told.events.stream()
                                .filter(e -> "saved".equals(e.get("event")))
                                .count()
                        >= stopAfter);
        assertThat(outcome.interrupted()).isTrue();
        resumable(config, told, broken, hasReference, () -> false);
        assertThat(told.metrics).isEqualTo(all.metrics);
        String last = "checkpoint-" + config.training().maxSteps();
        assertThat(hashes(broken.resolve(last))).isEqualTo(hashes(straight.resolve(last)));
    }

    private Outcome resumable(
            PolicyGradient config, Tracker tracker, Path checkpoints, boolean hasReference, BooleanSupplier stop) {
        DType dtype = Boolean.TRUE.equals(config.training().bf16()) ? DType.BF16 : DType.F32;
        try (LoadedModel model = TinyModel.make(SEED, dtype);
                LoadedModel reference = TinyModel.make(SEED, dtype)) {
            return trainer(
                            model,
                            hasReference ? reference.decoder() : null,
                            config,
                            liked(),
                            tracker,
                            checkpoints,
                            stop)
                    .train();
        }
    }

    private static Map<String, String> hashes(Path directory) throws IOException {
        Map<String, String> hashes = new TreeMap<>();
        try (Stream<Path> files = Files.list(directory)) {
            files.forEach(f -> hashes.put(f.getFileName().toString(), Sha256.of(f)));
        }
        return hashes;
    }

    @Test
    void tr06_tr12_stoppedWhileSamplingNothingHasHappened() throws IOException {
        Path broken = folder.resolve("broken");
        Path straight = folder.resolve("straight");
        Told all = new Told();
        resumable(grpo(small(3)), all, straight, false, () -> false);
        Told told = new Told();
        for (int after : new int[] {2, 7, 16, 25}) {
            int[] asked = {0};
            Outcome outcome = resumable(grpo(small(3)), told, broken, false, () -> ++asked[0] > after);
            assertThat(outcome.interrupted()).isTrue();
        }
        resumable(grpo(small(3)), told, broken, false, () -> false);
        assertThat(hashes(broken.resolve("checkpoint-3"))).isEqualTo(hashes(straight.resolve("checkpoint-3")));
        assertThat(told.metrics).isEqualTo(all.metrics);
    }

    @Test
    void tr11_otherInputsAreRefused() {
        Path runs = folder.resolve("runs");
        resumable(grpo(small(2)), new Told(), runs, false, () -> false);
        try (LoadedModel model = TinyModel.make(SEED)) {
            GrpoConfig config = grpo(small(4));
            assertThatThrownBy(() -> new GrpoTrainer(
                                    model.decoder(),
                                    null,
                                    config,
                                    rollouts(model, config, liked(), () -> false),
                                    step -> Map.of(),
                                    new Told(),
                                    runs,
                                    Map.of("data", "another"),
                                    () -> false)
                            .train())
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("data was toy, is another");
        }
    }

    // ---- number formats

    /// Working weights in bf16, master weights and the optimiser's in F32: an update that bf16 would round away counts.
    @Test
    void inBf16ItLearnsAsInF32() {
        Map<DType, List<Double>> rewards = new EnumMap<>(DType.class);
        Map<DType, Double> entropies = new EnumMap<>(DType.class);
        for (DType dtype : List.of(DType.F32, DType.BF16)) {
            try (LoadedModel model = TinyModel.make(SEED, dtype)) {
                Told told = run(
                        model,
                        grpo(small(
                                24,
                                "per_device_train_batch_size",
                                32,
                                "num_generations",
                                8,
                                "bf16",
                                dtype == DType.BF16,
                                "beta",
                                0)),
                        liked());
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
                values(model)
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
    private static boolean inBf16(float[] values) {
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

    @Test
    void tr12_soIsBf16() throws IOException {
        interruptedAndResumed(
                grpo(small(5, "per_device_train_batch_size", 4, "steps_per_generation", 2, "bf16", true, "beta", 0.05)),
                3,
                true);
    }

    // ---- memory

    /// Updates that the growth is the median of.
    private static final int LATEST = 100;

    @Test
    void tr08_nativeMemoryStaysFlatOverHundredsOfUpdates() {
        assumeThat(NativeMemory.inUse()).as("glibc's mallinfo2").isPresent();
        // The compiler of hot code takes native memory too, for some hundred updates; then only a leak goes on.
        List<Long> inUse = inUseAfterUpdates(2000, () -> {});
        assertThat(medianGrowth(inUse)).as("bytes kept by an update, median").isLessThan(64);
        assertThat(inUse.getLast() - inUse.get(inUse.size() - 1 - LATEST))
                .as("bytes kept by %d updates", LATEST)
                .isLessThan(20L << 20);
        // The measure would see one scalar leaked by every update.
        List<Tensor> leaked = new ArrayList<>();
        List<Long> leaking = inUseAfterUpdates(200, () -> {
            try (Scope scope = Scope.open()) {
                leaked.add(scope.keepForever(Tensor.full(1, DType.F32)));
            }
        });
        assertThat(medianGrowth(leaking)).as("bytes kept by a leaking update").isGreaterThan(64);
        leaked.forEach(Tensor::close);
    }

    /// Sampling, reference, KL and entropy are in every update. It ends once memory is flat.
    private List<Long> inUseAfterUpdates(int most, Runnable everyUpdate) {
        List<Long> inUse = new ArrayList<>();
        Tracker measuring = new Tracker() {
            @Override
            public void progress(long step, long total, Map<String, Double> shown) {
                everyUpdate.run();
                inUse.add(NativeMemory.inUse().orElseThrow());
            }
        };
        Map<String, Object> options = small(
                most,
                "per_device_train_batch_size",
                4,
                "num_generations",
                2,
                "max_completion_length",
                3,
                "learning_rate",
                1e-6,
                "beta",
                0.05,
                "entropy_coef",
                0.01,
                "log_completions",
                false,
                "save_steps",
                0);
        try (LoadedModel model = TinyModel.make(SEED);
                LoadedModel reference = TinyModel.make(SEED)) {
            BooleanSupplier flat = () -> inUse.size() > 150 && medianGrowth(inUse) < 64;
            trainer(model, reference.decoder(), grpo(options), liked(), measuring, null, flat)
                    .train();
        }
        return inUse;
    }

    private static long medianGrowth(List<Long> inUse) {
        long[] grown = IntStream.range(inUse.size() - 1 - LATEST, inUse.size() - 1)
                .mapToLong(i -> inUse.get(i + 1) - inUse.get(i))
                .sorted()
                .toArray();
        return grown[grown.length / 2];
    }

    // ---- what is not finite

    @Test
    void tr09_aNanInTheWeightsStopsBeforeTheUpdate() {
        try (LoadedModel model = TinyModel.make(SEED);
                Scope scope = Scope.open()) {
            Parameter norm = model.decoder().parameter("model.norm.weight");
            norm.value().detach().narrow(0, 3, 1).copy_(Tensor.full(Double.NaN, DType.F32, 1));
            model.decoder().refresh();
            Map<String, float[]> before = values(model);
            assertThatThrownBy(() -> run(model, grpo(small(2)), liked()))
                    .isInstanceOf(NonFinite.class)
                    .hasMessageContaining("sampling");
            values(model)
                    .forEach((name, after) -> assertThat(Arrays.equals(after, before.get(name)))
                            .as(name)
                            .isTrue());
        }
        assertThatThrownBy(() -> Score.of("nan", Double.NaN, "")).isInstanceOf(IllegalArgumentException.class);
    }

    // ---- alarms

    @Test
    void tr10_anAlarmEndsTheRunWhereAskedFor() {
        try (LoadedModel model = TinyModel.make(SEED)) {
            Told told = new Told();
            GrpoTrainer trainer = trainer(
                    model,
                    null,
                    grpo(small(40, "stop_on_alarm", true)),
                    reward("same", c -> 0.5),
                    told,
                    folder.resolve("alarmed"),
                    () -> false);
            Outcome outcome = trainer.train();
            assertThat(outcome.steps()).isEqualTo(10);
            assertThat(told.names()).contains("alarm", "saved", "interrupted", "verdict");
            assertThat(trainer.health().stopped()).isTrue();
            assertThat(trainer.health().verdict().toString()).startsWith("dead").contains("stopped by the alarm");
        }
    }
}
