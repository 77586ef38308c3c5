package dev.manners.reward;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.List;
import org.hipparchus.fraction.BigFraction;
import tools.jackson.databind.JsonNode;

/// The numbers game: make the target from the given numbers, each used exactly once, with + - * / and brackets.
///
/// The answer is the expression alone, read by [Arithmetic]'s grammar and evaluated in exact fractions. TinyZero, which
/// made the task known, evaluates Python, and so takes `2**10`, `7//2` and `3.7*10` for uses of the numbers in them.
///
/// @param target column with the number to make, an integer
/// @param nums column with the list of numbers, integers ≥ 0
public record Countdown(String target, String nums) implements Task {

    private static final int MOST_NUMBERS = 100;

    @Override
    public Key key(Candidate row) {
        BigInteger goal = integer(Columns.get(row, target), target);
        List<BigInteger> given = new ArrayList<>();
        JsonNode list = Columns.get(row, nums);
        if (!list.isArray() || list.isEmpty() || list.size() > MOST_NUMBERS) {
            throw new Unscorable("column " + nums + " is " + Show.text(list.toString()) + ", expected a list of 1 to "
                    + MOST_NUMBERS + " integers");
        }
        list.forEach(number -> given.add(integer(number, nums)));
        List<BigInteger> sorted = given.stream().sorted().toList();
        return answer -> mark(answer, goal, sorted);
    }

    private static Finding mark(String answer, BigInteger goal, List<BigInteger> given) {
        try {
            Arithmetic.Result result = Arithmetic.evaluate(answer);
            List<BigInteger> used = result.numbers().stream().sorted().toList();
            if (!used.equals(given)) {
                return Finding.wrong("uses " + used + " of " + given + ": " + answer);
            }
            return result.value().equals(new BigFraction(goal))
                    ? Finding.right(answer)
                    : Finding.wrong(answer + " = " + result.value(), goal.toString());
        } catch (Arithmetic.Malformed e) {
            return Finding.unparseable(e.getMessage() + ", in " + answer);
        }
    }

    private static BigInteger integer(JsonNode node, String column) {
        if (node.isIntegralNumber()) {
            return node.bigIntegerValue();
        }
        throw new Unscorable("column " + column + " holds " + Show.text(node.toString()) + ", expected an integer");
    }
}
