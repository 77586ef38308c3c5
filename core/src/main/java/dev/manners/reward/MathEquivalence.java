package dev.manners.reward;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.hipparchus.complex.FieldComplex;
import org.hipparchus.dfp.Dfp;
import org.hipparchus.dfp.DfpField;
import org.hipparchus.fraction.BigFraction;
import org.jspecify.annotations.Nullable;

/// The answer says the same as the one expected: 1/2, 0.5, 50 % and `\frac{1}{2}`; `(x+1)^2` and `x^2+2x+1`; the sets
/// {1, 2} and {2, 1}. What is read: [MathsParser]; which units: [Unit].
///
/// - Fractions are compared exactly. So 0.333 is not 1/3.
/// - Roots, logarithms and the like are compared to thirty digits; expressions with variables at several points, of
/// both
///   signs. No decimal is taken for such a number, however many digits of π it has.
/// - Where a **number** is expected the answer has to be worked out: a policy may not answer "compute 17 · 23" with
///   `17 \cdot 23`. Where the expected answer is itself not worked out (`2\sqrt{3}`, `x^2-1`), any equivalent will do,
/// so
///   on a task like "expand" or "simplify" the question can be the answer: such a task needs another verifier.
/// - Members of sets, and several answers separated by commas, may come in any order but must all be there and no more.
///   Points, intervals and matrices must agree place by place, intervals in their brackets too.
/// - `x = 5` is 5, and `x \in [1, 2]` is [1, 2]. Other equations are the same if one is a multiple of the other.
/// - A unit is compared where both have one (1 m is 100 cm); a percent sign on one side alone is read as either.
///
/// No computer algebra system is used: Symja, the one that would serve, is under the LGPL. Numbers are Hipparchus's.
///
/// @param column with the answer expected; one that is no mathematics (`\text{Tuesday}`) is compared as text
public record MathEquivalence(String column) implements Task {

    /// Digits computed. Not all are right: of an arc tangent some forty are (Hipparchus 4.0.3).
    private static final int DIGITS = 70;
    private static final String CLOSE = "1e-30";
    private static final int POINTS = 4;
    private static final int MOST_ITEMS = 50;

    private static final Pattern WRAPPED = Pattern.compile(
            "\\$\\$(.*)\\$\\$|\\$(.*)\\$|\\\\\\((.*)\\\\\\)|\\\\\\[(.*)\\\\]|\\\\boxed\\{(.*)}", Pattern.DOTALL);
    private static final Pattern TEXT = Pattern.compile("\\\\(?:text|mathrm|textbf|mbox)\\{([^{}\\\\]*)}");

    /// An answer as it is understood.
    private record Quantity(Maths maths, @Nullable Unit unit) {}

    @Override
    public Key key(Candidate row) {
        String text = Columns.text(row, column);
        Quantity expected;
        try {
            expected = quantity(text);
        } catch (MathsParser.Malformed e) {
            String words = words(text);
            return answer ->
                    answer.length() <= MathsParser.LONGEST && words(answer).equals(words)
                            ? Finding.right(answer)
                            : Finding.wrong(answer, text);
        }
        if (!isKnown(expected)) {
            throw new Unscorable("column " + column + " has no value that can be computed: " + Show.text(text));
        }
        return answer -> {
            try {
                Quantity given = quantity(answer);
                return same(expected, given) ? Finding.right(answer) : Finding.wrong(answer, text);
            } catch (MathsParser.Malformed e) {
                return Finding.unparseable(e.getMessage() + ", in " + answer);
            }
        };
    }

    /// Whether it is at least the same as itself: 1/0 and 9^{9^9} are not.
    private static boolean isKnown(Quantity quantity) {
        try {
            return same(quantity, quantity);
        } catch (MathsParser.Malformed e) {
            return false;
        }
    }

    private static Quantity quantity(String text) {
        if (text.length() > MathsParser.LONGEST) {
            throw new MathsParser.Malformed(text.length() + " characters");
        }
        text.codePoints()
                .filter(Invisible::is)
                .filter(c -> c != '\n' && c != '\t' && c != '\r')
                .findFirst()
                .ifPresent(c -> {
                    throw new MathsParser.Malformed("an invisible character");
                });
        Unit.Split split = Unit.split(unwrap(text));
        String bare = unwrap(split.text().strip());
        return new Quantity(MathsParser.parse(bare), split.unit());
    }

