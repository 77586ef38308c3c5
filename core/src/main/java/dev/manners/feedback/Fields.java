package dev.manners.feedback;

import dev.manners.BadInput;
import dev.manners.files.Json;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/// A JSON object read field by field; what is wrong is told with the place.
///
/// @param where file and line, or table and row
record Fields(String where, ObjectNode object) {

    static Fields of(String where, JsonNode node) {
        if (node instanceof ObjectNode object) {
            return new Fields(where, object);
        }
        throw new BadInput(where + ": expected an object, found " + found(node));
    }

    /// The value, or null where it is absent or null.
    @Nullable
    JsonNode get(String key) {
        JsonNode value = object.get(key);
        return value == null || value.isNull() ? null : value;
    }

    BadInput bad(String key, String expected) {
        return new BadInput(where + ": " + key + ": expected " + expected + ", found " + found(object.get(key)));
    }

    private static String found(@Nullable JsonNode value) {
        if (value == null) {
            return "nothing";
        }
        String text = value.toString();
        return text.length() > 100 ? text.substring(0, 100) + "…" : text;
    }

    String text(String key) {
        String text = textOr(key, null);
        if (text == null) {
            throw bad(key, "a string");
        }
        return text;
    }

    @Nullable
    String textOr(String key, @Nullable String absent) {
        JsonNode value = get(key);
        if (value == null) {
            return absent;
        }
        if (!value.isString()) {
            throw bad(key, "a string");
        }
        return value.asString();
    }

    long number(String key) {
        Long number = numberOrNull(key);
        if (number == null) {
            throw bad(key, "a whole number");
        }
        return number;
    }

    @Nullable
    Long numberOrNull(String key) {
        JsonNode value = get(key);
        if (value == null) {
            return null;
        }
        if (!value.isIntegralNumber() || !value.canConvertToLong()) {
            throw bad(key, "a whole number");
        }
        return value.longValue();
    }

    @Nullable
    Integer intOrNull(String key) {
        Long number = numberOrNull(key);
        if (number != null && number != number.intValue()) {
            throw bad(key, "a smaller number");
        }
        return number == null ? null : number.intValue();
    }

    boolean flag(String key) {
        JsonNode value = get(key);
        if (value != null && !value.isBoolean()) {
            throw bad(key, "true or false");
        }
        return value != null && value.booleanValue();
    }

    /// A list of whole numbers.
    List<Integer> ints(String key) {
        JsonNode value = get(key);
        if (!(value instanceof ArrayNode array)) {
            throw bad(key, "a list of whole numbers");
        }
        List<Integer> ints = new ArrayList<>(array.size());
        for (JsonNode each : array) {
            if (!each.isInt()) {
                throw bad(key, "a list of whole numbers");
            }
            ints.add(each.intValue());
        }
        return ints;
    }

    ObjectNode object(String key) {
        if (get(key) instanceof ObjectNode value) {
            return value;
        }
        throw bad(key, "an object");
    }

    /// A list of objects, each with its own place.
    List<Fields> objects(String key) {
        if (!(get(key) instanceof ArrayNode array)) {
            throw bad(key, "a list of objects");
        }
        List<Fields> objects = new ArrayList<>(array.size());
        for (int i = 0; i < array.size(); i++) {
            objects.add(of(where + ": " + key + "[" + i + "]", array.get(i)));
        }
        return objects;
    }

    <E extends Enum<E>> E choice(String key, Class<E> type) {
        String text = text(key);
        for (E constant : type.getEnumConstants()) {
            if (name(constant).equals(text)) {
                return constant;
            }
        }
        throw bad(
                key,
                Arrays.stream(type.getEnumConstants())
                        .map(Fields::name)
                        .collect(Collectors.joining(", ", "one of ", "")));
    }

    /// "all_bad".
    static String name(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT);
    }

    static ArrayNode ints(List<Integer> ints) {
        ArrayNode array = Json.MAPPER.createArrayNode();
        ints.forEach(array::add);
        return array;
    }
}
