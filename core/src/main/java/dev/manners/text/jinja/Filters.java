package dev.manners.text.jinja;

import dev.manners.text.jinja.Arguments.Bound;
import dev.manners.text.jinja.Value.Int;
import dev.manners.text.jinja.Value.None;
import dev.manners.text.jinja.Value.Undefined;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.RoundingMode;
import java.util.HashSet;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// What can follow `|`, for single values; [SequenceFilters] has those for lists and mappings.
final class Filters {

    private static final Set<String> SCALAR = Set.of(
            "abs",
            "attr",
            "capitalize",
            "center",
            "d",
            "default",
            "e",
            "escape",
            "float",
            "forceescape",
            "format",
            "indent",
            "int",
            "lower",
            "replace",
            "round",
            "safe",
            "string",
            "title",
            "tojson",
            "trim",
            "truncate",
            "upper",
            "wordcount");
    private static final Set<String> UNSUPPORTED = Set.of(
            "filesizeformat", "groupby", "pprint", "random", "striptags", "urlencode", "urlize", "wordwrap", "xmlattr");
    static final Set<String> NAMES = names();

    private static final Pattern WORD = Pattern.compile("\\w+", Pattern.UNICODE_CHARACTER_CLASS);
    private static final Pattern TITLE_BREAK = Pattern.compile("[-\\s({\\[<]+", Pattern.UNICODE_CHARACTER_CLASS);
    private static final Pattern PREFIXED = Pattern.compile("([+-]?)(0[xX]|0[oO]|0[bB])([0-9a-fA-F]+)");
    private static final int INTEGER_DIGITS = 1300;

    private final Budget budget;
    private final Operations operations;
    private final Arithmetic arithmetic;
    private final Formatting formatting;
    private final Attributes attributes;
    private final Repr repr;
    private final SequenceFilters sequences;

    Filters(
            Budget budget,
            Operations operations,
            Arithmetic arithmetic,
            Formatting formatting,
            Attributes attributes,
            Tests tests) {
        this.budget = budget;
        this.operations = operations;
        this.arithmetic = arithmetic;
        this.formatting = formatting;
        this.attributes = attributes;
        this.repr = new Repr(budget);
        this.sequences = new SequenceFilters(budget, operations, arithmetic, attributes, this, tests);
    }

    private static Set<String> names() {
        Set<String> names = new HashSet<>(SCALAR);
        names.addAll(SequenceFilters.NAMES);
        return Set.copyOf(names);
    }

    Value apply(String name, Value value, Arguments arguments) {
        budget.steps(1);
        if (SequenceFilters.NAMES.contains(name)) {
            return sequences.apply(name, value, arguments);
        }
        if (!SCALAR.contains(name)) {
            throw UNSUPPORTED.contains(name)
                    ? Fault.unsupported("the filter '" + name + "' in a chat template")
                    : Fault.of("TemplateAssertionError", "No filter named " + Repr.quote(name) + ".");
        }
        return switch (name) {
            case "d", "default" -> {
                Bound bound = arguments.bind(name, "default_value", "boolean");
                boolean missing =
                        value instanceof Undefined || (bound.flag("boolean", false) && !operations.truth(value));
                yield missing ? bound.get("default_value", Str.EMPTY) : value;
            }
            case "tojson" -> ToJson.of(budget, operations, value, arguments);
            case "attr" -> {
                String attribute = arguments.bind(name, "name").string("name").text();
                if (value instanceof Undefined u) {
                    throw u.fault();
                }
                Value own = attributes.own(value, attribute);
                yield own != null
                        ? own
                        : new Undefined("'" + value.type() + " object' has no attribute " + Repr.quote(attribute));
            }
            case "format" -> {
                if (!arguments.positional().isEmpty() && !arguments.named().isEmpty()) {
                    throw Fault.of(
                            "FilterArgumentError", "can't handle positional and keyword arguments at the same time");
                }
                yield formatting.percent(repr.str(value), formatArguments(arguments));
            }
            case "abs", "int", "float", "round" -> number(name, value, arguments);
            default -> text(name, repr.str(value), arguments);
        };
    }

