package dev.manners.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.manners.BadInput;
import dev.manners.NonFinite;
import dev.manners.model.Decoder;
import dev.manners.model.ScalarModel;
import dev.manners.reward.Candidate;
import dev.manners.reward.Reward;
import dev.manners.reward.Score;
import dev.manners.testing.NativeMemory;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// PPO on bad days: rewards that say nothing, options that contradict, leaks, NaN.
class PpoFaultsTest {

    /// Steps by whose growth memory is judged.
    private static final int LATEST = 90;

    @TempDir
    Path folder;

    private PpoRuns ppo;

    @BeforeEach
    void prompts() throws IOException {
        ppo = new PpoRuns(folder);
    }

    // ---- what carries no loss

    /// A reward that cannot score anything.
    private static Reward silent() {
        return new Reward() {
            @Override
            public String name() {
                return "silent";
            }

            @Override
            public List<Score> score(List<Candidate> candidates) {
                return candidates.stream()
                        .map(c -> Score.none("silent", "nothing to say"))
                        .toList();
            }
        };
    }

    /// Of every two completions the second cannot be scored, and the others get -3: a 0 for the second would be
    /// a treat.
    private static Reward half() {
        return new Reward() {
            @Override
            public String name() {
                return "half";
            }

            @Override
            public List<Score> score(List<Candidate> candidates) {
                return IntStream.range(0, candidates.size())
                        .mapToObj(i -> i % 2 == 1 ? Score.none("half", "nothing to say") : Score.of("half", -3, "so"))
                        .toList();
            }
        };
    }

    private SftTrainerTest.Told rewarded(Reward reward, PpoConfig config) {
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        try (Decoder policy = SftTrainerTest.tiny();
                Decoder reference = PpoRuns.other();
                ScalarModel value = PpoRuns.value(policy)) {
            new PpoTrainer(
                            policy,
                            reference,
                            value,
                            config,
                            ppo.rollouts(policy, config, reward, () -> false),
                            step -> Map.of(),
                            told,
                            null,
                            Map.of(),
                            () -> false)
                    .train();
        }
        return told;
    }

    @Test
    void rl01_whatCannotBeScoredIsInNoMeanAndTeachesNothing() {
        PpoConfig config = PpoRuns.config(Map.of("max_steps", 1, "save_steps", 0, "num_mini_batches", 2));
        SftTrainerTest.Told told = rewarded(half(), config);
        Map<String, Double> line = told.metrics.getFirst();
        assertThat(line).containsEntry("frac_unscorable", 0.5).containsEntry("objective/scores", -3.0);
        double penalty = Objects.requireNonNull(line.get("objective/non_score_reward"));
        assertThat(line.get("objective/rlhf_reward")).isCloseTo(penalty - 3, within(1e-9));
        assertThat(line.get("grad_norm")).isPositive();
        double sum = 0;
        for (Map<String, ?> sample : told.samples) {
            boolean scored = sample.get("reward") != null;
            assertThat(sample.get("in_loss")).isEqualTo(scored);
            double advantage = (double) Objects.requireNonNull(sample.get("advantage"));
            assertThat(advantage == 0).isEqualTo(!scored);
            sum += advantage * (int) Objects.requireNonNull(sample.get("tokens"));
        }
        assertThat(told.samples).hasSize(config.episodes());
        assertThat(sum).as("whitened over the tokens of those alone").isCloseTo(0, within(1e-4));
    }

    @Test
    void rl01_whereNothingCanBeScoredNoUpdateIsMade() {
        PpoConfig config = PpoRuns.config(Map.of("max_steps", 1, "save_steps", 0, "missing_eos_penalty", 1));
        SftTrainerTest.Told told = rewarded(silent(), config);
        assertThat(told.events).contains("no_update");
        assertThat(told.metrics.getFirst())
                .containsEntry("frac_unscorable", 1.0)
                .doesNotContainKeys("objective/scores", "reward", "loss", "grad_norm", "objective/rlhf_reward");
    }

    // ---- options that contradict

    @Test
    void whatDoesNotFitTogetherIsRefusedAtOnce() {
        assertThatThrownBy(() -> PpoRuns.config(Map.of("num_mini_batches", 4, "adap_kl_ctrl", true, "kl_coef", 0)))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("num_mini_batches is 4 and a step has 6 completions")
                .hasMessageContaining("a controller that multiplies cannot leave 0");
        assertThatThrownBy(() -> PpoRuns.config(Map.of("adap_kl_ctrl", true, "horizon", 1)))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("horizon is 1.0 and a step has 6 completions");
    }

    // ---- memory

