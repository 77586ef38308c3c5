package dev.manners.reward;

import java.util.List;

/// How much of an expected text a completion gives before it first departs from it, for tasks whose answers are written
/// from left to right: every character that is right, up to the first that is not, earns 1 / (characters expected + 1),
/// and the whole text with the end of the completion behind it the last of these shares.
///
/// Dense where an exact match is all or nothing: a policy that knows nothing finds a first right character by chance.
/// verl's reward for arithmetic sequences never gives the last share: where some prompts ask for nothing, a policy that
/// knows nothing learns sooner to end at once than to answer.
///
/// @param column with the text expected; may be empty: then only the end is
/// @param end whether the end's share is given
public record PrefixMatch(String column, boolean end) implements Reward {

    @Override
    public String name() {
        return "prefix_match";
    }

    @Override
    public List<Score> score(List<Candidate> candidates) {
        return candidates.stream().map(this::score).toList();
    }

    private Score score(Candidate candidate) {
        var expected = candidate.columns().path(column);
        if (!expected.isString()) {
            return Score.none(name(), "unscorable: the row has no text in column " + column);
        }
        String text = expected.stringValue();
        int right = 0;
        int most = Math.min(text.length(), candidate.completion().length());
        while (right < most && text.charAt(right) == candidate.completion().charAt(right)) {
            right++;
        }
        boolean whole = end && candidate.finished() && candidate.completion().equals(text);
        return Score.of(
                name(),
                (right + (whole ? 1.0 : 0)) / (text.length() + 1),
                right + " of " + text.length() + " characters" + (whole ? " and the end" : ""));
    }
}
