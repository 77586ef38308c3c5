package dev.manners.reward;

import java.util.List;

/// Gives 1 for a right answer, 0 for one that is wrong or cannot be understood, and none where the row itself cannot be
/// judged.
///
/// Whatever a completion does to be hard to judge (endless numbers, deep nesting, invisible text) earns 0: a policy
/// that
/// could make itself unscorable would have found a way out of every penalty.
///
/// @param name as metrics call it
/// @param rule where the answer stands
/// @param task what a right answer is
public record Verifier(String name, AnswerRule rule, Task task) implements Reward {

    @Override
    public List<Score> score(List<Candidate> candidates) {
        return candidates.stream().map(this::score).toList();
    }

    private Score score(Candidate candidate) {
        Task.Key key;
        try {
            key = task.key(candidate);
        } catch (Task.Unscorable e) {
            return new Score(name, null, "unscorable: " + e.getMessage(), List.of(), Verdict.UNSCORABLE);
        }
        Task.Finding finding = switch (rule.find(candidate.completion())) {
            case Answer.Found(String text) -> key.mark(text);
            case Answer.Missing(String why) -> Task.Finding.unparseable(why);
            case Answer.Several(int count) -> Task.Finding.unparseable(count + " answers");
            case Answer.InsideThinking() -> Task.Finding.unparseable("the answer is inside the thinking");
        };
        double value = finding.verdict() == Verdict.RIGHT ? 1 : 0;
        return new Score(name, value, finding.reason(), finding.parts(), finding.verdict());
    }
}