    @Test
    void tr08_nativeMemoryStaysFlatOverHundredsOfSteps() {
        assumeThat(NativeMemory.inUse()).as("glibc's mallinfo2").isPresent();
        // The compiler of hot code takes native memory too, for some hundred steps; then only a leak goes on.
        List<Long> inUse = inUseAfterSteps(1500, () -> {});
        assertThat(medianGrowth(inUse)).as("bytes kept by a step, median").isLessThan(64);
        assertThat(inUse.getLast() - inUse.get(inUse.size() - 1 - LATEST))
                .as("bytes kept by %d steps", LATEST)
                .isLessThan(20L << 20);
        // The measure would see one scalar leaked by every step.
        assertThat(NativeMemory.withALeak(leak -> medianGrowth(inUseAfterSteps(LATEST + 50, leak))))
                .as("bytes kept by a leaking step")
                .isGreaterThan(64);
    }

    /// It ends once memory is flat.
    private List<Long> inUseAfterSteps(int most, Runnable everyStep) {
        List<Long> inUse = new ArrayList<>();
        Tracker measuring = new Tracker() {
            @Override
            public void progress(long step, long total, Map<String, Double> shown) {
                everyStep.run();
                inUse.add(NativeMemory.inUse().orElseThrow());
            }
        };
        ppo.run(
                PpoRuns.config(Map.of(
                        "max_steps",
                        most,
                        "response_length",
                        3,
                        "num_ppo_epochs",
                        1,
                        "learning_rate",
                        1e-6,
                        "log_completions",
                        false,
                        "save_steps",
                        0)),
                measuring,
                null,
                () -> inUse.size() > LATEST + 50 && medianGrowth(inUse) < 64);
        return inUse;
    }

    private static long medianGrowth(List<Long> inUse) {
        return NativeMemory.medianGrowth(inUse, inUse.size() - 1 - LATEST, inUse.size() - 1);
    }

    // ---- what is not finite

    @Test
    void tr09_nanInTheWeightsStopsBeforeAnUpdate() {
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        try (Decoder policy = SftTrainerTest.tiny();
                Decoder reference = PpoRuns.other();
                ScalarModel value = PpoRuns.value(policy)) {
            Map<String, float[]> before = PpoRuns.weights(policy, value);
            value.trainableByName("")
                    .values()
                    .iterator()
                    .next()
                    .value()
                    .detach()
                    .mul_(Double.NaN);
            value.refresh();
            PpoConfig config = PpoRuns.config(Map.of("max_steps", 1));
            PpoTrainer trainer = new PpoTrainer(
                    policy,
                    reference,
                    value,
                    config,
                    ppo.rollouts(policy, config, PpoRuns.small(), () -> false),
                    step -> Map.of(),
                    told,
                    folder.resolve("nan"),
                    Map.of(),
                    () -> false);
            assertThatThrownBy(trainer::train).isInstanceOf(NonFinite.class);
            assertThat(told.events).contains("non_finite");
            policy.parameters().forEach(p -> assertThat(p.value().toFloats()).isEqualTo(before.get(p.name())));
            assertThat(folder.resolve("nan/checkpoint-1")).doesNotExist();
        }
    }

    // ---- alarms

    @Test
    void tr10_anAlarmEndsTheRunWhereThatIsAskedFor() {
        Map<String, Object> options = new HashMap<>(Map.of("max_steps", 30, "stop_on_alarm", true, "save_steps", 0));
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        try (Decoder policy = SftTrainerTest.tiny();
                Decoder reference = PpoRuns.other();
                ScalarModel value = PpoRuns.value(policy)) {
            PpoConfig config = PpoRuns.config(options);
            PpoTrainer trainer = new PpoTrainer(
                    policy,
                    reference,
                    value,
                    config,
                    ppo.rollouts(policy, config, always(), () -> false),
                    step -> Map.of(),
                    told,
                    null,
                    Map.of(),
                    () -> false);
            Outcome outcome = trainer.train();
            assertThat(outcome.interrupted()).isTrue();
            assertThat(outcome.steps())
                    .as("patience of the range of reward_std")
                    .isEqualTo(10);
            assertThat(trainer.health().stopped()).isTrue();
            assertThat(trainer.health().verdict().word()).isEqualTo("dead");
        }
        assertThat(told.events).contains("alarm", "interrupted", "verdict");
    }

    /// The same for everything.
    private static Reward always() {
        return new Reward() {
            @Override
            public String name() {
                return "always";
            }

            @Override
            public List<Score> score(List<Candidate> candidates) {
                return candidates.stream()
                        .map(c -> Score.of("always", 1, "one for all"))
                        .toList();
            }
        };
    }
}
