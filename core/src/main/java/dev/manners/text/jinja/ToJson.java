package dev.manners.text.jinja;

import dev.manners.text.jinja.Arguments.Bound;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// The filter `tojson` as Hugging Face defines it: Python's `json.dumps`, non-ASCII kept, no HTML escaping.
final class ToJson {

    private final Budget budget;
    private final Operations operations;
    private final boolean ascii;
    private final boolean sorted;
    private final @Nullable String indent;
    private final String comma;
    private final String colon;
    private final Text out;

    private ToJson(Budget budget, Operations operations, Bound options) {
        this.budget = budget;
        this.operations = operations;
        this.ascii = options.flag("ensure_ascii", false);
        this.sorted = options.flag("sort_keys", false);
        this.indent = indent(options.get("indent"));
        Value separators = options.get("separators");
        if (separators instanceof Value.Sequence s
                && s.items().size() == 2
                && s.items().get(0) instanceof Str first
                && s.items().get(1) instanceof Str second) {
            this.comma = first.text();
            this.colon = second.text();
        } else if (separators == null || separators instanceof Value.None) {
            this.comma = indent == null ? ", " : ",";
            this.colon = ": ";
        } else {
            throw Fault.type("tojson() argument 'separators' must be two strings");
        }
        this.out = new Text(budget);
    }

    static Str of(Budget budget, Operations operations, Value value, Arguments arguments) {
        Bound options = arguments.bind("tojson", "ensure_ascii", "indent", "separators", "sort_keys");
        ToJson json = new ToJson(budget, operations, options);
        json.write(value, 0);
        return json.out.toStr();
    }

    private static @Nullable String indent(@Nullable Value value) {
        if (value == null || value instanceof Value.None) {
            return null;
        }
        if (value instanceof Str s) {
            return s.text();
        }
        int width = Arithmetic.asInteger(value).intValue();
        if (width > 1000) {
            throw Budget.exceeded("an indentation of " + width);
        }
        return " ".repeat(Math.max(0, width));
    }

    private void write(Value value, int depth) {
        budget.enter();
        boolean content = value.content();
        switch (value) {
            case Str s -> string(s);
            case Value.None n -> out.append("null", content);
            case Value.Bool b -> out.append(b.value() ? "true" : "false", content);
            case Value.Int i -> out.append(i.value().toString(), content);
            case Value.Real f -> out.append(number(f.value()), content);
            case Value.ListValue l -> array(l.items(), content, depth);
            case Value.Tuple t -> array(t.items(), content, depth);
            case Value.Dict d -> object(d, depth);
            default -> throw Fault.type("Object of type " + value.type() + " is not JSON serializable");
        }
        budget.leave();
    }

    private static String number(double value) {
        if (Double.isNaN(value)) {
            return "NaN";
        }
        return Double.isInfinite(value) ? (value > 0 ? "Infinity" : "-Infinity") : Repr.number(value);
    }

    private void array(List<Value> items, boolean content, int depth) {
        if (items.isEmpty()) {
            out.append("[]", content);
            return;
        }
        out.append("[", content);
        for (Iterator<Value> rest = items.iterator(); rest.hasNext(); ) {
            newline(depth + 1, content);
            write(rest.next(), depth + 1);
            out.append(rest.hasNext() ? comma : "", content);
        }
        newline(depth, content);
        out.append("]", content);
    }

    private void object(Value.Dict dict, int depth) {
        boolean content = dict.content();
        if (dict.size() == 0) {
            out.append("{}", content);
            return;
        }
        List<Map.Entry<Value, Value>> entries = new ArrayList<>(dict.entries());
        if (sorted) {
            entries.sort((a, b) -> operations.order(a.getKey(), b.getKey()));
        }
        out.append("{", content);
        for (Iterator<Map.Entry<Value, Value>> rest = entries.iterator(); rest.hasNext(); ) {
            Map.Entry<Value, Value> entry = rest.next();
            newline(depth + 1, content);
            key(entry.getKey());
            out.append(colon, content);
            write(entry.getValue(), depth + 1);
            out.append(rest.hasNext() ? comma : "", content);
        }
        newline(depth, content);
        out.append("}", content);
    }

    private void key(Value key) {
        string(
                switch (key) {
                    case Str s -> s;
                    case Value.None n -> Str.of("null", n.content());
                    case Value.Bool b -> Str.of(b.value() ? "true" : "false", b.content());
                    case Value.Int i -> Str.of(i.value().toString(), i.content());
                    case Value.Real f -> Str.of(number(f.value()), f.content());
                    default -> throw Fault.type("keys must be str, int, float, bool or None, not " + key.type());
                });
    }

    private void newline(int depth, boolean content) {
        if (indent != null) {
            out.append("\n", content);
            out.repeat(Str.of(indent, content), depth);
        }
    }

    private void string(Str text) {
        out.append("\"", text.content());
        out.append(text.map(budget, this::escape));
        out.append("\"", text.content());
    }

    private String escape(String text) {
        StringBuilder escaped = new StringBuilder(text.length() + 16);
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            switch (c) {
                case '"' -> escaped.append("\\\"");
                case '\\' -> escaped.append("\\\\");
                case '\n' -> escaped.append("\\n");
                case '\r' -> escaped.append("\\r");
                case '\t' -> escaped.append("\\t");
                case '\b' -> escaped.append("\\b");
                case '\f' -> escaped.append("\\f");
                default -> {
                    if (c < 0x20 || (ascii && c > 0x7f)) {
                        escaped.append("\\u")
                                .append(Character.forDigit(c >> 12, 16))
                                .append(Character.forDigit(c >> 8 & 15, 16))
                                .append(Character.forDigit(c >> 4 & 15, 16))
                                .append(Character.forDigit(c & 15, 16));
                    } else {
                        escaped.append(c);
                    }
                }
            }
        }
        return escaped.toString();
    }
}
