package dev.manners.text.jinja;

import dev.manners.BadInput;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/// A rendering's variables as values, each marked as content except for the template's own vocabulary: the special
/// tokens (`bos_token` and every other string named `..._token`), and the roles of messages where they are one of the
/// words every template knows. Templates build control tokens out of roles (`'<|' + message.role + '|>'`), and a word
/// of a closed list can forge nothing.
final class Variables {

    private static final Set<String> ROLES =
            Set.of("system", "developer", "user", "assistant", "tool", "function", "ipython", "model", "observation");
    /// Deeper than any JSON the project reads.
    private static final int DEPTH = 250;
    /// Values in all; a map that holds itself ends here or at the depth.
    private static final int VALUES = 20_000_000;

    final Map<String, Value> values = new HashMap<>();
    /// Each message's index in `messages`, to say which one an error is about.
    final IdentityHashMap<Value, Integer> messages = new IdentityHashMap<>();
    private int count;

    Variables(Map<String, ?> variables) {
        variables.forEach((name, value) -> {
            boolean vocabulary = name.endsWith("_token") && (value instanceof String || isText(value));
            Value converted = convert(value, !vocabulary, name, 0);
            values.put(name, converted);
            if (name.equals("messages") && converted instanceof Value.ListValue list) {
                for (int i = 0; i < list.items().size(); i++) {
                    messages.put(list.items().get(i), i);
                    knownRole(list.items().get(i));
                }
            }
        });
    }

    private static boolean isText(@Nullable Object value) {
        return value instanceof JsonNode node && node.isString();
    }

    private static void knownRole(Value message) {
        if (message instanceof Value.Dict dict && dict.get("role") instanceof Str role && ROLES.contains(role.text())) {
            dict.put(Str.content("role"), Str.literal(role.text()));
        }
    }

    private Value convert(@Nullable Object value, boolean content, String path, int depth) {
        if (depth > DEPTH || ++count > VALUES) {
            throw new BadInput("variable '" + path + "' for the chat template is nested deeper than " + DEPTH
                    + " or holds more than " + VALUES + " values (does it hold itself?)");
        }
        return switch (value) {
            case null -> new Value.None(content);
            case JsonNode node -> json(node, content, path, depth);
            case String s -> Str.of(s, content);
            case Boolean b -> new Value.Bool(b, content);
            case BigInteger i -> Value.Int.of(i, content);
            case Double d -> new Value.Real(d, content);
            case Float f -> new Value.Real(f, content);
            case BigDecimal d -> new Value.Real(d.doubleValue(), content);
            case Long i -> Value.Int.of(i, content);
            case Integer i -> Value.Int.of(i, content);
            case Short i -> Value.Int.of(i, content);
            case Byte i -> Value.Int.of(i, content);
            case Collection<?> items -> {
                List<Value> list = new ArrayList<>(items.size());
                items.forEach(item -> list.add(convert(item, content, path, depth + 1)));
                yield new Value.ListValue(list, content);
            }
            case Map<?, ?> map -> {
                Value.Dict dict = new Value.Dict(content);
                map.forEach((key, item) -> {
                    if (!(key instanceof String name)) {
                        throw new BadInput(
                                "variable '" + path + "' for the chat template has a key that is no string: " + key);
                    }
                    dict.put(Str.of(name, content), convert(item, content, path, depth + 1));
                });
                yield dict;
            }
            default ->
                throw new BadInput("variable '" + path + "' for the chat template holds a "
                        + value.getClass().getSimpleName()
                        + "; expected JSON, a map, a list, a string, a number, true, false or null");
        };
    }

    private Value json(JsonNode node, boolean content, String path, int depth) {
        return switch (node.getNodeType()) {
            case NULL, MISSING -> new Value.None(content);
            case STRING -> Str.of(node.stringValue(), content);
            case BOOLEAN -> new Value.Bool(node.booleanValue(), content);
            case NUMBER -> convert(node.numberValue(), content, path, depth + 1);
            case ARRAY -> {
                List<Value> list = new ArrayList<>(node.size());
                node.values().forEach(item -> list.add(convert(item, content, path, depth + 1)));
                yield new Value.ListValue(list, content);
            }
            case OBJECT -> {
                Value.Dict dict = new Value.Dict(content);
                node.properties()
                        .forEach(entry -> dict.put(
                                Str.of(entry.getKey(), content), convert(entry.getValue(), content, path, depth + 1)));
                yield dict;
            }
            default -> throw new BadInput("variable '" + path + "' for the chat template holds no JSON value");
        };
    }
}