    private static String unwrap(String text) {
        String bare = text.strip();
        for (int layers = 0; layers < 4; layers++) {
            if (bare.endsWith(".")) {
                bare = bare.substring(0, bare.length() - 1).strip();
            }
            Matcher wrapped = WRAPPED.matcher(bare);
            if (!wrapped.matches()) {
                return bare;
            }
            String inside = bare;
            for (int group = 1; group <= wrapped.groupCount(); group++) {
                inside = wrapped.group(group) == null ? inside : wrapped.group(group);
            }
            if (inside.contains("$")) {
                return bare;
            }
            bare = inside.strip();
        }
        return bare;
    }

    private static String words(String text) {
        return TEXT.matcher(unwrap(text))
                .replaceAll(match -> Matcher.quoteReplacement(match.group(1)))
                .strip()
                .replaceAll("\\s+", " ");
    }

    private static boolean same(Quantity expected, Quantity given) {
        Maths left = stripped(expected.maths(), given.maths());
        Maths right = stripped(given.maths(), expected.maths());
        Unit leftUnit = expected.unit();
        Unit rightUnit = given.unit();
        if (leftUnit != null && rightUnit != null) {
            BigFraction leftFactor = leftUnit.factor();
            BigFraction rightFactor = rightUnit.factor();
            if (!leftUnit.kind().equals(rightUnit.kind())) {
                return false;
            }
            return leftFactor == null || rightFactor == null || leftFactor.equals(rightFactor)
                    ? same(left, right)
                    : sameScaled(left, leftFactor, right, rightFactor);
        }
        if (rightUnit != null && rightUnit.factor() == null) {
            throw new MathsParser.Malformed("words that are no unit: " + rightUnit.kind());
        }
        Unit only = leftUnit == null ? rightUnit : leftUnit;
        if (only != null && only.equals(Unit.PERCENT) && left.isScalar() && right.isScalar()) {
            return same(left, right) || sameScaled(left, factor(leftUnit), right, factor(rightUnit));
        }
        return same(left, right);
    }

    private static BigFraction factor(@Nullable Unit unit) {
        return unit == null || unit.factor() == null ? BigFraction.ONE : unit.factor();
    }

    private static boolean sameScaled(Maths left, BigFraction leftFactor, Maths right, BigFraction rightFactor) {
        return left.isScalar()
                && right.isScalar()
                && (right.isWorkedOut() || !left.isWorkedOut())
                && equal(times(left, leftFactor), times(right, rightFactor));
    }

    private static Maths times(Maths maths, BigFraction factor) {
        return new Maths.Binary('*', maths, new Maths.Rational(factor));
    }

    /// Takes `x =` or `x ∈` away, if the other side does not say it as well.
    private static Maths stripped(Maths maths, Maths other) {
        return maths instanceof Maths.Relation relation
                        && names(relation)
                        && !(other instanceof Maths.Relation same
                                && names(same)
                                && same.operator() == relation.operator())
                ? relation.right()
                : maths;
    }

    private static boolean names(Maths.Relation relation) {
        return relation.left() instanceof Maths.Symbol && (relation.operator() == '=' || relation.operator() == '∈');
    }

    private static boolean same(Maths expected, Maths given) {
        return switch (expected) {
            case Maths.Infinity infinity -> infinity.equals(given);
            case Maths.Tuple(char open, char close, List<Maths> items) ->
                given instanceof Maths.Tuple(char o, char c, List<Maths> others)
                        && open == o
                        && close == c
                        && inOrder(items, others);
            case Maths.Matrix(List<List<Maths>> rows) ->
                given instanceof Maths.Matrix(List<List<Maths>> others)
                        && rows.size() == others.size()
                        && rows.getFirst().size() == others.getFirst().size()
                        && inOrder(expected.items(), given.items());
            case Maths.Several(List<Maths> items) ->
                given instanceof Maths.Several(List<Maths> others) && inAnyOrder(items, others);
            case Maths.Union(List<Maths> items) ->
                given instanceof Maths.Union(List<Maths> others) && inAnyOrder(items, others);
            case Maths.Relation relation -> given instanceof Maths.Relation other && sameRelation(relation, other);
            default -> given.isScalar() && (given.isWorkedOut() || !expected.isWorkedOut()) && equal(expected, given);
        };
    }

    private static boolean inOrder(List<Maths> items, List<Maths> others) {
        if (items.size() != others.size()) {
            return false;
        }
        for (int i = 0; i < items.size(); i++) {
            if (!same(items.get(i), others.get(i))) {
                return false;
            }
        }
        return true;
    }

