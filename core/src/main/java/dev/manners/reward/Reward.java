package dev.manners.reward;

import java.util.List;

/// Scores completions. The same candidates get the same scores, in whatever company they come.
public interface Reward {

    /// Short name, as metrics and explanations call it: `accuracy`, `format`.
    String name();

    /// @return one score for each candidate, in order
    List<Score> score(List<Candidate> candidates);
}
