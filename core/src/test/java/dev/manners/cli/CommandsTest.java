package dev.manners.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assertions.withinPercentage;

import dev.manners.files.Printable;
import dev.manners.testing.Jvm;
import dev.manners.testing.TinyModel;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.node.ObjectNode;

/// The commands that look at a model and leave it alone.
class CommandsTest {

    @TempDir
    static Path shared;

    private static Path model = Path.of("");
    private static Path rows = Path.of("");

    @TempDir
    Path folder;

    @BeforeAll
    static void make() throws IOException {
        model = TinyModel.write(shared.resolve("model"));
        rows = TinyModel.rows(shared.resolve("rows.jsonl"), 12);
    }

    private static Manners.Result done(Object... words) {
        Manners.Result result = Manners.run(words);
        assertThat(result.err()).isEmpty();
        assertThat(result.code()).isZero();
        return result;
    }

    @Test
    void scoreSumsUpWhatItsLinesSay() throws IOException {
        Manners.Result result = done("score", "--model", model, "--dataset", rows);
        List<ObjectNode> lines = result.json();
        assertThat(lines).hasSize(13);
        double total = 0;
        long tokens = 0;
        for (ObjectNode line : lines.subList(0, 12)) {
            double sum = 0;
            for (var logp : line.path("logps")) {
                assertThat(logp.doubleValue()).isNegative();
                sum -= logp.doubleValue();
            }
            assertThat(line.path("logps")).hasSize(line.path("tokens").intValue());
            assertThat(line.path("ids")).hasSize(line.path("tokens").intValue());
            // The completion is scored, the prompt is not; the end of the answer is part of it.
            assertThat(line.path("ids").get(line.path("ids").size() - 1).intValue())
                    .isZero();
            assertThat(line.path("nll").doubleValue())
                    .isEqualTo(sum / line.path("tokens").intValue(), within(1e-6));
            total += sum;
            tokens += line.path("tokens").intValue();
        }
        assertThat(lines.getFirst().path("source").asString()).isEqualTo(rows + ":1");
        ObjectNode sum = lines.getLast();
        assertThat(sum.path("rows").intValue()).isEqualTo(12);
        assertThat(sum.path("tokens").longValue()).isEqualTo(tokens);
        assertThat(sum.path("nll").doubleValue()).isEqualTo(total / tokens, within(1e-6));
        assertThat(sum.path("perplexity").doubleValue()).isCloseTo(Math.exp(total / tokens), withinPercentage(1e-5));

        // A random model is about as good as a guess among its 300 tokens.
        assertThat(sum.path("nll").doubleValue()).isBetween(0.7 * Math.log(300), 1.3 * Math.log(300));

        Path file = folder.resolve("scores.jsonl");
        assertThat(done("score", "--model", model, "--dataset", rows, "--output", file)
                        .out())
                .isEmpty();
        assertThat(file).hasContent(result.out());
        long whole = done("score", "--model", model, "--dataset", rows, "--completion-only-loss", "false")
                .json()
                .getLast()
                .path("tokens")
                .longValue();
        assertThat(whole).isGreaterThan(tokens);
    }

