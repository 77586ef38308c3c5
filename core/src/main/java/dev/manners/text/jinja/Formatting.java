package dev.manners.text.jinja;

import dev.manners.text.jinja.Value.Bool;
import dev.manners.text.jinja.Value.Dict;
import dev.manners.text.jinja.Value.Int;
import dev.manners.text.jinja.Value.Tuple;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/// Python's two ways to format: `"%s" % x` (also the filter `format`) and `"{}".format(x)`.
final class Formatting {

    private static final Pattern PERCENT =
            Pattern.compile("%(?:\\(([^)]*)\\))?([-+ #0]*)(\\*|[0-9]+)?(?:\\.(\\*|[0-9]*))?[hlL]?(.)", Pattern.DOTALL);
    private static final Pattern SPEC = Pattern.compile(
            "(?:(.)?([<>=^]))?([-+ ])?(#)?(0)?([0-9]+)?([,_])?(?:\\.([0-9]+))?([a-zA-Z%])?", Pattern.DOTALL);
    private static final int PRECISION = 1000;

    private final Budget budget;
    private final Repr repr;

    Formatting(Budget budget) {
        this.budget = budget;
        this.repr = new Repr(budget);
    }

    /// Where `{0.name[key]}` finds its value.
    interface Lookup {
        Value attribute(Value target, String name);

        Value element(Value target, Value key);
    }

    /// @param sign "+", " " or "" for plus signs
    private record Spec(
            String fill,
            char align,
            String sign,
            boolean alternate,
            int width,
            String grouping,
            int precision,
            char type) {}

    Str percent(Str format, Value arguments) {
        budget.scan(format.text().length());
        List<Value> values = arguments instanceof Tuple t ? t.items() : List.of(arguments);
        Matcher matcher = PERCENT.matcher(format.text());
        Text out = new Text(budget);
        int at = 0;
        int used = 0;
        boolean byName = false;
        for (int next = format.text().indexOf('%');
                next >= 0;
                next = format.text().indexOf('%', at)) {
            out.append(format, at, next);
            if (!matcher.region(next, format.text().length()).lookingAt()) {
                throw Fault.value("incomplete format");
            }
            at = matcher.end();
            char type = matcher.group(5).charAt(0);
            if (type == '%') {
                out.append(format, at - 1, at);
                continue;
            }
            Value value;
            if ("*".equals(matcher.group(3)) || "*".equals(matcher.group(4))) {
                throw Fault.unsupported("a width of '*' in a format");
            }
            if (matcher.group(1) != null) {
                byName = true;
                Value found = arguments instanceof Dict d ? d.get(matcher.group(1)) : null;
                if (found == null) {
                    throw arguments instanceof Dict
                            ? Fault.of("KeyError", Repr.quote(matcher.group(1)))
                            : Fault.type("format requires a mapping");
                }
                value = found;
            } else {
                if (used >= values.size()) {
                    throw Fault.type("not enough arguments for format string");
                }
                value = values.get(used++);
            }
            out.append(percent(matcher, type, value));
        }
        out.append(format, at, format.text().length());
        if (used < values.size() && !byName && !(arguments instanceof Dict)) {
            throw Fault.type("not all arguments converted during string formatting");
        }
        return out.toStr();
    }

    private Str percent(Matcher matcher, char type, Value value) {
        String flags = matcher.group(2);
        int width = number(matcher.group(3), 0);
        int precision = matcher.group(4) == null ? -1 : number(matcher.group(4), 0);
        String sign = flags.contains("+") ? "+" : flags.contains(" ") ? " " : "";
        boolean left = flags.contains("-");
        boolean zero = flags.contains("0") && !left;
        char align = left ? '<' : '>';
        return switch (type) {
            case 's', 'r', 'a' ->
                pad(truncated(type == 's' ? repr.str(value) : repr(value), precision), " ", align, width);
            case 'c' ->
                pad(
                        value instanceof Str s ? s : Str.of(character(Arithmetic.asInteger(value)), value.content()),
                        " ",
                        align,
                        width);
            case 'd', 'i', 'u', 'x', 'X', 'o', 'e', 'E', 'f', 'F', 'g', 'G' -> {
                if (!Operations.isNumber(value)) {
                    throw Fault.type("%" + type + " format: a real number is required, not " + value.type());
                }
                char kind = type == 'i' || type == 'u' ? 'd' : type;
                Value number = "dxXo".indexOf(kind) >= 0 ? Int.of(truncate(value), value.content()) : value;
                yield number(
                        number,
                        new Spec(
                                zero ? "0" : " ",
                                zero ? '=' : align,
                                sign,
                                flags.contains("#"),
                                width,
                                "",
                                precision,
                                kind));
            }
            default -> throw Fault.value("unsupported format character '" + type + "'");
        };
    }