    private static Value formatArguments(Arguments arguments) {
        if (arguments.named().isEmpty()) {
            return new Value.Tuple(arguments.positional());
        }
        Value.Dict dict = new Value.Dict(false);
        arguments.named().forEach((key, value) -> dict.put(Str.literal(key), value));
        return dict;
    }

    private Value text(String name, Str text, Arguments arguments) {
        budget.scan(text.text().length());
        switch (name) {
            case "trim" -> {
                return attributes
                        .strings()
                        .strip(text, "strip", arguments.bind(name, "chars").stringOrNull("chars"));
            }
            case "replace" -> {
                Bound bound = arguments.bind(name, "old", "new", "count");
                Value count = bound.get("count", None.NONE);
                int most = count instanceof None ? -1 : bound.integer("count", -1);
                Str old = repr.str(bound.require("old"));
                Str with = repr.str(bound.require("new"));
                return attributes.strings().replace(text, old, with, most < 0 ? Integer.MAX_VALUE : most);
            }
            case "center" -> {
                int width = arguments.bind(name, "width").integer("width", 80);
                return attributes.strings().pad(text, name, width, Str.literal(" "));
            }
            case "indent" -> {
                return indent(text, arguments.bind(name, "width", "first", "blank"));
            }
            case "truncate" -> {
                return truncate(text, arguments.bind(name, "length", "killwords", "end", "leeway"));
            }
            default -> arguments.bind(name);
        }
        return switch (name) {
            case "upper", "lower", "capitalize" -> attributes.strings().cased(text, name);
            case "title" -> title(text);
            case "safe" -> text.safe(true);
            case "e", "escape" -> text.safe() ? text : arithmetic.escape(text);
            case "forceescape" -> arithmetic.escape(text);
            case "wordcount" -> {
                budget.scan(text.text().length() * 4L);
                yield Int.of(WORD.matcher(text.text()).results().count(), text.content());
            }
            default -> text;
        };
    }

    /// Jinja's own idea of words, not that of `str.title`.
    private Str title(Str text) {
        Text out = new Text(budget);
        String chars = text.text();
        Matcher breaks = TITLE_BREAK.matcher(chars);
        int word = 0;
        while (word < chars.length()) {
            budget.steps(4);
            boolean found = breaks.find(word);
            int wordEnd = found ? breaks.start() : chars.length();
            if (word < wordEnd) {
                int rest = chars.offsetByCodePoints(word, 1);
                out.append(text.slice(word, rest).map(budget, Unicode::upper));
                out.append(text.slice(rest, wordEnd).map(budget, Unicode::lower));
            }
            word = found ? breaks.end() : wordEnd;
            out.append(text, wordEnd, word);
        }
        return out.toStr();
    }

    private Str indent(Str text, Bound bound) {
        Value width = bound.get("width", Int.of(4));
        Str indentation = width instanceof Str s
                ? s
                : new Text(budget)
                        .repeat(Str.literal(" "), bound.integer("width", 4))
                        .toStr();
        boolean blank = bound.flag("blank", false);
        Text out = new Text(budget);
        if (bound.flag("first", false)) {
            out.append(indentation);
        }
        String whole = text.text();
        int begin = 0;
        while (true) {
            int newline = whole.indexOf('\n', begin);
            int end = newline < 0 ? whole.length() : newline;
            if (begin > 0 && (blank || end > begin)) {
                out.append(indentation);
            }
            out.append(text, begin, newline < 0 ? end : end + 1);
            if (newline < 0) {
                return out.toStr();
            }
            begin = newline + 1;
        }
    }

    private Str truncate(Str text, Bound bound) {
        int length = bound.integer("length", 255);
        Str end = bound.get("end") == null ? Str.literal("...") : bound.string("end");
        int leeway = bound.integer("leeway", 5);
        if (length < end.length() || leeway < 0) {
            throw Fault.of("AssertionError", "expected length >= " + end.length() + ", got " + length);
        }
        if (text.length() <= (long) length + leeway) {
            return text;
        }
        Str cut = text.slice(0, text.text().offsetByCodePoints(0, length - end.length()));
        int space = cut.text().lastIndexOf(' ');
        if (!bound.flag("killwords", false) && space >= 0) {
            cut = cut.slice(0, space);
        }
        return new Text(budget).append(cut).append(end).toStr();
    }

