package dev.manners.feedback;

import static dev.manners.feedback.Feedback.ONCE;
import static dev.manners.feedback.Feedback.ranks;
import static dev.manners.feedback.Feedback.task;
import static dev.manners.feedback.Feedback.tasks;
import static dev.manners.feedback.Feedback.terms;
import static dev.manners.feedback.Feedback.verdict;
import static dev.manners.feedback.Feedback.verdicts;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.manners.BadInput;
import dev.manners.data.DatasetFile;
import dev.manners.data.ModelEncoder;
import dev.manners.data.PreferenceData;
import dev.manners.data.PreferenceRow;
import dev.manners.files.Json;
import dev.manners.files.Manifest;
import dev.manners.testing.Tiny;
import dev.manners.text.Tokenizer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

class ExportTest {

    @TempDir
    Path folder;

    private FeedbackStore open(String name) {
        return FeedbackStore.open(folder.resolve(name));
    }

    private static Export.Counts export(FeedbackStore store, Path target) {
        try (Snapshot snapshot = store.snapshot()) {
            return Export.write(snapshot, target, Export.Filter.standard(snapshot.through()), Map.of());
        }
    }

    private static List<ObjectNode> lines(Path file) throws IOException {
        return Files.readAllLines(file).stream()
                .map(line -> Json.parseObject(line.getBytes(StandardCharsets.UTF_8), "a line"))
                .toList();
    }

    /// Three answers: the second best, a tie for the rest, and one that was not ranked.
    private static Verdict four(FeedbackStore store) {
        store.add(List.of(task(1, "bad", "best", "also bad", "unread")));
        Verdict verdict = verdict(store.next("ada", ONCE).orElseThrow(), "v-four", 2, 1, 2, 0);
        store.add(verdict);
        return verdict;
    }

    @Test
    void rankingsAndPairsNameTheirVerdict() throws IOException {
        try (FeedbackStore store = open("a.db")) {
            Verdict verdict = four(store);
            Export.Counts counts = export(store, folder.resolve("out"));
            assertThat(counts.rows()).isEqualTo(Map.of("tasks", 1L, "verdicts", 1L, "rankings", 1L, "pairs", 2L));
            assertThat(counts.tiedPairs()).isEqualTo(1);
            JsonNode ranking = lines(folder.resolve("out/rankings.jsonl")).getFirst();
            assertThat(ranking.path("prompt").toString())
                    .isEqualTo("[{\"role\":\"user\",\"content\":\"Question 1?\"}]");
            assertThat(ranking.path("completions").toString())
                    .isEqualTo("[[{\"role\":\"assistant\",\"content\":\"bad\"}],"
                            + "[{\"role\":\"assistant\",\"content\":\"best\"}],"
                            + "[{\"role\":\"assistant\",\"content\":\"also bad\"}]]");
            assertThat(ranking.path("ranks").toString()).isEqualTo("[2,1,2]");
            assertThat(ranking.path("verdict_id").asString()).isEqualTo("v-four");
            assertThat(ranking.path("task_id").asString()).isEqualTo(verdict.task());
            List<ObjectNode> pairs = lines(folder.resolve("out/pairs.jsonl"));
            assertThat(pairs).allSatisfy(pair -> {
                assertThat(pair.path("chosen").toString()).isEqualTo("[{\"role\":\"assistant\",\"content\":\"best\"}]");
                assertThat(pair.path("annotator").asString()).isEqualTo("ada");
                assertThat(pair.path("verdict_id").asString()).isEqualTo("v-four");
            });
            assertThat(pairs.stream()
                            .map(pair ->
                                    pair.path("rejected").get(0).path("content").asString()))
                    .containsExactly("bad", "also bad");
        }
    }