    private static String character(BigInteger code) {
        if (code.signum() < 0 || code.bitLength() > 21 || !Character.isValidCodePoint(code.intValue())) {
            throw Fault.of("OverflowError", "%c arg not in range(0x110000)");
        }
        return Character.toString(code.intValue());
    }

    private Str repr(Value value) {
        Text text = new Text(budget);
        repr.repr(value, text);
        return text.toStr();
    }

    private static int number(@Nullable String digits, int otherwise) {
        if (digits == null || digits.isEmpty()) {
            return otherwise;
        }
        if (digits.length() > 8) {
            throw Budget.exceeded("a formatted width of " + digits);
        }
        return Integer.parseInt(digits);
    }

    private static Str truncated(Str text, int precision) {
        return precision < 0 || text.length() <= precision
                ? text
                : text.slice(0, text.text().offsetByCodePoints(0, precision));
    }

    static BigInteger truncate(Value number) {
        if (number instanceof Value.Real f) {
            if (Double.isNaN(f.value()) || Double.isInfinite(f.value())) {
                throw Fault.value("cannot convert float " + Repr.number(f.value()) + " to integer");
            }
            return new BigDecimal(f.value()).toBigInteger();
        }
        return Arithmetic.asInteger(number);
    }

    /// `format.format(*positional, **named)`
    Str braces(Str format, Arguments arguments, Lookup lookup) {
        Text out = new Text(budget);
        int[] automatic = {0};
        braces(format, arguments, lookup, automatic, out, 2);
        return out.toStr();
    }

    private void braces(Str format, Arguments arguments, Lookup lookup, int[] automatic, Text out, int depth) {
        String text = format.text();
        budget.scan(text.length());
        if (depth == 0) {
            throw Fault.value("Max string recursion exceeded");
        }
        int at = 0;
        while (at < text.length()) {
            int next = at;
            while (next < text.length() && text.charAt(next) != '{' && text.charAt(next) != '}') {
                next++;
            }
            out.append(format, at, next);
            if (next == text.length()) {
                return;
            }
            char brace = text.charAt(next);
            if (next + 1 < text.length() && text.charAt(next + 1) == brace) {
                out.append(format, next, next + 1);
                at = next + 2;
                continue;
            }
            if (brace == '}') {
                throw Fault.value("Single '}' encountered in format string");
            }
            int end = closing(text, next);
            out.append(field(format.slice(next + 1, end), arguments, lookup, automatic, depth));
            at = end + 1;
        }
    }

    private static int closing(String text, int open) {
        int nested = 0;
        for (int i = open; i < text.length(); i++) {
            char c = text.charAt(i);
            nested += c == '{' ? 1 : c == '}' ? -1 : 0;
            if (nested == 0) {
                return i;
            }
        }
        throw Fault.value("expected '}' before end of string");
    }

    private Str field(Str field, Arguments arguments, Lookup lookup, int[] automatic, int depth) {
        String text = field.text();
        int nameEnd = 0;
        boolean bracket = false;
        while (nameEnd < text.length() && (bracket || "!:".indexOf(text.charAt(nameEnd)) < 0)) {
            bracket = bracket ? text.charAt(nameEnd) != ']' : text.charAt(nameEnd) == '[';
            nameEnd++;
        }
        Value value = named(text.substring(0, nameEnd), arguments, lookup, automatic);
        int at = nameEnd;
        if (at < text.length() && text.charAt(at) == '!') {
            char conversion = at + 1 < text.length() ? text.charAt(at + 1) : ' ';
            value = switch (conversion) {
                case 's' -> repr.str(value);
                case 'r', 'a' -> repr(value);
                default -> throw Fault.value("Unknown conversion specifier '" + conversion + "'");
            };
            at += 2;
        }
        if (at < text.length() && text.charAt(at) != ':') {
            throw Fault.value("expected ':' after conversion specifier");
        }
        String spec = "";
        if (at < text.length()) {
            Text nested = new Text(budget);
            braces(field.slice(at + 1, text.length()), arguments, lookup, automatic, nested, depth - 1);
            spec = nested.toStr().text();
        }
        return formatted(value, spec);
    }

