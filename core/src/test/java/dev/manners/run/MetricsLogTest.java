package dev.manners.run;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.files.Json;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// metrics.jsonl and its neighbours, whole after a crash and cut back to where a run goes on.
class MetricsLogTest {

    @TempDir
    Path folder;

    private List<String> lines(String file) throws IOException {
        return Files.readAllLines(folder.resolve(file));
    }

    private List<String> steps(String file) throws IOException {
        return lines(file).stream()
                .map(line -> Json.parseObject(line.getBytes(StandardCharsets.UTF_8), file))
                .map(line -> line.path("stage").asString() + line.path("step").asLong())
                .toList();
    }

    @Test
    void tr09_aNanIsWrittenAsOneAndNotAsZero() throws IOException {
        MetricsLog log = new MetricsLog(folder, "sft");
        Map<String, Double> values = new LinkedHashMap<>();
        values.put("loss", Double.NaN);
        values.put("up", Double.POSITIVE_INFINITY);
        values.put("down", Double.NEGATIVE_INFINITY);
        values.put("tokens", 1e6);
        values.put("rate", 1e-5);
        values.put("tiny", Double.MIN_VALUE);
        log.metrics(3, values);
        assertThat(lines("metrics.jsonl"))
                .containsExactly("{\"stage\":\"sft\",\"step\":3,\"loss\":\"NaN\",\"up\":\"Infinity\","
                        + "\"down\":\"-Infinity\",\"tokens\":1000000,\"rate\":1.0E-5,\"tiny\":4.9E-324}");
    }

    /// A kill in the middle of a line: the half of it goes, in every file, and what comes next is a line of
    /// its own.
    @ParameterizedTest
    @ValueSource(strings = {"{\"stage\":\"sft\",\"st", "{", "\u00fc", "{\"stage\":\"sft\",\"step\":9}"})
    void tr01_aHalfLastLineIsCutOff(String half) throws IOException {
        MetricsLog log = new MetricsLog(folder, "sft");
        log.metrics(1, Map.of("loss", 1.5));
        log.sample(1, "p", "c", Map.of());
        log.event("saved", Map.of());
        List<String> files = List.of("metrics.jsonl", "samples.jsonl", "events.jsonl", "timings.jsonl");
        Map<String, List<String>> before = new LinkedHashMap<>();
        for (String file : files) {
            before.put(file, lines(file));
            byte[] bytes = half.getBytes(StandardCharsets.UTF_8);
            // The first byte of two, for the umlaut.
            Files.write(
                    folder.resolve(file),
                    half.length() == 1 ? new byte[] {bytes[0]} : bytes,
                    StandardOpenOption.APPEND);
        }
        MetricsLog again = new MetricsLog(folder, "sft");
        for (String file : files) {
            assertThat(lines(file)).as(file).isEqualTo(before.get(file)).hasSize(1);
        }
        again.metrics(2, Map.of("loss", 1.25));
        assertThat(steps("metrics.jsonl")).containsExactly("sft1", "sft2");
        assertThat(steps("timings.jsonl")).containsExactly("sft1", "sft2");
    }

    @Test
    void tr12_aStageThatGoesOnIsCutBackAndTheOthersStay() throws IOException {
        MetricsLog pretrain = new MetricsLog(folder, "pretrain");
        pretrain.event("started", Map.of());
        pretrain.metrics(9, Map.of("loss", 1.0));
        pretrain.sample(9, "p", "c", Map.of());
        MetricsLog sft = new MetricsLog(folder, "sft");
        sft.event("started", Map.of());
        for (int step = 1; step <= 4; step++) {
            sft.metrics(step, Map.of("loss", 2.0));
            sft.metrics(step, Map.of("eval_loss", 2.0));
            sft.sample(step, "p", "c", Map.of());
        }
        new MetricsLog(folder, "sft").event("resumed", Map.of("step", 2, "evaluated", false, "watched", false));
        // Of step 2 the update's own line stays; what was not done yet when step 2 was saved will be done again.
        assertThat(steps("metrics.jsonl")).containsExactly("pretrain9", "sft1", "sft1", "sft2");
        assertThat(lines("metrics.jsonl").getLast()).contains("\"loss\"").doesNotContain("eval_loss");
        assertThat(steps("samples.jsonl")).containsExactly("pretrain9", "sft1");

        sft.metrics(2, Map.of("eval_loss", 2.0));
        sft.sample(2, "p", "c", Map.of());
        new MetricsLog(folder, "sft").event("resumed", Map.of("step", 2, "evaluated", true, "watched", true));
        assertThat(steps("metrics.jsonl")).containsExactly("pretrain9", "sft1", "sft1", "sft2", "sft2");
        assertThat(steps("samples.jsonl")).containsExactly("pretrain9", "sft1", "sft2");

        new MetricsLog(folder, "sft").event("started", Map.of());
        assertThat(steps("metrics.jsonl")).containsExactly("pretrain9");
        assertThat(steps("samples.jsonl")).containsExactly("pretrain9");
        // Events are the history of the folder: they are never cut.
        assertThat(lines("events.jsonl")).hasSize(5);
    }

    /// A line of any evaluation, whatever it measures, is written again where it had not been done when the step was
    /// saved.
    @Test
    void tr12_anEvaluationThatIsMadeAgainIsThereOnce() throws IOException {
        MetricsLog log = new MetricsLog(folder, "ppo");
        log.event("started", Map.of());
        log.metrics(2, Map.of("loss", 2.0));
        log.metrics(2, Map.of("eval_gold", 0.5));
        new MetricsLog(folder, "ppo").event("resumed", Map.of("step", 2, "evaluated", false, "watched", false));
        assertThat(lines("metrics.jsonl")).singleElement().asString().contains("loss");
    }

    @Test
    void equalRunsWriteEqualBytes() throws IOException {
        for (String run : List.of("a", "b")) {
            MetricsLog log = new MetricsLog(folder.resolve(run), "sft");
            log.event("started", Map.of());
            log.metrics(1, Map.of("loss", 0.1));
            log.sample(1, "f\u00fcr\n\ud83e\udd9c", "\"\u2028", Map.of());
        }
        for (String file : List.of("metrics.jsonl", "samples.jsonl")) {
            assertThat(folder.resolve("a").resolve(file))
                    .hasSameBinaryContentAs(folder.resolve("b").resolve(file));
        }
        assertThat(lines("a/samples.jsonl")).hasSize(1);
    }
}