    @Test
    void generateInEveryForm() throws IOException {
        List<ObjectNode> sampled = done(
                        "generate",
                        "--model",
                        model,
                        "--prompt",
                        "What is",
                        "--json",
                        "--num-completions",
                        3,
                        "--max-new-tokens",
                        9,
                        "--seed",
                        5)
                .json();
        assertThat(sampled).hasSize(3);
        assertThat(sampled).allSatisfy(line -> {
            assertThat(line.path("prompt").asString()).isEqualTo("What is");
            assertThat(line.path("completion_ids").size()).isBetween(1, 9);
            assertThat(line.path("logps")).hasSameSizeAs(line.path("completion_ids"));
            assertThat(line.path("finish_reason").asString()).isIn("length", "stop", "eos");
        });
        // Three draws, not one three times.
        assertThat(sampled.stream()
                        .map(l -> l.path("completion_ids").toString())
                        .distinct())
                .hasSizeGreaterThan(1);
        Path prompts = Files.writeString(folder.resolve("prompts.txt"), "What is\nIt is\n");
        Object[] greedy = {
            "generate",
            "--model",
            model,
            "--prompts-file",
            prompts,
            "--do-sample",
            "false",
            "--max-new-tokens",
            5,
            "--json"
        };
        List<ObjectNode> lines = done(greedy).json();
        assertThat(lines.stream().map(l -> l.path("prompt").asString())).containsExactly("What is", "It is");
        assertThat(done(greedy).json()).isEqualTo(lines);
        // A prompt alone is what it is beside others, and is shown as it comes.
        String alone = done(
                        "generate",
                        "--model",
                        model,
                        "--prompt",
                        "What is",
                        "--do-sample",
                        "false",
                        "--max-new-tokens",
                        5)
                .out();
        assertThat(alone)
                .isEqualTo("What is"
                        + Printable.escape(lines.getFirst().path("completion").asString()) + System.lineSeparator());
    }