    private Value named(String name, Arguments arguments, Lookup lookup, int[] automatic) {
        int end = 0;
        while (end < name.length() && ".[".indexOf(name.charAt(end)) < 0) {
            end++;
        }
        String first = name.substring(0, end);
        Value value;
        if (first.isEmpty() || first.chars().allMatch(c -> c >= '0' && c <= '9')) {
            int index = first.isEmpty() ? automatic[0]++ : number(first, 0);
            if (index >= arguments.positional().size()) {
                throw Fault.of("IndexError", "Replacement index " + index + " out of range for positional args tuple");
            }
            value = arguments.positional().get(index);
        } else {
            Value found = arguments.named().get(first);
            if (found == null) {
                throw Fault.of("KeyError", Repr.quote(first));
            }
            value = found;
        }
        while (end < name.length()) {
            int begin = end + 1;
            if (name.charAt(end) == '[') {
                end = name.indexOf(']', begin);
                if (end < 0) {
                    throw Fault.value("Missing ']' in format string");
                }
                String key = name.substring(begin, end++);
                boolean index = !key.isEmpty() && key.chars().allMatch(c -> c >= '0' && c <= '9');
                value = lookup.element(value, index ? Int.of(number(key, 0)) : Str.literal(key));
            } else {
                end = begin;
                while (end < name.length() && ".[".indexOf(name.charAt(end)) < 0) {
                    end++;
                }
                value = lookup.attribute(value, name.substring(begin, end));
            }
        }
        return value;
    }

    /// Python's `format(value, spec)`.
    private Str formatted(Value value, String text) {
        if (value instanceof Value.Undefined && text.isEmpty()) {
            return Str.EMPTY;
        }
        if (text.isEmpty()) {
            return repr.str(value);
        }
        Matcher matcher = SPEC.matcher(text);
        if (!matcher.matches()) {
            throw Fault.value("Invalid format specifier '" + text + "'");
        }
        boolean numeric = Operations.isNumber(value);
        if (!numeric && !(value instanceof Str)) {
            throw Fault.type("unsupported format string passed to " + value.type() + ".__format__");
        }
        boolean zero = matcher.group(5) != null;
        char align = matcher.group(2) != null ? matcher.group(2).charAt(0) : numeric ? (zero ? '=' : '>') : '<';
        String fill = matcher.group(1) != null ? matcher.group(1) : zero ? "0" : " ";
        String sign = matcher.group(3) == null || matcher.group(3).equals("-") ? "" : matcher.group(3);
        String grouping = matcher.group(7) == null ? "" : matcher.group(7);
        int precision = number(matcher.group(8), -1);
        char type = matcher.group(9) == null ? 0 : matcher.group(9).charAt(0);
        int width = number(matcher.group(6), 0);
        if (value instanceof Str s) {
            if ((type != 0 && type != 's') || align == '=' || !sign.isEmpty() || !grouping.isEmpty()) {
                throw Fault.value("Invalid format specifier '" + text + "' for object of type 'str'");
            }
            return pad(truncated(s, precision), fill, align, width);
        }
        if (value instanceof Bool && type == 0) {
            return pad(Str.of(Arithmetic.asInteger(value).toString(), value.content()), fill, align, width);
        }
        return number(value, new Spec(fill, align, sign, matcher.group(4) != null, width, grouping, precision, type));
    }

    private Str number(Value value, Spec spec) {
        if (spec.precision > PRECISION) {
            throw Budget.exceeded("a precision of " + spec.precision);
        }
        boolean isFloat = value instanceof Value.Real || (spec.type != 0 && "eEfFgG%".indexOf(spec.type) >= 0);
        boolean negative;
        String digits;
        String prefix = "";
        if (isFloat) {
            double d = Arithmetic.asDouble(value);
            negative = Double.doubleToRawLongBits(d) < 0 && !Double.isNaN(d);
            digits = floating(Math.abs(d), spec);
        } else {
            BigInteger i = Arithmetic.asInteger(value);
            negative = i.signum() < 0;
            int radix = switch (spec.type) {
                case 0, 'd', 'n' -> 10;
                case 'x', 'X' -> 16;
                case 'o' -> 8;
                case 'b' -> 2;
                default -> throw Fault.value("Unknown format code '" + spec.type + "' for object of type 'int'");
            };
            digits = i.abs().toString(radix);
            digits = "0".repeat(Math.max(0, spec.precision - digits.length())) + digits;
            prefix = spec.alternate && radix != 10 ? "0" + Character.toLowerCase(spec.type) : "";
            if (spec.type == 'X') {
                digits = digits.toUpperCase(Locale.ROOT);
                prefix = prefix.toUpperCase(Locale.ROOT);
            }
        }
        String head = (negative ? "-" : spec.sign) + prefix;
        String body = grouped(digits, spec.grouping);
        boolean content = value.content();
        if (spec.align != '=') {
            return pad(Str.of(head + body, content), spec.fill, spec.align, spec.width);
        }
        int missing = spec.width - head.length() - body.length();
        return new Text(budget)
                .append(head, content)
                .repeat(Str.of(spec.fill, content), missing)
                .append(body, content)
                .toStr();
    }

