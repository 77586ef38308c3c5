package dev.manners.feedback;

import dev.manners.BadInput;
import dev.manners.files.AtomicDirectory;
import dev.manners.files.Json;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/// A folder of datasets made from a [Snapshot], complete or absent.
///
/// - `tasks.jsonl`, `verdicts.jsonl`: everything, every version, nothing derived; read back they give the same
///   store.
/// - `rankings.jsonl`: each verdict that stands, with `prompt`, `completions` and `ranks`.
/// - `pairs.jsonl`: the pairs of each of these in TRL's columns `prompt`, `chosen`, `rejected`, side by side; a tie
///   gives none. `margin` is the verdict's strength, where two answers were ranked and it was said; other rows have no
///   such column, which `reward` reads as 0.
///
/// Every derived row names its verdict, and says, where that is known, in what order its completions were shown
/// (`shown_order`) and how many milliseconds the verdict took (`ms`), for who asks whether somebody read them.
/// `MANIFEST.json` has the hash of each file, the number of the last
/// verdict, what was left out of the derived rows and why. Two exports through the same verdict give the same
/// derived bytes, whatever was corrected since.
public final class Export {

    /// Which verdicts become derived rows.
    ///
    /// @param through number of the last verdict; later ones, and so later corrections, are not looked at
    /// @param late those that came after a task had all its verdicts
    /// @param repeats second verdicts on the same task
    /// @param gold those on tasks that check the annotators
    /// @param leaveOut annotators
    public record Filter(long through, boolean late, boolean repeats, boolean gold, Set<String> leaveOut) {

        /// Everything that counts: nothing late or repeated.
        public static Filter standard(long through) {
            return new Filter(through, false, false, true, Set.of());
        }

        public Filter {
            leaveOut = new TreeSet<>(leaveOut);
        }

        /// Why a verdict becomes no derived row, or "" if it does.
        private String leftOut(Task task, Recorded recorded) {
            Verdict verdict = recorded.verdict();
            if (!(verdict.ranking() instanceof Ranking.Ranked)) {
                return Fields.name(verdict.ranking().kind());
            }
            return leaveOut.contains(verdict.annotator())
                    ? "annotator"
                    : recorded.late() && !late
                            ? "late"
                            : verdict.occasion() > 0 && !repeats
                                    ? "repeated"
                                    : task.gold() != null && !gold ? "gold" : "";
        }
    }

    /// What an export holds.
    ///
    /// @param rows lines of each file, by its name without `.jsonl`
    /// @param leftOut verdicts that gave no derived row, by reason; `superseded` among them
    /// @param tiedPairs pairs that gave no row because the answers are tied
    public record Counts(Map<String, Long> rows, Map<String, Long> leftOut, long tiedPairs) {}

    private final Path folder;
    private final Map<String, Long> rows = new LinkedHashMap<>();
    private final Map<String, Long> leftOut = new TreeMap<>();
    private long tiedPairs;

    private Export(Path folder) {
        this.folder = folder;
    }

    /// Writes the folder, which must not exist.
    ///
    /// @param about further entries of the manifest: who wrote it
    public static Counts write(Snapshot snapshot, Path target, Filter filter, Map<String, ?> about) {
        if (filter.through() < 0 || filter.through() > snapshot.through()) {
            throw new BadInput(
                    "through is " + filter.through() + "; the store's last verdict has number " + snapshot.through());
        }
        try (AtomicDirectory directory = AtomicDirectory.create(target)) {
            Export export = new Export(directory.path());
            export.sources(snapshot, filter);
            export.derived(snapshot, filter);
            Map<String, Object> extra = new LinkedHashMap<>();
            extra.put("kind", "feedback");
            extra.put("schema", Database.SCHEMA);
            extra.put("through", filter.through());
            extra.put("rows", export.rows);
            extra.put(
                    "filter",
                    Map.of(
                            "late", filter.late(),
                            "repeats", filter.repeats(),
                            "gold", filter.gold(),
                            "leave_out", filter.leaveOut()));
            extra.put("left_out", export.leftOut);
            extra.put("tied_pairs", export.tiedPairs);
            extra.putAll(about);
            directory.commit(extra);
            return new Counts(export.rows, export.leftOut, export.tiedPairs);
        }
    }

    private void sources(Snapshot snapshot, Filter filter) {
        try (Lines tasks = new Lines("tasks");
                Lines verdicts = new Lines("verdicts")) {
            snapshot.forEachTask(task -> {
                ObjectNode row = Json.MAPPER.createObjectNode().put("task_id", task.id());
                row.setAll(task.json());
                tasks.write(row);
            });
            snapshot.forEachVerdict(filter.through(), recorded -> verdicts.write(recorded.json()));
        }
    }

