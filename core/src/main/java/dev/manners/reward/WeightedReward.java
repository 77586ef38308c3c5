package dev.manners.reward;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/// The sum of several rewards, each times its weight, as TRL's GRPO adds them: a part that could not score a completion
/// is left out of its sum, and a completion that no part could score has no reward.
///
/// Parts are guarded (see [Guarded]) and keep their own, unweighted values in the explanation.
public final class WeightedReward implements Reward {

    private final List<Reward> rewards;
    private final List<Double> weights;

    /// @param weights one for each reward, finite
    public WeightedReward(List<? extends Reward> rewards, List<Double> weights) {
        if (rewards.isEmpty() || rewards.size() != weights.size()) {
            throw new IllegalArgumentException(rewards.size() + " rewards and " + weights.size() + " weights");
        }
        weights.forEach(weight -> {
            if (!Double.isFinite(weight)) {
                throw new IllegalArgumentException("weight " + weight);
            }
        });
        this.rewards = rewards.stream().<Reward>map(Guarded::new).toList();
        this.weights = List.copyOf(weights);
    }

    /// What each part counts, in the order of a score's parts.
    public List<Double> weights() {
        return weights;
    }

    @Override
    public String name() {
        return "reward";
    }

    @Override
    public List<Score> score(List<Candidate> candidates) {
        List<List<Score>> columns =
                rewards.stream().map(reward -> reward.score(candidates)).toList();
        List<Score> scores = new ArrayList<>();
        for (int i = 0; i < candidates.size(); i++) {
            int row = i;
            scores.add(sum(columns.stream().map(column -> column.get(row)).toList()));
        }
        return scores;
    }

    private Score sum(List<Score> parts) {
        double sum = 0;
        List<String> terms = new ArrayList<>();
        for (int part = 0; part < parts.size(); part++) {
            Double value = parts.get(part).value();
            if (value != null) {
                sum += weights.get(part) * value;
                terms.add(String.format(Locale.ROOT, "%s · %.4g", weights.get(part), value));
            }
        }
        if (terms.isEmpty()) {
            return new Score(name(), null, "no part could score it", parts);
        }
        if (!Double.isFinite(sum)) {
            return new Score(name(), null, "the weighted sum is " + sum, parts, Verdict.FAULT);
        }
        return new Score(name(), sum, String.join(" + ", terms), parts);
    }
}
