package dev.manners.reward;

import org.hipparchus.fraction.BigFraction;
import org.jspecify.annotations.Nullable;

/// One number, as of GSM8K: compared exactly, so that 18, 18.0, $18 and 36/2 are the same and 18.0000001 is another.
///
/// The answer must be the number and nothing else but a currency or a percent sign, which are not compared. Sums ("40 +
/// 2"), lists, words and units of every other kind are unparseable.
///
/// @param column with the number expected: a number, a numeral, or a solution that ends in GSM8K's `#### 42`
/// @param tolerance how far off the answer may be, relative to the number expected; 0: not at all
public record NumericAnswer(String column, double tolerance) implements Task {

    public NumericAnswer {
        if (!(tolerance >= 0 && tolerance < 1)) {
            throw new IllegalArgumentException("tolerance " + tolerance + " is not in [0, 1)");
        }
    }

    @Override
    public Key key(Candidate row) {
        String text = Columns.text(row, column);
        BigFraction expected = Numeral.parse(text);
        if (expected == null && AnswerRule.GSM8K.search(text) instanceof Answer.Found(String last)) {
            expected = Numeral.parse(last);
        }
        if (expected == null) {
            throw new Unscorable("column " + column + " is no number: " + Show.text(text));
        }
        return key(expected);
    }

    private Key key(BigFraction expected) {
        BigFraction off = expected.abs().multiply(new BigFraction(tolerance));
        return answer -> {
            @Nullable BigFraction given = Numeral.parse(answer);
            if (given == null) {
                return Finding.unparseable("not a number: " + Show.text(answer));
            }
            return given.subtract(expected).abs().compareTo(off) <= 0
                    ? Finding.right(answer)
                    : Finding.wrong(answer, expected.toString());
        };
    }
}
