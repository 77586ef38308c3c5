package dev.manners.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.files.Json;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class HealthTest {

    private final List<Map<String, ?>> alarms = new ArrayList<>();
    private final Tracker tracker = new Tracker() {
        @Override
        public void event(String name, Map<String, ?> details) {
            alarms.add(details);
        }
    };

    private static Map<String, Double> healthy(int step) {
        Map<String, Double> metrics = new LinkedHashMap<>();
        metrics.put("reward", 0.1 * step + step % 3);
        metrics.put("reward_std", 0.4);
        metrics.put("frac_reward_zero_std", 0.2);
        metrics.put("entropy", 0.3);
        metrics.put("kl", 0.1);
        metrics.put("clip_ratio/region_mean", 0.01);
        metrics.put("completions/clipped_ratio", 0.1);
        metrics.put("completions/mean_length", 50.0);
        metrics.put("sampling/sampling_logp_difference/mean", 0.001);
        metrics.put("sampling/token_mult_prob_error", 1.001);
        metrics.put("grad_norm", 1.0);
        return metrics;
    }

    @Test
    void aHealthyRunRaisesNoAlarm() {
        Health health = new Health(Health.OF_ROLLOUTS, true, tracker);
        for (int step = 1; step <= 60; step++) {
            health.see(step, healthy(step));
        }
        assertThat(alarms).isEmpty();
        assertThat(health.stopped()).isFalse();
        assertThat(health.verdict().word()).isEqualTo("healthy");
        assertThat(health.verdict().reasons().getFirst()).contains("it rose");
    }

    @ParameterizedTest
    @CsvSource({
        "frac_reward_zero_std, 0.95, 10, dead",
        "reward_std, 0, 10, dead",
        "entropy, 0.01, 10, collapsed",
        "kl, 5, 10, drifted",
        "clip_ratio/region_mean, 0.4, 10, suspect",
        "completions/clipped_ratio, 0.9, 10, suspect",
        "sampling/sampling_logp_difference/mean, 0.3, 3, suspect",
        "sampling/token_mult_prob_error, 1.2, 3, suspect"
    })
    void tr10_whatLeavesItsRangeRaisesOneAlarmAndStandsInTheVerdict(
            String metric, double value, int patience, String verdict) {
        Health health = new Health(Health.OF_ROLLOUTS, false, tracker);
        for (int step = 1; step <= 20; step++) {
            Map<String, Double> metrics = healthy(step);
            metrics.put(metric, value);
            health.see(step, metrics);
            assertThat(alarms).hasSize(step < patience ? 0 : 1);
        }
        assertThat(alarms.getFirst().get("metric")).isEqualTo(metric);
        assertThat(alarms.getFirst().get("steps")).isEqualTo(patience);
        assertThat(health.verdict().word()).isEqualTo(verdict);
        assertThat(health.stopped()).isFalse();
    }

    @Test
    void tr10_spikesAndLengthAreMeasuredAgainstTheRunsOwnBeginning() {
        Health health = new Health(Health.OF_ROLLOUTS, true, tracker);
        for (int step = 1; step <= 30; step++) {
            Map<String, Double> metrics = healthy(step);
            metrics.put("grad_norm", step == 20 ? 50.0 : 1.0);
            metrics.put("completions/mean_length", step < 10 ? 50.0 : 400.0);
            health.see(step, metrics);
        }
        assertThat(alarms)
                .extracting(a -> String.valueOf(a.get("metric")))
                .containsExactly("length_ratio", "grad_norm_ratio");
        assertThat(health.stopped()).as("neither ends a run").isFalse();
    }

    @Test
    void tr10_aFlatRewardIsSaidToBeFlat() {
        Health health = new Health(Health.OF_ROLLOUTS, false, tracker);
        for (int step = 1; step <= 40; step++) {
            Map<String, Double> metrics = healthy(step);
            metrics.put("reward", (double) (step % 5));
            health.see(step, metrics);
        }
        assertThat(health.verdict().toString()).startsWith("flat").contains("no change beyond its noise");
    }

    /// A rollout's metrics are there in its first update alone.
    @Test
    void tr10_metricsThatAreThereNowAndThenAlarmAllTheSame() {
        Health health = new Health(Health.OF_ROLLOUTS, true, tracker);
        for (int update = 1; update <= 40; update++) {
            Map<String, Double> metrics =
                    update % 4 == 1 ? healthy(update) : new LinkedHashMap<>(Map.of("grad_norm", 1.0));
            if (update % 4 == 1) {
                metrics.put("frac_reward_zero_std", 1.0);
            }
            health.see(update, metrics);
            assertThat(health.stopped()).as("update " + update).isEqualTo(update >= 37);
        }
        assertThat(health.verdict().toString())
                .startsWith("dead")
                .contains("frac_reward_zero_std out of range in 10 of 10 steps");
    }

    @Test
    void tr10_whatCanNoLongerBeScoredTeachesNothing() {
        Health health = new Health(Health.OF_ROLLOUTS, true, tracker);
        for (int step = 1; step <= 40; step++) {
            health.see(step, step <= 20 ? healthy(step) : Map.of("frac_unscorable", 1.0));
        }
        assertThat(health.stopped()).isTrue();
        assertThat(health.verdict().toString()).startsWith("dead").contains("could not be scored");
    }

    /// Trap 16: a KL that stays below 0 is no KL.
    @Test
    void aNegativeKlIsSuspect() {
        Health health = new Health(Health.OF_ROLLOUTS, false, tracker);
        for (int step = 1; step <= 20; step++) {
            Map<String, Double> metrics = healthy(step);
            metrics.put("kl", -0.05);
            health.see(step, metrics);
        }
        assertThat(alarms).extracting(a -> String.valueOf(a.get("metric"))).containsExactly("negative_kl");
        assertThat(health.verdict().word()).isEqualTo("suspect");
    }

    @ParameterizedTest
    @CsvSource({
        "rewards/margins, -0.1, rejected completions are likelier, suspect",
        "logps/chosen, -400, over-optimisation, suspect",
        "entropy, 0.01, entropy has collapsed, collapsed"
    })
    void tr10_linesOfPreferenceTrainingAreWatchedToo(String metric, double value, String meaning, String verdict) {
        Health health = new Health(Health.OF_PREFERENCES, false, tracker);
        Health well = new Health(Health.OF_PREFERENCES, false, tracker);
        for (int line = 1; line <= 30; line++) {
            Map<String, Double> metrics = new LinkedHashMap<>(
                    Map.of("rewards/margins", 0.1 * line, "logps/chosen", -100.0, "entropy", 1.0, "grad_norm", 1.0));
            well.see(line, metrics);
            if (line > 5) {
                metrics.put(metric, value);
            }
            health.see(line, metrics);
        }
        assertThat(well.verdict().toString()).startsWith("healthy: mean margin").contains("it rose");
        assertThat(alarms)
                .extracting(a -> String.valueOf(a.get("meaning")))
                .singleElement()
                .asString()
                .contains(meaning);
        assertThat(health.verdict().word()).isEqualTo(verdict);
    }

    @Test
    void tr10_aRewardModelWorseThanChanceIsSuspect() {
        Health health = new Health(Health.OF_REWARD_MODELS, false, tracker);
        for (int line = 1; line <= 10; line++) {
            health.see(line, Map.of("accuracy", 0.4, "grad_norm", 1.0));
        }
        assertThat(health.verdict().word()).isEqualTo("suspect");
    }

    @Test
    void stateGoesThroughACheckpoint() {
        Health health = new Health(Health.OF_ROLLOUTS, true, tracker);
        Health resumed = new Health(Health.OF_ROLLOUTS, true, tracker);
        for (int step = 1; step <= 12; step++) {
            Map<String, Double> metrics = healthy(step);
            metrics.put("entropy", 0.01);
            if (step == 6) {
                resumed.restore(Json.parseObject(
                        Json.pretty(health.state()).getBytes(java.nio.charset.StandardCharsets.UTF_8), "state"));
            }
            if (step >= 6) {
                resumed.see(step, metrics);
            }
            health.see(step, metrics);
        }
        assertThat(resumed.stopped()).isTrue();
        assertThat(resumed.verdict()).isEqualTo(health.verdict());
        assertThat(resumed.state()).isEqualTo(health.state());
    }

    @Test
    void noStepNoVerdict() {
        assertThat(new Health(Health.OF_ROLLOUTS, false, tracker).verdict().toString())
                .isEqualTo("unknown: no step was made");
    }
}
