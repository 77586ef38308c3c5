package dev.manners.text.jinja;

import java.math.BigDecimal;
import java.util.List;
import java.util.Map;

/// Python's `str()` and `repr()`: what a value looks like when a template prints it.
final class Repr {

    private static final int QUOTED = 200;

    private final Budget budget;

    Repr(Budget budget) {
        this.budget = budget;
    }

    /// Python's `str`.
    Str str(Value value) {
        return switch (value) {
            case Str s -> s;
            case Value.Undefined u -> Str.EMPTY;
            case Value.None n -> Str.of("None", n.content());
            case Value.Bool b -> Str.of(b.value() ? "True" : "False", b.content());
            case Value.Int i -> Str.of(i.value().toString(), i.content());
            case Value.Real f -> Str.of(number(f.value()), f.content());
            default -> {
                Text text = new Text(budget);
                repr(value, text);
                yield text.toStr();
            }
        };
    }

    /// Python's `repr`.
    void repr(Value value, Text out) {
        budget.enter();
        boolean content = value.content();
        switch (value) {
            case Str s -> {
                char quote = s.text().indexOf('\'') >= 0 && s.text().indexOf('"') < 0 ? '"' : '\'';
                out.append(String.valueOf(quote), content);
                out.append(s.map(budget, run -> escape(run, quote)));
                out.append(String.valueOf(quote), content);
            }
            case Value.Undefined u -> out.append("Undefined", false);
            case Value.ListValue l -> items(l.items(), "[", "]", content, out);
            case Value.Tuple t -> items(t.items(), "(", t.items().size() == 1 ? ",)" : ")", content, out);
            case Value.Range r ->
                out.append(
                        "range(" + r.start() + ", " + r.stop() + (r.step() == 1 ? "" : ", " + r.step()) + ")", false);
            case Value.Dict d -> dict(d, out);
            case Value.View v -> items(v.items(), v.type() + "([", "])", content, out);
            case Value.None n -> out.append(str(value));
            case Value.Bool b -> out.append(str(value));
            case Value.Int i -> out.append(str(value));
            case Value.Real f -> out.append(str(value));
            case Value.Once o -> throw unprintable(o);
            case Value.Namespace n -> throw unprintable(n);
            case Value.Callable c -> throw unprintable(c);
            case Value.LoopValue l -> throw unprintable(l);
        }
        budget.leave();
    }

    private static Fault unprintable(Value value) {
        String what = value instanceof Value.Callable c ? c.type() + " '" + c.name() + "'" : value.type() + " object";
        return Fault.unsupported("a " + what + " cannot be printed: did the template forget to call or list it?");
    }

    private void items(List<Value> items, String open, String close, boolean content, Text out) {
        out.append(open, content);
        boolean first = true;
        for (Value item : items) {
            if (!first) {
                out.append(", ", content);
            }
            first = false;
            repr(item, out);
        }
        out.append(close, content);
    }

    private void dict(Value.Dict dict, Text out) {
        boolean content = dict.content();
        out.append("{", content);
        boolean first = true;
        for (Map.Entry<Value, Value> entry : dict.entries()) {
            if (!first) {
                out.append(", ", content);
            }
            first = false;
            repr(entry.getKey(), out);
            out.append(": ", content);
            repr(entry.getValue(), out);
        }
        out.append("}", content);
    }

    /// For messages, which a template may make by the million: long texts are cut.
    static String quote(String whole) {
        String text = whole.length() <= QUOTED ? whole : whole.substring(0, QUOTED) + "...";
        char quote = text.indexOf('\'') >= 0 && text.indexOf('"') < 0 ? '"' : '\'';
        return quote + escape(text, quote) + quote;
    }

    private static String escape(String text, char quote) {
        StringBuilder escaped = new StringBuilder(text.length() + 8);
        text.codePoints().forEach(c -> {
            switch (c) {
                case '\\' -> escaped.append("\\\\");
                case '\n' -> escaped.append("\\n");
                case '\r' -> escaped.append("\\r");
                case '\t' -> escaped.append("\\t");
                default -> {
                    if (c == quote) {
                        escaped.append('\\').appendCodePoint(c);
                    } else if (Unicode.isPrintable(c)) {
                        escaped.appendCodePoint(c);
                    } else if (c < 0x100) {
                        escaped.append(String.format("\\x%02x", c));
                    } else {
                        escaped.append(String.format(c < 0x10000 ? "\\u%04x" : "\\U%08x", c));
                    }
                }
            }
        });
        return escaped.toString();
    }

    /// Python's `repr` of a float: the shortest digits that round-trip, with an exponent below 1e-4 and from 1e16.
    static String number(double value) {
        if (Double.isNaN(value)) {
            return "nan";
        }
        if (Double.isInfinite(value)) {
            return value > 0 ? "inf" : "-inf";
        }
        String sign = Double.doubleToRawLongBits(value) < 0 ? "-" : "";
        if (value == 0) {
            return sign + "0.0";
        }
        BigDecimal decimal = new BigDecimal(Double.toString(Math.abs(value))).stripTrailingZeros();
        String digits = decimal.unscaledValue().toString();
        int exponent = digits.length() - decimal.scale() - 1;
        if (exponent >= -4 && exponent < 16) {
            String plain = decimal.toPlainString();
            return sign + plain + (plain.indexOf('.') < 0 ? ".0" : "");
        }
        String fraction = digits.length() > 1 ? "." + digits.substring(1) : "";
        return sign
                + digits.charAt(0)
                + fraction
                + String.format("e%s%02d", exponent < 0 ? "-" : "+", Math.abs(exponent));
    }
}