    @Test
    void whatIsLeftOutIsCountedWithItsReason() throws IOException {
        try (FeedbackStore store = open("a.db")) {
            store.add(tasks(6));
            for (int i = 0; i < 6; i++) {
                Assignment next = store.next("ada", ONCE).orElseThrow();
                Ranking ranking = switch (i) {
                    case 0 -> new Ranking.AllBad();
                    case 1 -> new Ranking.Skipped("");
                    case 2 -> ranks(1, 1);
                    default -> ranks(1, 2);
                };
                store.add(next.verdict(
                        "v" + i,
                        ranking,
                        new Verdict.Remarks(i == 4 ? 3 : null, Map.of(), Map.of(), ""),
                        Verdict.Circumstances.of("test")));
            }
            Verdict third = verdicts(store).get(3).verdict();
            store.add(third.corrected("v6", ranks(2, 1)));
            store.add(verdicts(store).get(5).verdict().corrected("v7", new Ranking.Withdrawn("a slip")));
            Export.Counts counts = export(store, folder.resolve("out"));
            assertThat(counts.rows()).isEqualTo(Map.of("tasks", 6L, "verdicts", 8L, "rankings", 3L, "pairs", 2L));
            assertThat(counts.leftOut())
                    .isEqualTo(Map.of("all_bad", 1L, "skipped", 1L, "withdrawn", 1L, "superseded", 2L));
            assertThat(counts.tiedPairs()).isEqualTo(1);
            List<ObjectNode> pairs = lines(folder.resolve("out/pairs.jsonl"));
            assertThat(pairs.stream().map(pair -> pair.path("verdict_id").asString()))
                    .containsExactly("v4", "v6");
            assertThat(pairs.getFirst().path("margin").doubleValue()).isEqualTo(3);
            assertThat(pairs.getLast().has("margin")).isFalse();
            JsonNode extra = Manifest.verify(folder.resolve("out")).extra();
            assertThat(extra.path("through").longValue()).isEqualTo(8);
            assertThat(extra.path("rows").path("verdicts").longValue()).isEqualTo(8);
            assertThat(extra.path("left_out").path("superseded").longValue()).isEqualTo(2);
        }
    }

    /// A ranking of three, whose pairs have no margin, and a pair of which it was said by how much.
    @Test
    void pairsOfWhichSomeHaveAMarginAreReadAsTheyWereWritten() {
        try (FeedbackStore store = open("a.db");
                Tokenizer tokenizer = Tiny.tokenizer(Tiny.CHATML)) {
            four(store);
            store.add(tasks(1));
            store.add(store.next("ada", ONCE)
                    .orElseThrow()
                    .verdict(
                            "v",
                            ranks(1, 2),
                            new Verdict.Remarks(3, Map.of(), Map.of(), ""),
                            Verdict.Circumstances.of("test")));
            export(store, folder.resolve("out"));
            try (DatasetFile file = DatasetFile.open(folder.resolve("out/pairs.jsonl"))) {
                assertThat(PreferenceData.rankings(file, new ModelEncoder(tokenizer), 0, false, done -> {})
                                .rows())
                        .extracting(PreferenceRow.Ranking::margin)
                        .containsExactly(null, null, 3.0);
            }
        }
    }

    @Test
    void an17_anExportStaysWhatItWasWhateverIsCorrectedLater() throws IOException {
        try (FeedbackStore store = open("a.db")) {
            store.add(tasks(3));
            for (int i = 0; i < 3; i++) {
                store.add(verdict(store.next("ada", ONCE).orElseThrow(), "v" + i, 1, 2));
            }
            export(store, folder.resolve("before"));
            store.add(verdicts(store).get(1).verdict().corrected("later", ranks(2, 1)));
            export(store, folder.resolve("after"));
            JsonNode extra = Manifest.verify(folder.resolve("before")).extra();
            try (Snapshot snapshot = store.snapshot()) {
                Export.write(
                        snapshot,
                        folder.resolve("again"),
                        Export.Filter.standard(extra.path("through").longValue()),
                        Map.of());
                assertThatThrownBy(() ->
                                Export.write(snapshot, folder.resolve("never"), Export.Filter.standard(5), Map.of()))
                        .isInstanceOf(BadInput.class);
            }
            // The manifests have the hash of every file.
            assertThat(Manifest.verify(folder.resolve("again")).id())
                    .isEqualTo(Manifest.verify(folder.resolve("before")).id());
            assertThat(lines(folder.resolve("after/pairs.jsonl")).stream()
                            .map(pair -> pair.path("verdict_id").asString()))
                    .containsExactly("v0", "v2", "later");
        }
    }

