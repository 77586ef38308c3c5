package dev.manners.text.jinja;

import dev.manners.text.jinja.Value.Bool;
import dev.manners.text.jinja.Value.Int;
import dev.manners.text.jinja.Value.ListValue;
import dev.manners.text.jinja.Value.Tuple;
import dev.manners.text.jinja.Value.Undefined;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.List;

/// Python's `+ - * / // % **` on numbers, strings and lists.
final class Arithmetic {

    private final Budget budget;
    private final Formatting formatting;

    Arithmetic(Budget budget, Formatting formatting) {
        this.budget = budget;
        this.formatting = formatting;
    }

    Value unary(String operator, Value operand) {
        if (operand instanceof Undefined u) {
            throw u.fault();
        }
        boolean minus = operator.equals("-");
        return switch (operand) {
            case Value.Real f -> minus ? new Value.Real(-f.value(), f.content()) : f;
            case Int i -> minus ? Int.of(i.value().negate(), i.content()) : i;
            case Bool b -> Int.of(b.value() ? (minus ? -1 : 1) : 0, b.content());
            default -> throw Fault.type("bad operand type for unary " + operator + ": '" + operand.type() + "'");
        };
    }

    Value binary(String operator, Value a, Value b) {
        if (a instanceof Undefined u) {
            throw u.fault();
        }
        if (operator.equals("%") && a instanceof Str format) {
            return formatting.percent(format, b);
        }
        if (b instanceof Undefined u) {
            throw u.fault();
        }
        if (Operations.isNumber(a) && Operations.isNumber(b)) {
            boolean content = a.content() || b.content();
            return a instanceof Value.Real || b instanceof Value.Real || operator.equals("/")
                    ? floats(operator, asDouble(a), asDouble(b), content)
                    : integers(operator, asInteger(a), asInteger(b), content);
        }
        if (operator.equals("+")) {
            if (a instanceof Str s && b instanceof Str t) {
                return concat(s, t);
            }
            if (a instanceof ListValue l && b instanceof ListValue m) {
                return new ListValue(joined(l.items(), m.items()), l.content() || m.content());
            }
            if (a instanceof Tuple t && b instanceof Tuple u) {
                return new Tuple(joined(t.items(), u.items()));
            }
            if (a instanceof Str || a instanceof ListValue || a instanceof Tuple) {
                throw Fault.type("can only concatenate " + a.type() + " (not \"" + b.type() + "\") to " + a.type());
            }
        }
        if (operator.equals("*")) {
            if (b instanceof Int || b instanceof Bool) {
                return repeat(a, b);
            }
            if (a instanceof Int || a instanceof Bool) {
                return repeat(b, a);
            }
        }
        throw unsupported(operator, a, b);
    }

    private static Fault unsupported(String operator, Value a, Value b) {
        String name = operator.equals("**") ? "** or pow()" : operator;
        return Fault.type("unsupported operand type(s) for " + name + ": '" + a.type() + "' and '" + b.type() + "'");
    }

    private Str concat(Str a, Str b) {
        if (a.safe() != b.safe()) {
            // As in Jinja: what is marked safe keeps the rest from being taken for markup.
            return concat(a.safe() ? a : escape(a), b.safe() ? b : escape(b));
        }
        return new Text(budget).append(a).append(b).toStr().safe(a.safe());
    }

    /// HTML escaping, as by `|escape`.
    Str escape(Str text) {
        return text.map(
                        budget,
                        run -> run.replace("&", "&amp;")
                                .replace("<", "&lt;")
                                .replace(">", "&gt;")
                                .replace("'", "&#39;")
                                .replace("\"", "&#34;"))
                .safe(true);
    }

    private List<Value> joined(List<Value> a, List<Value> b) {
        budget.elements(a.size() + (long) b.size());
        List<Value> both = new ArrayList<>(a.size() + b.size());
        both.addAll(a);
        both.addAll(b);
        return both;
    }

    private Value repeat(Value value, Value times) {
        long count = Math.clamp(
                asInteger(times).min(BigInteger.valueOf(Integer.MAX_VALUE)).longValue(), 0, Integer.MAX_VALUE);
        return switch (value) {
            case Str s -> new Text(budget).repeat(s, count).toStr().safe(s.safe());
            case ListValue l -> new ListValue(repeat(l.items(), count), l.content());
            case Tuple t -> new Tuple(repeat(t.items(), count));
            default -> throw Fault.type("can't multiply sequence by non-int of type '" + value.type() + "'");
        };
    }

    private List<Value> repeat(List<Value> items, long count) {
        budget.elements(items.size() * count);
        List<Value> repeated = new ArrayList<>();
        for (long i = 0; i < count && !items.isEmpty(); i++) {
            repeated.addAll(items);
        }
        return repeated;
    }

    private Value integers(String operator, BigInteger a, BigInteger b, boolean content) {
        return switch (operator) {
            case "+" -> Int.of(a.add(b), content);
            case "-" -> Int.of(a.subtract(b), content);
            case "*" -> Int.of(a.multiply(b), content);
            case "//" -> Int.of(floorDivide(a, b), content);
            case "%" -> Int.of(a.subtract(floorDivide(a, b).multiply(b)), content);
            default -> power(a, b, content);
        };
    }

    private static BigInteger floorDivide(BigInteger a, BigInteger b) {
        if (b.signum() == 0) {
            throw Fault.of("ZeroDivisionError", "integer division or modulo by zero");
        }
        BigInteger[] parts = a.divideAndRemainder(b);
        return parts[1].signum() != 0 && parts[1].signum() != b.signum() ? parts[0].subtract(BigInteger.ONE) : parts[0];
    }

    private static Value power(BigInteger base, BigInteger exponent, boolean content) {
        if (exponent.signum() < 0) {
            return floats("**", base.doubleValue(), exponent.doubleValue(), content);
        }
        if (base.abs().bitLength() <= 1 && exponent.bitLength() > 31) {
            return Int.of(exponent.testBit(0) ? base : base.multiply(base), content);
        }
        if (exponent.bitLength() > 31 || (long) base.bitLength() * exponent.intValue() > 2L * Budget.INTEGER_BITS) {
            throw Budget.exceeded("an integer of more than " + Budget.INTEGER_BITS + " bits");
        }
        return Int.of(base.pow(exponent.intValue()), content);
    }

    private static Value floats(String operator, double a, double b, boolean content) {
        boolean divides = operator.equals("/") || operator.equals("//") || operator.equals("%");
        if ((divides && b == 0) || (operator.equals("**") && a == 0 && b < 0)) {
            throw Fault.of("ZeroDivisionError", "float division by zero");
        }
        double result = switch (operator) {
            case "+" -> a + b;
            case "-" -> a - b;
            case "*" -> a * b;
            case "/" -> a / b;
            case "//" -> Math.floor(a / b);
            case "%" -> {
                double rest = a % b;
                yield rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
            }
            default -> Math.pow(a, b);
        };
        return new Value.Real(result, content);
    }

    /// Of an int or bool.
    static BigInteger asInteger(Value number) {
        return switch (number) {
            case Int i -> i.value();
            case Bool b -> b.value() ? BigInteger.ONE : BigInteger.ZERO;
            default -> throw Fault.type("'" + number.type() + "' object cannot be interpreted as an integer");
        };
    }

    static double asDouble(Value number) {
        return number instanceof Value.Real f ? f.value() : asInteger(number).doubleValue();
    }
}
