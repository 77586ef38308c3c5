package dev.manners.reward;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.hipparchus.complex.FieldComplex;
import org.hipparchus.dfp.Dfp;
import org.hipparchus.dfp.DfpField;
import org.hipparchus.fraction.BigFraction;
import org.jspecify.annotations.Nullable;

/// A mathematical expression, as [MathsParser] reads it.
sealed interface Maths {

    record Rational(BigFraction value) implements Maths {}

    /// A variable, or one of the constants `pi`, `e`, `i`.
    record Symbol(String name) implements Maths {}

    record Infinity(boolean negative) implements Maths {}

    /// @param operator one of + - * / ^
    record Binary(char operator, Maths left, Maths right) implements Maths {}

    record Negative(Maths of) implements Maths {}

    /// @param name `sqrt`, `sin`, `log`, `abs`, `!` …
    record Function(String name, Maths of) implements Maths {}

    /// Ordered, with its brackets: a point, a vector, an interval.
    record Tuple(char open, char close, List<Maths> items) implements Maths {}

    /// Unordered: a set, or several answers separated by commas.
    record Several(List<Maths> items) implements Maths {}

    /// Of sets or intervals; unordered.
    record Union(List<Maths> items) implements Maths {}

    record Matrix(List<List<Maths>> rows) implements Maths {}

    /// @param operator one of = < ≤ ∈; > and ≥ are written the other way round
    record Relation(char operator, Maths left, Maths right) implements Maths {}

    /// Whether it stands for one number or function, not for a collection or a statement.
    default boolean isScalar() {
        return this instanceof Rational
                || this instanceof Symbol
                || this instanceof Binary
                || this instanceof Negative
                || this instanceof Function;
    }

    /// Whether it is a number worked out: an integer, decimal, fraction of integers, or a number times a power of ten.
    default boolean isWorkedOut() {
        return switch (this) {
            case Rational _ -> true;
            case Negative(Maths of) -> of.isWorkedOut();
            case Binary(char operator, Maths left, Maths right) ->
                switch (operator) {
                    case '/' -> left.isInteger() && right.isInteger();
                    case '*' ->
                        left instanceof Rational
                                && right instanceof Binary(char power, Rational(BigFraction ten), Maths exponent)
                                && power == '^'
                                && ten.equals(new BigFraction(10))
                                && exponent.isInteger();
                    default -> false;
                };
            default -> false;
        };
    }

    private boolean isInteger() {
        return this instanceof Rational(BigFraction value)
                ? value.getDenominator().bitLength() == 1
                : this instanceof Negative(Maths of) && of.isInteger();
    }

    /// Its value as a fraction, if it is one and is not monstrous; null otherwise.
    default @Nullable BigFraction exact() {
        return switch (this) {
            case Rational(BigFraction value) -> value;
            case Negative(Maths of) -> {
                BigFraction value = of.exact();
                yield value == null ? null : value.negate();
            }
            case Binary(char operator, Maths l, Maths r) -> {
                BigFraction left = l.exact();
                BigFraction right = left == null ? null : r.exact();
                yield left == null || right == null ? null : exact(operator, left, right);
            }
            case Function(String name, Maths of) -> name.equals("!") ? factorial(of.exact()) : null;
            default -> null;
        };
    }

    private static @Nullable BigFraction exact(char operator, BigFraction left, BigFraction right) {
        BigFraction value = switch (operator) {
            case '+' -> left.add(right);
            case '-' -> left.subtract(right);
            case '*' -> left.multiply(right);
            case '/' -> {
                if (right.isZero()) {
                    throw new MathsParser.Malformed("division by zero");
                }
                yield left.divide(right);
            }
            default -> power(left, right);
        };
        return value == null || bits(value) > 50_000 ? null : value;
    }

    private static @Nullable BigFraction power(BigFraction base, BigFraction exponent) {
        if (exponent.getDenominator().bitLength() != 1 || exponent.abs().compareTo(new BigFraction(10_000)) > 0) {
            return null;
        }
        int times = exponent.getNumerator().intValueExact();
        if (base.isZero() && times <= 0) {
            throw new MathsParser.Malformed("0 to the power of " + times);
        }
        return (long) bits(base) * Math.abs(times) > 50_000 ? null : base.pow(times);
    }

    private static @Nullable BigFraction factorial(@Nullable BigFraction of) {
        if (of == null
                || of.getDenominator().bitLength() != 1
                || of.signum() < 0
                || of.compareTo(new BigFraction(1_000)) > 0) {
            return null;
        }
        BigFraction product = BigFraction.ONE;
        for (int factor = 2; factor <= of.intValue(); factor++) {
            product = product.multiply(factor);
        }
        return product;
    }

    private static int bits(BigFraction value) {
        return value.getNumerator().bitLength() + value.getDenominator().bitLength();
    }