    @Test
    void an20_whatIsExportedWhilePeopleAnnotateIsOneMomentAndReadBackIsTheSame() throws Exception {
        try (FeedbackStore store = open("a.db")) {
            store.add(tasks(2_000));
            AtomicBoolean enough = new AtomicBoolean();
            AtomicLong committed = new AtomicLong();
            // Tasks that may be done: more with each round, so that there are some left for every round.
            Semaphore tasks = new Semaphore(0);
            Thread annotator = Thread.ofPlatform().start(() -> {
                for (int i = 0; ; i++) {
                    tasks.acquireUninterruptibly();
                    if (enough.get()) {
                        return;
                    }
                    Verdict verdict = verdict(store.next("ada", ONCE).orElseThrow(), "v" + i, 1, 2);
                    store.together(() -> {
                        // Two rows in one commit: a snapshot has both or none.
                        store.add(verdict);
                        return store.add(verdict.corrected(verdict.id() + "-c", ranks(2, 1)));
                    });
                    committed.addAndGet(2);
                }
            });
            try {
                long before = 0;
                for (int round = 0; round < 5; round++) {
                    // Something new to export, however slow the machine is.
                    tasks.release(400);
                    while (committed.get() <= before && annotator.isAlive()) {
                        Thread.sleep(5);
                    }
                    Path out = folder.resolve("out-" + round);
                    long rows = export(store, out).rows().getOrDefault("verdicts", 0L);
                    JsonNode extra = Manifest.verify(out).extra();
                    assertThat(rows).isEven().isGreaterThan(before);
                    assertThat(extra.path("through").longValue()).isEqualTo(rows);
                    List<ObjectNode> verdicts = lines(out.resolve("verdicts.jsonl"));
                    assertThat(verdicts).hasSize((int) rows);
                    assertThat(lines(out.resolve("pairs.jsonl"))).hasSize((int) rows / 2);
                    before = rows;
                    try (FeedbackStore copy = open("copy-" + round + ".db")) {
                        Import.Counts in = Import.folder(copy, out);
                        assertThat(in.tasks()).isEqualTo(2_000);
                        assertThat(in.verdicts()).isEqualTo((int) rows);
                        assertThat(verdicts(copy)).isEqualTo(verdicts(store).subList(0, (int) rows));
                        assertThat(Import.folder(copy, out).verdicts())
                                .as("again")
                                .isZero();
                        export(copy, folder.resolve("back-" + round));
                        assertThat(Manifest.verify(folder.resolve("back-" + round))
                                        .id())
                                .isEqualTo(Manifest.verify(out).id());
                    }
                }
            } finally {
                enough.set(true);
                tasks.release();
                annotator.join();
            }
            assertThat(verdicts(store).stream().map(Recorded::number))
                    .containsExactlyElementsOf(
                            LongStream.rangeClosed(1, verdicts(store).size())
                                    .boxed()
                                    .toList());
        }
    }

    @Test
    void an20_anExportThatWasAlteredIsRefusedAndNothingIsSaved() throws IOException {
        try (FeedbackStore store = open("a.db");
                FeedbackStore other = open("b.db")) {
            four(store);
            export(store, folder.resolve("out"));
            Path file = folder.resolve("out/verdicts.jsonl");
            Files.writeString(file, Files.readString(file).replace("\"ada\"", "\"eve\""));
            assertThatThrownBy(() -> Import.folder(other, folder.resolve("out")))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("verdicts.jsonl");
            try (Snapshot snapshot = other.snapshot()) {
                assertThat(snapshot.tasks()).isZero();
            }
        }
    }

    @Test
    void rankingsAndPairsComeBackAsTheyWere() throws IOException {
        try (FeedbackStore store = open("a.db")) {
            four(store);
            store.add(tasks(5));
            for (int i = 0; i < 6; i++) {
                Assignment given = store.next("bob", terms(2)).orElseThrow();
                store.add(given.verdict(
                        "v" + i,
                        given.shown().size() == 4 ? ranks(1, 2, 3, 4) : ranks(1 + i % 2, 2 - i % 2),
                        new Verdict.Remarks(i == 2 ? 2 : null, Map.of(), Map.of(), ""),
                        took(4_000L + i)));
            }
            export(store, folder.resolve("out"));
        }
        for (String name : List.of("rankings", "pairs")) {
            Path file = folder.resolve("out/" + name + ".jsonl");
            try (FeedbackStore copy = open(name + ".db")) {
                Import.Counts in = Import.file(copy, file.toString(), "nobody", false, Clock.systemUTC());
                assertThat(in.verdicts()).isEqualTo(lines(file).size());
                assertThat(Import.file(copy, file.toString(), "nobody", false, Clock.systemUTC())
                                .known())
                        .as("again")
                        .isEqualTo(in.verdicts());
                Set<String> columns = name.equals("pairs")
                        ? Set.of("prompt", "chosen", "rejected", "margin", "annotator", "shown_order", "ms")
                        : Set.of("prompt", "completions", "ranks", "annotator", "verdict_id", "shown_order", "ms");
                assertThat(kept(file, Set.of("ms"))).as("times").anyMatch(row -> row.has("ms"));
                assertThat(lines(file)).allMatch(row -> row.path("shown_order").size() >= 2);
                try (Snapshot snapshot = copy.snapshot()) {
                    Export.write(
                            snapshot,
                            folder.resolve(name + "-back"),
                            new Export.Filter(snapshot.through(), true, true, true, Set.of()),
                            Map.of());
                }
                assertThat(kept(folder.resolve(name + "-back/" + name + ".jsonl"), columns))
                        .isEqualTo(kept(file, columns));
            }
        }
    }

