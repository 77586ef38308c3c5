package dev.manners.train;

import dev.manners.reward.Score;
import dev.manners.reward.Tally;
import dev.manners.reward.Verdict;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/// Completions that a policy sampled, and what they were worth: whole groups, the completions of a prompt side by side.
///
/// @param samples prompt by prompt
/// @param group completions of each prompt
/// @param weights what each part of the reward counts; one where the reward is no sum
/// @param generations how often prompts were drawn for it: more than once where groups that teach nothing were replaced
record Rollout(List<Sample> samples, int group, List<Double> weights, int generations) {

    Rollout {
        samples = List.copyOf(samples);
        weights = List.copyOf(weights);
        if (group < 1 || samples.size() % group != 0) {
            throw new IllegalArgumentException(samples.size() + " samples are no whole groups of " + group);
        }
    }

    /// A completion.
    ///
    /// @param row of its prompt in the dataset
    /// @param prompt the prompt's tokens
    /// @param shown the prompt for people to read
    /// @param ids its tokens as they were sampled, the stop token included if there was one
    /// @param logps log-probability of each under softmax(logits / temperature) of the policy that sampled
    /// @param text without special tokens
    /// @param finished whether it ended by itself; false: it was cut off
    /// @param score what it was given and why
    @SuppressWarnings("ArrayRecordComponent") // compared by nobody
    record Sample(
            int row, int[] prompt, String shown, int[] ids, float[] logps, String text, boolean finished, Score score) {

        /// Null: it could not be scored, and is left out of every mean.
        @Nullable
        Double reward() {
            return score.value();
        }
    }

    /// The rewards, in order.
    List<@Nullable Double> rewards() {
        List<@Nullable Double> rewards = new ArrayList<>();
        samples.forEach(s -> rewards.add(s.reward()));
        return rewards;
    }

    /// What each part of the reward gave each completion, unweighted, in the order of the weights.
    List<List<@Nullable Double>> objectives() {
        List<List<@Nullable Double>> rows = new ArrayList<>();
        for (Sample s : samples) {
            List<Score> parts =
                    weights.size() == s.score().parts().size() ? s.score().parts() : List.of(s.score());
            List<@Nullable Double> row = new ArrayList<>();
            parts.forEach(part -> row.add(part.value()));
            rows.add(row);
        }
        return rows;
    }

    /// TRL's metrics of completions and rewards. What has no value, such as the length of finished completions where
    /// none is finished, is absent.
    Map<String, Double> metrics() {
        Map<String, Double> metrics = new LinkedHashMap<>();
        lengths(metrics, "completions/%s_length", samples);
        metrics.put(
                "completions/clipped_ratio",
                (double) samples.stream().filter(s -> !s.finished()).count() / samples.size());
        lengths(
                metrics,
                "completions/%s_terminated_length",
                samples.stream().filter(Sample::finished).toList());
        parts().forEach((name, part) -> {
            part.mean().ifPresent(mean -> metrics.put("rewards/" + name + "/mean", mean));
            part.std().ifPresent(std -> metrics.put("rewards/" + name + "/std", std));
            // An answer that nobody can read is no wrong answer: the format is not learnt yet, or looked for elsewhere.
            long wrong = part.count(Verdict.WRONG);
            long unparseable = part.count(Verdict.UNPARSEABLE);
            if (part.count(Verdict.RIGHT) + wrong + unparseable > 0) {
                metrics.put("rewards/" + name + "/frac_wrong", (double) wrong / part.scored());
                metrics.put("rewards/" + name + "/frac_unparseable", (double) unparseable / part.scored());
            }
        });
        List<Double> totals = scored(rewards());
        if (!totals.isEmpty()) {
            metrics.put("reward", mean(totals));
        }
        if (totals.size() > 1) {
            metrics.put("reward_std", std(totals));
        }
        metrics.put("frac_unscorable", 1 - (double) totals.size() / samples.size());
        return metrics;
    }

    /// Tokens of prompts and completions, a prompt counted for each of its completions, as TRL counts.
    long tokens() {
        return samples.stream()
                .mapToLong(s -> (long) s.prompt().length + s.ids().length)
                .sum();
    }

    /// What each part of the reward gave, by name; a reward without parts is its own.
    private Map<String, Tally> parts() {
        Map<String, Tally> parts = new TreeMap<>();
        for (Sample s : samples) {
            List<Score> of =
                    s.score().parts().isEmpty() ? List.of(s.score()) : s.score().parts();
            of.forEach(
                    part -> parts.computeIfAbsent(part.name(), n -> new Tally()).add(part));
        }
        return parts;
    }

    private static void lengths(Map<String, Double> metrics, String name, List<Sample> of) {
        var lengths = of.stream().mapToInt(s -> s.ids().length).summaryStatistics();
        if (lengths.getCount() > 0) {
            metrics.put(name.formatted("mean"), lengths.getAverage());
            metrics.put(name.formatted("min"), (double) lengths.getMin());
            metrics.put(name.formatted("max"), (double) lengths.getMax());
        }
    }

    private static List<Double> scored(List<@Nullable Double> rewards) {
        List<Double> scored = new ArrayList<>();
        for (Double reward : rewards) {
            if (reward != null) {
                scored.add(reward);
            }
        }
        return scored;
    }

    private static double mean(List<Double> values) {
        return values.stream().mapToDouble(v -> v).average().orElseThrow();
    }

    /// With n - 1.
    private static double std(List<Double> values) {
        double mean = mean(values);
        double squares =
                values.stream().mapToDouble(v -> (v - mean) * (v - mean)).sum();
        return Math.sqrt(squares / (values.size() - 1));
    }
}
