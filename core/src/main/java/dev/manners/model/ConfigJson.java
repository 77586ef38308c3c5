package dev.manners.model;

import dev.manners.BadInput;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/// Reads config.json key by key and collects everything that is wrong with it.
final class ConfigJson {

    private final ObjectNode json;
    private final String source;
    private final List<String> problems = new ArrayList<>();
    /// Keys that are missing or unusable, so that some other value stands in.
    private final Set<String> standIns = new HashSet<>();

    ConfigJson(ObjectNode json, String source) {
        this.json = json;
        this.source = source;
    }

    String text(String key, String byDefault) {
        JsonNode node = json.get(key);
        if (node == null || node.isNull()) {
            return byDefault;
        }
        if (!node.isString()) {
            problems.add(key + " is " + node + ", expected a string");
            return byDefault;
        }
        return node.stringValue();
    }

    int requiredInt(String key) {
        JsonNode node = json.get(key);
        if (node == null || node.isNull()) {
            problems.add("key " + key + " is missing");
            standIns.add(key);
            return 1;
        }
        return integer(key, node, 1);
    }

    int integer(String key, int byDefault) {
        JsonNode node = json.get(key);
        return node == null || node.isNull() ? byDefault : integer(key, node, byDefault);
    }

    private int integer(String key, JsonNode node, int otherwise) {
        if (!node.isIntegralNumber() || !node.canConvertToInt() || node.intValue() < 1) {
            problems.add(key + " is " + node + ", expected a whole number from 1 to " + Integer.MAX_VALUE);
            standIns.add(key);
            return otherwise;
        }
        return node.intValue();
    }

    double number(String key, double byDefault) {
        return number(json, key, byDefault);
    }

    double number(ObjectNode object, String key, double byDefault) {
        JsonNode node = object.get(key);
        if (node == null || node.isNull()) {
            return byDefault;
        }
        if (!node.isNumber() || !Double.isFinite(node.doubleValue()) || node.doubleValue() < 0) {
            problems.add(key + " is " + node + ", expected a finite number, 0 or more");
            return byDefault;
        }
        return node.doubleValue();
    }

    boolean flag(String key, boolean byDefault) {
        JsonNode node = json.get(key);
        if (node == null || node.isNull()) {
            return byDefault;
        }
        if (!node.isBoolean()) {
            problems.add(key + " is " + node + ", expected true or false");
            return byDefault;
        }
        return node.booleanValue();
    }

    @Nullable
    ObjectNode object(String key) {
        JsonNode node = json.get(key);
        return node instanceof ObjectNode object ? object : null;
    }

    void problem(String problem) {
        problems.add(problem);
    }

    void require(boolean holds, String problem) {
        if (!holds) {
            problems.add(problem);
        }
    }

    /// As [#require], for what is worked out from keys: silent where one of them was not there to work with.
    void fits(boolean holds, String problem, String... from) {
        if (!holds && standIns.stream().noneMatch(List.of(from)::contains)) {
            problems.add(problem);
        }
    }

    void finish() {
        if (!problems.isEmpty()) {
            throw BadInput.all(source, problems);
        }
    }
}
