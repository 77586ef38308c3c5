package dev.manners.train;

import dev.manners.files.Json;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/// Watches a run's metrics step by step: an alarm when one has been out of its healthy range for some steps in a row,
/// and at the end a verdict in plain words.
///
/// Most ranges are published: axolotl's table of healthy ranges (docs/training_stability.qmd) and NeMo RL's guide. They
/// are of large models on verifiable tasks: an alarm is a reason to look, no proof.
public final class Health {

    /// A healthy range.
    ///
    /// @param metric as in the log
    /// @param low below it is not healthy; `high` likewise above
    /// @param patience steps in a row out of it that make an alarm
    /// @param grave whether it ends the run where that is asked for, and counts in the verdict
    /// @param meaning what it means to be outside
    public record Range(String metric, double low, double high, int patience, boolean grave, String meaning) {

        static Range atMost(String metric, double high, int patience, boolean grave, String meaning) {
            return new Range(metric, Double.NEGATIVE_INFINITY, high, patience, grave, meaning);
        }

        static Range atLeast(String metric, double low, int patience, boolean grave, String meaning) {
            return new Range(metric, low, Double.POSITIVE_INFINITY, patience, grave, meaning);
        }

        private boolean holds(double value) {
            return value >= low && value <= high;
        }

        private double bound(double value) {
            return value < low ? low : high;
        }
    }

    /// What is watched.
    ///
    /// @param goal metric that should rise; `called` so in a verdict
    record Kind(String goal, String called, List<Range> ranges) {}

    private static final Range GRADIENT =
            Range.atMost("grad_norm_ratio", 10, 1, false, "the gradient is much larger than it was");

    /// Of trainers that learn from completions of their own.
    static final Kind OF_ROLLOUTS = new Kind(
            "reward",
            "mean reward",
            List.of(
                    Range.atMost("frac_unscorable", 0.5, 10, true, "most completions cannot be scored"),
                    Range.atMost(
                            "frac_reward_zero_std",
                            0.8,
                            10,
                            true,
                            "nearly every group's rewards are all alike, and teach nothing"),
                    Range.atLeast("reward_std", 1e-8, 10, true, "all rewards are alike"),
                    Range.atLeast(
                            "entropy", 0.05, 10, true, "the policy hardly varies what it says: entropy has collapsed"),
                    Range.atMost("kl", 2, 10, true, "the policy has gone far from the reference"),
                    Range.atMost(
                            "negative_kl",
                            0.02,
                            10,
                            false,
                            "the KL is negative: what is scored is not what was sampled, or not by this policy"),
                    Range.atMost(
                            "clip_ratio/region_mean", 0.1, 10, false, "many tokens are clipped: updates are too large"),
                    Range.atMost(
                            "completions/clipped_ratio",
                            0.3,
                            10,
                            false,
                            "many completions are cut off before they end"),
                    Range.atMost(
                            "sampling/sampling_logp_difference/mean",
                            0.1,
                            3,
                            true,
                            "sampling and training do not compute the same policy"),
                    Range.atMost(
                            "sampling/token_mult_prob_error",
                            1.05,
                            3,
                            false,
                            "sampling and training give tokens different probabilities"),
                    GRADIENT,
                    Range.atMost("length_ratio", 3, 10, false, "completions have become much longer")));

    /// Of reward models: lines of metrics, not steps.
    static final Kind OF_REWARD_MODELS = new Kind(
            "accuracy",
            "mean accuracy",
            List.of(
                    Range.atLeast("accuracy", 0.5, 10, true, "it tells the better completion less often than chance"),
                    GRADIENT));

    /// Of trainers that learn from what others preferred; likewise.
    static final Kind OF_PREFERENCES = new Kind(
            "rewards/margins",
            "mean margin",
            List.of(
                    Range.atLeast(
                            "rewards/margins", 0, 10, true, "the rejected completions are likelier than the chosen"),
                    Range.atMost(
                            "likelihood_ratio",
                            3,
                            10,
                            false,
                            "the chosen completions have become much less likely too: over-optimisation"),
                    Range.atLeast(
                            "entropy", 0.05, 10, true, "the policy is sure of every token: entropy has collapsed"),
                    GRADIENT));

    /// The first steps' mean is what later ones are compared with.
    private static final int FIRST = 5;

    /// Verdicts are on the last part of a run: a quarter of its steps.
    private static final int QUARTER = 4;

