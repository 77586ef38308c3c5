package dev.manners.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import com.sun.net.httpserver.HttpServer;
import dev.manners.files.Json;
import dev.manners.testing.TinyModel;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/// Rewards that run code or ask another model, from the command line.
class CodeAndJudgeTest {

    @TempDir
    Path folder;

    private Path lines(String name, Object... rows) throws IOException {
        StringBuilder lines = new StringBuilder();
        for (Object row : rows) {
            lines.append(Json.MAPPER.writeValueAsString(row)).append('\n');
        }
        return Files.writeString(folder.resolve(name), lines);
    }

    private static List<String> words(String command, Path model, Path dataset, Path output, Object... more) {
        List<String> words = new ArrayList<>(List.of(
                command,
                model.toString(),
                dataset.toString(),
                "--output-dir",
                output.toString(),
                "--max-steps",
                "1",
                "--per-device-train-batch-size",
                "8",
                "--num-generations",
                "4",
                "--max-completion-length",
                "24",
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

    private static Map<String, Object> task(String prompt, int factor) {
        return Map.of(
                "prompt",
                prompt,
                "entry_point",
                "f",
                "tests",
                List.of(
                        Map.of("args", List.of(3), "expected", 3 * factor),
                        Map.of("args", List.of(-1), "expected", -factor)));
    }

    /// A model that has learned one function by heart is asked for it and for another.
    @Test
    void codeIsRunAgainstTheTestsOfItsRow() throws IOException {
        Path base = TinyModel.write(folder.resolve("base"));
        Path taught = lines(
                "taught.jsonl",
                Map.of("prompt", "Double it.", "completion", "def f(x): return 2*x"),
                Map.of("prompt", "Treble it.", "completion", "def f(x): return 2*x"));
        Manners.Result sft = Manners.run(
                "sft",
                "--model",
                base,
                "--dataset",
                taught,
                "--output-dir",
                folder.resolve("sft"),
                "--max-steps",
                200,
                "--per-device-train-batch-size",
                2,
                "--learning-rate",
                "1e-2",
                "--bf16",
                false,
                "--threads",
                1);
        assertThat(sft.code()).as(sft.err()).isZero();
        Path run = folder.resolve("run");
        Path tasks = lines("tasks.jsonl", task("Double it.", 2), task("Treble it.", 3));
        Manners.Result result = Manners.run(words(
                "grpo",
                folder.resolve("sft/model"),
                tasks,
                run,
                "--temperature",
                0.1,
                "--reward-funcs",
                "code",
                "--code-language",
                "python",
                "--code-parallel",
                2));
        assumeThat(result.err()).doesNotContain("this machine offers no isolation");
        assertThat(result.code()).as(result.err()).isZero();
        List<String> told = Manners.json(run.resolve("samples.jsonl")).stream()
                .map(s -> s.path("prompt").asString() + " " + s.path("reward").asDouble() + " "
                        + s.path("score").path("parts").path(0).path("reason").asString())
                .toList();
        assertThat(told)
                .hasSize(8)
                .contains(
                        "Double it. 1.0 2 of 2 tests passed",
                        "Treble it. 0.0 0 of 2 tests passed; test 1: returned 6, expected 9");
        assertThat(Manners.json(run.resolve("metrics.jsonl")))
                .anySatisfy(m ->
                        assertThat(m.path("rewards/code/mean").asDouble(-1)).isBetween(0.25, 0.75));
    }

    private record Asked(String authorization, String user) {}

    private final List<Asked> asked = Collections.synchronizedList(new ArrayList<>());

    /// A server that speaks OpenAI's protocol.
    private HttpServer server(Function<String, String> reply) throws IOException {
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 50);
        server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
        server.createContext("/v1/chat/completions", exchange -> {
            try (exchange) {
                JsonNode request = Json.parseObject(exchange.getRequestBody().readAllBytes(), "request");
                String user = request.path("messages").path(1).path("content").asString();
                asked.add(new Asked(exchange.getRequestHeaders().getFirst("Authorization"), user));
                byte[] body = """
                        {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0,
                         "message": {"role": "assistant", "content": %s}, "finish_reason": "stop"}],
                         "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}}""".formatted(Json.MAPPER.writeValueAsString(reply.apply(user)))
                        .getBytes(StandardCharsets.UTF_8);
                exchange.getResponseHeaders().set("Content-Type", "application/json");
                exchange.sendResponseHeaders(200, body.length);
                exchange.getResponseBody().write(body);
            }
        });
        server.start();
        return server;
    }

    private List<String> judged(HttpServer server, String name, Path run, Object... more) throws IOException {
        Path base = folder.resolve("base");
        if (!Files.exists(base)) {
            TinyModel.write(base);
        }
        List<String> words = words(
                "grpo",
                base,
                lines("asks.jsonl", Map.of("prompt", "What is 1 + 1?"), Map.of("prompt", "What is 2 + 2?")),
                run,
                "--reward-funcs",
                name,
                "--judge-model",
                "judge-1",
                "--judge-rubric",
                "Short answers are good.",
                "--judge-base-url",
                "http://127.0.0.1:" + server.getAddress().getPort() + "/v1");
        for (Object word : more) {
            words.add(word.toString());
        }
        return words;
    }

    /// Clients' threads beyond those of before that have not ended within ten seconds: a closed client's workers still
    /// have a few instructions to go.
    private static Set<Thread> left(Set<Thread> before) {
        Set<Thread> left = clients();
        left.removeAll(before);
        long until = System.nanoTime() + Duration.ofSeconds(10).toNanos();
        for (Thread thread : left) {
            try {
                thread.join(Math.max(1, (until - System.nanoTime()) / 1_000_000));
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        }
        left.removeIf(thread -> !thread.isAlive());
        return left;
    }

    private static Set<Thread> clients() {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(t -> t.getName().startsWith("HttpClient"))
                .collect(Collectors.toSet());
    }

    private static int grade(String user) {
        return 1 + user.length() % 10;
    }

    /// PATH stands for a key: it is in every environment, and its value in no file of a run.
    @Test
    void aJudgeGradesEveryCompletionAndItsKeyStaysInTheEnvironment() throws IOException {
        HttpServer server = server(user -> "Well.\nSCORE: " + grade(user));
        Path run = folder.resolve("run");
        Set<Thread> before = clients();
        try {
            Manners.Result result =
                    Manners.run(judged(server, "judge", run, "--judge-api-key-env", "PATH", "--judge-input-price", 2));
            assertThat(result.code()).as(result.err()).isZero();
        } finally {
            server.stop(0);
        }
        assertThat(left(before)).as("connections are closed").isEmpty();
        String key = System.getenv("PATH");
        assertThat(asked)
                .isNotEmpty()
                .allSatisfy(a -> assertThat(a.authorization()).isEqualTo("Bearer " + key));
        List<ObjectNode> samples = Manners.json(run.resolve("samples.jsonl"));
        assertThat(samples).hasSize(8).allSatisfy(s -> {
            String completion = s.path("completion").asString();
            String question = asked.stream()
                    .map(Asked::user)
                    .filter(u -> u.contains(s.path("prompt").asString() + "\n")
                            && u.contains(" ANSWER\n" + completion + "\n"))
                    .findFirst()
                    .orElseThrow();
            assertThat(s.path("reward").asInt()).isEqualTo(grade(question));
        });
        assertThat(Manners.json(run.resolve("events.jsonl")))
                .filteredOn(e -> e.path("event").asString().equals("judge_usage"))
                .singleElement()
                .satisfies(e -> {
                    assertThat(e.path("requests").asInt()).isEqualTo(asked.size());
                    assertThat(e.path("cost").asDouble()).isEqualTo(asked.size() * 200 / 1e6);
                });
        try (Stream<Path> files = Files.walk(run)) {
            assertThat(files.filter(Files::isRegularFile))
                    .hasSizeGreaterThan(5)
                    .allSatisfy(file -> assertThat(Files.readString(file, StandardCharsets.ISO_8859_1))
                            .doesNotContain(key));
        }
    }

    /// Verdicts by length: among four completions of different lengths the shares won are 0, 1/3, 2/3, 1.
    @Test
    void aPairwiseJudgeComparesWithinGroups() throws IOException {
        HttpServer server = server(user -> {
            int a = user.indexOf("END", user.indexOf(" ANSWER A\n")) - user.indexOf(" ANSWER A\n");
            int b = user.indexOf("END", user.indexOf(" ANSWER B\n")) - user.indexOf(" ANSWER B\n");
            return "VERDICT: " + (a == b ? "TIE" : a < b ? "A" : "B");
        });
        Path run = folder.resolve("run");
        try {
            Manners.Result result = Manners.run(judged(server, "pairwise_judge", run));
            assertThat(result.code()).as(result.err()).isZero();
            result = Manners.run(judged(
                    server,
                    "pairwise_judge",
                    folder.resolve("refused"),
                    "--eval-dataset",
                    folder.resolve("asks.jsonl")));
            assertThat(result.code()).isEqualTo(2);
            assertThat(result.err()).contains("of a held-out prompt there is one");
        } finally {
            server.stop(0);
        }
        List<ObjectNode> samples = Manners.json(run.resolve("samples.jsonl"));
        assertThat(samples).hasSize(8);
        for (int i = 0; i < samples.size(); i++) {
            int length = samples.get(i).path("completion").asString().length();
            int group = i / 4 * 4;
            double won = 0;
            for (int j = group; j < group + 4; j++) {
                int other = samples.get(j).path("completion").asString().length();
                won += j == i ? 0 : length < other ? 1 : length == other ? 0.5 : 0;
            }
            assertThat(samples.get(i).path("reward").asDouble()).isEqualTo(won / 3);
        }
        assertThat(asked).extracting(Asked::authorization).containsOnlyNulls();
    }

    @Test
    void cf03_whatRewardsLackOrDoNotNeedIsSaid() throws IOException {
        Path base = TinyModel.write(folder.resolve("base"));
        Path rows = lines("asks.jsonl", Map.of("prompt", "What is 1 + 1?"));
        Path run = folder.resolve("run");
        assertThat(Manners.run(words("grpo", base, rows, run, "--reward-funcs", "code"))
                        .err())
                .contains("no code_language says what completions are written in");
        assertThat(Manners.run(words("grpo", base, rows, run, "--reward-funcs", "judge"))
                        .err())
                .contains("no judge_model and judge_rubric say who judges");
        assertThat(Manners.run(words("grpo", base, rows, run, "--reward-funcs", "judge", "--judge-model", "m"))
                        .err())
                .contains("option judge_rubric is missing");
        assertThat(Manners.run(words("grpo", base, rows, run, "--reward-funcs", "format", "--code-language", "python"))
                        .err())
                .contains("options code_... are given, but no reward is code");
        Manners.Result result = Manners.run(words(
                "grpo",
                base,
                rows,
                run,
                "--reward-funcs",
                "judge",
                "--judge-model",
                "m",
                "--judge-rubric",
                "r",
                "--judge-api-key-env",
                "MANNERS_NO_SUCH_KEY"));
        assertThat(result.code()).isEqualTo(2);
        assertThat(result.err()).contains("the environment has no such variable");
        result = Manners.run(
                "ppo",
                "--model",
                base,
                "--dataset",
                rows,
                "--output-dir",
                run,
                "--reward-funcs",
                "pairwise_judge",
                "--judge-model",
                "m",
                "--judge-rubric",
                "r");
        assertThat(result.code()).isEqualTo(2);
        assertThat(result.err()).contains("ppo samples one of each: use judge");
    }
}