    private static boolean inAnyOrder(List<Maths> items, List<Maths> others) {
        if (items.size() != others.size() || items.size() > MOST_ITEMS) {
            return false;
        }
        List<Maths> left = new ArrayList<>(others);
        for (Maths item : items) {
            int found = -1;
            for (int i = 0; i < left.size() && found < 0; i++) {
                found = same(item, left.get(i)) ? i : -1;
            }
            if (found < 0) {
                return false;
            }
            left.remove(found);
        }
        return true;
    }

    private static boolean sameRelation(Maths.Relation expected, Maths.Relation given) {
        if (expected.operator() != given.operator()) {
            return false;
        }
        if (!expected.left().isScalar() || !expected.right().isScalar() || expected.left() instanceof Maths.Symbol) {
            return same(expected.left(), given.left()) && same(expected.right(), given.right());
        }
        if (!given.left().isScalar() || !given.right().isScalar()) {
            return false;
        }
        // a = b and c = d are the same if a - b is a constant times c - d.
        return proportional(
                new Maths.Binary('-', expected.left(), expected.right()),
                new Maths.Binary('-', given.left(), given.right()),
                expected.operator() != '=');
    }

    private static boolean equal(Maths left, Maths right) {
        BigFraction a = left.exact();
        BigFraction b = right.exact();
        if (a != null && b != null) {
            return a.equals(b);
        }
        // A fraction of few digits can be √4 or cos(π/3). One of many digits is somebody's approximation.
        if (a != null && digits(a) > 64 || b != null && digits(b) > 64) {
            return false;
        }
        DfpField field = new DfpField(DIGITS);
        int agreed = 0;
        for (Map<String, FieldComplex<Dfp>> point : points(left, right, field)) {
            FieldComplex<Dfp> x = left.at(point, field);
            FieldComplex<Dfp> y = right.at(point, field);
            if ((x == null) != (y == null)) {
                return false;
            }
            if (x != null && y != null) {
                if (!close(x, y, field)) {
                    return false;
                }
                agreed++;
            }
        }
        return agreed > 0;
    }

    /// Binary ones, above and below the line.
    private static int digits(BigFraction value) {
        return value.getNumerator().bitLength() + value.getDenominator().bitLength();
    }

    private static boolean proportional(Maths left, Maths right, boolean positive) {
        DfpField field = new DfpField(DIGITS);
        FieldComplex<Dfp> ratio = null;
        int agreed = 0;
        for (Map<String, FieldComplex<Dfp>> point : points(left, right, field)) {
            FieldComplex<Dfp> x = left.at(point, field);
            FieldComplex<Dfp> y = right.at(point, field);
            if (x == null || y == null) {
                continue;
            }
            if (x.isZero() || y.isZero()) {
                return false;
            }
            FieldComplex<Dfp> here = x.divide(y);
            if (ratio != null && !close(ratio, here, field) || positive && here.getReal() <= 0) {
                return false;
            }
            ratio = here;
            agreed++;
        }
        return agreed > 1;
    }

    private static boolean close(FieldComplex<Dfp> x, FieldComplex<Dfp> y, DfpField field) {
        Dfp size = x.abs().getRealPart().add(y.abs().getRealPart());
        Dfp off = x.subtract(y).abs().getRealPart();
        Dfp one = field.getOne();
        // Relative, and absolute below 1: what should cancel to 0 leaves a few last digits.
        return !off.greaterThan(field.newDfp(CLOSE).multiply(size.greaterThan(one) ? size : one));
    }

    /// Where expressions are compared: numbers of no special kind, the same at every call.
    private static List<Map<String, FieldComplex<Dfp>>> points(Maths left, Maths right, DfpField field) {
        TreeSet<String> variables = new TreeSet<>(left.variables());
        variables.addAll(right.variables());
        List<Map<String, FieldComplex<Dfp>>> points = new ArrayList<>();
        for (int i = 0; i < (variables.isEmpty() ? 1 : POINTS); i++) {
            Map<String, FieldComplex<Dfp>> point = new HashMap<>();
            int number = 0;
            for (String variable : variables) {
                // √primes, scaled: algebraically independent of what answers are made of.
                int prime = PRIMES[(i * 7 + number++ * 3) % PRIMES.length];
                Dfp value = field.newDfp(prime).sqrt().divide(field.newDfp(7 + i));
                point.put(variable, new FieldComplex<>(i % 2 == 0 ? value : value.negate()));
            }
            points.add(point);
        }
        return points;
    }

    private static final int[] PRIMES = {
        101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167, 173, 179, 181, 191, 193, 197, 199, 211,
        223, 227, 229, 233, 239, 241, 251, 257, 263
    };
}
