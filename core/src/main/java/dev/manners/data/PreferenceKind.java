package dev.manners.data;

import dev.manners.BadInput;
import dev.manners.data.PreferenceText.Verdict;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/// The kinds of row that learning from preferences and rewards understands, by TRL's names for their columns.
///
/// The kind is that of a file, detected from its first good row; every row is then held to it. Where `conversational`,
/// prompts and completions are lists of messages for the chat template (a completion may also be a string, what the
/// assistant said), otherwise plain text.
public sealed interface PreferenceKind {

    boolean conversational();

    /// `chosen` and `rejected`; some rows or all may have a `margin`.
    ///
    /// @param prompt the column that holds the prompt: `prompt`, or `conversations` with LLaMA-Factory; null
    /// where both begin with it, as in Anthropic's HH
    record Pair(boolean conversational, @Nullable String prompt) implements PreferenceKind {}

    /// `prompt`, `completions` and `ranks`: 1 is best, equal ranks are a tie. What the feedback store exports.
    /// A row may have a `margin`, of use where it ranks two.
    record Ranked(boolean conversational) implements PreferenceKind {}

    /// `prompt`, `completion` and `label`, or `messages` and `label`.
    ///
    /// @param messages whether prompt and completion are one list
    record Labelled(boolean messages, boolean conversational) implements PreferenceKind {}

    /// `prompt`; other columns go to the rewards.
    record Prompt(boolean conversational) implements PreferenceKind {}

    /// The kind of a file.
    ///
    /// @throws BadInput if its rows are of no kind, or it has no row
    static PreferenceKind detect(DatasetFile file) {
        if (file.size() == 0) {
            throw new BadInput(file.path() + ": holds no row");
        }
        BadRow first = null;
        // A few rows: the first may be the broken one.
        for (int i = 0; i < Math.min(100, file.size()); i++) {
            try {
                return of(file.row(i));
            } catch (BadRow e) {
                first = first == null ? e : first;
            }
        }
        throw first == null ? new IllegalStateException() : first;
    }

    private static PreferenceKind of(Row row) {
        ObjectNode fields = row.fields();
        boolean prompt = fields.has("prompt");
        if (fields.has("chosen") && fields.has("rejected")) {
            String column = prompt ? "prompt" : fields.has("conversations") ? "conversations" : null;
            boolean chat = !fields.get("chosen").isString();
            if (column != null && !chat && !fields.get(column).isString()) {
                chat = true;
            } else if (prompt && chat && fields.get("prompt").isString()) {
                column = null; // Some datasets repeat the prompt as text beside whole conversations.
            }
            return new Pair(chat, column);
        }
        if (prompt && fields.has("completions") && fields.has("ranks")) {
            return new Ranked(fields.get("prompt").isArray());
        }
        if (prompt && fields.has("completion") && fields.has("label")) {
            return new Labelled(false, fields.get("prompt").isArray());
        }
        if (fields.has("messages") && fields.has("label")) {
            return new Labelled(true, true);
        }
        if (prompt) {
            return new Prompt(fields.get("prompt").isArray());
        }
        throw new BadRow(
                row.source(),
                "columns are " + fields.propertyNames(),
                "Expected chosen and rejected, with or without prompt; prompt, completions and ranks; prompt, completion"
                        + " and label; or prompt");
    }

    /// The same rows for their prompts, where these have a column of their own.
    default PreferenceKind promptsAlone() {
        return switch (this) {
            case Pair(boolean chat, String prompt) -> "prompt".equals(prompt) ? new Prompt(chat) : this;
            case Labelled(boolean messages, boolean chat) -> messages ? this : new Prompt(chat);
            case Ranked(boolean chat) -> new Prompt(chat);
            case Prompt p -> p;
        };
    }

    /// One line for the user.
    default String describe() {
        String what = switch (this) {
            case Pair(boolean chat, String prompt) ->
                "chosen and rejected"
                        + (prompt == null ? ", the prompt is what they begin with" : ", prompt in " + prompt);
            case Ranked r -> "prompt, completions and ranks";
            case Labelled(boolean messages, boolean chat) ->
                messages ? "messages and label" : "prompt, completion and label";
            case Prompt p -> "prompts";
        };
        return what + (conversational() ? "; conversational" : "; plain text");
    }

    /// Reads a row of this kind.
    ///
    /// @throws BadRow naming the row and what is wrong with its columns
    default PreferenceText read(Row row) {
        return switch (this) {
            case Pair pair -> pair(row, pair);
            case Ranked(boolean chat) -> ranked(row, chat);
            case Labelled(boolean messages, boolean chat) -> {
                boolean label = label(row);
                if (messages) {
                    ArrayNode all = Conversations.read(row, "messages");
                    ArrayNode last = JsonNodeFactory.instance.arrayNode().add(all.get(all.size() - 1));
                    ArrayNode before = all.deepCopy();
                    before.remove(all.size() - 1);
                    if (before.isEmpty()) {
                        throw new BadRow(
                                row.source(), "column messages holds one message", "Expected a prompt and an answer");
                    }
                    yield new PreferenceText(before, List.of(last), new Verdict.Label(label));
                }
                yield new PreferenceText(
                        side(row, "prompt", chat),
                        List.of(completion(row, "completion", row.fields().get("completion"), chat)),
                        new Verdict.Label(label));
            }
            case Prompt(boolean chat) -> {
                ObjectNode others = row.fields().deepCopy();
                others.remove("prompt");
                yield new PreferenceText(side(row, "prompt", chat), List.of(), new Verdict.None(others));
            }
        };
    }

