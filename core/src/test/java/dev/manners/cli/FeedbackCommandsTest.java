package dev.manners.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.config.Options;
import dev.manners.feedback.Answer;
import dev.manners.feedback.FeedbackStore;
import dev.manners.feedback.Snapshot;
import dev.manners.feedback.Task;
import dev.manners.files.Json;
import dev.manners.files.Manifest;
import dev.manners.files.Sha256;
import dev.manners.parrot.ParrotWorld;
import dev.manners.run.ParrotRecipe;
import dev.manners.testing.TinyModel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/// `sample`, `rank`, `feedback`: from a model to a dataset.
class FeedbackCommandsTest {

    @TempDir
    Path folder;

    private static String done(Object... words) {
        Manners.Result result = Manners.run(words);
        assertThat(result.err()).isEmpty();
        assertThat(result.code()).isZero();
        return result.out();
    }

    private static List<Task> tasks(Path file) {
        List<Task> tasks = new ArrayList<>();
        try (FeedbackStore store = FeedbackStore.open(file);
                Snapshot snapshot = store.snapshot()) {
            snapshot.forEachTask(tasks::add);
        }
        return tasks;
    }

    @Test
    void sampleKeepsEveryCompletionOnceWithWhereItIsFrom() throws Exception {
        Path model = TinyModel.write(folder.resolve("model"));
        Path prompts = TinyModel.rows(folder.resolve("prompts.jsonl"), 5);
        Path store = folder.resolve("feedback.db");
        Object[] words = {
            "sample",
            "--model",
            model,
            "--prompts",
            prompts,
            "--store",
            store,
            "--num-completions",
            3,
            "--max-new-tokens",
            6,
            "--batch-size",
            1,
            "--temperature",
            0.7,
            "--seed",
            11
        };
        assertThat(done(words)).startsWith("5 prompts, 5 new tasks");
        assertThat(done(words)).as("again").startsWith("5 prompts, 0 new tasks");
        List<Task> tasks = tasks(store);
        assertThat(tasks).hasSize(5);
        assertThat(tasks.getFirst().prompt().toString())
                .isEqualTo("[{\"role\":\"user\",\"content\":\"What is 0 + 0?\"}]");
        List<Answer.Sample> samples = tasks.stream()
                .flatMap(task -> task.answers().stream())
                .flatMap(answer -> answer.samples().stream())
                .toList();
        // Each was drawn under numbers of its own, also across the lots that are saved one by one.
        assertThat(samples.stream()
                        .map(sample -> 3 * sample.prompt() + sample.sample())
                        .sorted())
                .containsExactlyElementsOf(LongStream.range(0, 15).boxed().toList());
        assertThat(samples).allSatisfy(sample -> {
            assertThat(sample.model()).isEqualTo("model");
            assertThat(sample.seed()).isEqualTo(11);
            assertThat(sample.modelHash()).matches("[0-9a-f]{64}");
            assertThat(sample.sampling().path("temperature").doubleValue()).isEqualTo(0.7);
            assertThat(sample.sampling().path("max_new_tokens").intValue()).isEqualTo(6);
            assertThat(sample.ids()).hasSizeBetween(1, 6);
        });
        // They are not questions of the built-in world.
        assertThat(done("rank", "--store", store)).contains("skipped: the question is not of the world");
    }

    /// A template that writes the date is told the day of training: that day in its place gives the same answers.
    @Test
    void sampleRendersPromptsAsTrainingDoesWhateverTheDayIs() throws Exception {
        Map<String, List<Integer>> told = sampled("{{- strftime_now('%d %b %Y') }}");
        assertThat(told).hasSize(12).isEqualTo(sampled("{{- '26 Jul 2024' }}"));
        assertThat(told).as("other days have other answers").isNotEqualTo(sampled("{{- '03 May 2031' }}"));
    }

    /// Tokens of a model's answers by prompt and sample.
    ///
    /// @param head what its chat template begins with
    private Map<String, List<Integer>> sampled(String head) throws Exception {
        Path model = TinyModel.write(folder.resolve("model-" + Sha256.ofText(head)));
        Path template = model.resolve("chat_template.jinja");
        Files.writeString(template, head + Files.readString(template));
        Path store = folder.resolve(model.getFileName() + ".db");
        Path prompts = TinyModel.rows(folder.resolve("prompts.jsonl"), 4);
        done(
                "sample",
                "--model",
                model,
                "--prompts",
                prompts,
                "--store",
                store,
                "--num-completions",
                3,
                "--max-new-tokens",
                12);
        Map<String, List<Integer>> found = new TreeMap<>();
        for (Task task : tasks(store)) {
            task.answers()
                    .forEach(answer ->
                            answer.samples().forEach(s -> found.put(s.prompt() + "." + s.sample(), s.ids())));
        }
        return found;
    }

