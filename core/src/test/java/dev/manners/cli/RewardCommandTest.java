package dev.manners.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.manners.files.Json;
import dev.manners.files.Manifest;
import dev.manners.files.Sha256;
import dev.manners.model.ScalarModel;
import dev.manners.tensor.DType;
import dev.manners.testing.TinyModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.node.ObjectNode;

/// Reward modelling from the command line.
class RewardCommandTest {

    @TempDir
    Path folder;

    private Path base = Path.of("");
    private Path rows = Path.of("");

    @BeforeEach
    void make() throws IOException {
        base = TinyModel.write(folder.resolve("base"));
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 60; i++) {
            lines.append(Json.MAPPER.writeValueAsString(Map.of(
                            "prompt",
                            "What is " + i % 13 + "?",
                            "chosen",
                            " It is " + i % 11 + ".",
                            "rejected",
                            " Who knows, what a question, ask me another.")))
                    .append('\n');
        }
        rows = folder.resolve("pairs.jsonl");
        Files.writeString(rows, lines);
    }

    private List<String> words(Path output, String... more) {
        List<String> words = new ArrayList<>(List.of(
                "reward",
                "--model",
                base.toString(),
                "--dataset",
                rows + "[:48]",
                "--eval-dataset",
                rows + "[48:]",
                "--output-dir",
                output.toString(),
                "--max-steps",
                "10",
                "--learning-rate",
                "1e-2",
                "--logging-steps",
                "1",
                "--bf16",
                "false",
                "--threads",
                "1"));
        words.addAll(List.of(more));
        return words;
    }

    @Test
    void aRunLeavesARewardModelAndWhatItIsWorth() throws IOException {
        Path run = folder.resolve("run");
        Manners.Result result = Manners.run(words(run, "--allow-few"));
        assertThat(result.code()).as(result.err()).isZero();
        assertThat(result.out()).contains("Warning: 48 comparisons are few");
        assertThat(result.out()).contains("held-out accuracy          100.0 %").contains("better one shorter");
        Manifest.verify(run.resolve("model"));
        ObjectNode config = Json.readObject(run.resolve("model/config.json"));
        assertThat(config.path("architectures").path(0).asString()).isEqualTo("LlamaForSequenceClassification");
        assertThat(config.path("pad_token_id").asInt()).isEqualTo(3);
        try (ScalarModel again = ScalarModel.load(run.resolve("model"), DType.F32, 0, false)) {
            assertThat(again.config().hiddenSize()).isEqualTo(16);
        }
        List<ObjectNode> metrics = Manners.json(run.resolve("metrics.jsonl"));
        assertThat(metrics.stream().filter(m -> m.has("eval_accuracy"))).hasSize(2);
        assertThat(metrics.stream().map(m -> m.path("stage").asString()).distinct())
                .containsExactly("reward", "reward-probes");
        ObjectNode results = Json.readObject(run.resolve("results.json"));
        assertThat(results.path("model")
                        .path("held_out")
                        .path("accuracy")
                        .path("n")
                        .asInt())
                .isEqualTo(12);
        assertThat(run.resolve("manifest.json")).exists();
    }

    /// The reward model has learned from rows whose worse completion is a long one.
    @Test
    void rl09_theReportSaysWhatPaysWithoutABetterAnswerBeforeAndAfter() throws IOException {
        Path run = folder.resolve("run");
        Manners.Result first = Manners.run(words(run, "--allow-few"));
        assertThat(first.code()).as(first.err()).isZero();
        assertThat(first.err()).doesNotContain("not probed");
        assertThat(first.out())
                .contains("What pays without a better answer, before training: untrained")
                .contains("What pays without a better answer, after training")
                .containsPattern("same +0.0 % .*n = 12");
        assertThat(Files.readString(run.resolve("model/README.md"))).contains("after training", "refusal");
        ObjectNode found = Json.readObject(run.resolve("results.json"));
        assertThat(found.path("model").path("hacking_probes").path("before").isNull())
                .isTrue();
        assertThat(found.path("model")
                        .path("hacking_probes")
                        .path("after")
                        .path("steady")
                        .booleanValue())
                .isTrue();
        // What it was shown to be worse does not pay; the probes see the same model as the report.
        assertThat(probes(run)).hasSize(1);
        ObjectNode after = probes(run).getFirst();
        assertThat(after.path("step").asLong()).isEqualTo(10);
        assertThat(after.path("hack/same/effect").asDouble()).isCloseTo(0, within(1e-3));
        assertThat(after.path("hack/refusal/higher").asDouble()).isLessThan(0.5);
        assertThat(after.path("hack/refusal/higher/n").asInt()).isEqualTo(12);

        // Trained on, a reward model has a before. A run that is ended before its manifest is written goes on there.
        Path again = folder.resolve("again");
        List<String> words =
                words(again, "--allow-few", "--model", run.resolve("model").toString());
        words.subList(1, 3).clear();
        for (int time = 0; time < 2; time++) {
            Files.deleteIfExists(again.resolve("manifest.json"));
            Manners.Result second = Manners.run(words);
            assertThat(second.code()).as(second.err()).isZero();
            assertThat(second.out()).doesNotContain("untrained");
            assertThat(probes(again)).extracting(m -> m.path("step").asInt()).containsExactly(0, 10);
            for (String key : after.propertyNames()) {
                if (key.startsWith("hack/")) {
                    assertThat(probes(again).getFirst().path(key).asDouble())
                            .as(key)
                            .isCloseTo(after.path(key).asDouble(), within(1e-6));
                }
            }
        }
    }

    private static List<ObjectNode> probes(Path run) throws IOException {
        return Manners.json(run.resolve("metrics.jsonl")).stream()
                .filter(m -> m.path("stage").asString().endsWith("-probes"))
                .toList();
    }

    @Test
    void fewerThanFiveHundredComparisonsAreRefused() {
        Manners.Result result = Manners.run(words(folder.resolve("run")));
        assertThat(result.code()).isEqualTo(2);
        assertThat(result.err()).contains("48 comparisons").contains("--allow-few");
        assertThat(folder.resolve("run/model")).doesNotExist();
    }

    @Test
    void ds13_comparisonsThatNobodyReadAreRefusedAndTheOverrideIsRecorded() throws IOException {
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 60; i++) {
            lines.append("""
                    {"prompt":"What is %d?","completions":[" It is.","Who knows."],"ranks":[1,2],"annotator":"ann",\
                    "shown_order":[0,1],"ms":2500}
                    """.formatted(i));
        }
        Files.writeString(rows, lines);
        Path run = folder.resolve("run");
        Manners.Result refused = Manners.run(words(run, "--allow-few"));
        assertThat(refused.code()).isEqualTo(2);
        assertThat(refused.err()).contains("annotator ann prefers", "annotator ann takes 2.5 s", "--allow-poor");
        Manners.Result result = Manners.run(words(run, "--allow-few", "--allow-poor"));
        assertThat(result.code()).as(result.err()).isZero();
        assertThat(Json.readObject(run.resolve("manifest.json"))
                        .path("run")
                        .path("config")
                        .path("allow_poor")
                        .booleanValue())
                .isTrue();
    }

    @Test
    void anEnsembleHasMembersOfItsSeedsAndTheirMeanOfWeights() throws IOException {
        Path run = folder.resolve("run");
        Manners.Result result = Manners.run(words(run, "--allow-few", "--ensemble-size", "2", "--warm"));
        assertThat(result.code()).as(result.err()).isZero();
        assertThat(List.of(
                        Sha256.of(run.resolve("member-0/model.safetensors")),
                        Sha256.of(run.resolve("member-1/model.safetensors")),
                        Sha256.of(run.resolve("warm/model.safetensors"))))
                .doesNotHaveDuplicates();
        assertThat(result.out()).contains("warm, the mean of weights", "ensemble, the mean of scores");
        assertThat(Manners.json(run.resolve("metrics.jsonl")).stream()
                        .map(m -> m.path("stage").asString())
                        .distinct())
                .containsExactlyInAnyOrder(
                        "reward-0", "reward-0-probes", "reward-1", "reward-1-probes", "reward-warm-probes");
        Manners.Result alone = Manners.run(words(folder.resolve("alone"), "--allow-few", "--warm"));
        assertThat(alone.code()).isEqualTo(2);
        assertThat(alone.err()).contains("ensemble_size is 1");
    }

    @Test
    void adaptersAreStoredWithTheirHead() {
        Path run = folder.resolve("run");
        Manners.Result result = Manners.run(words(run, "--allow-few", "--use-peft", "--lora-r", "4"));
        assertThat(result.code()).as(result.err()).isZero();
        ObjectNode config = Json.readObject(run.resolve("model/adapter_config.json"));
        assertThat(config.path("task_type").asString()).isEqualTo("SEQ_CLS");
        assertThat(config.path("modules_to_save").path(0).asString()).isEqualTo("score");
    }
}
