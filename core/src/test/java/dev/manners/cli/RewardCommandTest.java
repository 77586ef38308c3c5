package dev.manners.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.manners.files.Json;
import dev.manners.files.Manifest;
import dev.manners.files.Sha256;
import dev.manners.model.Dropout;
import dev.manners.model.ScalarModel;
import dev.manners.model.Sequences;
import dev.manners.tensor.DType;
import dev.manners.tensor.NoGrad;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import dev.manners.testing.TinyModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
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

    // ---- what becomes of adapters

    private Path adapter(String name) {
        Path run = folder.resolve(name);
        Manners.Result result = Manners.run(words(run, "--allow-few", "--use-peft", "--lora-r", "4"));
        assertThat(result.code()).as(result.err()).isZero();
        assertThat(result.out())
                .contains("manners export --model " + base + " --adapter " + run.resolve("model")
                        + " --output-dir MERGED");
        return run.resolve("model");
    }

    private static float[] scores(ScalarModel model) {
        try (Scope scope = Scope.open();
                NoGrad off = NoGrad.on()) {
            return model.values(Tensor.of(new int[] {5, 60, 7, 81, 9}), new Sequences(5), Dropout.NONE)
                    .toFloats();
        }
    }

    private static float[] scores(Path directory, @Nullable Path adapter) {
        try (ScalarModel model = ScalarModel.load(directory, DType.F32, 0, false)) {
            if (adapter != null) {
                model.attach(adapter);
            }
            return scores(model);
        }
    }

    private static List<String> files(Path directory) throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.map(f -> f.getFileName().toString()).sorted().toList();
        }
    }

    @Test
    void anAdapterIsExportedAsTheRewardModelThatWasTrained() throws IOException {
        Path adapter = adapter("run");
        float[] trained = scores(base, adapter);
        Path full = folder.resolve("full");
        assertThat(Manners.run(words(full, "--allow-few")).code()).isZero();
        for (String dtype : List.of("f32", "bf16")) {
            Path merged = folder.resolve(dtype);
            Manners.Result result = Manners.run(
                    "export",
                    "--model",
                    base,
                    "--adapter",
                    adapter,
                    "--output-dir",
                    merged,
                    "--save-dtype",
                    dtype,
                    "--probes",
                    "What is 3?");
            assertThat(result.code()).as(result.err()).isZero();
            assertThat(result.out()).contains("Written to " + merged, "over 7 probe prompts the scores differ by");
            JsonNode extra = Manifest.verify(merged).extra();
            assertThat(extra.path("kind").asString()).isEqualTo("reward_model");
            double tolerance = dtype.equals("f32") ? 1e-4 : 3e-2;
            JsonNode proof = extra.path("merge");
            assertThat(proof.path("probes").asInt()).isEqualTo(7);
            assertThat(proof.path("tolerance").asDouble()).isEqualTo(tolerance);
            assertThat(proof.path("largest_relative_difference").asDouble())
                    .isGreaterThan(0)
                    .isLessThanOrEqualTo(tolerance);
            float[] written = scores(merged, null);
            for (int i = 0; i < trained.length; i++) {
                assertThat((double) written[i])
                        .isCloseTo(trained[i], within(tolerance * Math.max(1, Math.abs(trained[i]))));
            }
            // The layout of a run that trained all of it.
            assertThat(files(merged)).isEqualTo(files(full.resolve("model")));
            ObjectNode config = Json.readObject(full.resolve("model/config.json"));
            config.put("dtype", dtype.equals("f32") ? "float32" : "bfloat16");
            assertThat(Json.readObject(merged.resolve("config.json"))).isEqualTo(config);
            assertThat(Files.readString(merged.resolve("README.md")))
                    .contains("pipeline_tag: text-classification", "| largest_relative_difference | ");
        }
        assertThat(trained).isNotEqualTo(scores(base, null));
        // A reward model is copied too, with other weights.
        Path copy = folder.resolve("copy");
        Manners.Result copied =
                Manners.run("export", "--model", full.resolve("model"), "--output-dir", copy, "--save-dtype", "f16");
        assertThat(copied.code()).as(copied.err()).isZero();
        assertThat(Manifest.verify(copy).extra().path("merge").path("tolerance").asDouble())
                .isEqualTo(5e-3);
    }

    /// A run against a reward model.
    private Path against(Path reward, String command, Path policy) throws IOException {
        Path prompts = Files.writeString(folder.resolve("prompts.jsonl"), """
                {"prompt": "What is 1?"}
                {"prompt": "What is 2?"}
                """);
        Path run = Files.createTempDirectory(folder, command);
        List<Object> words = new ArrayList<>(List.of(command, "--model", policy, "--dataset", prompts));
        words.addAll(List.of("--reward-model", reward, "--threads", 1, "--output-dir", run));
        if (command.equals("best-of")) {
            words.addAll(List.of("--num-generations", 2, "--max-new-tokens", 6));
        } else {
            words.addAll(List.of("--max-steps", 1, "--bf16", false, "--logging-steps", 1));
            words.addAll(List.of("--per-device-train-batch-size", 4));
            words.addAll(
                    command.equals("ppo")
                            ? List.of("--response-length", 6)
                            : List.of("--num-generations", 2, "--max-completion-length", 6));
        }
        Manners.Result result = Manners.run(words.toArray());
        assertThat(result.code()).as(result.err()).isZero();
        return run;
    }

    /// What the first completions of such a run got.
    private static List<Double> rewards(Path run) throws IOException {
        Path completions = run.resolve("completions.jsonl");
        return Manners.json(Files.exists(completions) ? completions : run.resolve("samples.jsonl")).stream()
                .map(s -> s.path("reward").asDouble())
                .toList();
    }

    @Test
    void whatTakesARewardModelTakesItsAdapterTooWhereItsBaseIs() throws IOException {
        Path adapter = adapter("run");
        Path merged = folder.resolve("merged");
        assertThat(Manners.run("export", "--model", base, "--adapter", adapter, "--output-dir", merged)
                        .code())
                .isZero();
        for (String command : List.of("ppo", "grpo", "best-of")) {
            Path run = against(adapter, command, base);
            List<Double> adapted = rewards(run);
            List<Double> whole = rewards(against(merged, command, base));
            assertThat(adapted).as(command).hasSize(4);
            for (int i = 0; i < 4; i++) {
                assertThat(adapted.get(i)).as(command).isCloseTo(whole.get(i), within(1e-4));
            }
            if (!command.equals("grpo")) {
                // The base is as much what a run was made of as the adapter.
                JsonNode inputs = Json.readObject(run.resolve("manifest.json"))
                        .path("run")
                        .path("inputs");
                assertThat(inputs.path("reward_model_0").has("adapter_model.safetensors"))
                        .isTrue();
                assertThat(inputs.path("reward_model_0_base")
                                .path("model.safetensors")
                                .asString())
                        .isEqualTo(Sha256.of(base.resolve("model.safetensors")));
            }
        }
    }

    /// The command that an error names, run.
    private static void follow(String advice, Map<String, Path> names) {
        Matcher command = Pattern.compile("manners (export (?:\\S+ )+MERGED)").matcher(advice);
        assertThat(command.find()).as(advice).isTrue();
        Object[] words = Stream.of(command.group(1).split(" "))
                .map(word -> names.getOrDefault(word, Path.of(word)))
                .toArray();
        Manners.Result result = Manners.run(words);
        assertThat(result.code()).as(result.err()).isZero();
    }

    @Test
    void cf04_anAdapterWithoutItsBaseIsRefusedWithAdviceThatServes() throws IOException {
        Path adapter = adapter("run");
        Path moved = Files.move(base, folder.resolve("moved"));
        for (String command : List.of("ppo", "grpo", "rloo", "reinforce", "raft", "best-of")) {
            Manners.Result refused = Manners.run(
                    command,
                    "--model",
                    moved,
                    "--dataset",
                    rows,
                    "--reward-model",
                    adapter,
                    "--output-dir",
                    folder.resolve("refused"));
            assertThat(refused.code()).as(command).isEqualTo(2);
            assertThat(refused.err())
                    .as(command)
                    .contains(adapter + ": the adapter of a reward model whose base \"" + base + "\"")
                    .contains("base_model_name_or_path");
            if (command.equals("best-of")) {
                Path merged = folder.resolve("merged");
                follow(refused.err(), Map.of("BASE", moved, "MERGED", merged));
                assertThat(rewards(against(merged, command, moved))).hasSize(4);
            }
        }
        assertThat(folder.resolve("refused")).doesNotExist();
    }

    @Test
    void cf04_anAdapterInTheWrongPlaceIsRefusedWithAdviceThatServes() throws IOException {
        Path adapter = adapter("run");
        // As the base of another run.
        List<String> again = words(folder.resolve("again"), "--allow-few");
        again.set(2, adapter.toString());
        Manners.Result refused = Manners.run(again);
        assertThat(refused.code()).isEqualTo(2);
        assertThat(refused.err()).contains("this is an adapter, not a model");
        Path merged = folder.resolve("merged");
        follow(refused.err(), Map.of("MERGED", merged));
        again.set(2, merged.toString());
        assertThat(Manners.run(again).code()).isZero();
        // As what shall write.
        refused = Manners.run("generate", "--model", base, "--adapter", adapter, "--prompt", "What");
        assertThat(refused.code()).isEqualTo(2);
        assertThat(refused.err())
                .contains(
                        "the adapter of a reward model, which gives scores and writes no text; give it as --reward-model");
        // A policy's adapter as what shall score.
        Path config = adapter.resolve("adapter_config.json");
        ObjectNode json = Json.readObject(config).put("task_type", "CAUSAL_LM");
        Files.writeString(config, Json.pretty(json));
        refused = Manners.run("grpo", "--model", base, "--dataset", rows, "--reward-model", adapter);
        assertThat(refused.code()).isEqualTo(2);
        assertThat(refused.err())
                .contains("the adapter of a language model, whose scores would be those of a random head");
    }
}