    @Test
    void chatAnswersWhatGenerateDoes() throws Exception {
        String answer = done(
                        "generate",
                        "--model",
                        model,
                        "--chat",
                        "--prompt",
                        "Hello",
                        "--do-sample",
                        "false",
                        "--max-new-tokens",
                        6,
                        "--json")
                .json()
                .getFirst()
                .path("completion")
                .asString();
        Process chat = Jvm.of(
                        Main.class.getName(),
                        List.of(
                                // Its history goes to the home folder, which must not be that of whoever runs the
                                // tests; the native libraries were unpacked there and shall not be again.
                                "-Duser.home=" + folder,
                                "-Dorg.bytedeco.javacpp.cachedir=" + System.getProperty("user.home")
                                        + "/.javacpp/cache"),
                        List.of("chat", "--model", model.toString(), "--do-sample", "false", "--max-new-tokens", "6"))
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        try (var input = chat.getOutputStream()) {
            input.write("Hello\n\n/what\n/undo\nHello\n/new\n/system Be brief.\n/quit\nnot read\n"
                    .getBytes(StandardCharsets.UTF_8));
        }
        String out = new String(chat.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(chat.waitFor()).isZero();
        assertThat(out).contains("unknown: /what; there are /new, /undo, /system TEXT, /quit");
        // The second time the first exchange was taken back: the same question, the same answer.
        String shown = Printable.escape(answer);
        assertThat(out.split(java.util.regex.Pattern.quote(shown), -1)).hasSizeGreaterThanOrEqualTo(3);
    }

    @Test
    void tokensShowsWhatIsTrainedOn() {
        String out = done(
                        "tokens",
                        "--model",
                        model,
                        "--dataset",
                        rows,
                        "--rows",
                        1,
                        "--colour",
                        "false",
                        "--borders",
                        "false")
                .out();
        assertThat(out).contains("What is 0 + 0?« It is 0.<|endoftext|>»").doesNotContain("\u001b");
        assertThat(out).doesNotContain("What is 1 + 1?");
        assertThat(done("tokens", "--model", model, "--dataset", rows, "--rows", 2)
                        .out())
                .contains("\u001b[")
                .contains("|");
        assertThat(done(
                                "tokens",
                                "--model",
                                model,
                                "--dataset",
                                rows,
                                "--rows",
                                1,
                                "--colour",
                                "false",
                                "--borders",
                                "false",
                                "--completion-only-loss",
                                "false")
                        .out())
                .contains("is 0 + 0? It is 0.<|endoftext|>»");
    }

    @Test
    void doctorComparesTheMachineWithTheRecipe() throws IOException {
        Manners.Result result = Manners.run("doctor", "--output-dir", folder);
        assertThat(result.code()).isZero();
        assertThat(result.out()).contains("libtorch", "memory", "disk", "All is well.");
        Path greedy = Files.writeString(
                folder.resolve("r.yaml"), "recipe: parrot\nneeds: {memory_mb: 900000000, disk_mb: 1}\n");
        Manners.Result missing = Manners.run("doctor", greedy, "--output-dir", folder);
        assertThat(missing.code()).isEqualTo(1);
        assertThat(missing.out().lines().filter(line -> line.startsWith("! memory")))
                .singleElement()
                .asString()
                .contains("the recipe needs about 900000000 MB");
        assertThat(missing.out()).contains("Something is missing");
        Path wrong = Files.writeString(folder.resolve("w.yaml"), "needs: {memory_mb: lots, dsk_mb: 1}\n");
        Manners.Result refused = Manners.run("doctor", wrong);
        assertThat(refused.code()).isEqualTo(2);
        assertThat(refused.err())
                .contains("needs.memory_mb is lots, expected a whole number")
                .contains("unknown option needs.dsk_mb (did you mean needs.disk_mb?)");
    }

    /// The keys of the other side of the comparison, so that one script reads both.
    @ParameterizedTest
    @CsvSource({
        "sft, tokens, length",
        "reward, pairs, length",
        "dpo, pairs, length",
        "grpo, completion tokens, prompts",
        "generate, tokens, prompt"
    })
    void benchPrintsOneLineWithThePeersKeys(String job, String unit, String own) throws IOException {
        Path pairs = folder.resolve("pairs.jsonl");
        Files.writeString(pairs, """
                {"prompt":"What is 1 + 1?","chosen":" It is 2.","rejected":" It is 3."}
                """.repeat(4));
        List<ObjectNode> lines = done(
                        "bench",
                        job,
                        model,
                        job.equals("reward") || job.equals("dpo") ? pairs : rows,
                        "--steps",
                        4,
                        "--batch",
                        2,
                        "--length",
                        32,
                        "--prompt",
                        4,
                        "--completion",
                        5,
                        "--generations",
                        2)
                .json();
        assertThat(lines).hasSize(1);
        ObjectNode line = lines.getFirst();
        assertThat(line.propertyNames())
                .containsAll(Set.of(
                        "peer",
                        "job",
                        "model",
                        "dtype",
                        "median_step_s",
                        "unit",
                        "per_second",
                        "peak_rss_mb",
                        "batch",
                        "completion",
                        own));
        assertThat(line.path("peer").asString()).isEqualTo("manners");
        assertThat(line.path("job").asString()).isEqualTo(job);
        assertThat(line.path("unit").asString()).isEqualTo(unit);
        assertThat(line.path("batch").asInt()).isEqualTo(2);
        assertThat(line.path("per_second").asDouble()).isPositive();
        assertThat(line.path("peak_rss_mb").asLong()).isPositive();
    }

    @Test
    void benchSaysWhatIsMissing() {
        for (String job : List.of("sft", "reward", "dpo", "grpo")) {
            Manners.Result refused = Manners.run("bench", job, model);
            assertThat(refused.code()).isEqualTo(2);
            assertThat(refused.err()).contains("bench " + job + " needs rows: manners bench " + job + " MODEL DATA");
        }
        assertThat(Manners.run("bench", "train", model).err()).contains("job is train, expected one of");
    }

    @Test
    void cf04_anAdapterIsNoModelForAnyCommand() throws IOException {
        Files.writeString(folder.resolve("adapter_config.json"), "{}");
        for (List<Object> words : List.of(
                List.<Object>of("score", "--model", folder, "--dataset", rows),
                List.<Object>of("generate", "--model", folder),
                List.<Object>of("chat", "--model", folder),
                List.<Object>of("export", "--model", folder, "--output-dir", folder.resolve("x")))) {
            Manners.Result refused = Manners.run(words.toArray());
            assertThat(refused.code()).isEqualTo(2);
            assertThat(refused.err()).contains("this is an adapter, not a model; give its base model with --model");
        }
    }
}
