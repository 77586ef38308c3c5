package dev.manners.text.jinja;

import java.math.BigInteger;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// What a call passes.
record Arguments(List<Value> positional, Map<String, Value> named) {

    static Arguments of(Value... positional) {
        return new Arguments(List.of(positional), Map.of());
    }

    boolean isEmpty() {
        return positional.isEmpty() && named.isEmpty();
    }

    /// Gives arguments to parameters by position or name; what nobody takes is an error.
    Bound bind(String function, String... parameters) {
        if (positional.size() > parameters.length) {
            throw Fault.type(
                    function + "() takes at most " + parameters.length + " arguments, got " + positional.size());
        }
        List<String> names = List.of(parameters);
        for (String name : named.keySet()) {
            int at = names.indexOf(name);
            if (at < 0) {
                throw Fault.type(function + "() got an unexpected keyword argument '" + name + "'");
            }
            if (at < positional.size()) {
                throw Fault.type(function + "() got multiple values for argument '" + name + "'");
            }
        }
        return new Bound(function, names, this);
    }

    /// Arguments with names.
    record Bound(String function, List<String> names, Arguments arguments) {

        @Nullable
        Value get(String name) {
            int at = names.indexOf(name);
            return at < arguments.positional.size() ? arguments.positional.get(at) : arguments.named.get(name);
        }

        Value get(String name, Value otherwise) {
            Value value = get(name);
            return value == null ? otherwise : value;
        }

        Value require(String name) {
            Value value = get(name);
            if (value == null) {
                throw Fault.type(function + "() missing required argument '" + name + "'");
            }
            return value;
        }

        Str string(String name) {
            return asString(name, require(name));
        }

        /// Null if absent or None.
        @Nullable
        Str stringOrNull(String name) {
            Value value = get(name);
            return value == null || value instanceof Value.None ? null : asString(name, value);
        }

        private Str asString(String name, Value value) {
            if (value instanceof Value.Undefined u) {
                throw u.fault();
            }
            if (value instanceof Str s) {
                return s;
            }
            throw Fault.type(function + "() argument '" + name + "' must be str, not " + value.type());
        }

        /// Far values are cut to what an int holds, which no string or list is longer than.
        int integer(String name, int otherwise) {
            Value value = get(name);
            if (value == null) {
                return otherwise;
            }
            if (value instanceof Value.Undefined u) {
                throw u.fault();
            }
            return Arithmetic.asInteger(value)
                    .max(BigInteger.valueOf(Integer.MIN_VALUE))
                    .min(BigInteger.valueOf(Integer.MAX_VALUE))
                    .intValue();
        }

        boolean flag(String name, boolean otherwise) {
            Value value = get(name);
            return value == null
                    ? otherwise
                    : switch (value) {
                        case Value.Bool b -> b.value();
                        case Value.None n -> false;
                        case Value.Int i -> i.value().signum() != 0;
                        default ->
                            throw Fault.type(
                                    function + "() argument '" + name + "' must be true or false, not " + value.type());
                    };
        }
    }
}
