package dev.manners.text.jinja;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Everything a template can hold: Python's values as far as chat templates need them, and nothing of the host's.
///
/// Strings and, because they can be printed, numbers and constants know whether they come from content: from the
/// rendering's variables and not from the template.
sealed interface Value
        permits Str,
                Value.None,
                Value.Bool,
                Value.Int,
                Value.Real,
                Value.Undefined,
                Value.Sequence,
                Value.Dict,
                Value.View,
                Value.Once,
                Value.Namespace,
                Value.Callable,
                Value.LoopValue {

    /// Python's name of the type, for messages.
    String type();

    /// Whether the value itself came from the variables; of a string, see [Str#runs()].
    default boolean content() {
        return false;
    }

    record None(boolean content) implements Value {
        static final None NONE = new None(false);

        @Override
        public String type() {
            return "NoneType";
        }
    }

    record Bool(boolean value, boolean content) implements Value {
        static final Bool TRUE = new Bool(true, false);
        static final Bool FALSE = new Bool(false, false);

        static Bool of(boolean value) {
            return value ? TRUE : FALSE;
        }

        @Override
        public String type() {
            return "bool";
        }
    }

    record Int(BigInteger value, boolean content) implements Value {
        static Int of(long value) {
            return new Int(BigInteger.valueOf(value), false);
        }

        static Int of(long value, boolean content) {
            return new Int(BigInteger.valueOf(value), content);
        }

        static Int of(BigInteger value, boolean content) {
            if (value.bitLength() > Budget.INTEGER_BITS) {
                throw Budget.exceeded("an integer of more than " + Budget.INTEGER_BITS + " bits");
            }
            return new Int(value, content);
        }

        @Override
        public String type() {
            return "int";
        }
    }

    record Real(double value, boolean content) implements Value {
        @Override
        public String type() {
            return "float";
        }
    }

    /// What a missing variable, key or attribute evaluates to: prints as nothing, and most uses of it are an error.
    record Undefined(String hint) implements Value {
        @Override
        public String type() {
            return "Undefined";
        }

        Fault fault() {
            return Fault.undefined(hint);
        }
    }

    /// Values that hold others in order and can be indexed.
    sealed interface Sequence extends Value permits ListValue, Tuple, Range {
        List<Value> items();
    }

    record ListValue(List<Value> items, boolean content) implements Sequence {
        ListValue(List<Value> items) {
            this(items, false);
        }

        @Override
        public String type() {
            return "list";
        }
    }

    record Tuple(List<Value> items) implements Sequence {
        static Tuple of(Value... items) {
            return new Tuple(List.of(items));
        }

        @Override
        public String type() {
            return "tuple";
        }
    }

    record Range(long start, long stop, long step, List<Value> items) implements Sequence {
        @Override
        public String type() {
            return "range";
        }
    }

    /// A mapping in insertion order. Keys compare as Python's do: 1, 1.0 and True are one key.
    final class Dict implements Value {
        private final Map<Object, Map.Entry<Value, Value>> entries = new LinkedHashMap<>();
        private final boolean content;

        Dict(boolean content) {
            this.content = content;
        }

        @Override
        public String type() {
            return "dict";
        }

        @Override
        public boolean content() {
            return content;
        }

        int size() {
            return entries.size();
        }

        @Nullable
        Value get(Value key) {
            Map.Entry<Value, Value> entry = entries.get(Key.of(key));
            return entry == null ? null : entry.getValue();
        }

        @Nullable
        Value get(String key) {
            Map.Entry<Value, Value> entry = entries.get(key);
            return entry == null ? null : entry.getValue();
        }

        /// As in Python the first key object stays when the value is replaced.
        void put(Value key, Value value) {
            Object canonical = Key.of(key);
            Map.Entry<Value, Value> old = entries.get(canonical);
            entries.put(canonical, Map.entry(old == null ? key : old.getKey(), value));
        }

        Collection<Map.Entry<Value, Value>> entries() {
            return entries.values();
        }

        List<Value> keys() {
            List<Value> keys = new ArrayList<>(entries.size());
            entries.values().forEach(entry -> keys.add(entry.getKey()));
            return keys;
        }

        List<Value> values() {
            List<Value> values = new ArrayList<>(entries.size());
            entries.values().forEach(entry -> values.add(entry.getValue()));
            return values;
        }

        List<Value> pairs() {
            List<Value> pairs = new ArrayList<>(entries.size());
            entries.values().forEach(entry -> pairs.add(Tuple.of(entry.getKey(), entry.getValue())));
            return pairs;
        }
    }

    /// `dict.keys()`, `.values()` and `.items()`: can be walked again and again and counted, not indexed.
    record View(String type, List<Value> items) implements Value {}

    /// What lazy filters return: can be walked once, has no length, is always true.
    record Once(String type, Iterator<Value> items) implements Value {
        Once(List<Value> items) {
            this("generator", items.iterator());
        }
    }

    /// `namespace(...)`: the only value a template can change.
    record Namespace(Map<String, Value> attributes) implements Value {
        @Override
        public String type() {
            return "Namespace";
        }
    }

    /// Something to call: a global function, a bound method, a macro.
    record Callable(String type, String name, Body body) implements Value {
        interface Body {
            Value call(Arguments arguments);
        }
    }

    /// `loop` inside a for.
    record LoopValue(Loop loop) implements Value {
        @Override
        public String type() {
            return "LoopContext";
        }
    }

    /// A dictionary key by Python's equality, as something Java's maps can use.
    final class Key {
        private Key() {}

        static Object of(Value value) {
            return switch (value) {
                case Str s -> s.text();
                case Int i -> i.value();
                case Bool b -> b.value() ? BigInteger.ONE : BigInteger.ZERO;
                case Real f ->
                    f.value() == Math.rint(f.value()) && !Double.isInfinite(f.value())
                            ? new java.math.BigDecimal(f.value()).toBigInteger()
                            : Double.valueOf(f.value());
                case None n -> None.NONE;
                case Tuple t -> {
                    List<Object> keys = new ArrayList<>(t.items().size());
                    for (Value item : t.items()) {
                        if (item instanceof Tuple) {
                            throw Fault.unsupported("a tuple in a tuple cannot be a key of a dict");
                        }
                        keys.add(of(item));
                    }
                    yield List.copyOf(keys);
                }
                default -> throw Fault.type("unhashable type: '" + value.type() + "'");
            };
        }
    }
}
