package dev.manners.text.jinja;

import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Names and their values in one block: a `for` or a macro has its own, an `if` does not.
final class Scope {

    private final Map<String, Value> values;
    private final @Nullable Scope outer;

    Scope(Map<String, Value> values, @Nullable Scope outer) {
        this.values = values;
        this.outer = outer;
    }

    Scope inner() {
        return new Scope(new HashMap<>(4), this);
    }

    @Nullable
    Value get(String name) {
        for (Scope scope = this; scope != null; scope = scope.outer) {
            Value value = scope.values.get(name);
            if (value != null) {
                return value;
            }
        }
        return null;
    }

    void set(String name, Value value) {
        values.put(name, value);
    }
}
