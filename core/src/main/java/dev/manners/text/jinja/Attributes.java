package dev.manners.text.jinja;

import dev.manners.text.jinja.Arguments.Bound;
import dev.manners.text.jinja.Value.Callable;
import dev.manners.text.jinja.Value.Dict;
import dev.manners.text.jinja.Value.Int;
import dev.manners.text.jinja.Value.ListValue;
import dev.manners.text.jinja.Value.None;
import dev.manners.text.jinja.Value.Sequence;
import dev.manners.text.jinja.Value.Undefined;
import dev.manners.text.jinja.Value.View;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// `target.name` and `target[key]`. As in Jinja a dot tries the attribute, then the key; brackets the other way round:
/// `message.items` is the method, `message['items']` the key if there is one.
final class Attributes implements Formatting.Lookup {

    private static final Set<String> DICT_METHODS = Set.of("get", "keys", "values", "items", "copy", "fromkeys");
    private static final Set<String> LIST_METHODS = Set.of("index", "count", "copy");
    private static final Set<String> DICT_CHANGES = Set.of("clear", "pop", "popitem", "setdefault", "update");
    private static final Set<String> LIST_CHANGES =
            Set.of("append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort");

    private final Budget budget;
    private final Operations operations;
    private final StringMethods strings;

    Attributes(Budget budget, Operations operations, Formatting formatting) {
        this.budget = budget;
        this.operations = operations;
        this.strings = new StringMethods(budget, operations, formatting, this);
    }

    StringMethods strings() {
        return strings;
    }

    @Override
    public Value attribute(Value target, String name) {
        if (target instanceof Undefined u) {
            throw u.fault();
        }
        Value found = own(target, name);
        if (found == null && target instanceof Dict d) {
            found = d.get(name);
        }
        return found != null ? found : new Undefined("'" + describe(target) + "' has no attribute " + Repr.quote(name));
    }

    @Override
    public Value element(Value target, Value key) {
        Value found = switch (target) {
            case Undefined u -> throw u.fault();
            case Dict d -> operations.lookUp(d, key);
            case Str s -> operations.element(s, key);
            case Sequence s -> operations.element(s, key);
            default -> null;
        };
        if (found == null && key instanceof Str name) {
            found = own(target, name.text());
        }
        if (found != null) {
            return found;
        }
        if (key instanceof Str name) {
            return new Undefined("'" + describe(target) + "' has no attribute " + Repr.quote(name.text()));
        }
        Text shown = new Text(budget);
        new Repr(budget).repr(key, shown);
        return new Undefined(
                describe(target) + " has no element " + shown.toStr().text());
    }

    /// What Python's `getattr` finds, or null.
    @Nullable
    Value own(Value target, String name) {
        if (name.startsWith("__")) {
            throw Fault.of(
                    "SecurityError", "access to attribute '" + name + "' of '" + target.type() + "' object is unsafe");
        }
        return switch (target) {
            case Str s
            when StringMethods.NAMES.contains(name) -> method(name, arguments -> strings.call(s, name, arguments));
            case Dict d when DICT_CHANGES.contains(name) -> change(target, name);
            case Dict d when DICT_METHODS.contains(name) -> method(name, arguments -> call(d, name, arguments));
            case ListValue l when LIST_CHANGES.contains(name) -> change(target, name);
            case Sequence l
            when LIST_METHODS.contains(name) && !(name.equals("copy") && !(l instanceof ListValue)) ->
                method(name, arguments -> call(l, name, arguments));
            case Value.Namespace n -> n.attributes().get(name);
            case Value.LoopValue l -> l.loop().attribute(name);
            case Callable c when c.type().equals("macro") && name.equals("name") -> Str.literal(c.name());
            default -> null;
        };
    }

    private static Callable method(String name, Callable.Body body) {
        return new Callable("method", name, body);
    }

    private static Callable change(Value target, String name) {
        return method(name, arguments -> {
            throw Fault.of(
                    "SecurityError",
                    "access to attribute '" + name + "' of '" + target.type()
                            + "' object is unsafe: a chat template may not change lists and mappings");
        });
    }

    private Value call(Dict dict, String name, Arguments arguments) {
        if (name.equals("get")) {
            Bound bound = arguments.bind("get", "key", "default");
            Value found = operations.lookUp(dict, bound.require("key"));
            return found != null ? found : bound.get("default", None.NONE);
        }
        if (name.equals("fromkeys")) {
            throw Fault.unsupported("dict.fromkeys() in a chat template");
        }
        arguments.bind(name);
        budget.elements(dict.size());
        return switch (name) {
            case "keys" -> new View("dict_keys", dict.keys());
            case "values" -> new View("dict_values", dict.values());
            case "items" -> new View("dict_items", dict.pairs());
            default -> dict;
        };
    }

    private Value call(Sequence sequence, String name, Arguments arguments) {
        if (name.equals("copy")) {
            arguments.bind(name);
            return sequence;
        }
        Value wanted = arguments.bind(name, "value").require("value");
        List<Value> items = sequence.items();
        int count = 0;
        for (int i = 0; i < items.size(); i++) {
            if (operations.equal(items.get(i), wanted)) {
                if (name.equals("index")) {
                    return Int.of(i, sequence.content());
                }
                count++;
            }
        }
        if (name.equals("index")) {
            throw Fault.value("the value is not in the list");
        }
        return Int.of(count, sequence.content());
    }

    private static String describe(Value target) {
        return switch (target) {
            case None n -> "None";
            case Value.Namespace n -> "jinja2.utils.Namespace object";
            case Value.LoopValue l -> "jinja2.runtime.LoopContext object";
            default -> target.type() + " object";
        };
    }
}
