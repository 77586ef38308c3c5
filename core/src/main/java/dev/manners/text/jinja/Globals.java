package dev.manners.text.jinja;

import dev.manners.text.jinja.Arguments.Bound;
import dev.manners.text.jinja.Value.Callable;
import dev.manners.text.jinja.Value.Dict;
import dev.manners.text.jinja.Value.Int;
import dev.manners.text.jinja.Value.Namespace;
import java.time.Clock;
import java.time.ZonedDateTime;
import java.util.AbstractList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// The functions every template can call. There are no others.
final class Globals {

    private final Budget budget;
    private final Operations operations;
    private final Repr repr;

    private Globals(Budget budget, Operations operations) {
        this.budget = budget;
        this.operations = operations;
        this.repr = new Repr(budget);
    }

    static Map<String, Value> of(Budget budget, Operations operations, Clock clock) {
        Globals globals = new Globals(budget, operations);
        Map<String, Value> values = new HashMap<>();
        globals.define(values, "range", globals::range);
        globals.define(values, "dict", arguments -> globals.dict(arguments, "dict"));
        globals.define(values, "namespace", arguments -> {
            Map<String, Value> attributes = new HashMap<>();
            globals.dict(arguments, "namespace")
                    .entries()
                    .forEach(entry ->
                            attributes.put(globals.repr.str(entry.getKey()).text(), entry.getValue()));
            return new Namespace(attributes);
        });
        globals.define(values, "cycler", globals::cycler);
        globals.define(values, "joiner", globals::joiner);
        globals.define(values, "raise_exception", arguments -> {
            Value message = arguments.bind("raise_exception", "message").require("message");
            throw Fault.of("TemplateError", globals.repr.str(message).text());
        });
        globals.define(values, "strftime_now", arguments -> {
            String format =
                    arguments.bind("strftime_now", "format").string("format").text();
            return Str.literal(Strftime.format(ZonedDateTime.now(clock), format));
        });
        return values;
    }

    private void define(Map<String, Value> values, String name, Callable.Body body) {
        values.put(name, new Callable("function", name, body));
    }

    private Dict dict(Arguments arguments, String function) {
        if (arguments.positional().size() > 1) {
            throw Fault.type(function + " expected at most 1 argument, got "
                    + arguments.positional().size());
        }
        Dict dict = new Dict(false);
        for (Value source : arguments.positional()) {
            if (source instanceof Dict other) {
                other.entries().forEach(entry -> dict.put(entry.getKey(), entry.getValue()));
            } else {
                for (Value pair : operations.list(source)) {
                    List<Value> parts = operations.list(pair);
                    if (parts.size() != 2) {
                        throw Fault.value(
                                "dictionary update sequence element has length " + parts.size() + "; 2 is required");
                    }
                    dict.put(parts.get(0), parts.get(1));
                }
            }
        }
        arguments.named().forEach((name, value) -> dict.put(Str.literal(name), value));
        budget.elements(dict.size());
        return dict;
    }

    private Value range(Arguments arguments) {
        boolean single = arguments.positional().size() == 1;
        Bound bound = single ? arguments.bind("range", "stop") : arguments.bind("range", "start", "stop", "step");
        bound.require("stop");
        long start = single ? 0 : bound.integer("start", 0);
        long stop = bound.integer("stop", 0);
        long step = single ? 1 : bound.integer("step", 1);
        if (start == Integer.MIN_VALUE || start == Integer.MAX_VALUE) {
            throw Fault.of("OverflowError", "range() starts at a number of more than 31 bits");
        }
        if (step == 0) {
            throw Fault.value("range() arg 3 must not be zero");
        }
        long size = Math.max(0, step > 0 ? (stop - start + step - 1) / step : (start - stop - step - 1) / -step);
        if (size > Budget.RANGE) {
            throw Fault.of(
                    "OverflowError", "Range too big. The sandbox blocks ranges larger than " + Budget.RANGE + ".");
        }
        boolean content = arguments.positional().stream().anyMatch(Value::content);
        List<Value> items = new AbstractList<>() {
            @Override
            public Value get(int index) {
                return Int.of(start + index * step, content);
            }

            @Override
            public int size() {
                return (int) size;
            }
        };
        return new Value.Range(start, stop, step, items);
    }

    private Value cycler(Arguments arguments) {
        List<Value> items = arguments.positional();
        if (items.isEmpty() || !arguments.named().isEmpty()) {
            throw Fault.type("cycler() takes at least one item");
        }
        Map<String, Value> attributes = new HashMap<>();
        int[] at = {0};
        attributes.put("current", items.getFirst());
        define(attributes, "next", none -> {
            Value now = items.get(at[0]);
            at[0] = (at[0] + 1) % items.size();
            attributes.put("current", items.get(at[0]));
            return now;
        });
        define(attributes, "reset", none -> {
            at[0] = 0;
            attributes.put("current", items.getFirst());
            return Value.None.NONE;
        });
        return new Namespace(attributes);
    }

    private Value joiner(Arguments arguments) {
        Value separator = arguments.bind("joiner", "sep").get("sep", Str.literal(", "));
        boolean[] used = {false};
        return new Callable("function", "joiner", none -> {
            boolean first = !used[0];
            used[0] = true;
            return first ? Str.EMPTY : separator;
        });
    }
}
