package dev.manners.data;

import dev.manners.BadInput;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/// Rows that ask and do not answer: a prompt, a string or a list of messages, and any other columns, which are the
/// rewards' business (`answer`, `solution`, ...).
///
/// Prompts are encoded once, when the file is opened; columns are read again each time a row is asked for.
public final class Prompts {

    private static final int WORDED = 20;

    private final DatasetFile file;
    private final String column;
    private final int[][] ids;
    private final int[] rows;
    private final boolean chat;
    private final List<String> rejects;

    /// A prompt.
    ///
    /// @param source `file:line`
    /// @param prompt as it stands in the row
    /// @param ids tokens as the policy sees it, the opening of its own turn included where it has a chat template
    /// @param columns every other column
    @SuppressWarnings("ArrayRecordComponent") // compared by nobody
    public record Prompt(String source, JsonNode prompt, int[] ids, ObjectNode columns) {

        /// As a person would read it: the text, or what each message says.
        public String text() {
            if (!prompt.isArray()) {
                return prompt.asString("");
            }
            List<String> turns = new ArrayList<>();
            prompt.forEach(message -> turns.add(message.path("role").asString("") + ": "
                    + message.path("content").asString("")));
            return String.join("\n", turns);
        }
    }

    private Prompts(DatasetFile file, String column, int[][] ids, int[] rows, boolean chat, List<String> rejects) {
        this.file = file;
        this.column = column;
        this.ids = ids;
        this.rows = rows;
        this.chat = chat;
        this.rejects = rejects;
    }

    /// Encodes every row.
    ///
    /// @param column of the prompt: `prompt`, and in GSM8K `question`
    /// @param longest tokens a prompt may have
    /// @param skipBad leave out rows that cannot be used, instead of refusing them all in one message
    /// @param progress hears how many rows are done
    /// @throws BadInput if rows cannot be used, or some are texts and others conversations: what is scored behind a
    /// completion is not the same
    public static Prompts of(
            DatasetFile file, String column, Encoder encoder, int longest, boolean skipBad, IntConsumer progress) {
        List<int[]> ids = new ArrayList<>();
        List<Integer> rows = new ArrayList<>();
        List<String> rejects = new ArrayList<>();
        Map<Boolean, String> firstOfKind = new HashMap<>();
        for (int i = 0; i < file.size(); i++) {
            try {
                Row row = file.row(i);
                ids.add(encode(row, column, encoder, longest));
                rows.add(i);
                firstOfKind.putIfAbsent(row.fields().path(column).isArray(), row.source());
            } catch (BadRow e) {
                rejects.add(String.valueOf(e.getMessage()));
            }
            progress.accept(i + 1);
        }
        if (!rejects.isEmpty() && (!skipBad || rows.isEmpty())) {
            List<String> problems = new ArrayList<>(rejects.subList(0, Math.min(WORDED, rejects.size())));
            if (rejects.size() > WORDED) {
                problems.add("and " + (rejects.size() - WORDED) + " more rows");
            }
            throw BadInput.all(file.path().toString(), problems);
        }
        if (rows.isEmpty()) {
            throw new BadInput(file.path() + ": has no row; give at least one with a prompt");
        }
        if (firstOfKind.size() > 1) {
            throw new BadInput(file.path() + ": " + column + " is a text in " + firstOfKind.get(false)
                    + " and a list of messages in " + firstOfKind.get(true)
                    + ". Expected one kind in all rows: write the texts as messages, or make two files");
        }
        return new Prompts(
                file,
                column,
                ids.toArray(int[][]::new),
                rows.stream().mapToInt(r -> r).toArray(),
                firstOfKind.containsKey(true),
                List.copyOf(rejects));
    }

    private static int[] encode(Row row, String column, Encoder encoder, int longest) {
        JsonNode prompt = row.fields().path(column);
        int[] ids;
        if (prompt.isString()) {
            ids = encoder.textWithSpecial(prompt.asString());
        } else if (prompt instanceof ArrayNode messages && !messages.isEmpty()) {
            ids = chat(row, messages, encoder);
        } else {
            throw new BadRow(
                    row.source(),
                    prompt.isMissingNode()
                            ? "no column " + column + "; the columns are "
                                    + String.join(", ", row.fields().propertyNames())
                            : column + " is neither a text nor a list of messages",
                    "Give each row a prompt: a string, or a list of messages with role and content");
        }
        if (ids.length == 0) {
            throw new BadRow(row.source(), "the prompt has no token", "Give it a text");
        }
        if (ids.length > longest) {
            throw new BadRow(
                    row.source(),
                    "the prompt has " + ids.length + " tokens; there is room for " + longest,
                    "Shorten it, or lower the length of completions");
        }
        return ids;
    }

    private static int[] chat(Row row, ArrayNode messages, Encoder encoder) {
        for (JsonNode message : messages) {
            if (!message.path("role").isString() || !message.path("content").isString()) {
                throw new BadRow(
                        row.source(),
                        "a message of the prompt lacks role or content",
                        "Write messages as {\"role\": \"user\", \"content\": \"...\"}");
            }
        }
        try {
            return encoder.chat(messages, tools(row).orElse(null), true).ids();
        } catch (BadRow e) {
            throw e;
        } catch (BadInput e) {
            throw new BadRow(row.source(), String.valueOf(e.getMessage()), "Change the row or the chat template");
        }
    }

    private static Optional<JsonNode> tools(Row row) {
        @Nullable JsonNode tools = row.fields().get("tools");
        return tools == null || tools.isNull() ? Optional.empty() : Optional.of(tools);
    }

    /// Rows that can be used.
    public int size() {
        return rows.length;
    }

    /// Row `i` of those that can be used.
    public Prompt get(int i) {
        Row row = file.row(rows[i]);
        ObjectNode columns = row.fields().deepCopy();
        JsonNode prompt = columns.remove(column);
        return new Prompt(row.source(), prompt, ids[i].clone(), columns);
    }

    /// Whether prompts are conversations; otherwise they are plain text.
    public boolean chat() {
        return chat;
    }

    /// Refuses prompts of the other kind than these.
    ///
    /// @param others what is scored together with these
    public void requireSameKind(Prompts others) {
        if (others.chat != chat) {
            throw new BadInput(others.file.path() + ": prompts are " + others.kind() + ", and in " + file.path() + " "
                    + kind() + ". Expected one kind in both: rewards are asked for that");
        }
    }

    private String kind() {
        return chat ? "lists of messages" : "texts";
    }

    /// Tokens of the longest prompt.
    public int longest() {
        int longest = 0;
        for (int[] one : ids) {
            longest = Math.max(longest, one.length);
        }
        return longest;
    }

    /// Rows that were left out, and why.
    public List<String> rejects() {
        return rejects;
    }
}