    private final Kind kind;
    private final boolean stopOnAlarm;
    private final Tracker tracker;
    /// Steps in which each metric was there.
    private final Map<String, Integer> observed = new TreeMap<>();
    /// Of these, in a row to the last, those out of its range.
    private final Map<String, Integer> outside = new TreeMap<>();
    /// Alarms in all, by metric.
    private final Map<String, Integer> alarms = new TreeMap<>();
    /// Steps out of range in all, by metric.
    private final Map<String, Integer> total = new TreeMap<>();
    private final List<Double> rewards = new ArrayList<>();
    private final Map<String, Double> firstSum = new TreeMap<>();
    private final Map<String, Integer> firstCount = new TreeMap<>();
    private int steps;
    private @Nullable String stopped;

    Health(Kind kind, boolean stopOnAlarm, Tracker tracker) {
        this.kind = kind;
        this.stopOnAlarm = stopOnAlarm;
        this.tracker = tracker;
    }

    /// In plain words what became of the run.
    ///
    /// @param word `healthy`, `dead`, `collapsed`, `drifted`, `suspect`, `flat` or `unknown`
    /// @param reasons what speaks for it
    public record Verdict(String word, List<String> reasons) {

        public Verdict {
            reasons = List.copyOf(reasons);
        }

        @Override
        public String toString() {
            return word + (reasons.isEmpty() ? "" : ": " + String.join("; ", reasons));
        }
    }

    /// Takes a step's metrics in.
    ///
    /// @param step steps made, this one included
    void see(long step, Map<String, Double> metrics) {
        steps++;
        Map<String, Double> all = new LinkedHashMap<>(metrics);
        ratio(metrics, "grad_norm", "grad_norm_ratio", all);
        ratio(metrics, "completions/mean_length", "length_ratio", all);
        ratio(metrics, "logps/chosen", "likelihood_ratio", all);
        Double kl = metrics.get("kl");
        if (kl != null) {
            all.put("negative_kl", Math.max(0, -kl));
        }
        Double reward = metrics.get(kind.goal());
        if (reward != null) {
            rewards.add(reward);
        }
        for (Range range : kind.ranges()) {
            Double value = all.get(range.metric());
            if (value == null) {
                continue; // a rollout's metrics are there in its first update alone
            }
            observed.merge(range.metric(), 1, Integer::sum);
            if (range.holds(value)) {
                outside.remove(range.metric());
                continue;
            }
            total.merge(range.metric(), 1, Integer::sum);
            int inARow = outside.merge(range.metric(), 1, Integer::sum);
            if (inARow == range.patience()) {
                alarms.merge(range.metric(), 1, Integer::sum);
                alarm(step, range, value);
            }
        }
    }

    private void alarm(long step, Range range, double value) {
        Map<String, Object> details = new LinkedHashMap<>();
        details.put("metric", range.metric());
        details.put("value", value);
        details.put("threshold", range.bound(value));
        details.put("steps", range.patience());
        details.put("step", step);
        details.put("meaning", range.meaning());
        tracker.event("alarm", details);
        if (stopOnAlarm && range.grave() && stopped == null) {
            stopped = range.metric();
        }
    }

    /// A metric over the mean of its first steps' values, once there are enough.
    private void ratio(Map<String, Double> metrics, String metric, String name, Map<String, Double> into) {
        Double value = metrics.get(metric);
        if (value == null) {
            return;
        }
        int n = firstCount.getOrDefault(metric, 0);
        double sum = firstSum.getOrDefault(metric, 0.0);
        if (n < FIRST) {
            firstCount.put(metric, n + 1);
            firstSum.put(metric, sum + value);
        } else if (sum != 0) {
            into.put(name, value / (sum / n));
        }
    }

    /// Whether an alarm has ended the run.
    public boolean stopped() {
        return stopped != null;
    }

    /// What there is to say at the end.
    public Verdict verdict() {
        List<String> reasons = new ArrayList<>();
        if (steps == 0) {
            return new Verdict("unknown", List.of("no step was made"));
        }
        if (stopped != null) {
            reasons.add("stopped by the alarm on " + stopped);
        }
        for (Range range : kind.ranges()) {
            int out = total.getOrDefault(range.metric(), 0);
            int of = observed.getOrDefault(range.metric(), 0);
            if (alarms.containsKey(range.metric()) || out * 2 > of) {
                reasons.add(String.format(
                        Locale.ROOT,
                        "%s (%s out of range in %d of %d steps)",
                        range.meaning(),
                        range.metric(),
                        out,
                        of));
            }
        }
        String trend = trend();
        if (always("frac_reward_zero_std") || always("reward_std")) {
            return new Verdict(
                    "dead",
                    prepend("at every step nearly all rewards were alike, so there was nothing to learn", reasons));
        }
        if (outside.getOrDefault("frac_unscorable", 0) > 0 && alarms.containsKey("frac_unscorable")) {
            return new Verdict(
                    "dead", prepend("in the end most completions could not be scored, and taught nothing", reasons));
        }
        if (outside.getOrDefault("entropy", 0) > 0 && alarms.containsKey("entropy")) {
            return new Verdict("collapsed", prepend(trend, reasons));
        }
        if (outside.getOrDefault("kl", 0) > 0 && alarms.containsKey("kl")) {
            return new Verdict("drifted", prepend(trend, reasons));
        }
        if (!alarms.isEmpty()) {
            return new Verdict("suspect", prepend(trend, reasons));
        }
        if (rewards.size() < 2 * QUARTER) {
            return new Verdict(
                    "unknown",
                    prepend(
                            "a " + kind.called() + " seen " + rewards.size() + " times is too little to tell",
                            reasons));
        }
        return new Verdict(rises() > 0 ? "healthy" : "flat", prepend(trend, reasons));
    }

