package dev.manners.text.jinja;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/// The state of a running `for`: what `loop.index` and its like read. Items are drawn one by one, as in Jinja, because
/// a loop's filter may depend on what the body did before.
final class Loop {

    private final Operations operations;
    private final int depth0;
    /// Renders the loop's body over other items: `loop(...)` of a recursive loop.
    final @Nullable Recursion recursion;

    private Iterator<Value> items;
    private @Nullable Value before;
    private @Nullable Value current;
    private @Nullable Value after;
    private int index0 = -1;
    private @Nullable Value changed;

    interface Recursion {
        Value render(Value items, int depth0);
    }

    Loop(Operations operations, Iterator<Value> items, int depth0, @Nullable Recursion recursion) {
        this.operations = operations;
        this.items = items;
        this.depth0 = depth0;
        this.recursion = recursion;
    }

    int depth0() {
        return depth0;
    }

    /// The next item, or null at the end.
    @Nullable
    Value advance() {
        Value next = peek();
        if (next != null) {
            before = current;
            current = next;
            after = null;
            index0++;
        }
        return next;
    }

    private @Nullable Value peek() {
        if (after == null && items.hasNext()) {
            after = items.next();
        }
        return after;
    }

    int length() {
        List<Value> rest = new ArrayList<>();
        items.forEachRemaining(rest::add);
        items = rest.iterator();
        return index0 + 1 + (after == null ? 0 : 1) + rest.size();
    }

    @Nullable
    Value attribute(String name) {
        return switch (name) {
            case "index" -> Value.Int.of(index0 + 1);
            case "index0" -> Value.Int.of(index0);
            case "revindex" -> Value.Int.of(length() - index0);
            case "revindex0" -> Value.Int.of(length() - index0 - 1);
            case "first" -> Value.Bool.of(index0 == 0);
            case "last" -> Value.Bool.of(peek() == null);
            case "length" -> Value.Int.of(length());
            case "depth" -> Value.Int.of(depth0 + 1);
            case "depth0" -> Value.Int.of(depth0);
            case "previtem" -> Objects.requireNonNullElse(before, new Value.Undefined("there is no previous item"));
            case "nextitem" -> Objects.requireNonNullElse(peek(), new Value.Undefined("there is no next item"));
            case "cycle" ->
                new Value.Callable("method", name, arguments -> {
                    if (arguments.positional().isEmpty()) {
                        throw Fault.type("no items for cycling given");
                    }
                    return arguments
                            .positional()
                            .get(index0 % arguments.positional().size());
                });
            case "changed" ->
                new Value.Callable("method", name, arguments -> {
                    Value now = new Value.Tuple(arguments.positional());
                    boolean differs = changed == null || !operations.equal(changed, now);
                    changed = now;
                    return Value.Bool.of(differs);
                });
            default -> null;
        };
    }
}
