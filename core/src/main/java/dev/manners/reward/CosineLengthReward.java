package dev.manners.reward;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/// Accuracy that depends on length along half a cosine (Yeo et al. 2025, "Demystifying Long Chain-of-Thought Reasoning
/// in
/// LLMs", arXiv:2502.03373, section 4.2): a right answer is worth more the shorter it is, a wrong one costs less the
/// longer it was thought about.
///
/// CosFn(t, T, η_min, η_max) = η_min + ½ (η_max - η_min) (1 + cos(t π / T)), t the length in tokens and T the longest
/// allowed. It runs from η_max at length 0 to η_min at T. A completion of T tokens or more, or one that was cut off,
/// gets
/// `exceeded` instead.
///
/// @param accuracy the verifier: 1 is right, anything less is wrong, and what it cannot score this cannot either
/// @param maxLength T, in tokens, > 0
/// @param rightShort r₀ᶜ, of a right answer of length 0
/// @param rightLong r_Lᶜ, of a right answer of length T
/// @param wrongShort r₀ʷ, of a wrong answer of length 0
/// @param wrongLong r_Lʷ, of a wrong answer of length T
/// @param exceeded r_e
public record CosineLengthReward(
        Reward accuracy,
        int maxLength,
        double rightShort,
        double rightLong,
        double wrongShort,
        double wrongLong,
        double exceeded)
        implements Reward {

    public CosineLengthReward {
        if (maxLength <= 0) {
            throw new IllegalArgumentException("maxLength " + maxLength + " is not above 0");
        }
    }

    /// With open-r1's names of the values; its defaults are 1 to 0.5 for right, -1 to -0.5 for wrong answers. What
    /// is too long gets what a wrong answer without a token gets.
    public CosineLengthReward(Reward accuracy, int maxLength, RuleConfig values) {
        this(
                accuracy,
                maxLength,
                values.cosineMaxValueCorrect(),
                values.cosineMinValueCorrect(),
                values.cosineMinValueWrong(),
                values.cosineMaxValueWrong(),
                values.cosineMinValueWrong());
    }

    @Override
    public String name() {
        return "length_cosine";
    }

    @Override
    public List<Score> score(List<Candidate> candidates) {
        List<Score> accuracies = accuracy.score(candidates);
        List<Score> scores = new ArrayList<>();
        for (int i = 0; i < candidates.size(); i++) {
            scores.add(score(candidates.get(i), accuracies.get(i)));
        }
        return scores;
    }

    private Score score(Candidate candidate, Score accuracy) {
        Double right = accuracy.value();
        int length = candidate.completionIds().length;
        String of = " of " + length + " tokens, " + maxLength + " allowed";
        if (right == null) {
            return new Score(name(), null, "accuracy could not be scored", List.of(accuracy), accuracy.verdict());
        }
        if (length >= maxLength || !candidate.finished()) {
            return new Score(name(), exceeded, "too long or cut off" + of, List.of(accuracy), accuracy.verdict());
        }
        double value = right >= 1 ? cosine(length, rightLong, rightShort) : cosine(length, wrongLong, wrongShort);
        String reason = String.format(Locale.ROOT, "%s answer%s", right >= 1 ? "right" : "wrong", of);
        return new Score(name(), value, reason, List.of(accuracy), accuracy.verdict());
    }

    private double cosine(int length, double min, double max) {
        return min + 0.5 * (max - min) * (1 + Math.cos(length * Math.PI / maxLength));
    }
}
