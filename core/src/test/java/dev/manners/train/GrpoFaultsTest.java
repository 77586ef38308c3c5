package dev.manners.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.manners.BadInput;
import dev.manners.NonFinite;
import dev.manners.data.Sampler;
import dev.manners.model.Parameter;
import dev.manners.reward.Candidate;
import dev.manners.reward.Reward;
import dev.manners.reward.Score;
import dev.manners.rollout.Sampling;
import dev.manners.run.LoadedModel;
import dev.manners.tensor.DType;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import dev.manners.testing.NativeMemory;
import dev.manners.testing.TinyModel;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// GRPO on bad days: rewards that say nothing, a sampler that is off, options that contradict, leaks, NaN.
class GrpoFaultsTest {

    @TempDir
    Path folder;

    private GrpoRuns grpo;

    @BeforeEach
    void twelvePrompts() throws IOException {
        grpo = new GrpoRuns(folder);
    }

    // ---- what carries no loss

    @Test
    void rl01_whatCannotBeScoredIsInNoMeanAndTeachesNothing() {
        Reward some = GrpoRuns.reward(
                "some", c -> c.columns().path("answer").asInt() % 2 == 0 ? null : GrpoRuns.share(c.completionIds()));
        try (LoadedModel model = TinyModel.make(GrpoRuns.SEED)) {
            GrpoRuns.Told told = grpo.run(model, GrpoRuns.grpo(GrpoRuns.small(4)), some);
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
        try (LoadedModel model = TinyModel.make(GrpoRuns.SEED)) {
            Map<String, float[]> before = GrpoRuns.values(model);
            GrpoRuns.Told told =
                    grpo.run(model, GrpoRuns.grpo(GrpoRuns.small(2, "beta", 0)), GrpoRuns.reward("none", c -> null));
            assertThat(told.names()).contains("no_update");
            assertThat(told.metrics).allSatisfy(m -> assertThat(m).doesNotContainKeys("loss", "grad_norm"));
            assertThat(told.metrics.getLast()).doesNotContainKeys("reward", "reward_std");
            assertThat(GrpoRuns.values(model)).usingRecursiveComparison().isEqualTo(before);
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
        try (LoadedModel model = TinyModel.make(GrpoRuns.SEED)) {
            assertThatThrownBy(() -> grpo.run(model, GrpoRuns.grpo(GrpoRuns.small(1)), loses))
                    .hasMessageContaining("loses gave 1 scores to 8 completions");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo"})
    void rl05_groupsOfLikeRewardsMoveNothing(String lossType) {
        try (LoadedModel model = TinyModel.make(GrpoRuns.SEED)) {
            Map<String, float[]> before = GrpoRuns.values(model);
            GrpoRuns.Told told = grpo.run(
                    model, GrpoRuns.grpo(GrpoRuns.small(2, "loss_type", lossType)), GrpoRuns.reward("same", c -> 0.5));
            assertThat(told.last("frac_reward_zero_std")).isEqualTo(1);
            assertThat(told.last("reward_std")).isEqualTo(0);
            assertThat(told.last("grad_norm")).isEqualTo(0);
            assertThat(GrpoRuns.values(model)).usingRecursiveComparison().isEqualTo(before);
            assertThat(told.events.getLast().get("verdict")).isEqualTo("dead");
        }
    }

    @Test
    void rl05_whatWasCutOffIsMaskedWhereAskedFor() {
        // Two tokens are too few to come to an end.
        Map<String, Object> options = GrpoRuns.small(2, "max_completion_length", 2, "mask_truncated_completions", true);
        try (LoadedModel model = TinyModel.make(GrpoRuns.SEED)) {
            GrpoRuns.Told told = grpo.run(model, GrpoRuns.grpo(options), GrpoRuns.liked());
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
        try (LoadedModel model = TinyModel.make(GrpoRuns.SEED)) {
            GrpoRuns.Told told =
                    grpo.run(model, GrpoRuns.grpo(GrpoRuns.small(5, "temperature", temperature)), GrpoRuns.liked());
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
            GrpoRuns.Told told = sampledOff(2, "max_sampling_logp_difference", allowed);
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

    private GrpoRuns.Told sampledOff(int steps, Object... options) {
        try (LoadedModel model = TinyModel.make(GrpoRuns.SEED)) {
            GrpoRuns.Told told = new GrpoRuns.Told();
            new GrpoTrainer(
                            model.decoder(),
                            null,
                            GrpoRuns.grpo(GrpoRuns.small(steps, options)),
                            new Rollouts(
                                    grpo.prompts,
                                    off(model),
                                    Sampling.at(1, 12, GrpoRuns.SEED),
                                    GrpoRuns.liked(),
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

    /// Truncated at 1.05 every token counts 1.05, and so does the gradient; truncated above e^0.1 it counts
    /// that.
    @ParameterizedTest
    @CsvSource({"1, 1.05, 1.05, 1", "1, 3, 1.1051709, 0", "2, 1.05, 1.05, 1"})
    void rl06_samplerRatiosWeightTheLoss(int iterations, double cap, double weight, double outside) {
        double plain = sampledOff(1, "num_iterations", iterations).last("grad_norm");
        GrpoRuns.Told told = sampledOff(
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
        GrpoRuns.Told told = sampledOff(1, "max_completion_length", 12, "sampler_importance_sampling_correction", true);
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

    @Test
    void rl06_wholeDistributionsOnly() {
        assertThatThrownBy(() -> new Rollouts(
                        grpo.prompts,
                        (asked, samples, sampling, first, stop) -> null,
                        new Sampling(8, true, 1, 0, 0.9, 0, 1, List.of(), 1),
                        GrpoRuns.liked(),
                        Sampler.Order.RANDOM,
                        () -> false))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("whole distribution");
    }

    // ---- options that contradict

    @Test
    void groupsThatAreNotWholeAreRefused() {
        assertThatThrownBy(() -> GrpoRuns.grpo(GrpoRuns.small(1, "num_generations", 3)))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("num_generations is 3");
        assertThatThrownBy(() -> GrpoRuns.grpo(GrpoRuns.small(1, "generation_batch_size", 12)))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("an update takes 8");
        assertThatThrownBy(() -> GrpoRuns.grpo(GrpoRuns.small(1, "delta", 1.1)))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("delta");
    }

    @Test
    void cf03_optionsThatContradictAreRefused() {
        assertThatThrownBy(() -> GrpoRuns.grpo(GrpoRuns.small(
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
        assertThat(NativeMemory.withALeak(leak -> medianGrowth(inUseAfterUpdates(200, leak))))
                .as("bytes kept by a leaking update")
                .isGreaterThan(64);
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
        Map<String, Object> options = GrpoRuns.small(
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
        try (LoadedModel model = TinyModel.make(GrpoRuns.SEED);
                LoadedModel reference = TinyModel.make(GrpoRuns.SEED)) {
            BooleanSupplier flat = () -> inUse.size() > 150 && medianGrowth(inUse) < 64;
            grpo.trainer(model, reference.decoder(), GrpoRuns.grpo(options), GrpoRuns.liked(), measuring, null, flat)
                    .train();
        }
        return inUse;
    }

    private static long medianGrowth(List<Long> inUse) {
        return NativeMemory.medianGrowth(inUse, inUse.size() - 1 - LATEST, inUse.size() - 1);
    }

    // ---- what is not finite

    @Test
    void tr09_aNanInTheWeightsStopsBeforeTheUpdate() {
        try (LoadedModel model = TinyModel.make(GrpoRuns.SEED);
                Scope scope = Scope.open()) {
            Parameter norm = model.decoder().parameter("model.norm.weight");
            norm.value().detach().narrow(0, 3, 1).copy_(Tensor.full(Double.NaN, DType.F32, 1));
            model.decoder().refresh();
            Map<String, float[]> before = GrpoRuns.values(model);
            assertThatThrownBy(() -> grpo.run(model, GrpoRuns.grpo(GrpoRuns.small(2)), GrpoRuns.liked()))
                    .isInstanceOf(NonFinite.class)
                    .hasMessageContaining("sampling");
            GrpoRuns.values(model)
                    .forEach((name, after) -> assertThat(Arrays.equals(after, before.get(name)))
                            .as(name)
                            .isTrue());
        }
        assertThatThrownBy(() -> Score.of("nan", Double.NaN, "")).isInstanceOf(IllegalArgumentException.class);
    }

    // ---- alarms

    @Test
    void tr10_anAlarmEndsTheRunWhereAskedFor() {
        try (LoadedModel model = TinyModel.make(GrpoRuns.SEED)) {
            GrpoRuns.Told told = new GrpoRuns.Told();
            GrpoTrainer trainer = grpo.trainer(
                    model,
                    null,
                    GrpoRuns.grpo(GrpoRuns.small(40, "stop_on_alarm", true)),
                    GrpoRuns.reward("same", c -> 0.5),
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
