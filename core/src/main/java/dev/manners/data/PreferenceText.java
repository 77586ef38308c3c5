package dev.manners.data;

import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.node.StringNode;

/// What a row for learning from preferences says, whatever its columns were called.
///
/// @param prompt a string or a list of messages; an empty list or string where there is none
/// @param completions likewise; the best first
record PreferenceText(JsonNode prompt, List<JsonNode> completions, Verdict verdict) {

    /// What was said of the completions.
    sealed interface Verdict {

        /// @param ranks ascending
        @SuppressWarnings("ArrayRecordComponent") // compared by nobody
        record Ranks(int[] ranks, @Nullable Double margin) implements Verdict {}

        record Label(boolean label) implements Verdict {}

        /// Nothing yet.
        ///
        /// @param columns all but the prompt
        record None(ObjectNode columns) implements Verdict {}
    }

    /// Two texts of which the longest common beginning is the prompt, without the space at its end; as TRL's
    /// `extract_prompt`. Where one is the other's beginning, its last character is left as its completion.
    static PreferenceText split(String chosen, String rejected, Verdict verdict) {
        int shortest = Math.min(chosen.length(), rejected.length());
        int at = 0;
        while (at < shortest && chosen.charAt(at) == rejected.charAt(at)) {
            at++;
        }
        if (at == shortest) {
            at = Math.max(0, at - 1);
        } else if (at > 0 && chosen.charAt(at - 1) == ' ') {
            at--;
        }
        if (at > 0 && Character.isHighSurrogate(chosen.charAt(at - 1))) {
            at--;
        }
        return new PreferenceText(
                StringNode.valueOf(chosen.substring(0, at)),
                List.of(StringNode.valueOf(chosen.substring(at)), StringNode.valueOf(rejected.substring(at))),
                verdict);
    }

    /// Two conversations of which the longest common beginning is the prompt.
    static PreferenceText split(ArrayNode chosen, ArrayNode rejected, Verdict verdict) {
        int shortest = Math.min(chosen.size(), rejected.size());
        int at = 0;
        while (at < shortest && chosen.get(at).equals(rejected.get(at))) {
            at++;
        }
        at = at == shortest ? Math.max(0, at - 1) : at;
        return new PreferenceText(
                part(chosen, 0, at),
                List.of(part(chosen, at, chosen.size()), part(rejected, at, rejected.size())),
                verdict);
    }

    private static ArrayNode part(ArrayNode messages, int from, int to) {
        ArrayNode part = JsonNodeFactory.instance.arrayNode();
        for (int i = from; i < to; i++) {
            part.add(messages.get(i));
        }
        return part;
    }

    /// Why nothing can be learned from it, or null.
    @Nullable
    String useless() {
        if (verdict instanceof Verdict.None) {
            return null;
        }
        if (prompt.isArray() && prompt.isEmpty() && !completions.isEmpty()) {
            return "the prompts of chosen and rejected differ";
        }
        for (int i = 0; i < completions.size(); i++) {
            if (blank(completions.get(i))) {
                return "a completion is empty or white space";
            }
            if (completions.subList(0, i).contains(completions.get(i))) {
                return "two completions are the same";
            }
        }
        return null;
    }

    private static boolean blank(JsonNode completion) {
        if (completion.isString()) {
            return completion.asString().isBlank();
        }
        for (JsonNode message : completion) {
            JsonNode content = message.path("content");
            if (!content.isString() || !content.asString().isBlank() || message.has("tool_calls")) {
                return false;
            }
        }
        return true;
    }
}
