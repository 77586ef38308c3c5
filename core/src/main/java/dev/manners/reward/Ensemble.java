package dev.manners.reward;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/// Several rewards made one, so that what fools one of them does not pay (Coste et al. 2023, arXiv:2310.02743).
///
/// Weights may be averaged instead ([dev.manners.model.ScalarModel#average], WARM): one model, as cheap as a member.
public final class Ensemble implements Reward {

    /// How members' scores become one.
    public enum Combination {
        /// 1/k Σ r_i.
        MEAN,
        /// min r_i: worst-case optimisation.
        WCO,
        /// 1/k Σ r_i - λ 1/k Σ (r_i - r̄)²: uncertainty-weighted optimisation.
        UWO
    }

    private final String name;
    private final List<Reward> members;
    private final Combination combination;
    private final double lambda;

    /// @param lambda λ of [Combination#UWO], 0 or more; of no account otherwise
    public Ensemble(String name, List<? extends Reward> members, Combination combination, double lambda) {
        if (members.isEmpty() || !(lambda >= 0 && Double.isFinite(lambda))) {
            throw new IllegalArgumentException(members.size() + " members, lambda " + lambda);
        }
        this.name = name;
        this.members = List.copyOf(members);
        this.combination = combination;
        this.lambda = lambda;
    }

    @Override
    public String name() {
        return name;
    }

    /// The members' scores are the parts. A completion that one of them cannot score has none.
    @Override
    public List<Score> score(List<Candidate> candidates) {
        List<List<Score>> byMember =
                members.stream().map(m -> m.score(candidates)).toList();
        List<Score> scores = new ArrayList<>();
        for (int c = 0; c < candidates.size(); c++) {
            List<Score> parts = new ArrayList<>();
            for (List<Score> member : byMember) {
                parts.add(member.get(c));
            }
            scores.add(combine(parts));
        }
        return scores;
    }

    private Score combine(List<Score> parts) {
        double[] values = new double[parts.size()];
        for (int i = 0; i < values.length; i++) {
            Double value = parts.get(i).value();
            if (value == null) {
                return new Score(name, null, parts.get(i).name() + " has no score", parts);
            }
            values[i] = value;
        }
        double value = combine(combination, lambda, values);
        String reason = String.format(
                Locale.ROOT,
                "%s of %d members: mean %.3f, variance %.3f",
                combination.name().toLowerCase(Locale.ROOT),
                values.length,
                mean(values),
                variance(values));
        return new Score(name, value, reason, parts);
    }

    static double combine(Combination combination, double lambda, double... values) {
        return switch (combination) {
            case MEAN -> mean(values);
            case WCO -> {
                double least = values[0];
                for (double value : values) {
                    least = Math.min(least, value);
                }
                yield least;
            }
            case UWO -> mean(values) - lambda * variance(values);
        };
    }

    private static double mean(double... values) {
        double sum = 0;
        for (double value : values) {
            sum += value;
        }
        return sum / values.length;
    }

    private static double variance(double... values) {
        double mean = mean(values);
        double sum = 0;
        for (double value : values) {
            sum += (value - mean) * (value - mean);
        }
        return sum / values.length;
    }
}
