package dev.manners.reward;

import java.util.List;
import java.util.Locale;

/// A reward in units of its own spread: (r - mean) / sd, with mean and standard deviation of its scores on answers that
/// all members of an ensemble have scored.
///
/// Comparisons tell a reward model differences, and neither zero nor unit: without this the spread between members is
/// mostly that of their zeros.
///
/// @param sd above 0
public record Standardised(Reward reward, double mean, double sd) implements Reward {

    public Standardised {
        if (!Double.isFinite(mean) || !(sd > 0 && Double.isFinite(sd))) {
            throw new IllegalArgumentException(reward.name() + ": mean " + mean + ", standard deviation " + sd);
        }
    }

    /// By its scores of some answers, two or more that differ.
    public static Standardised by(Reward reward, double... scores) {
        double sum = 0;
        for (double score : scores) {
            sum += score;
        }
        double mean = sum / scores.length;
        double squares = 0;
        for (double score : scores) {
            squares += (score - mean) * (score - mean);
        }
        return new Standardised(reward, mean, Math.sqrt(squares / scores.length));
    }

    @Override
    public String name() {
        return reward.name();
    }

    @Override
    public List<Score> score(List<Candidate> candidates) {
        return reward.score(candidates).stream().map(this::standardise).toList();
    }

    private Score standardise(Score raw) {
        Double value = raw.value();
        return value == null
                ? raw
                : Score.of(
                        name(),
                        (value - mean) / sd,
                        String.format(Locale.ROOT, "(%s - %.3f) / %.3f", raw.reason(), mean, sd));
    }
}
