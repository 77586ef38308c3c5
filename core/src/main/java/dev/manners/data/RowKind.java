package dev.manners.data;

import dev.manners.BadInput;
import dev.manners.files.Json;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/// The kinds of row that supervised fine-tuning understands, by TRL's names for their columns.
///
/// The kind is that of a file, detected from its first good row; every row is then held to it. Where a row has the
/// columns of several kinds the order is TRL's: `prompt` + `completion`, `messages` (or `conversations`), `text`, and
/// last Alpaca's `instruction` + `output`.
public sealed interface RowKind {

    /// One string, in `field` (TRL's `dataset_text_field`).
    record Text(String field) implements RowKind {}

    /// A list of `role`/`content` messages in `messages`, with `tools` beside it or not. With `fromValue` the list is
    /// ShareGPT's: `conversations` of `from`/`value`.
    record Messages(boolean fromValue) implements RowKind {}

    /// `prompt` and `completion`: two strings (standard) or two lists of messages (conversational, maybe `tools`).
    record PromptCompletion(boolean conversational) implements RowKind {}

    /// `instruction`, `input` (may be empty or absent), `output`: made into a standard prompt and completion.
    record Alpaca() implements RowKind {}

    /// The kind of a file.
    ///
    /// @param textField the column that holds plain text
    /// @throws BadInput if its rows are of no kind, or it has no row
    static RowKind detect(DatasetFile file, String textField) {
        if (file.size() == 0) {
            throw new BadInput(file.path() + ": holds no row");
        }
        BadRow first = null;
        // A few rows: the first may be the broken one.
        for (int i = 0; i < Math.min(100, file.size()); i++) {
            try {
                return of(file.row(i), textField);
            } catch (BadRow e) {
                first = first == null ? e : first;
            }
        }
        throw first == null ? new IllegalStateException() : first;
    }

    private static RowKind of(Row row, String textField) {
        ObjectNode fields = row.fields();
        if (fields.has("prompt") && fields.has("completion")) {
            return new PromptCompletion(fields.get("prompt").isArray());
        }
        if (fields.has("messages")) {
            return new Messages(false);
        }
        if (fields.has("conversations")) {
            return new Messages(true);
        }
        if (fields.has(textField)) {
            return new Text(textField);
        }
        if (fields.has("instruction") && fields.has("output")) {
            return new Alpaca();
        }
        String found = "columns are " + fields.propertyNames();
        if (fields.has("chosen")) {
            throw new BadRow(
                    row.source(),
                    found + ": a preference row, which shows no single answer to imitate",
                    "Use it for dpo or for a reward model, or keep only the chosen answers");
        }
        throw new BadRow(
                row.source(),
                found,
                "Expected " + textField + "; messages; prompt and completion; or instruction, input and output");
    }

    /// Whether rows of this kind say which part is prompt: then the loss is on the completion alone by default.
    default boolean hasCompletion() {
        return this instanceof PromptCompletion || this instanceof Alpaca;
    }

    /// Whether rows of this kind are rendered by the chat template.
    default boolean conversational() {
        return this instanceof Messages || (this instanceof PromptCompletion(boolean chat) && chat);
    }

    /// One line for the user: the kind, how rows are converted if they are, and which columns go unused.
    default String describe(Row row) {
        Set<String> unused = new LinkedHashSet<>(row.fields().propertyNames());
        unused.removeAll(columns());
        return switch (this) {
                    case Text(String field) -> "plain text in column " + field;
                    case Messages(boolean fromValue) ->
                        fromValue
                                ? "conversations, converted: from/value -> role/content, human -> user, gpt -> assistant,"
                                        + " observation -> tool"
                                : "conversations in column messages";
                    case PromptCompletion(boolean chat) ->
                        "prompt and completion, " + (chat ? "conversational" : "standard");
                    case Alpaca() ->
                        "Alpaca rows, converted: prompt = \"### Instruction:\\n{instruction}\\n\\n### Input:\\n{input}\\n\\n"
                                + "### Response:\\n\" (no Input part where input is empty), completion = output";
                }
                + (unused.isEmpty() ? "" : "; columns not used: " + String.join(", ", unused));
    }

    private List<String> columns() {
        return switch (this) {
            case Text(String field) -> List.of(field);
            case Messages(boolean fromValue) -> List.of(fromValue ? "conversations" : "messages", "tools");
            case PromptCompletion(boolean chat) ->
                chat ? List.of("prompt", "completion", "tools") : List.of("prompt", "completion");
            case Alpaca() -> List.of("instruction", "input", "output");
        };
    }

    /// Reads a row of this kind.
    ///
    /// @throws BadInput naming the row and what is wrong with its columns
    default Demonstration read(Row row) {
        ObjectNode fields = row.fields();
        return switch (this) {
            case Text(String field) -> new Demonstration.Text(string(row, field));
            case Messages(boolean fromValue) -> {
                String column = fromValue ? "conversations" : "messages";
                ArrayNode messages = Conversations.read(row, column);
                Conversations.check(row, column, messages);
                yield new Demonstration.Conversation(JsonNodeFactory.instance.arrayNode(), messages, tools(row));
            }
            case PromptCompletion(boolean chat)
            when chat -> {
                ArrayNode prompt = Conversations.read(row, "prompt");
                ArrayNode completion = Conversations.read(row, "completion");
                Conversations.check(
                        row, "prompt + completion", prompt.deepCopy().addAll(completion));
                if (!completion.get(0).path("role").asString("").equals("assistant")) {
                    throw new BadRow(
                            row.source(),
                            "completion begins with a message that is not the assistant's",
                            "Let the prompt hold all that comes before the assistant's answer");
                }
                yield new Demonstration.Conversation(prompt, completion, tools(row));
            }
            case PromptCompletion(boolean chat) ->
                new Demonstration.Completion(string(row, "prompt"), string(row, "completion"));
            case Alpaca() -> {
                JsonNode input = fields.get("input");
                String given = input == null || input.isNull() ? "" : string(row, "input");
                yield new Demonstration.Completion(
                        "### Instruction:\n" + string(row, "instruction")
                                + (given.isEmpty() ? "" : "\n\n### Input:\n" + given)
                                + "\n\n### Response:\n",
                        string(row, "output"));
            }
        };
    }

    private static String string(Row row, String column) {
        JsonNode value = row.fields().get(column);
        if (value == null || !value.isString()) {
            throw new BadRow(row.source(), "column " + column + Conversations.found(value), "Expected a string");
        }
        return Conversations.wellFormed(row, column, value.asString());
    }

    private static @Nullable JsonNode tools(Row row) {
        JsonNode tools = row.fields().get("tools");
        if (tools == null || tools.isNull()) {
            return null;
        }
        if (tools.isString()) { // datasets keep schemas that differ from row to row as JSON text
            if (tools.asString().isBlank()) {
                return null;
            }
            try {
                tools = Json.MAPPER.readTree(tools.asString());
            } catch (JacksonException e) {
                throw new BadRow(
                        row.source(), "column tools is not valid JSON: " + e.getOriginalMessage(), "Correct it");
            }
        }
        if (!tools.isArray()) {
            throw new BadRow(row.source(), "column tools is no array", "Expected a list of tool schemas");
        }
        return tools.isEmpty() ? null : tools;
    }
}
