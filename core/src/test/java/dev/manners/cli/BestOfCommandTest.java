package dev.manners.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.manners.files.Json;
import dev.manners.files.Sha256;
import dev.manners.testing.Jvm;
import dev.manners.testing.TinyModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.node.ObjectNode;

/// Best-of-n from the command line, with a reward model as proxy and length as gold.
class BestOfCommandTest {

    private static final int PROMPTS = 12;
    private static final int SAMPLES = 4;

    @TempDir
    Path folder;

    private Path rows(Object... prompts) throws IOException {
        StringBuilder lines = new StringBuilder();
        for (Object prompt : prompts) {
            lines.append(Json.MAPPER.writeValueAsString(Map.of("prompt", prompt, "answer", "3")))
                    .append('\n');
        }
        return Files.writeString(folder.resolve("rows.jsonl"), lines);
    }

    private Path rows() throws IOException {
        return rows(Stream.iterate(0, i -> i + 1)
                .limit(PROMPTS)
                .map(i -> "What is " + i + " + 1?")
                .toArray());
    }

    private List<String> words(Path dataset, Path output, Object... more) {
        Path base = folder.resolve("base");
        if (!Files.exists(base)) {
            TinyModel.write(base);
            TinyModel.writeScored(folder.resolve("scored"), 3);
        }
        List<String> words = new ArrayList<>(List.of(
                "best-of",
                base.toString(),
                dataset.toString(),
                "--output-dir",
                output.toString(),
                "--num-generations",
                String.valueOf(SAMPLES),
                "--max-new-tokens",
                "60",
                "--batch-size",
                "2",
                "--reward-model",
                folder.resolve("scored").toString(),
                "--gold-funcs",
                "soft_overlong",
                "--soft-punish-cache",
                "60",
                "--threads",
                "1"));
        for (Object word : more) {
            words.add(word.toString());
        }
        return words;
    }

    private static Map<Integer, List<ObjectNode>> groups(Path run) throws IOException {
        Map<Integer, List<ObjectNode>> groups = new TreeMap<>();
        for (ObjectNode line : Manners.json(run.resolve("completions.jsonl"))) {
            groups.computeIfAbsent(line.path("row").asInt(), r -> new ArrayList<>())
                    .add(line);
        }
        return groups;
    }

    /// The mean over every choice of n of a prompt's completions of what the best by the proxy has.
    private static double bySubsets(List<ObjectNode> group, int n, String key) {
        double sum = 0;
        int subsets = 0;
        for (int mask = 0; mask < 1 << SAMPLES; mask++) {
            if (Integer.bitCount(mask) == n) {
                ObjectNode best = null;
                for (int i = 0; i < SAMPLES; i++) {
                    ObjectNode one = group.get(i);
                    if ((mask >> i & 1) == 1
                            && (best == null
                                    || one.path("reward").doubleValue()
                                            > best.path("reward").doubleValue())) {
                        best = one;
                    }
                }
                sum += best == null ? Double.NaN : best.path(key).doubleValue();
                subsets++;
            }
        }
        return sum / subsets;
    }