    private static Verdict.Circumstances took(long ms) {
        return new Verdict.Circumstances(null, ms, "test", "", Json.MAPPER.createObjectNode());
    }

    private static List<ObjectNode> kept(Path file, Set<String> columns) throws IOException {
        return lines(file).stream()
                .map(row -> row.retain(columns.toArray(String[]::new)))
                .toList();
    }

    @Test
    void filesOfOthersComeInWithAllTheirColumns() throws IOException {
        Path file = Files.writeString(folder.resolve("pairs.jsonl"), """
                {"prompt": "Q?", "chosen": "good", "rejected": "bad", "source": "web", "margin": 0.25}
                {"chosen": [{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello."}], \
                "rejected": [{"role":"user","content":"Hi"},{"role":"assistant","content":"No."}], "annotator": "eve"}
                {"prompt": "Q?", "chosen": "good", "rejected": "bad", "source": "web", "margin": 0.25}
                """);
        try (FeedbackStore store = open("a.db")) {
            Import.file(store, file.toString(), "crowd", false, Clock.systemUTC());
            List<Recorded> all = verdicts(store);
            assertThat(all).hasSize(3);
            assertThat(all.getFirst().verdict().annotator()).isEqualTo("crowd");
            assertThat(all.getFirst().verdict().circumstances().extra().toString())
                    .isEqualTo("{\"source\":\"web\",\"margin\":0.25}");
            assertThat(all.get(1).verdict().annotator()).isEqualTo("eve");
            assertThat(all.get(2).verdict().occasion()).as("the same row twice").isEqualTo(1);
            export(store, folder.resolve("out"));
            JsonNode pair = lines(folder.resolve("out/pairs.jsonl")).getFirst();
            assertThat(pair.path("margin").doubleValue()).isEqualTo(0.25);
            assertThat(pair.path("prompt").get(0).path("content").asString()).isEqualTo("Q?");
        }
    }

    @Test
    void rowsThatCannotBeUsedStopAnImportOrAreNamed() throws IOException {
        Path file = Files.writeString(folder.resolve("rows.jsonl"), """
                {"prompt": "Q1?", "chosen": "good", "rejected": "bad"}
                {"prompt": "Q2?", "chosen": "same", "rejected": "same "}
                {"prompt": "Q3?", "chosen": "good", "rejected": ""}
                {"prompt": "Q4?", "completions": ["a", "b", "c"], "ranks": [1, 2]}
                {"prompt": "Q5?", "text": "x"}
                {"prompt": "Q6?", "completions": ["a", "b", "c"], "ranks": [1, 2, 2]}
                """);
        try (FeedbackStore store = open("a.db")) {
            assertThatThrownBy(() -> Import.file(store, file.toString(), "crowd", false, Clock.systemUTC()))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("rows.jsonl:2: two answers of a task read alike")
                    .hasMessageContaining("rows.jsonl:3: verdict")
                    .hasMessageContaining("rows.jsonl:4:")
                    .hasMessageContaining("2 ranks for 3 answers")
                    .hasMessageContaining("rows.jsonl:5: columns are [prompt, text]");
            try (Snapshot snapshot = store.snapshot()) {
                assertThat(snapshot.tasks()).isZero();
            }
            Import.Counts counts = Import.file(store, file.toString(), "crowd", true, Clock.systemUTC());
            assertThat(counts.verdicts()).isEqualTo(2);
            assertThat(counts.tasks()).isEqualTo(2);
            assertThat(counts.leftOut()).hasSize(4);
        }
    }
}
