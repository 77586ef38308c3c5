package dev.manners.data;

import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/// Lists of chat messages in a row: ShareGPT's words made OpenAI's, and what no template can make sense of refused.
final class Conversations {

    private static final Set<String> ROLES = Set.of("system", "developer", "user", "assistant", "tool");
    private static final Map<String, String> SHARE_GPT =
            Map.of("human", "user", "gpt", "assistant", "observation", "tool");

    private Conversations() {}

    /// The list in a column, every message an object with `role`.
    static ArrayNode read(Row row, String column) {
        JsonNode list = row.fields().get(column);
        if (!(list instanceof ArrayNode array)) {
            throw new BadRow(row.source(), "column " + column + found(list), "Expected a list of messages");
        }
        if (array.isEmpty()) {
            throw new BadRow(row.source(), "column " + column + " is an empty list", "Expected at least one message");
        }
        ArrayNode messages = JsonNodeFactory.instance.arrayNode(array.size());
        for (int i = 0; i < array.size(); i++) {
            if (!(array.get(i) instanceof ObjectNode message)) {
                throw new BadRow(
                        row.source(),
                        "message %d of %s%s".formatted(i + 1, column, found(array.get(i))),
                        "Expected an object with role and content");
            }
            messages.add(message.has("from") && !message.has("role") ? renamed(message) : message);
        }
        return messages;
    }

    private static ObjectNode renamed(ObjectNode message) {
        ObjectNode renamed = JsonNodeFactory.instance.objectNode();
        message.properties().forEach(entry -> {
            switch (entry.getKey()) {
                case "from" -> {
                    String from = entry.getValue().asString("");
                    renamed.put("role", SHARE_GPT.getOrDefault(from, from));
                }
                case "value" -> renamed.set("content", entry.getValue());
                default -> renamed.set(entry.getKey(), entry.getValue());
            }
        });
        return renamed;
    }

    /// Roles known, a system message only in front, no two assistant messages in a row, every message with content.
    static void check(Row row, String column, ArrayNode messages) {
        String before = "";
        for (int i = 0; i < messages.size(); i++) {
            JsonNode message = messages.get(i);
            String which = "message %d of %s ".formatted(i + 1, column);
            String role = message.path("role").asString("");
            if (!ROLES.contains(role)) {
                throw new BadRow(
                        row.source(),
                        which + "has the role " + message.path("role"),
                        "Expected system, developer, user, assistant or tool");
            }
            if (i > 0 && (role.equals("system") || role.equals("developer"))) {
                throw new BadRow(
                        row.source(), which + "is a " + role + " message", "Expected it in front or not at all");
            }
            if (role.equals("assistant") && before.equals("assistant")) {
                throw new BadRow(
                        row.source(), which + "follows another of the assistant's", "Join them, or put a user between");
            }
            checkContent(row, which, role, message);
            before = role;
        }
    }

    private static void checkContent(Row row, String which, String role, JsonNode message) {
        JsonNode content = message.get("content");
        if (content == null || content.isNull()) {
            if (role.equals("assistant") && message.path("tool_calls").isArray()) {
                return;
            }
            throw new BadRow(row.source(), which + "has no content", "Expected a string");
        }
        if (content.isString()) {
            wellFormed(row, which, content.asString());
            return;
        }
        if (content.isArray()) {
            for (JsonNode part : content) {
                if (!part.path("type").asString("").equals("text")
                        || !part.path("text").isString()) {
                    throw new BadRow(
                            row.source(),
                            which + "has a part that is not text: " + part.path("type"),
                            "Leave out images and audio; only text is trained on");
                }
                wellFormed(row, which, part.path("text").asString());
            }
            return;
        }
        throw new BadRow(row.source(), which + "content" + found(content), "Expected a string");
    }

    /// NUL and half a surrogate pair are what a wrong encoding leaves behind, and no tokenizer keeps them apart.
    static String wellFormed(Row row, String what, String text) {
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == 0) {
                throw new BadRow(row.source(), what + " holds a NUL character, at " + i, "Take it out");
            }
            if (Character.isSurrogate(c)) {
                if (Character.isHighSurrogate(c)
                        && i + 1 < text.length()
                        && Character.isLowSurrogate(text.charAt(i + 1))) {
                    i++;
                } else {
                    throw new BadRow(
                            row.source(),
                            what + " holds half a surrogate pair, \\u%04x, at %d".formatted((int) c, i),
                            "Write the whole character");
                }
            }
        }
        return text;
    }

    static String found(@Nullable JsonNode value) {
        return value == null
                ? " is missing"
                : value.isNull()
                        ? " is null"
                        : " is " + value.getNodeType().name().toLowerCase(java.util.Locale.ROOT);
    }
}