    /// The variables in it, sorted.
    default Set<String> variables() {
        Set<String> names = new TreeSet<>();
        switch (this) {
            case Rational _, Infinity _ -> {}
            case Symbol(String name) -> {
                if (!name.equals("pi") && !name.equals("e") && !name.equals("i")) {
                    names.add(name);
                }
            }
            case Negative(Maths of) -> names.addAll(of.variables());
            case Function function -> names.addAll(function.of().variables());
            case Binary binary -> {
                names.addAll(binary.left().variables());
                names.addAll(binary.right().variables());
            }
            case Relation relation -> {
                names.addAll(relation.left().variables());
                names.addAll(relation.right().variables());
            }
            case Tuple _, Several _, Union _, Matrix _ -> items().forEach(item -> names.addAll(item.variables()));
        }
        return names;
    }

    /// Its value to some sixty digits; null where it has none (a pole, an overflow) or cannot be computed in bounds.
    ///
    /// @param point values of the variables
    default @Nullable FieldComplex<Dfp> at(Map<String, FieldComplex<Dfp>> point, DfpField field) {
        FieldComplex<Dfp> value = switch (this) {
            case Rational(BigFraction number) -> number(number, field);
            case Symbol(String name) ->
                switch (name) {
                    case "pi" -> new FieldComplex<>(field.getPi());
                    case "e" -> new FieldComplex<>(field.getE());
                    case "i" -> new FieldComplex<>(field.getZero(), field.getOne());
                    default -> point.get(name);
                };
            case Negative(Maths of) -> {
                FieldComplex<Dfp> x = of.at(point, field);
                yield x == null ? null : x.negate();
            }
            case Function(String name, Maths of) -> {
                FieldComplex<Dfp> x = of.at(point, field);
                yield x == null ? null : function(name, of, x, field);
            }
            case Binary(char operator, Maths l, Maths r) -> {
                FieldComplex<Dfp> left = l.at(point, field);
                FieldComplex<Dfp> right = left == null ? null : r.at(point, field);
                yield left == null || right == null ? null : binary(operator, left, right, r.exact());
            }
            default -> null;
        };
        return value == null || value.isNaN() || value.isInfinite() ? null : value;
    }

    private static FieldComplex<Dfp> number(BigFraction value, DfpField field) {
        Dfp numerator = field.newDfp(value.getNumerator().toString());
        return new FieldComplex<>(
                numerator.divide(field.newDfp(value.getDenominator().toString())));
    }

    private static @Nullable FieldComplex<Dfp> binary(
            char operator, FieldComplex<Dfp> left, FieldComplex<Dfp> right, @Nullable BigFraction exactRight) {
        return switch (operator) {
            case '+' -> left.add(right);
            case '-' -> left.subtract(right);
            case '*' -> left.multiply(right);
            case '/' -> right.isZero() ? null : left.divide(right);
            default -> {
                if (exactRight != null
                        && exactRight.getDenominator().bitLength() == 1
                        && exactRight.abs().compareTo(new BigFraction(10_000)) <= 0) {
                    yield left.isZero() && exactRight.signum() <= 0 ? null : left.pow(exactRight.intValue());
                }
                if (left.isZero()) {
                    yield right.getRealPart().greaterThan(right.getRealPart().getZero()) ? left : null;
                }
                yield exp(left.log().multiply(right));
            }
        };
    }

    private static @Nullable FieldComplex<Dfp> function(String name, Maths of, FieldComplex<Dfp> x, DfpField field) {
        double size = x.norm();
        boolean real = x.getImaginaryPart().isZero();
        return switch (name) {
            case "sqrt" -> x.isZero() ? x : x.sqrt();
            case "abs" -> x.abs();
            case "exp" -> exp(x);
            case "ln" -> x.isZero() ? null : x.log();
            case "log" -> x.isZero() ? null : x.log().divide(field.getLn10());
            case "!" -> {
                BigFraction value = factorial(of.exact());
                yield value == null ? null : number(value, field);
            }
            // Further out sixty digits say too little about an angle.
            case "sin" ->
                size > 1e6 ? null : real ? new FieldComplex<>(x.getRealPart().sin()) : small(x) ? x.sin() : null;
            case "cos" ->
                size > 1e6 ? null : real ? new FieldComplex<>(x.getRealPart().cos()) : small(x) ? x.cos() : null;
            case "tan" ->
                size > 1e6 || !real ? null : new FieldComplex<>(x.getRealPart().tan());
            case "arcsin" ->
                real && size <= 1 ? new FieldComplex<>(x.getRealPart().asin()) : null;
            case "arccos" ->
                real && size <= 1 ? new FieldComplex<>(x.getRealPart().acos()) : null;
            case "arctan" -> real ? new FieldComplex<>(x.getRealPart().atan()) : null;
            default -> null;
        };
    }

    private static boolean small(FieldComplex<Dfp> x) {
        return x.norm() < 1_000;
    }

    private static @Nullable FieldComplex<Dfp> exp(FieldComplex<Dfp> x) {
        return Math.abs(x.getReal()) > 10_000 || Math.abs(x.getImaginaryPart().toDouble()) > 1e6 ? null : x.exp();
    }

    /// The members of a collection, or this alone.
    default List<Maths> items() {
        return switch (this) {
            case Tuple tuple -> tuple.items();
            case Several(List<Maths> items) -> items;
            case Union(List<Maths> items) -> items;
            case Matrix(List<List<Maths>> rows) -> {
                List<Maths> all = new ArrayList<>();
                rows.forEach(all::addAll);
                yield all;
            }
            default -> List.of(this);
        };
    }
}