    @Test
    void rankedExportedAndBack() throws Exception {
        ParrotRecipe recipe = ParrotRecipe.bind(new Options().yaml(RunCommand.parrot()));
        ParrotWorld world = ParrotWorld.create(recipe.top().seed(), recipe.world());
        Path file = folder.resolve("feedback.db");
        try (FeedbackStore store = FeedbackStore.open(file)) {
            store.add(world.feedback().stream()
                    .limit(60)
                    .map(prompt -> new Task(
                            Task.question(prompt.question()),
                            List.of(Answer.of(prompt.answer()), Answer.of("I don't know."), Answer.of("blue blue")),
                            null))
                    .toList());
        }
        assertThat(done(
                        "rank",
                        "--annotators",
                        "parrot",
                        "--store",
                        file,
                        "--num-annotators",
                        3,
                        "--per-task",
                        2,
                        "--repeats",
                        0.1,
                        "--noise",
                        0))
                .startsWith("1")
                .contains("verdicts of 3 annotators")
                .doesNotContain("skipped");
        assertThat(done("rank", "--store", file, "--per-task", 2, "--repeats", 0.1))
                .startsWith("0 verdicts");
        JsonNode status = Manners.json(done("feedback", "status", "--store", file, "--json"))
                .getFirst();
        assertThat(status.path("tasks_with_two_annotators").longValue()).isEqualTo(60);
        JsonNode agreement = Manners.json(done("feedback", "agreement", "--store", file, "--json"))
                .getFirst();
        // People of similar tastes without noise agree far beyond chance.
        assertThat(agreement.path("alpha").path("low").doubleValue()).isGreaterThan(0.5);
        assertThat(agreement.path("alpha").path("n").longValue()).isEqualTo(180);
        assertThat(agreement.path("annotators")).hasSize(3);
        assertThat(agreement
                        .path("annotators")
                        .get(0)
                        .path("consistent")
                        .path("n")
                        .longValue())
                .isPositive();
        assertThat(done("feedback", "agreement", "--store", file))
                .contains("Krippendorff's alpha, ordinal  0.")
                .contains("\nannotator-1\n")
                .contains("gold answers found             n/a");
        Path out = folder.resolve("out");
        assertThat(done("feedback", "export", "--store", file, "--output", out))
                .contains("rankings.jsonl: 120 rows")
                .contains("left out, repeated: ");
        JsonNode row = Json.parseObject(
                Files.readAllLines(out.resolve("pairs.jsonl"))
                        .getFirst()
                        .getBytes(java.nio.charset.StandardCharsets.UTF_8),
                "row");
        assertThat(row.path("prompt").get(0).path("role").asString()).isEqualTo("user");
        assertThat(row.path("chosen").get(0).path("role").asString()).isEqualTo("assistant");
        assertThat(row.path("annotator").asString()).startsWith("annotator-");
        assertThat(done("feedback", "import", "--store", folder.resolve("copy.db"), "--input", out))
                .startsWith("60 new tasks");
        done("feedback", "export", "--store", folder.resolve("copy.db"), "--output", folder.resolve("back"));
        assertThat(Manifest.verify(folder.resolve("back")).id())
                .isEqualTo(Manifest.verify(out).id());
    }

    @Test
    void whatIsMissingIsSaid() {
        assertThat(Manners.run("feedback", "status", "--store", folder.resolve("none.db"))
                        .err())
                .contains("none.db: no such file; manners sample makes one");
        assertThat(folder.resolve("none.db")).doesNotExist();
        assertThat(Manners.run("rank", "--store", folder.resolve("none.db"), "--per-task", 9)
                        .err())
                .contains("there are only 3 annotators");
        assertThat(Manners.run("feedback", "import", "--store", folder.resolve("new.db"))
                        .err())
                .contains("--input is missing");
        assertThat(folder.resolve("new.db")).doesNotExist();
    }
}