    private void derived(Snapshot snapshot, Filter filter) {
        long[] standing = {0};
        try (Lines rankings = new Lines("rankings");
                Lines pairs = new Lines("pairs")) {
            snapshot.forEachStanding(filter.through(), (task, recorded) -> {
                standing[0]++;
                String why = filter.leftOut(task, recorded);
                if (!why.isEmpty()) {
                    leftOut.merge(why, 1L, Long::sum);
                } else if (recorded.verdict().ranking() instanceof Ranking.Ranked ranked) {
                    rankings.write(ranking(task, recorded.verdict(), ranked));
                    pairs(task, recorded.verdict(), ranked, pairs);
                }
            });
        }
        leftOut.put("superseded", rows.getOrDefault("verdicts", 0L) - standing[0]);
    }

    private static ObjectNode ranking(Task task, Verdict verdict, Ranking.Ranked ranked) {
        ObjectNode row = Json.MAPPER.createObjectNode();
        row.set("prompt", task.prompt());
        ArrayNode completions = row.putArray("completions");
        ranked.ranked().forEach(i -> completions.add(completion(task, i)));
        row.set(
                "ranks",
                Fields.ints(ranked.ranked().stream().map(ranked.ranks()::get).toList()));
        row.set("answers", Fields.ints(ranked.ranked()));
        // Places among the completions of this row.
        row.set(
                "shown_order",
                Fields.ints(verdict.shown().stream()
                        .filter(ranked.ranked()::contains)
                        .map(ranked.ranked()::indexOf)
                        .toList()));
        ArrayNode truncated = row.putArray("truncated");
        ranked.ranked().forEach(i -> truncated.add(task.answers().get(i).truncated()));
        return origin(row, task, verdict);
    }

    private void pairs(Task task, Verdict verdict, Ranking.Ranked ranked, Lines out) {
        List<Integer> all = ranked.ranked();
        for (int a = 0; a < all.size(); a++) {
            for (int b = a + 1; b < all.size(); b++) {
                int order = ranked.compare(all.get(a), all.get(b));
                if (order == 0) {
                    tiedPairs++;
                    continue;
                }
                int chosen = all.get(order > 0 ? a : b);
                int rejected = all.get(order > 0 ? b : a);
                ObjectNode row = Json.MAPPER.createObjectNode();
                row.set("prompt", task.prompt());
                row.set("chosen", completion(task, chosen));
                row.set("rejected", completion(task, rejected));
                JsonNode margin = verdict.circumstances().extra().get("margin");
                if (all.size() == 2 && verdict.remarks().strength() != null) {
                    row.put("margin", verdict.remarks().strength().doubleValue());
                } else if (margin != null && margin.isNumber()) {
                    row.set("margin", margin);
                }
                row.put("chosen_answer", chosen).put("rejected_answer", rejected);
                int left = verdict.shown().indexOf(chosen);
                int right = verdict.shown().indexOf(rejected);
                if (left >= 0 && right >= 0) {
                    // 0 is the chosen one.
                    row.set("shown_order", Fields.ints(left < right ? List.of(0, 1) : List.of(1, 0)));
                }
                out.write(origin(row, task, verdict));
            }
        }
    }

    private static ArrayNode completion(Task task, int answer) {
        ArrayNode completion = Json.MAPPER.createArrayNode();
        completion
                .addObject()
                .put("role", "assistant")
                .put("content", task.answers().get(answer).text());
        return completion;
    }

    private static ObjectNode origin(ObjectNode row, Task task, Verdict verdict) {
        row.put("annotator", verdict.annotator())
                .put("verdict_id", verdict.id())
                .put("task_id", verdict.task())
                .put("occasion", verdict.occasion());
        if (verdict.circumstances().msTotal() != null) {
            row.put("ms", verdict.circumstances().msTotal());
        }
        if (task.gold() != null) {
            row.put("gold_passed", Verdict.goldPassed(task, verdict.ranking()));
        }
        return row;
    }

    /// A JSONL file of the folder.
    private final class Lines implements AutoCloseable {
        private final BufferedWriter out;
        private final String name;

        Lines(String name) {
            this.name = name;
            rows.put(name, 0L);
            try {
                out = Files.newBufferedWriter(folder.resolve(name + ".jsonl"));
            } catch (IOException e) {
                throw failed(e);
            }
        }

        void write(ObjectNode row) {
            try {
                out.write(row.toString());
                out.write('\n');
                rows.merge(name, 1L, Long::sum);
            } catch (IOException e) {
                throw failed(e);
            }
        }

        private BadInput failed(IOException e) {
            return new BadInput(folder + ": cannot be written: " + e.getMessage() + "; is the disk full?", e);
        }

        @Override
        public void close() {
            try {
                out.close();
            } catch (IOException e) {
                throw failed(e);
            }
        }
    }
}
