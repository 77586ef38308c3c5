package dev.manners.feedback;

import dev.manners.BadInput;
import dev.manners.data.DatasetFile;
import dev.manners.data.Row;
import dev.manners.files.Json;
import dev.manners.files.Manifest;
import dev.manners.files.Sha256;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/// Feedback from files into a store, all or nothing. The same file again changes nothing.
public final class Import {

    private static final int TOLD = 20;

    /// Columns that have a place in the store; the others go to `extra`.
    private static final Set<String> KNOWN = Set.of(
            "prompt",
            "completions",
            "ranks",
            "chosen",
            "rejected",
            "annotator",
            "verdict_id",
            "shown_order",
            "occasion");

    /// What came in.
    ///
    /// @param tasks new ones
    /// @param verdicts new ones
    /// @param known verdicts that were there already
    /// @param leftOut rows that cannot be used, with the reason
    public record Counts(int tasks, int verdicts, int known, List<String> leftOut) {}

    private final FeedbackStore store;
    private int tasks;
    private int verdicts;
    private int known;
    private final List<String> problems = new ArrayList<>();

    private Import(FeedbackStore store) {
        this.store = store;
    }

    /// Reads a folder that [Export] wrote: all tasks and every version of every verdict, as they were.
    ///
    /// @throws BadInput if a file is not as the manifest says
    public static Counts folder(FeedbackStore store, Path folder) {
        Manifest manifest = Manifest.verify(folder);
        if (!manifest.extra().path("kind").asString("").equals("feedback")) {
            throw new BadInput(folder + ": not an export of feedback; its " + Manifest.FILE + " says otherwise");
        }
        Import in = new Import(store);
        return store.together(() -> {
            rows(folder.resolve("tasks.jsonl"), row -> {
                Fields fields = new Fields(row.source(), row.fields());
                Task task = Task.of(fields);
                if (!task.id().equals(fields.text("task_id"))) {
                    throw fields.bad("task_id", "the content's SHA-256, " + task.id());
                }
                in.tasks += store.add(List.of(task));
            });
            rows(
                    folder.resolve("verdicts.jsonl"),
                    row -> in.restore(Recorded.of(new Fields(row.source(), row.fields()), 0)));
            return in.counts();
        });
    }

    private interface Reader {
        void read(Row row);
    }

    private static void rows(Path path, Reader reader) {
        try (DatasetFile file = DatasetFile.open(path)) {
            for (int i = 0; i < file.size(); i++) {
                reader.read(file.row(i));
            }
        }
    }

    /// Reads rankings (`prompt`, `completions`, `ranks`) or pairs (`prompt`, `chosen`, `rejected`), also of other
    /// programs: prompts and completions are texts or lists of messages; `annotator`, `verdict_id`, `shown_order`,
    /// `occasion` and `ms` are taken where they are given, `margin` from 1 to 4 as the strength; other columns are
    /// kept as they are. Pairs of one verdict become tasks of two answers each.
    ///
    /// @param fileOrSlice `FILE.jsonl`, or a part of it as `FILE.jsonl[:100]`
    /// @param annotator who gave the verdicts of rows that do not say
    /// @param skipBad leaves out rows that cannot be used; otherwise they stop it, and nothing is saved
    public static Counts file(FeedbackStore store, String fileOrSlice, String annotator, boolean skipBad, Clock clock) {
        Import in = new Import(store);
        Instant now = Instant.ofEpochMilli(clock.millis());
        Map<String, Integer> seen = new HashMap<>();
        return store.together(() -> {
            try (DatasetFile file = DatasetFile.open(fileOrSlice)) {
                for (int i = 0; i < file.size(); i++) {
                    try {
                        Row row = file.row(i);
                        in.row(new Fields(row.source(), row.fields()), annotator, now, seen);
                    } catch (BadInput e) {
                        in.problems.add(String.valueOf(e.getMessage()));
                    }
                }
                if (!in.problems.isEmpty() && !skipBad) {
                    List<String> told = new ArrayList<>(in.problems.subList(0, Math.min(TOLD, in.problems.size())));
                    if (in.problems.size() > TOLD) {
                        told.add("... and " + (in.problems.size() - TOLD) + " more");
                    }
                    told.add("nothing was saved; --skip-bad leaves such rows out");
                    throw BadInput.all(file.path().toString(), told);
                }
            }
            return in.counts();
        });
    }

