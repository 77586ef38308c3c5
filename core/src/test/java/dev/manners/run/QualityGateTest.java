package dev.manners.run;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.data.DatasetFile;
import dev.manners.feedback.Answer;
import dev.manners.feedback.Assignment;
import dev.manners.feedback.Export;
import dev.manners.feedback.FeedbackStore;
import dev.manners.feedback.Ranking;
import dev.manners.feedback.Snapshot;
import dev.manners.feedback.Task;
import dev.manners.feedback.Verdict;
import dev.manners.files.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.node.ObjectNode;

class QualityGateTest {

    @TempDir
    Path folder;

    private List<String> problems(int rows, IntFunction<String> row) throws IOException {
        Path file = folder.resolve("rankings.jsonl");
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < rows; i++) {
            lines.append(row.apply(i).replace('\'', '"')).append('\n');
        }
        Files.writeString(file, lines);
        try (DatasetFile opened = DatasetFile.open(file)) {
            return QualityGate.of(opened).problems();
        }
    }

    /// @param first place of the completion that was shown first
    private static String row(String annotator, int first, long ms, String more) {
        return "{'prompt':'a','completions':['b','c'],'ranks':[1,2],'annotator':'%s','shown_order':[%d,%d],'ms':%d%s}"
                .formatted(annotator, first, 1 - first, ms, more);
    }

    @Test
    void ds13_oneHurriedAnnotatorWhoAlwaysPicksTheLeftIsNamed() throws IOException {
        assertThat(problems(60, i -> row("ann", 0, 2_900 + i, "")))
                .hasSize(2)
                .anyMatch(p -> p.startsWith("annotator ann prefers the answer that is shown first: 100.0 %"))
                .anyMatch(p -> p.startsWith("annotator ann takes 2.9 s"));
        assertThat(problems(60, i -> row("ann", 1, 9_000, "")))
                .singleElement()
                .asString()
                .contains("shown last");
    }

    @Test
    void ds13_whatIsExportedTellsWhoWasInAHurryAndAlwaysPickedTheLeft() throws IOException {
        try (FeedbackStore store = FeedbackStore.open(folder.resolve("feedback.db"))) {
            store.add(IntStream.range(0, 40)
                    .mapToObj(i -> new Task(
                            Task.question("Question " + i + "?"), List.of(Answer.of("Yes."), Answer.of("No.")), null))
                    .toList());
            for (int i = 0; i < 40; i++) {
                Assignment given = store.next("ann", new Assignment.Terms(1, Duration.ofMinutes(30), 0))
                        .orElseThrow();
                Ranking left = new Ranking.Ranked(given.shown().getFirst() == 0 ? List.of(1, 2) : List.of(2, 1));
                ObjectNode nothing = Json.MAPPER.createObjectNode();
                store.add(given.verdict(
                        "v" + i,
                        left,
                        Verdict.Remarks.NONE,
                        new Verdict.Circumstances(null, 2_000L, "test", "", nothing)));
            }
            try (Snapshot snapshot = store.snapshot()) {
                Export.write(snapshot, folder.resolve("out"), Export.Filter.standard(snapshot.through()), Map.of());
            }
        }
        for (String rows : List.of("rankings.jsonl", "pairs.jsonl")) {
            try (DatasetFile file = DatasetFile.open(folder.resolve("out").resolve(rows))) {
                assertThat(QualityGate.of(file).problems())
                        .as(rows)
                        .hasSize(2)
                        .anyMatch(p -> p.startsWith("annotator ann prefers the answer that is shown first: 100.0 %"))
                        .anyMatch(p -> p.startsWith("annotator ann takes 2.0 s"));
            }
        }
    }

    @Test
    void ds13_whoFailsTheKnownTasksIsNamed() throws IOException {
        assertThat(problems(40, i -> row("bob", i % 2, 9_000, ",'gold_passed':" + (i % 5 == 0))))
                .singleElement()
                .asString()
                .contains("annotator bob passes 20.0 %", "known answer");
    }

    @Test
    void carefulAnnotatorsFewRowsAndRowsOfUnknownOriginPass() throws IOException {
        assertThat(problems(200, i -> row("ann" + i % 3, i / 3 % 2, 3_500, ""))).isEmpty();
        assertThat(problems(19, i -> row("ann", 0, 1, ""))).isEmpty();
        assertThat(problems(60, i -> "{'prompt':'a','chosen':'b','rejected':'c'}"))
                .isEmpty();
        // A tendency, such as an early answer being better now and then, is no gate's matter.
        assertThat(problems(200, i -> row("ann", i % 10 < 7 ? 0 : 1, 9_000, "")))
                .isEmpty();
    }
}