    private static PreferenceText pair(Row row, Pair kind) {
        Verdict verdict = new Verdict.Ranks(new int[] {1, 2}, margin(row));
        if (kind.prompt != null) {
            return new PreferenceText(
                    side(row, kind.prompt, kind.conversational),
                    List.of(
                            completion(row, "chosen", row.fields().get("chosen"), kind.conversational),
                            completion(row, "rejected", row.fields().get("rejected"), kind.conversational)),
                    verdict);
        }
        JsonNode chosen = side(row, "chosen", kind.conversational);
        JsonNode rejected = side(row, "rejected", kind.conversational);
        return chosen instanceof ArrayNode a && rejected instanceof ArrayNode b
                ? PreferenceText.split(a, b, verdict)
                : PreferenceText.split(chosen.asString(), rejected.asString(), verdict);
    }

    private static PreferenceText ranked(Row row, boolean chat) {
        JsonNode given = row.fields().get("completions");
        JsonNode ranks = row.fields().get("ranks");
        if (!(given instanceof ArrayNode) || !(ranks instanceof ArrayNode) || given.size() != ranks.size()) {
            throw new BadRow(
                    row.source(),
                    "completions" + (given instanceof ArrayNode ? " are " + given.size() : Conversations.found(given))
                            + ", ranks"
                            + (ranks instanceof ArrayNode ? " are " + ranks.size() : Conversations.found(ranks)),
                    "Expected two lists of the same length");
        }
        if (given.size() < 2) {
            throw new BadRow(
                    row.source(), "completions are " + given.size() + ", nothing to compare", "Expected two or more");
        }
        List<JsonNode> completions = new ArrayList<>();
        for (int i = 0; i < given.size(); i++) {
            if (!ranks.get(i).isInt() || ranks.get(i).intValue() < 1) {
                throw new BadRow(
                        row.source(),
                        "rank " + (i + 1) + " is " + ranks.get(i),
                        "Expected whole numbers from 1, the best; the same number is a tie");
            }
            completions.add(completion(row, "completions[" + i + "]", given.get(i), chat));
        }
        // The best first, so that of two it is the chosen one.
        int[] order = IntStream.range(0, given.size())
                .boxed()
                .sorted(Comparator.comparingInt((Integer i) -> ranks.get(i).intValue()))
                .mapToInt(i -> i)
                .toArray();
        return new PreferenceText(
                side(row, "prompt", chat),
                IntStream.of(order).mapToObj(completions::get).toList(),
                new Verdict.Ranks(
                        IntStream.of(order).map(i -> ranks.get(i).intValue()).toArray(), margin(row)));
    }

    /// The row's own margin; null where it has none, whatever the other rows have.
    private static @Nullable Double margin(Row row) {
        JsonNode given = row.fields().get("margin");
        if (given == null) {
            return null;
        }
        if (!given.isNumber() || !Double.isFinite(given.doubleValue())) {
            throw new BadRow(
                    row.source(),
                    "column margin" + Conversations.found(given),
                    "Expected a number, or a row without that column, whose margin is 0");
        }
        return given.doubleValue();
    }

    private static boolean label(Row row) {
        JsonNode label = row.fields().get("label");
        if (label == null || !label.isBoolean()) {
            throw new BadRow(row.source(), "column label" + Conversations.found(label), "Expected true or false");
        }
        return label.booleanValue();
    }

    /// A whole column: text, or a conversation that makes sense by itself.
    private static JsonNode side(Row row, String column, boolean chat) {
        if (chat) {
            ArrayNode messages = Conversations.read(row, column);
            Conversations.check(row, column, messages);
            return messages;
        }
        return text(row, column, row.fields().get(column));
    }

    private static JsonNode text(Row row, String what, @Nullable JsonNode value) {
        if (value == null || !value.isString()) {
            throw new BadRow(row.source(), "column " + what + Conversations.found(value), "Expected a string");
        }
        Conversations.wellFormed(row, what, value.asString());
        return value;
    }

    /// One answer: text; messages; one message; or what the assistant said.
    private static JsonNode completion(Row row, String what, @Nullable JsonNode value, boolean chat) {
        if (!chat) {
            return text(row, what, value);
        }
        ArrayNode messages = JsonNodeFactory.instance.arrayNode();
        if (value instanceof ArrayNode several && !several.isEmpty()) {
            messages = Conversations.read(new Row(row.source(), wrapped(what, several)), what);
        } else if (value instanceof ObjectNode one) {
            ArrayNode list = JsonNodeFactory.instance.arrayNode().add(one);
            messages = Conversations.read(new Row(row.source(), wrapped(what, list)), what);
        } else if (value != null && value.isString()) {
            messages.addObject().put("role", "assistant").set("content", value);
        } else {
            throw new BadRow(
                    row.source(), "column " + what + Conversations.found(value), "Expected messages, or a string");
        }
        Conversations.check(row, what, messages);
        if (!messages.get(0).path("role").asString("").equals("assistant")) {
            throw new BadRow(
                    row.source(),
                    what + " begins with a message that is not the assistant's",
                    "Let the prompt hold all that comes before the assistant's answer");
        }
        return messages;
    }

    private static ObjectNode wrapped(String column, ArrayNode list) {
        ObjectNode fields = JsonNodeFactory.instance.objectNode();
        fields.set(column, list);
        return fields;
    }
}