    @Test
    void theCurveIsTheMeanOverAllSubsetsAndTheBestTeachSft() throws IOException {
        Path run = folder.resolve("run");
        Manners.Result result = Manners.run(words(rows(), run));
        assertThat(result.code()).as(result.err()).isZero();
        assertThat(result.out()).contains("12 prompts", "best of", "proxy", "gold", "Done: the best of 4 in ");
        Map<Integer, List<ObjectNode>> groups = groups(run);
        assertThat(groups)
                .hasSize(PROMPTS)
                .allSatisfy((row, group) -> assertThat(group).hasSize(SAMPLES));
        List<ObjectNode> metrics = Manners.json(run.resolve("metrics.jsonl"));
        assertThat(metrics).hasSize(SAMPLES);
        for (int n = 1; n <= SAMPLES; n++) {
            int of = n;
            ObjectNode line = metrics.get(n - 1);
            assertThat(line.path("step").asInt()).isEqualTo(n);
            assertThat(line.path("kl").asDouble()).isEqualTo(Math.log(n) - (n - 1.0) / n);
            for (Map.Entry<String, String> key :
                    Map.of("proxy", "reward", "gold", "gold").entrySet()) {
                double expected = groups.values().stream()
                        .mapToDouble(g -> bySubsets(g, of, key.getValue()))
                        .average()
                        .orElseThrow();
                assertThat(line.path(key.getKey()).asDouble())
                        .as(key.getKey() + n)
                        .isCloseTo(expected, within(1e-9));
                assertThat(line.path(key.getKey() + "/low").asDouble()).isLessThan(expected);
                assertThat(line.path(key.getKey() + "/high").asDouble()).isGreaterThan(expected);
            }
        }
        assertThat(metrics.getLast().path("proxy").asDouble())
                .isGreaterThan(metrics.getFirst().path("proxy").asDouble());
        List<String> best = new ArrayList<>();
        groups.forEach((row, group) -> group.stream()
                .filter(one -> one.path("finished").asBoolean())
                .max((a, b) -> Double.compare(
                        a.path("reward").doubleValue(), b.path("reward").doubleValue()))
                .ifPresent(one -> best.add(one.path("prompt").asString() + "|"
                        + one.path("completion").asString() + "|" + one.path("reward"))));
        assertThat(best).hasSizeBetween(1, PROMPTS - 1);
        assertThat(Manners.json(run.resolve("best.jsonl")))
                .extracting(b ->
                        b.path("prompt").asString() + "|" + b.path("completion").asString() + "|" + b.path("reward"))
                .isEqualTo(best);
        assertThat(result.out()).contains(PROMPTS - best.size() + " prompts are not in best.jsonl");
        Manners.Result taught = Manners.run(
                "sft",
                "--model",
                folder.resolve("base"),
                "--dataset",
                run.resolve("best.jsonl"),
                "--output-dir",
                folder.resolve("sft"),
                "--max-steps",
                1,
                "--bf16",
                false,
                "--threads",
                1);
        assertThat(taught.code()).as(taught.err()).isZero();
    }

    /// What recipes/ says is understood, and runs; made small by flags, which win.
    @Test
    void itsRecipeRuns() throws IOException {
        Path run = folder.resolve("run");
        Manners.Result result = Manners.run(
                "best-of",
                TinyModel.write(folder.resolve("base")),
                rows("What is 1 + 2?", "What is 2 + 1?"),
                "--config",
                Path.of(System.getProperty("manners.home", ".."), "recipes", "best-of.yaml"),
                "--num-generations",
                2,
                "--max-new-tokens",
                6,
                "--threads",
                1,
                "--output-dir",
                run);
        assertThat(result.code()).as(result.err()).isZero();
        assertThat(Files.readString(run.resolve("config.yaml"))).contains("batch_size: 128");
        assertThat(Manners.json(run.resolve("completions.jsonl")))
                .hasSize(4)
                .allSatisfy(c -> assertThat(c.path("score").toString()).contains("numeric_answer"));
    }

    @Test
    void messagesAreAnsweredByAMessageAndWithoutGoldThereIsNone() throws IOException {
        Path run = folder.resolve("run");
        Path rows = rows(
                List.of(Map.of("role", "user", "content", "What is 1 + 1?")),
                List.of(Map.of("role", "user", "content", "What is 2 + 1?")));
        List<String> words = words(rows, run, "--num-generations", 8);
        words.subList(words.indexOf("--gold-funcs"), words.indexOf("--gold-funcs") + 2)
                .clear();
        words.subList(words.indexOf("--num-generations"), words.indexOf("--num-generations") + 2)
                .clear();
        Manners.Result result = Manners.run(words);
        assertThat(result.code()).as(result.err()).isZero();
        assertThat(result.out()).doesNotContain("gold");
        assertThat(Manners.json(run.resolve("metrics.jsonl"))).hasSize(8).noneMatch(m -> m.has("gold"));
        assertThat(Manners.json(run.resolve("best.jsonl"))).isNotEmpty().allSatisfy(b -> {
            assertThat(b.path("prompt").path(0).path("role").asString()).isEqualTo("user");
            assertThat(b.path("completion").path(0).path("role").asString()).isEqualTo("assistant");
        });
    }

