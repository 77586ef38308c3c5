package dev.manners.reward;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.hipparchus.fraction.BigFraction;

/// Chains of sums worked out step by step ("Compute 3 + 4 - 5."): 1 if the number in the answer's place is right.
///
/// The steps written in the thinking ("3 + 4 = 7.") are checked as well, and their share that is true stands in the
/// explanation as the part `steps`. It is never in the reward: a policy must be free to think as it likes, and an audit
/// asks whether what it thought has to do with what it answered.
///
/// @param rule where the answer stands
/// @param column with the number expected
public record ChainArithmetic(AnswerRule rule, String column) implements Reward {

    private static final int LONGEST_STEP = 200;
    private static final Pattern STEP = Pattern.compile(
            "([0-9(][-+*/×÷−0-9() ]{0," + LONGEST_STEP + "}+) ?= ?([-−]?[0-9]{1,18})(?![0-9]|\\.[0-9])");

    @Override
    public String name() {
        return "chain_arithmetic";
    }

    @Override
    public List<Score> score(List<Candidate> candidates) {
        Reward answers = new Verifier(name(), rule, new NumericAnswer(column, 0));
        List<Score> scores = new ArrayList<>();
        for (Score answer : answers.score(candidates)) {
            Score steps =
                    steps(Thought.of(candidates.get(scores.size()).completion()).hidden());
            scores.add(new Score(name(), answer.value(), answer.reason(), List.of(steps), answer.verdict()));
        }
        return scores;
    }

    private static Score steps(String thinking) {
        int written = 0;
        int right = 0;
        Matcher step = STEP.matcher(thinking);
        while (step.find()) {
            written++;
            right += holds(step.group(1), step.group(2)) ? 1 : 0;
        }
        return written == 0
                ? Score.none("steps", "no step was written")
                : Score.of("steps", (double) right / written, right + " of " + written + " steps are right");
    }

    private static boolean holds(String left, String right) {
        try {
            BigFraction said = Numeral.parse(right);
            return Arithmetic.evaluate(left).value().equals(said);
        } catch (Arithmetic.Malformed e) {
            return false;
        }
    }
}