    private static String grouped(String digits, String separator) {
        int end = 0;
        while (end < digits.length() && Character.digit(digits.charAt(end), 16) >= 0 && digits.charAt(end) != 'e') {
            end++;
        }
        StringBuilder grouped = new StringBuilder(digits);
        for (int i = end - 3; i > 0 && !separator.isEmpty(); i -= 3) {
            grouped.insert(i, separator);
        }
        return grouped.toString();
    }

    private static String floating(double value, Spec spec) {
        boolean upper = Character.isUpperCase(spec.type);
        if (Double.isNaN(value) || Double.isInfinite(value)) {
            String name = Double.isNaN(value) ? "nan" : "inf";
            return (upper ? name.toUpperCase(Locale.ROOT) : name) + (spec.type == '%' ? "%" : "");
        }
        if (spec.type == 0 && spec.precision < 0) {
            return Repr.number(value);
        }
        int precision = spec.precision < 0 ? 6 : spec.precision;
        String text = switch (Character.toLowerCase(spec.type)) {
            case 'f' -> fixed(new BigDecimal(value), precision);
            case '%' -> fixed(new BigDecimal(value * 100), precision) + "%";
            case 'e' -> exponential(new BigDecimal(value), precision);
            case 'g', 0 -> general(new BigDecimal(value), Math.max(1, precision), spec);
            default -> throw Fault.value("Unknown format code '" + spec.type + "' for object of type 'float'");
        };
        return upper ? text.toUpperCase(Locale.ROOT) : text;
    }

    private static String fixed(BigDecimal value, int precision) {
        return value.setScale(precision, RoundingMode.HALF_EVEN).toPlainString();
    }

    private static String exponential(BigDecimal value, int precision) {
        BigDecimal rounded = value.round(new MathContext(precision + 1, RoundingMode.HALF_EVEN));
        int exponent = value.signum() == 0 ? 0 : rounded.precision() - rounded.scale() - 1;
        String mantissa = fixed(rounded.movePointLeft(exponent), precision);
        return mantissa + String.format("e%s%02d", exponent < 0 ? "-" : "+", Math.abs(exponent));
    }

    private static String general(BigDecimal value, int precision, Spec spec) {
        BigDecimal rounded = value.round(new MathContext(precision, RoundingMode.HALF_EVEN));
        int exponent = value.signum() == 0 ? 0 : rounded.precision() - rounded.scale() - 1;
        boolean plain = exponent >= -4 && exponent < precision;
        String text =
                plain ? fixed(rounded, Math.max(0, precision - 1 - exponent)) : exponential(rounded, precision - 1);
        if (spec.alternate || text.indexOf('.') < 0) {
            return spec.type == 0 && plain && text.indexOf('.') < 0 ? text + ".0" : text;
        }
        int e = text.indexOf('e');
        String mantissa = e < 0 ? text : text.substring(0, e);
        mantissa = mantissa.replaceAll("0+$", "").replaceAll("\\.$", spec.type == 0 && plain ? ".0" : "");
        return mantissa + (e < 0 ? "" : text.substring(e));
    }

    /// To `width` code points; the fill is template text, whoever chose the width.
    Str pad(Str text, String fill, char align, int width) {
        long missing = (long) width - text.length();
        if (missing <= 0) {
            return text;
        }
        long left = switch (align) {
            case '<' -> 0;
            case '^' -> missing / 2;
            default -> missing;
        };
        Str filler = Str.literal(fill);
        return new Text(budget)
                .repeat(filler, left)
                .append(text)
                .repeat(filler, missing - left)
                .toStr()
                .safe(text.safe());
    }
}
