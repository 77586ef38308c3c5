package dev.manners.reward;

import java.util.regex.PatternSyntaxException;

/// The whole answer matches a regular expression (Java's). The work is bounded; an answer on which the pattern gives up
/// does not match.
///
/// @param column with the pattern
public record RegexMatch(String column) implements Task {

    @Override
    public Key key(Candidate row) {
        String regex = Columns.text(row, column);
        BoundedPattern pattern;
        try {
            pattern = BoundedPattern.compile(regex);
        } catch (PatternSyntaxException e) {
            throw new Unscorable(
                    "column " + column + " is no regular expression: " + e.getDescription() + ": " + Show.text(regex));
        }
        return answer -> {
            try {
                return pattern.matches(answer)
                        ? Finding.right(answer)
                        : Finding.wrong(answer, "a match of " + Show.text(regex));
            } catch (BoundedPattern.GaveUp e) {
                return Finding.unparseable(e.getMessage() + ": " + Show.text(answer));
            }
        };
    }
}
