package dev.manners.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.manners.files.Json;
import dev.manners.files.Sha256;
import dev.manners.run.LoadedModel;
import dev.manners.tensor.DType;
import dev.manners.testing.ArithmeticSequence;
import dev.manners.testing.TinyModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;

/// GRPO and its relatives from the command line.
class RewardTrainingCommandTest {

    @TempDir
    Path folder;

    private Path prompts() throws IOException {
        Path file = folder.resolve("prompts.jsonl");
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 8; i++) {
            lines.append(Json.MAPPER.writeValueAsString(
                            Map.of("question", "What is " + i + " + 1?", "answer", " It is " + (i + 1) + ".")))
                    .append('\n');
        }
        return Files.writeString(file, lines);
    }

    private List<String> words(String command, Path model, Path output, Object... more) throws IOException {
        List<String> words = new ArrayList<>(List.of(
                command,
                "--model",
                model.toString(),
                "--dataset",
                prompts() + "[:6]",
                "--eval-dataset",
                prompts() + "[-2:]",
                "--prompt-field",
                "question",
                "--reward-funcs",
                "prefix_match",
                "--reward-funcs",
                "soft_overlong",
                "--reward-weights",
                "1",
                "--reward-weights",
                "0.1",
                "--output-dir",
                output.toString(),
                "--max-steps",
                "3",
                "--per-device-train-batch-size",
                "8",
                "--num-generations",
                "4",
                "--max-completion-length",
                "8",
                "--learning-rate",
                "1e-2",
                "--logging-steps",
                "1",
                "--bf16",
                "false",
                "--threads",
                "1"));
        for (Object word : more) {
            words.add(word.toString());
        }
        return words;
    }

    @ParameterizedTest
    @CsvSource({"grpo, --beta=0.04", "rloo, --beta=0.05", "reinforce, --beta=0.01", "raft, --temperature=1.0"})
    void fromPromptsAndRewardsToAModel(String command, String option) throws IOException {
        Path base = TinyModel.write(folder.resolve("base"));
        Path output = folder.resolve("run");
        Manners.Result result = Manners.run(words(command, base, output, option));
        assertThat(result.code()).as(result.err()).isZero();
        assertThat(result.out()).contains("6 prompts", "Verdict: ", "Done: 3 updates");
        List<ObjectNode> metrics = Manners.json(output.resolve("metrics.jsonl"));
        assertThat(metrics).filteredOn(m -> m.has("eval_reward")).hasSize(2);
        assertThat(metrics).filteredOn(m -> m.has("loss")).hasSize(3).allSatisfy(m -> {
            assertThat(m.has("rewards/prefix_match/mean")).isTrue();
            assertThat(m.has("rewards/soft_overlong/mean")).isTrue();
            assertThat(m.has("completions/mean_length")).isTrue();
        });
        List<ObjectNode> samples = Manners.json(output.resolve("samples.jsonl"));
        assertThat(samples).hasSize(24).allSatisfy(s -> {
            assertThat(s.path("score").path("parts").size()).isEqualTo(2);
            assertThat(s.has("advantage")).isTrue();
        });
        assertThat(Files.readString(output.resolve("events.jsonl"))).contains("\"verdict\"");
        try (LoadedModel made = LoadedModel.open(output.resolve("model"), null, DType.F32, false)) {
            assertThat(made.decoder().parameters()).isNotEmpty();
        }
    }

    /// What recipes/ says is understood, and runs; made small by flags, which win.
    @ParameterizedTest
    @ValueSource(strings = {"grpo", "rloo", "reinforce", "raft"})
    void itsRecipeRuns(String command) throws IOException {
        Path recipe = Path.of(System.getProperty("manners.home", ".."), "recipes", command + ".yaml");
        Path output = folder.resolve("run");
        Path rows = Files.writeString(folder.resolve("gsm8k.jsonl"), """
                {"question": "What is 1 + 2?", "answer": "One and two.\\n#### 3"}
                {"question": "What is 2 + 2?", "answer": "Two and two.\\n#### 4"}
                """);
        Manners.Result result = Manners.run(
                command,
                TinyModel.write(folder.resolve("base")),
                rows,
                "--config",
                recipe,
                "--prompt-field",
                "question",
                "--max-steps",
                1,
                "--max-completion-length",
                8,
                "--bf16",
                false,
                "--threads",
                1,
                "--output-dir",
                output);
        assertThat(result.code()).as(result.err()).isZero();
        assertThat(Files.readString(output.resolve("config.yaml"))).contains("lr_scheduler_type: constant");
        assertThat(Manners.json(output.resolve("metrics.jsonl")))
                .anySatisfy(
                        m -> assertThat(m.has("rewards/numeric_answer/mean")).isTrue());
    }

    /// A model that has learned nothing is far from the form; but what it lacks first depends on who opens the
    /// thinking.
    @Test
    void theFormatRewardKnowsWhatTheChatTemplateHasOpened() throws IOException {
        Path base = TinyModel.write(folder.resolve("base"));
        Path rows = Files.writeString(folder.resolve("chats.jsonl"), """
                {"prompt": [{"role": "user", "content": "What is 1 + 1?"}]}
                {"prompt": [{"role": "user", "content": "What is 2 + 1?"}]}
                """);
        Path template = base.resolve("chat_template.jinja");
        for (String lacking : List.of("no <think>", "no </think>")) {
            Path output = folder.resolve("run" + lacking.length());
            Manners.Result result = Manners.run(
                    "grpo",
                    base,
                    rows,
                    "--reward-funcs",
                    "format",
                    "--max-steps",
                    1,
                    "--num-generations",
                    2,
                    "--per-device-train-batch-size",
                    4,
                    "--max-completion-length",
                    6,
                    "--logging-steps",
                    1,
                    "--bf16",
                    false,
                    "--threads",
                    1,
                    "--output-dir",
                    output);
            assertThat(result.code()).as(result.err()).isZero();
            assertThat(Manners.json(output.resolve("samples.jsonl")))
                    .hasSize(4)
                    .allSatisfy(s -> assertThat(s.toString()).contains("\"" + lacking + "\""));
            Files.writeString(
                    template,
                    Files.readString(template)
                            .replace("'<|im_start|>assistant\\n'", "'<|im_start|>assistant\\n<think>\\n'"));
        }
    }

    @Test
    void tr12_twoRunsWriteTheSameBytes() throws IOException {
        Path base = TinyModel.write(folder.resolve("base"));
        for (String run : List.of("a", "b")) {
            assertThat(Manners.run(words("grpo", base, folder.resolve(run), "--use-peft", "--lora-r", 4))
                            .code())
                    .isZero();
        }
        for (String file : List.of("metrics.jsonl", "samples.jsonl", "model/adapter_model.safetensors")) {
            assertThat(Sha256.of(folder.resolve("b").resolve(file)))
                    .as(file)
                    .isEqualTo(Sha256.of(folder.resolve("a").resolve(file)));
        }
    }

    @Test
    void cf03_whatCannotBeIsRefusedInOneMessage() throws IOException {
        Path base = TinyModel.write(folder.resolve("base"));
        Manners.Result result =
                Manners.run(words("grpo", base, folder.resolve("run"), "--reward-funcs", "acuracy", "--epsilon", 0));
        assertThat(result.code()).isEqualTo(2);
        assertThat(result.err()).contains("acuracy", "numeric_answer", "epsilon is 0, allowed is above 0");
        result = Manners.run(words("grpo", base, folder.resolve("run"), "--sync-ref-model", "true"));
        assertThat(result.err()).contains("sync_ref_model is true, but beta is 0");
        List<String> words = words("grpo", base, folder.resolve("run"));
        replace(words, "--prompt-field", "prompt");
        result = Manners.run(words);
        assertThat(result.code()).isEqualTo(2);
        assertThat(result.err()).contains("no column prompt; the columns are").contains("prompts.jsonl:1");
    }

    @Test
    void aRewardModelMayBeAmongTheRewardsIfItReadsWhatThePolicyWrites() throws IOException {
        Path base = TinyModel.write(folder.resolve("base"));
        Path scored = TinyModel.writeScored(folder.resolve("scored"), 3);
        Object[] learned = {"--reward-funcs", "reward_model", "--reward-weights", "0.5", "--reward-model", scored};
        Manners.Result result = Manners.run(words("grpo", base, folder.resolve("run"), learned));
        assertThat(result.code()).as(result.err()).isZero();
        assertThat(Manners.json(folder.resolve("run/metrics.jsonl")))
                .anySatisfy(m -> assertThat(m.has("rewards/reward_model/std")).isTrue());
        Path other = TinyModel.writeScored(folder.resolve("other"), 3);
        Files.writeString(
                other.resolve("tokenizer.json"),
                Files.readString(other.resolve("tokenizer.json")).replace("<|pad|>", "<|PAD|>"));
        learned[5] = other;
        result = Manners.run(words("grpo", base, folder.resolve("refused"), learned));
        assertThat(result.code()).isEqualTo(2);
        assertThat(result.err()).contains("the reward model does not read what the policy writes");
    }

    /// verl's model and data: that the loaded model has the logits it should have, and learns.
    @Test
    void arithmeticSequencesOfVerl() throws IOException {
        Path source = Path.of(System.getProperty("manners.shared", "../shared"), "data/models/arithmetic_sequence");
        assumeThat(source).exists();
        Path made = ArithmeticSequence.write(source, folder.resolve("verl"));
        Path output = folder.resolve("run");
        List<String> words = words("grpo", made.resolve("model"), output);
        replace(words, "--dataset", made.resolve("train.jsonl").toString());
        replace(words, "--eval-dataset", made.resolve("test.jsonl") + "[:20]");
        replace(words, "--prompt-field", "prompt");
        Manners.Result result = Manners.run(words);
        assertThat(result.code()).as(result.err()).isZero();
        assertThat(result.out()).contains("800 prompts, the longest of 7 tokens");
    }

    private static void replace(List<String> words, String option, String value) {
        words.set(words.indexOf(option) + 1, value);
    }
}