    private static Value number(String name, Value value, Arguments arguments) {
        return switch (name) {
            case "abs" -> {
                arguments.bind(name);
                yield value instanceof Value.Real f
                        ? new Value.Real(Math.abs(f.value()), f.content())
                        : Int.of(integer(value).abs(), value.content());
            }
            case "round" -> round(value, arguments.bind(name, "precision", "method"));
            case "int" -> {
                Bound bound = arguments.bind(name, "default", "base");
                Value parsed = toInteger(value, bound.integer("base", 10));
                yield parsed instanceof None ? bound.get("default", Int.of(0)) : parsed;
            }
            default -> {
                Bound bound = arguments.bind(name, "default");
                double parsed = toDouble(value);
                yield Double.isNaN(parsed)
                        ? bound.get("default", new Value.Real(0, false))
                        : new Value.Real(parsed, value.content());
            }
        };
    }

    private static BigInteger integer(Value value) {
        if (value instanceof Undefined u) {
            throw u.fault();
        }
        return Arithmetic.asInteger(value);
    }

    private static Value round(Value value, Bound bound) {
        int precision = Math.clamp(bound.integer("precision", 0), -400, 400);
        String method =
                bound.get("method") == null ? "common" : bound.string("method").text();
        RoundingMode mode = switch (method) {
            case "common" -> RoundingMode.HALF_EVEN;
            case "ceil" -> RoundingMode.CEILING;
            case "floor" -> RoundingMode.FLOOR;
            default -> throw Fault.of("FilterArgumentError", "method must be common, ceil or floor");
        };
        if (!(value instanceof Value.Real f)) {
            BigDecimal rounded = new BigDecimal(integer(value)).setScale(precision, mode);
            return method.equals("common")
                    ? Int.of(rounded.toBigInteger(), value.content())
                    : new Value.Real(rounded.doubleValue(), value.content());
        }
        return Double.isNaN(f.value()) || Double.isInfinite(f.value())
                ? f
                : new Value.Real(
                        new BigDecimal(f.value()).setScale(precision, mode).doubleValue(), f.content());
    }

    /// As Python's `int(x)`, or None where that is an error.
    private static Value toInteger(Value value, int base) {
        if (value instanceof Str s) {
            String digits = stripped(s.text());
            if (digits.length() > INTEGER_DIGITS) {
                throw Budget.exceeded("a number of more than " + INTEGER_DIGITS + " digits");
            }
            digits = digits.replaceAll("(?<=[0-9a-zA-Z])_(?=[0-9a-zA-Z])", "");
            Matcher prefixed = PREFIXED.matcher(digits);
            int radix = base;
            if (prefixed.matches()) {
                int own = switch (prefixed.group(2).toLowerCase(Locale.ROOT)) {
                    case "0x" -> 16;
                    case "0o" -> 8;
                    default -> 2;
                };
                if (base == 0 || base == own) {
                    radix = own;
                    digits = prefixed.group(1) + prefixed.group(3);
                }
            }
            try {
                return Int.of(new BigInteger(digits, radix == 0 ? 10 : radix), s.content());
            } catch (NumberFormatException e) {
                double number = toDouble(value);
                return Double.isNaN(number) || Double.isInfinite(number)
                        ? None.NONE
                        : Int.of(new BigDecimal(number).toBigInteger(), s.content());
            }
        }
        boolean finite =
                !(value instanceof Value.Real f) || (!Double.isNaN(f.value()) && !Double.isInfinite(f.value()));
        return Operations.isNumber(value) && finite ? Int.of(Formatting.truncate(value), value.content()) : None.NONE;
    }

    private static String stripped(String text) {
        String rest = text.substring(Unicode.skipSpace(text, 0));
        return rest.substring(0, Unicode.endWithoutSpace(rest));
    }

    /// As Python's `float(x)`, or nan where that is an error.
    private static double toDouble(Value value) {
        if (value instanceof Str s) {
            String text = stripped(s.text());
            if (text.length() > INTEGER_DIGITS) {
                return Double.NaN;
            }
            String digits = text.replaceAll("(?<=[0-9])_(?=[0-9])", "");
            boolean number = digits.matches("[+-]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?");
            return number ? Double.parseDouble(digits) : Double.NaN;
        }
        return Operations.isNumber(value) ? Arithmetic.asDouble(value) : Double.NaN;
    }
}
