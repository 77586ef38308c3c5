package dev.manners.text.jinja;

import dev.manners.text.jinja.Value.Bool;
import dev.manners.text.jinja.Value.Int;
import java.math.BigInteger;
import java.util.Set;

/// What can follow `is`.
final class Tests {

    static final Set<String> NAMES = Set.of(
            "defined",
            "undefined",
            "none",
            "boolean",
            "true",
            "false",
            "integer",
            "float",
            "number",
            "string",
            "mapping",
            "sequence",
            "iterable",
            "callable",
            "escaped",
            "odd",
            "even",
            "divisibleby",
            "lower",
            "upper",
            "sameas",
            "in",
            "filter",
            "test",
            "==",
            "eq",
            "equalto",
            "!=",
            "ne",
            ">",
            "gt",
            "greaterthan",
            ">=",
            "ge",
            "<",
            "lt",
            "lessthan",
            "<=",
            "le");

    private final Budget budget;
    private final Operations operations;
    private final Repr repr;

    Tests(Budget budget, Operations operations) {
        this.budget = budget;
        this.operations = operations;
        this.repr = new Repr(budget);
    }

    boolean test(String name, Value value, Arguments arguments) {
        return switch (name) {
            case "eq", "==", "equalto" -> operations.equal(value, other(name, arguments));
            case "ne", "!=" -> !operations.equal(value, other(name, arguments));
            case "gt", ">", "greaterthan" -> operations.ordered(">", value, other(name, arguments));
            case "ge", ">=" -> operations.ordered(">=", value, other(name, arguments));
            case "lt", "<", "lessthan" -> operations.ordered("<", value, other(name, arguments));
            case "le", "<=" -> operations.ordered("<=", value, other(name, arguments));
            case "in" -> operations.contains(other(name, arguments), value);
            case "sameas" -> same(value, other(name, arguments));
            case "divisibleby" -> {
                BigInteger divisor = Arithmetic.asInteger(other(name, arguments));
                if (divisor.signum() == 0) {
                    throw Fault.of("ZeroDivisionError", "integer modulo by zero");
                }
                yield integer(value).mod(divisor.abs()).signum() == 0;
            }
            default -> {
                arguments.bind(name);
                yield plain(name, value);
            }
        };
    }

    private static Value other(String name, Arguments arguments) {
        return arguments.bind(name, "other").require("other");
    }

    private static BigInteger integer(Value value) {
        if (value instanceof Value.Undefined u) {
            throw u.fault();
        }
        return Arithmetic.asInteger(value);
    }

    private boolean plain(String name, Value value) {
        return switch (name) {
            case "defined" -> !(value instanceof Value.Undefined);
            case "undefined" -> value instanceof Value.Undefined;
            case "none" -> value instanceof Value.None;
            case "boolean" -> value instanceof Bool;
            case "true" -> value instanceof Bool b && b.value();
            case "false" -> value instanceof Bool b && !b.value();
            case "integer" -> value instanceof Int;
            case "float" -> value instanceof Value.Real;
            case "number" -> Operations.isNumber(value);
            case "string" -> value instanceof Str;
            case "mapping" -> value instanceof Value.Dict;
            case "sequence" -> value instanceof Str || value instanceof Value.Sequence || value instanceof Value.Dict;
            case "iterable" ->
                switch (value) {
                    case Str s -> true;
                    case Value.Sequence s -> true;
                    case Value.Dict d -> true;
                    case Value.View v -> true;
                    case Value.Once o -> true;
                    case Value.LoopValue l -> true;
                    case Value.Undefined u -> true;
                    default -> false;
                };
            case "callable" -> value instanceof Value.Callable;
            case "escaped" -> value instanceof Str s && s.safe();
            case "odd" -> integer(value).testBit(0);
            case "even" -> !integer(value).testBit(0);
            case "lower" -> isCase(value, true);
            case "upper" -> isCase(value, false);
            case "filter" -> value instanceof Str s && Filters.NAMES.contains(s.text());
            case "test" -> value instanceof Str s && NAMES.contains(s.text());
            default -> throw Fault.of("TemplateAssertionError", "No test named " + Repr.quote(name) + ".");
        };
    }

    private boolean isCase(Value value, boolean lower) {
        String text = repr.str(value).text();
        budget.examine(text.length());
        boolean wrong = text.codePoints()
                .anyMatch(
                        c -> Character.isTitleCase(c) || (lower ? Character.isUpperCase(c) : Character.isLowerCase(c)));
        return !wrong && text.codePoints().anyMatch(Unicode::isCased);
    }

    /// Python's `is`: scalars of one type and value are one object, as far as a template can rely on it.
    @SuppressWarnings("ReferenceEquality")
    private boolean same(Value a, Value b) {
        boolean scalar = a instanceof Str || Operations.isNumber(a) || a instanceof Value.None;
        return a == b || (scalar && a.type().equals(b.type()) && operations.equal(a, b));
    }
}