    /// The verdict, told to the tracker as the event `verdict`.
    Verdict conclude() {
        Verdict verdict = verdict();
        tracker.event("verdict", Map.of("verdict", verdict.word(), "reasons", verdict.reasons()));
        return verdict;
    }

    private static List<String> prepend(String first, List<String> others) {
        List<String> all = new ArrayList<>();
        all.add(first);
        all.addAll(others);
        return all;
    }

    private boolean always(String metric) {
        int out = total.getOrDefault(metric, 0);
        return out > 0 && out == observed.getOrDefault(metric, 0);
    }

    /// How far the mean reward of the run's last quarter is above that of its first, in standard errors of their
    /// difference; 0 where that is less than two.
    private double rises() {
        double[] first = meanAndError(rewards.subList(0, rewards.size() / QUARTER));
        double[] last = meanAndError(rewards.subList(rewards.size() - rewards.size() / QUARTER, rewards.size()));
        double error = Math.sqrt(first[1] * first[1] + last[1] * last[1]);
        double rise = last[0] - first[0];
        return Math.abs(rise) > 2 * error ? rise : 0;
    }

    private static double[] meanAndError(List<Double> values) {
        double mean = values.stream().mapToDouble(v -> v).average().orElseThrow();
        double squares =
                values.stream().mapToDouble(v -> (v - mean) * (v - mean)).sum();
        int n = values.size();
        return new double[] {mean, Math.sqrt(squares / Math.max(1, n - 1) / n)};
    }

    private String trend() {
        if (rewards.size() < 2 * QUARTER) {
            return "the " + kind.called() + " was there in " + rewards.size() + " of " + steps;
        }
        double first = meanAndError(rewards.subList(0, rewards.size() / QUARTER))[0];
        double last = meanAndError(rewards.subList(rewards.size() - rewards.size() / QUARTER, rewards.size()))[0];
        double rise = rises();
        return String.format(
                Locale.ROOT,
                "%s %.4g in the first quarter, %.4g in the last: %s",
                kind.called(),
                first,
                last,
                rise > 0 ? "it rose" : rise < 0 ? "it fell" : "no change beyond its noise");
    }

    /// For a checkpoint.
    ObjectNode state() {
        ObjectNode state = Json.MAPPER.createObjectNode();
        state.put("steps", steps);
        state.put("stopped", stopped);
        counts(state.putObject("observed"), observed);
        counts(state.putObject("outside"), outside);
        counts(state.putObject("alarms"), alarms);
        counts(state.putObject("total"), total);
        counts(state.putObject("first_count"), firstCount);
        ObjectNode sums = state.putObject("first_sum");
        firstSum.forEach(sums::put);
        rewards.forEach(state.putArray("rewards")::add);
        return state;
    }

    void restore(JsonNode state) {
        steps = state.path("steps").asInt();
        stopped = state.path("stopped").isString() ? state.path("stopped").asString() : null;
        counts(state.path("observed"), observed);
        counts(state.path("outside"), outside);
        counts(state.path("alarms"), alarms);
        counts(state.path("total"), total);
        counts(state.path("first_count"), firstCount);
        firstSum.clear();
        state.path("first_sum")
                .properties()
                .forEach(e -> firstSum.put(e.getKey(), e.getValue().asDouble()));
        rewards.clear();
        state.path("rewards").forEach(r -> rewards.add(r.asDouble()));
    }

    private static void counts(ObjectNode into, Map<String, Integer> counts) {
        counts.forEach(into::put);
    }

    private static void counts(JsonNode from, Map<String, Integer> counts) {
        counts.clear();
        from.properties().forEach(e -> counts.put(e.getKey(), e.getValue().asInt()));
    }
}