    /// A verifier says nothing of a row without an answer: no curve holds it, and the others' stays.
    @Test
    void rl01_whatCannotBeScoredIsInNoCurve() throws IOException {
        Path rows = folder.resolve("rows.jsonl");
        Files.writeString(rows, """
                {"prompt": "What is 1 + 1?", "target": 2, "nums": [1, 1]}
                {"prompt": "What is 1 + 2?"}
                """);
        Path run = folder.resolve("run");
        List<String> words = words(rows, run);
        words.set(words.indexOf("soft_overlong"), "countdown");
        Manners.Result result = Manners.run(words);
        assertThat(result.code()).as(result.err()).isZero();
        assertThat(result.out()).contains("1 prompts are not in the table");
        List<ObjectNode> metrics = Manners.json(run.resolve("metrics.jsonl"));
        assertThat(metrics).hasSize(SAMPLES);
        assertThat(metrics.getFirst().path("proxy").asDouble())
                .isCloseTo(
                        groups(run).getOrDefault(0, List.of()).stream()
                                .mapToDouble(one -> one.path("reward").doubleValue())
                                .average()
                                .orElseThrow(),
                        within(1e-9));
    }

    /// A real process and a real signal, and then the torn tail that a power cut leaves.
    @Test
    void tr06_interruptedAndResumedIsByteIdentical() throws Exception {
        assumeThat(System.getProperty("os.name")).doesNotStartWith("Windows");
        Path rows = rows(Stream.iterate(0, i -> i + 1)
                .limit(60)
                .map(i -> "What is " + i + " + 1?")
                .toArray());
        Path straight = folder.resolve("straight");
        assertThat(Manners.run(words(rows, straight)).code()).isZero();
        Path run = folder.resolve("run");
        Path kept = run.resolve("completions.jsonl");
        Process process = Jvm.of(Main.class.getName(), List.of(), words(rows, run))
                .redirectOutput(folder.resolve("out").toFile())
                .redirectError(folder.resolve("err").toFile())
                .start();
        while (!Files.exists(kept) || Files.size(kept) < 2000) {
            assertThat(process.isAlive())
                    .as(() -> "ended by itself, see " + folder.resolve("err"))
                    .isTrue();
            Thread.sleep(2);
        }
        // Not INT, which the jobs in a shell's background ignore, and their children with them.
        new ProcessBuilder("kill", "-TERM", String.valueOf(process.pid()))
                .inheritIO()
                .start()
                .waitFor();
        assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).isEqualTo(143);
        assertThat(run.resolve("best.jsonl")).doesNotExist();
        assertThat(Files.readString(folder.resolve("out"))).contains("The same command goes on");
        List<String> whole = Files.readAllLines(kept);
        assertThat(whole.size() % SAMPLES).isZero();
        assertThat(whole).hasSizeBetween(SAMPLES, 59 * SAMPLES);
        Files.writeString(kept, whole.getFirst() + "\n" + whole.getFirst().substring(0, 20), StandardOpenOption.APPEND);

        Manners.Result resumed = Manners.run(words(rows, run));
        assertThat(resumed.code()).as(resumed.err()).isZero();
        assertThat(resumed.out()).contains("Going on behind the " + whole.size() / SAMPLES + " prompts");
        for (String file : List.of("completions.jsonl", "best.jsonl", "metrics.jsonl")) {
            assertThat(Sha256.of(run.resolve(file))).as(file).isEqualTo(Sha256.of(straight.resolve(file)));
        }
    }

    @Test
    void tr11_otherInputsAreRefused() throws IOException {
        Path run = folder.resolve("run");
        assertThat(Manners.run(words(rows(), run)).code()).isZero();
        Files.delete(run.resolve("manifest.json"));
        Manners.Result result = Manners.run(words(rows("Something else?"), run));
        assertThat(result.code()).isEqualTo(2);
        assertThat(result.err()).contains("was made with another dataset");
    }

    @Test
    void cf03_whatCannotBeIsRefusedInOneMessage() throws IOException {
        List<String> words = words(
                rows(), folder.resolve("run"), "--do-sample", "false", "--gold-weights", "1", "--gold-weights", "2");
        Manners.Result result = Manners.run(words);
        assertThat(result.code()).isEqualTo(2);
        assertThat(result.err())
                .contains(
                        "do_sample is false: all completions of a prompt would be the same",
                        "of gold_funcs: reward_weights has 2 numbers and reward_funcs 1 names");
        assertThat(folder.resolve("run")).doesNotExist();
        words = words(rows(), folder.resolve("run"), "--judge-model", "m", "--judge-rubric", "r");
        assertThat(Manners.run(words).err()).contains("no reward is judge or pairwise_judge");
        words.set(words.indexOf("soft_overlong"), "pairwise_judge");
        assertThat(Manners.run(words).err()).contains("is 0.5 whatever they are: use judge");
    }
}
