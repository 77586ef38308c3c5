package dev.manners.reward;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.List;
import org.hipparchus.fraction.BigFraction;

/// The four operations on whole numbers, evaluated exactly.
///
/// expression = term { ("+" | "-") term }, term = factor { ("*" | "/") factor }, factor = integer | "(" expression ")"
///
/// Nothing else is read: no sign in front of a number, no power (`2**10`), no floor division (`7//2`), no decimal point
/// (`3.7*10`), no two factors side by side (`3(7)`, `3 7`), no number with a leading zero. ×, ÷ and − stand for *, /
/// and -.
final class Arithmetic {

    private static final int LONGEST = 1_000;
    private static final int DEEPEST = 50;
    private static final int MOST_DIGITS = 18;

    private final String text;
    private final List<BigInteger> numbers = new ArrayList<>();
    private int at;

    private Arithmetic(String text) {
        this.text = text;
    }

    /// @param value what it comes to
    /// @param numbers the numbers in it, in order
    record Result(BigFraction value, List<BigInteger> numbers) {}

    /// Not such an expression, or it divides by zero.
    static final class Malformed extends RuntimeException {
        private static final long serialVersionUID = 1L;

        Malformed(String why) {
            super(why, null, false, false);
        }
    }

    /// @throws Malformed if it cannot be evaluated
    static Result evaluate(String text) {
        if (text.length() > LONGEST) {
            throw new Malformed(text.length() + " characters");
        }
        Arithmetic arithmetic = new Arithmetic(text);
        BigFraction value = arithmetic.expression(0);
        if (arithmetic.peek() != END) {
            throw arithmetic.unexpected();
        }
        return new Result(value, List.copyOf(arithmetic.numbers));
    }

    private static final char END = '\0';

    private BigFraction expression(int depth) {
        BigFraction sum = term(depth);
        while (true) {
            switch (peek()) {
                case '+' -> {
                    at++;
                    sum = sum.add(term(depth));
                }
                case '-' -> {
                    at++;
                    sum = sum.subtract(term(depth));
                }
                default -> {
                    return sum;
                }
            }
        }
    }

    private BigFraction term(int depth) {
        BigFraction product = factor(depth);
        while (true) {
            switch (peek()) {
                case '*' -> {
                    at++;
                    product = product.multiply(factor(depth));
                }
                case '/' -> {
                    at++;
                    BigFraction divisor = factor(depth);
                    if (divisor.isZero()) {
                        throw new Malformed("division by zero");
                    }
                    product = product.divide(divisor);
                }
                default -> {
                    return product;
                }
            }
        }
    }

    private BigFraction factor(int depth) {
        char c = peek();
        if (c == '(') {
            if (depth == DEEPEST) {
                throw new Malformed("more than " + DEEPEST + " brackets inside each other");
            }
            at++;
            BigFraction inside = expression(depth + 1);
            if (peek() != ')') {
                throw unexpected();
            }
            at++;
            return inside;
        }
        int start = at;
        while (at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
            at++;
        }
        if (at == start) {
            throw unexpected();
        }
        if (at - start > MOST_DIGITS || text.charAt(start) == '0' && at - start > 1) {
            throw new Malformed("not a number here: " + Show.text(text.substring(start, at)));
        }
        BigInteger number = new BigInteger(text.substring(start, at));
        numbers.add(number);
        return new BigFraction(number);
    }

    /// The next character that is no space.
    private char peek() {
        while (at < text.length() && (text.charAt(at) == ' ' || text.charAt(at) == '\n' || text.charAt(at) == '\t')) {
            at++;
        }
        if (at == text.length()) {
            return END;
        }
        return switch (text.charAt(at)) {
            case '\u00D7' -> '*';
            case '\u00F7' -> '/';
            case '\u2212' -> '-';
            case END -> throw unexpected();
            default -> text.charAt(at);
        };
    }

    private Malformed unexpected() {
        return new Malformed(
                at >= text.length() ? "it ends too early" : "not expected here: " + Show.text(text.substring(at)));
    }
}
