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
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/// PPO from the command line.
class PpoCommandTest {

    @TempDir
    Path folder;

    private Path base = Path.of("");
    private Path prompts = Path.of("");

    @BeforeEach
    void make() throws IOException {
        base = TinyModel.write(folder.resolve("base"));
        prompts = folder.resolve("prompts.jsonl");
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 8; i++) {
            lines.append(Json.MAPPER.writeValueAsString(
                            Map.of("prompt", "What is " + i + " + 1?", "answer", " It is " + (i + 1) + ".")))
                    .append('\n');
        }
        Files.writeString(prompts, lines);
    }

    private Path rewardModel(String name, long seed) {
        return TinyModel.writeScored(folder.resolve(name), seed);
    }

    /// @param more options; one that is there already is given another value
    private List<String> words(Path output, Object... more) {
        List<String> words = new ArrayList<>(List.of(
                "ppo",
                "--model",
                base.toString(),
                "--dataset",
                prompts + "[:6]",
                "--output-dir",
                output.toString(),
                "--max-steps",
                "3",
                "--per-device-train-batch-size",
                "6",
                "--num-ppo-epochs",
                "2",
                "--num-mini-batches",
                "2",
                "--response-length",
                "8",
                "--learning-rate",
                "1e-2",
                "--logging-steps",
                "1",
                "--bf16",
                "false",
                "--threads",
                "1"));
        List<String> usual = List.copyOf(words);
        for (int i = 0; i < more.length; i++) {
            String word = more[i].toString();
            int at = usual.indexOf(word);
            if (word.startsWith("--") && at >= 0) {
                words.set(at + 1, more[++i].toString());
            } else {
                words.add(word);
            }
        }
        return words;
    }

    @Test
    void fromARewardModelToAPolicyAndItsValueModel() throws IOException {
        Path reward = rewardModel("reward", 3);
        Path output = folder.resolve("run");
        Manners.Result result = Manners.run(words(
                output, "--reward-model", reward, "--eval-dataset", prompts + "[-2:]", "--missing-eos-penalty", 1));
        assertThat(result.code()).as(result.err()).isZero();
        assertThat(result.out()).contains("6 prompts", "Verdict: ", "Done: 3 steps of 6 completions");
        List<ObjectNode> metrics = Manners.json(output.resolve("metrics.jsonl"));
        assertThat(metrics).filteredOn(m -> m.has("eval_reward")).hasSize(2);
        assertThat(metrics).filteredOn(m -> m.has("loss")).hasSize(3).allSatisfy(m -> {
            assertThat(m.path("rewards/reward_model/mean").isNumber()).isTrue();
            assertThat(m.path("objective/kl").isNumber()).isTrue();
            assertThat(m.path("val/ratio_first").asDouble()).isCloseTo(1, within(1e-3));
            assertThat(m.path("val/ratio_var").asDouble()).isPositive();
            // A policy that hardly ever stops pays for each completion that was cut off.
            assertThat(m.path("objective/scores").asDouble())
                    .isCloseTo(
                            m.path("reward").asDouble()
                                    - m.path("completions/clipped_ratio").asDouble(),
                            within(1e-9));
        });
        assertThat(Manners.json(output.resolve("samples.jsonl"))).hasSize(18).allSatisfy(s -> {
            assertThat(s.has("advantage")).isTrue();
            assertThat(s.path("score").path("name").asString()).isEqualTo("reward_model");
        });
        assertThat(Files.readString(output.resolve("events.jsonl"))).contains("\"verdict\"");
        assertThat(Files.readString(output.resolve("model/README.md"))).contains("by PPO", "base_model: base");
        assertThat(Files.readString(output.resolve("value_model/README.md")))
                .contains("pipeline_tag: text-classification", "No reward model");
        Manifest.verify(output.resolve("value_model"));
        // Both are complete, and the value model can begin another run.
        Path second = folder.resolve("second");
        result = Manners.run(words(
                second,
                "--model",
                output.resolve("model"),
                "--ref-model",
                base,
                "--value-model",
                output.resolve("value_model"),
                "--reward-model",
                reward));
        assertThat(result.code()).as(result.err()).isZero();
        assertThat(Manners.json(second.resolve("metrics.jsonl"))
                        .getFirst()
                        .path("objective/kl")
                        .asDouble())
                .as("from the model that the first run began with")
                .isNotCloseTo(0, within(1e-3));
    }

    @Test
    void theValueModelBeginsAsTheRewardModel() {
        Path reward = rewardModel("reward", 3);
        Path output = folder.resolve("run");
        assertThat(Manners.run(words(output, "--reward-model", reward, "--max-steps", 0))
                        .code())
                .isZero();
        assertThat(values(output.resolve("value_model"))).isEqualTo(values(reward));
        Path without = folder.resolve("without");
        assertThat(Manners.run(words(without, "--reward-funcs", "prefix_match", "--max-steps", 0))
                        .code())
                .isZero();
        assertThat(values(without.resolve("value_model"))).isNotEqualTo(values(reward));
    }

    private static float[] values(Path directory) {
        try (ScalarModel model = ScalarModel.load(directory, DType.F32, 0, false);
                Scope scope = Scope.open();
                NoGrad off = NoGrad.on()) {
            return model.values(Tensor.of(new int[] {5, 6, 7}), new Sequences(3), Dropout.NONE)
                    .toFloats();
        }
    }

    @Test
    void ensemblesAndFunctionsAreMixedByWeight() throws IOException {
        Path a = rewardModel("a", 3);
        Path b = rewardModel("b", 4);
        for (String ensemble : List.of("mean", "wco", "uwo", "warm")) {
            Path output = folder.resolve(ensemble);
            Manners.Result result = Manners.run(words(
                    output,
                    "--reward-model",
                    a,
                    "--reward-model",
                    b,
                    "--ensemble",
                    ensemble,
                    "--ensemble-lambda",
                    0.5,
                    "--reward-funcs",
                    "prefix_match",
                    "--reward-funcs",
                    "reward_model",
                    "--reward-weights",
                    10,
                    "--reward-weights",
                    2,
                    "--max-steps",
                    1));
            assertThat(result.code()).as(result.err()).isZero();
            assertThat(Manners.json(output.resolve("samples.jsonl"))).hasSize(6).allSatisfy(s -> {
                ObjectNode score = (ObjectNode) s.path("score");
                double function = score.path("parts").get(0).path("value").asDouble();
                double models = score.path("parts").get(1).path("value").asDouble();
                assertThat(score.path("value").asDouble()).isCloseTo(10 * function + 2 * models, within(1e-9));
                List<Double> members = new ArrayList<>();
                score.path("parts")
                        .get(1)
                        .path("parts")
                        .forEach(m -> members.add(m.path("value").asDouble()));
                if (ensemble.equals("warm")) {
                    // The weights of a linear head on one trunk: the mean of weights gives the mean of scores.
                    assertThat(members).isEmpty();
                    return;
                }
                double mean = (members.get(0) + members.get(1)) / 2;
                double half = (members.get(0) - members.get(1)) / 2;
                assertThat(models)
                        .isCloseTo(
                                switch (ensemble) {
                                    case "mean" -> mean;
                                    case "wco" -> Math.min(members.get(0), members.get(1));
                                    default -> mean - 0.5 * half * half;
                                },
                                within(1e-6));
            });
        }
    }

    @Test
    void tr12_interruptedByNothingTwoRunsWriteTheSameBytes() throws IOException {
        Path reward = rewardModel("reward", 3);
        for (String run : List.of("a", "b")) {
            Manners.Result result = Manners.run(words(
                    folder.resolve(run), "--reward-model", reward, "--use-peft", "--lora-r", 4, "--adap-kl-ctrl"));
            assertThat(result.code()).as(result.err()).isZero();
        }
        for (String file : List.of(
                "metrics.jsonl", "samples.jsonl", "model/adapter_model.safetensors", "value_model/model.safetensors")) {
            assertThat(Sha256.of(folder.resolve("b").resolve(file)))
                    .as(file)
                    .isEqualTo(Sha256.of(folder.resolve("a").resolve(file)));
        }
        // The value model's adapters are merged, and it is still what was trained.
        JsonNode proof =
                Manifest.verify(folder.resolve("a/value_model")).extra().path("merge");
        assertThat(proof.path("probes").asInt()).isEqualTo(6);
        assertThat(proof.path("tolerance").asDouble()).isEqualTo(1e-4);
        assertThat(proof.path("largest_relative_difference").asDouble()).isBetween(0.0, 1e-4);
        assertThat(Files.readString(folder.resolve("a/value_model/README.md")))
                .contains("| largest_relative_difference | ");
        assertThat(values(folder.resolve("a/value_model"))).isNotEqualTo(values(reward));
        // With adapters the reference is the policy without them: at first there is no KL, then there is.
        List<ObjectNode> metrics = Manners.json(folder.resolve("a/metrics.jsonl"));
        assertThat(metrics.getFirst().path("objective/kl").asDouble()).isCloseTo(0, within(1e-6));
        assertThat(metrics.getLast().path("objective/kl").asDouble()).isNotCloseTo(0, within(1e-4));
    }

    @Test
    void rl08_aModelThatDoesNotReadWhatThePolicyWritesIsRefused() throws IOException {
        Map<String, Path> others = Map.of(
                "--ref-model", otherTokenizer(TinyModel.write(folder.resolve("reference"))),
                "--value-model", otherTokenizer(rewardModel("value", 4)),
                "--reward-model", otherTokenizer(rewardModel("reward", 3)));
        Path plain = rewardModel("plain", 5);
        for (Map.Entry<String, Path> other : others.entrySet()) {
            Manners.Result result = Manners.run(
                    words(folder.resolve("run"), "--reward-model", plain, other.getKey(), other.getValue()));
            assertThat(result.code()).as(other.getKey()).isEqualTo(2);
            assertThat(result.err()).as(other.getKey()).contains("tokenizer.json", "another", "" + other.getValue());
        }
        assertThat(folder.resolve("run/metrics.jsonl")).doesNotExist();
    }

    /// The same words, but nobody can know.
    private static Path otherTokenizer(Path directory) throws IOException {
        Files.writeString(directory.resolve("tokenizer.json"), "\n", StandardOpenOption.APPEND);
        return directory;
    }

    /// The reward model would be asked at another token than it was trained on.
    @Test
    void promptsOfTwoKindsAreRefused() throws IOException {
        Path reward = rewardModel("reward", 1);
        Path chats = folder.resolve("chats.jsonl");
        Files.writeString(chats, "{\"prompt\": [{\"role\": \"user\", \"content\": \"What is 1 + 1?\"}]}\n");
        Manners.Result apart =
                Manners.run(words(folder.resolve("apart"), "--reward-model", reward, "--eval-dataset", chats));
        assertThat(apart.code()).isEqualTo(2);
        assertThat(apart.err()).contains("chats.jsonl: prompts are lists of messages, and in", "Expected one kind");
        Files.writeString(prompts, Files.readString(chats), StandardOpenOption.APPEND);
        Manners.Result mixed =
                Manners.run(words(folder.resolve("mixed"), "--reward-model", reward, "--dataset", prompts));
        assertThat(mixed.code()).isEqualTo(2);
        assertThat(mixed.err())
                .contains("prompt is a text in " + prompts + ":1 and a list of messages in " + prompts + ":9");
    }

    @Test
    void rl08_aLanguageModelIsNoRewardModel() {
        Manners.Result result = Manners.run(words(folder.resolve("run"), "--reward-model", base));
        assertThat(result.code()).isEqualTo(2);
        assertThat(result.err()).contains("a language model, whose scores would be those of a random head");
    }

    @Test
    void cf03_whatCannotBeIsRefusedInOneMessage() {
        Manners.Result result = Manners.run(
                words(folder.resolve("run"), "--ensemble", "wco", "--num-mini-batches", 4, "--cliprange", 0));
        assertThat(result.code()).isEqualTo(2);
        assertThat(result.err())
                .contains("ensemble combines several reward models, and 0 are given")
                .contains("cliprange is 0, allowed is above 0");
        result = Manners.run(words(folder.resolve("run"), "--value-model", folder.resolve("nowhere")));
        assertThat(result.code()).isEqualTo(2);
        assertThat(result.err()).contains("reward_funcs is empty", "or give a reward_model");
        result = Manners.run(words(
                folder.resolve("run"), "--reward-funcs", "prefix_match", "--response-length", 4096, "--max-steps", 0));
        assertThat(result.code()).as(result.err()).isZero();
    }
}