    private void row(Fields row, String annotator, Instant now, Map<String, Integer> seen) {
        List<Integer> ranks;
        List<String> texts;
        ArrayNode prompt;
        if (row.get("completions") instanceof ArrayNode completions) {
            prompt = prompt(row);
            ranks = row.ints("ranks");
            texts = new ArrayList<>();
            completions.forEach(each -> texts.add(completion(row, "completions", each)));
        } else if (row.get("chosen") != null && row.get("rejected") != null) {
            ranks = List.of(1, 2);
            texts = List.of(
                    completion(row, "chosen", row.get("chosen")), completion(row, "rejected", row.get("rejected")));
            prompt = row.get("prompt") == null ? implied(row) : prompt(row);
        } else {
            throw new BadInput(row.where() + ": columns are " + row.object().propertyNames()
                    + ". Expected prompt, completions and ranks; or prompt, chosen and rejected.");
        }
        Task task;
        Ranking ranking = new Ranking.Ranked(ranks);
        try {
            task = new Task(prompt, texts.stream().map(Answer::of).toList(), null);
        } catch (BadInput e) {
            throw new BadInput(row.where() + ": " + e.getMessage(), e);
        }
        ObjectNode extra = row.object().deepCopy();
        KNOWN.forEach(extra::remove);
        Long ms = null;
        if (extra.path("ms").isIntegralNumber() && extra.path("ms").canConvertToLong()) {
            ms = extra.remove("ms").longValue();
        }
        Integer strength = null;
        JsonNode margin = extra.get("margin");
        if (margin != null && margin.isNumber() && List.of(1.0, 2.0, 3.0, 4.0).contains(margin.doubleValue())) {
            strength = (int) margin.doubleValue();
            extra.remove("margin");
        }
        String who = String.valueOf(row.textOr("annotator", annotator));
        String content = Sha256.ofText(row.object() + "\n" + who);
        int copy = seen.merge(content, 1, Integer::sum) - 1;
        // Rows of one verdict's pairs share its id, so that it stays with the other columns.
        String own = row.get("completions") == null ? null : row.textOr("verdict_id", null);
        if (own == null && row.get("verdict_id") != null) {
            extra.set("verdict_id", row.object().get("verdict_id"));
        }
        Integer occasion = row.intOrNull("occasion");
        int count = seen.merge(task.id() + " " + who, 1, Integer::sum) - 1;
        Verdict verdict = new Verdict(
                own == null ? "import-" + content.substring(0, 32) + "-" + copy : own,
                task.id(),
                who,
                occasion == null ? count : occasion,
                row.get("shown_order") == null ? List.of() : row.ints("shown_order"),
                ranking,
                new Verdict.Remarks(strength, Map.of(), Map.of(), ""),
                new Verdict.Circumstances(null, ms, "import", "", extra),
                null);
        try {
            // What cannot be saved shall not leave its task behind.
            verdict.check(task);
            tasks += store.add(List.of(task));
            restore(new Recorded(0, verdict, false, now));
        } catch (BadInput e) {
            throw new BadInput(row.where() + ": " + e.getMessage(), e);
        }
    }

    private void restore(Recorded recorded) {
        if (store.restore(recorded)) {
            verdicts++;
        } else {
            known++;
        }
    }

    private Counts counts() {
        return new Counts(tasks, verdicts, known, List.copyOf(problems));
    }

    private static ArrayNode prompt(Fields row) {
        JsonNode prompt = row.get("prompt");
        if (prompt instanceof ArrayNode messages) {
            return messages;
        }
        if (prompt != null && prompt.isString()) {
            return Task.question(prompt.asString());
        }
        throw row.bad("prompt", "a text or a list of messages");
    }

    /// The messages that the chosen and the rejected dialogue have in common.
    private static ArrayNode implied(Fields row) {
        ArrayNode prompt = Json.MAPPER.createArrayNode();
        if (row.get("chosen") instanceof ArrayNode chosen && row.get("rejected") instanceof ArrayNode rejected) {
            int last = Math.min(chosen.size(), rejected.size()) - 1;
            IntStream.range(0, last)
                    .takeWhile(i -> chosen.get(i).equals(rejected.get(i)))
                    .forEach(i -> prompt.add(chosen.get(i)));
            if (prompt.size() != chosen.size() - 1 || prompt.size() != rejected.size() - 1) {
                throw new BadInput(
                        row.where() + ": there is no prompt, and chosen and rejected differ before their last message");
            }
        }
        if (prompt.isEmpty()) {
            throw row.bad("prompt", "a text or a list of messages");
        }
        return prompt;
    }

    private static String completion(Fields row, String column, @Nullable JsonNode completion) {
        if (completion != null && completion.isString()) {
            return completion.asString();
        }
        if (completion instanceof ArrayNode messages && !messages.isEmpty()) {
            JsonNode last = messages.get(messages.size() - 1);
            boolean alone = messages.size() == 1 || (row.get("prompt") == null && !column.equals("completions"));
            if (alone
                    && last.path("role").asString("").equals("assistant")
                    && last.path("content").isString()) {
                return last.path("content").asString();
            }
        }
        throw row.bad(column, "a text, or one message of the assistant");
    }
}
