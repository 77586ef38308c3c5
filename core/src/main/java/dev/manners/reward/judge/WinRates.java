package dev.manners.reward.judge;

import dev.manners.reward.Candidate;
import dev.manners.reward.Reward;
import dev.manners.reward.Score;
import java.util.ArrayList;
import java.util.List;

/// The share of its group that a completion wins against, a [PairwiseJudge] deciding.
///
/// It breaks a reward's rule on purpose: a completion's score depends on its company. It says which of a prompt's
/// completions are better, and nothing about how good they are: a mean of it over a group is 0.5 always. It is for
/// those who ask no more: GRPO, RLOO, RAFT, best-of-n. A completion alone with its prompt has no score.
///
/// @param judge who decides
public record WinRates(PairwiseJudge judge) implements Reward {

    @Override
    public String name() {
        return PairwiseJudge.NAME;
    }

    /// @param candidates completions of one prompt side by side
    @Override
    public List<Score> score(List<Candidate> candidates) {
        List<Score> scores = new ArrayList<>();
        int begin = 0;
        for (int i = 1; i <= candidates.size(); i++) {
            if (i == candidates.size()
                    || !candidates.get(i).prompt().equals(candidates.get(begin).prompt())) {
                scores.addAll(judge.winRates(candidates.subList(begin, i)));
                begin = i;
            }
        }
        return scores;
    }
}
