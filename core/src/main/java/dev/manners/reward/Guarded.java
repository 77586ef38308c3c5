package dev.manners.reward;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Holds a reward to its contract. A row on which it throws, or for which it returns nothing, gets no score and the
/// verdict [Verdict#FAULT], which [Tally] counts: it is neither a 0, which would teach the policy something, nor a NaN,
/// nor silent.
///
/// When a whole batch fails (it throws, or the number of scores is not that of the candidates, so that nobody knows
/// which
/// is whose) the candidates are scored one by one, and only those that fail alone are at fault.
public record Guarded(Reward reward) implements Reward {

    @Override
    public String name() {
        return reward.name();
    }

    @Override
    public List<Score> score(List<Candidate> candidates) {
        Attempt whole = attempt(candidates);
        if (whole.scores() != null) {
            return whole.scores();
        }
        List<Score> scores = new ArrayList<>();
        for (Candidate candidate : candidates) {
            Attempt alone = candidates.size() == 1 ? whole : attempt(List.of(candidate));
            scores.add(
                    alone.scores() == null
                            ? fault(alone.failure())
                            : alone.scores().getFirst());
        }
        return scores;
    }

    /// @param scores one for each candidate; null: it failed
    private record Attempt(@Nullable List<Score> scores, String failure) {}

    private Attempt attempt(List<Candidate> candidates) {
        List<@Nullable Score> scores;
        try {
            scores = unchecked(reward.score(candidates));
        } catch (RuntimeException | StackOverflowError e) {
            return new Attempt(null, "threw " + e.getClass().getSimpleName() + ": " + Show.text("" + e.getMessage()));
        }
        if (scores == null) {
            return new Attempt(null, "returned null");
        }
        if (scores.size() != candidates.size()) {
            return new Attempt(null, "returned " + scores.size() + " scores for " + candidates.size() + " candidates");
        }
        List<Score> checked = new ArrayList<>();
        for (Score score : scores) {
            checked.add(score == null ? fault("returned null for it") : score);
        }
        return new Attempt(checked, "");
    }

    private Score fault(String why) {
        return new Score(name(), null, "fault: the reward " + why, List.of(), Verdict.FAULT);
    }

    /// Rewards are other people's code, which need not have been compiled with null checks.
    @SuppressWarnings({"unchecked", "NullAway"})
    private static @Nullable List<@Nullable Score> unchecked(Object scores) {
        return (List<@Nullable Score>) scores;
    }
}
