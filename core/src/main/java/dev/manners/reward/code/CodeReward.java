package dev.manners.reward.code;

import dev.manners.BadInput;
import dev.manners.files.Json;
import dev.manners.reward.Candidate;
import dev.manners.reward.Reward;
import dev.manners.reward.Score;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/// Runs the code in a completion and compares what its function returns with what was expected: 1 if every test
/// passes, otherwise 0, or the share that passed.
///
/// Columns of a row: `entry_point`, a function (`add`, `Solution.add`; the class is made without arguments), and
/// `tests`, a list of `{"args": [1, 2], "expected": 3}`. A row without `tests` gets no score. The code is the
/// completion's last complete fenced block, or all of it if it has no fence.
///
/// A candidate runs in a process of its own (see [Sandbox]) and is called for one test at a time. Expected values never
/// leave this process, and its exit code, what it prints and what it writes count for nothing: to pass is to
/// return the value. That also means that a value that cannot be written as JSON cannot be tested for. Numbers are
/// equal if they differ by no more than 1e-9 of the expected one; whole numbers exactly; true is not 1.
public final class CodeReward implements Reward {

    /// For the interpreter and our harness to start, before any of the candidate's code runs.
    private static final Duration START = Duration.ofSeconds(60);

    private static final double TOLERANCE = 1e-9;

    private final CodeConfig config;
    private final Language.Interpreter interpreter;
    private final Sandbox sandbox;

    private CodeReward(CodeConfig config, Language.Interpreter interpreter, Sandbox sandbox) {
        this.config = config;
        this.interpreter = interpreter;
        this.sandbox = sandbox;
    }

    /// Looks for the interpreter and tries what isolation there is.
    ///
    /// @throws BadInput if the language's interpreter or compiler is missing, or this machine cannot isolate a
    /// process and `code_allow_unisolated` is false
    public static CodeReward open(CodeConfig config) {
        return open(config, Sandbox.detect());
    }

    static CodeReward open(CodeConfig config, Sandbox sandbox) {
        Language.Interpreter interpreter = config.codeLanguage().interpreter(config);
        if (sandbox instanceof Sandbox.Unisolated(String why) && !config.codeAllowUnisolated()) {
            throw new BadInput("a code reward runs what a model wrote, and this machine offers no isolation for it ("
                    + why + "). Needed are Linux and util-linux (unshare, setpriv, prlimit), as root or with user"
                    + " namespaces allowed. To run it all the same, with your files and your network within its reach,"
                    + " set code_allow_unisolated to true");
        }
        return new CodeReward(config, interpreter, sandbox);
    }

    @Override
    public String name() {
        return "code";
    }

    /// Whether candidates are kept from the network and from files; false only with `code_allow_unisolated`.
    public boolean isolated() {
        return !(sandbox instanceof Sandbox.Unisolated);
    }

    private record Test(ArrayNode arguments, JsonNode expected) {}

    @Override
    public List<Score> score(List<Candidate> candidates) {
        long end = System.nanoTime() + (long) (config.codeBatchTimeoutSeconds() * 1e9);
        List<Callable<Score>> tasks = new ArrayList<>();
        for (Candidate candidate : candidates) {
            JsonNode column = candidate.columns().get("tests");
            if (column == null || column.isNull()) {
                tasks.add(() -> Score.none(name(), "the row has no tests"));
                continue;
            }
            List<Test> tests = tests(column);
            String function = function(candidate.columns());
            String source = code(candidate.completion());
            tasks.add(
                    source == null
                            ? () -> Score.of(name(), 0, "no complete block of code")
                            : () -> run(source, function, tests, end));
        }
        int parallel = config.codeParallel() == 0 ? Runtime.getRuntime().availableProcessors() : config.codeParallel();
        try (var threads = Executors.newFixedThreadPool(
                parallel, Thread.ofPlatform().name("code-", 0).factory())) {
            List<Score> scores = new ArrayList<>();
            for (Future<Score> score : threads.invokeAll(tasks)) {
                scores.add(score.get());
            }
            return scores;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while candidates were running", e);
        } catch (ExecutionException e) {
            throw new IllegalStateException(e.getCause());
        }
    }

    private Score run(String source, String function, List<Test> tests, long end) {
        Duration left = Duration.ofNanos(end - System.nanoTime());
        if (!left.isPositive()) {
            return Score.none(name(), "the batch took longer than " + config.codeBatchTimeoutSeconds() + " s");
        }
        Duration time = Duration.ofMillis((long) (config.codeTimeoutSeconds() * 1000));
        long seconds = START.plus(time).toSeconds() + 1;
        Sandbox.Limits limits = new Sandbox.Limits(
                interpreter.addressSpace(), config.codeMaxProcesses(), config.codeMaxOutputBytes(), seconds);
        try (Session session =
                Session.start(sandbox, interpreter, limits, config.codeMaxOutputBytes(), min(START, left))) {
            if (session.ask(Json.MAPPER.createObjectNode()) instanceof Session.Answer.Over(String reason)) {
                return Score.none(name(), "the sandbox did not start: " + reason + ": " + session.printed());
            }
            left = Duration.ofNanos(end - System.nanoTime());
            session.within(min(time, left));
            Score score = judge(session, source, function, tests);
            // Cut short by the batch and not by its own time: nobody knows whether it would have passed.
            return left.compareTo(time) < 0 && System.nanoTime() - end >= 0
                    ? Score.none(name(), "the batch took longer than " + config.codeBatchTimeoutSeconds() + " s")
                    : score;
        } catch (IOException e) {
            return Score.none(name(), "the sandbox did not start: " + e.getMessage());
        }
    }

    private Score judge(Session session, String source, String function, List<Test> tests) {
        Session.Answer loaded =
                session.ask(Json.MAPPER.createObjectNode().put("source", source).put("function", function));
        String problem = switch (loaded) {
            case Session.Answer.Value(JsonNode value) -> null;
            case Session.Answer.Raised(String error) -> "does not load: " + error;
            case Session.Answer.Over(String reason) -> reason + " while loading";
        };
        int passed = 0;
        for (int i = 0; i < tests.size(); i++) {
            if (loaded instanceof Session.Answer.Value) {
                Test test = tests.get(i);
                ObjectNode call = Json.MAPPER.createObjectNode();
                call.set("arguments", test.arguments());
                Session.Answer answer = session.ask(call);
                String wrong = switch (answer) {
                    case Session.Answer.Value(JsonNode value) ->
                        equal(test.expected(), value)
                                ? null
                                : "returned " + cut(value) + ", expected " + cut(test.expected());
                    case Session.Answer.Raised(String error) -> "raised " + error;
                    case Session.Answer.Over(String reason) -> reason;
                };
                if (wrong == null) {
                    passed++;
                } else if (problem == null) {
                    problem = "test " + (i + 1) + ": " + wrong;
                }
                if (answer instanceof Session.Answer.Over) {
                    break;
                }
            }
        }
        String count = passed + " of " + tests.size() + " tests passed";
        double share = (double) passed / tests.size();
        double value = config.codePartialCredit() ? share : passed == tests.size() ? 1 : 0;
        return Score.of(name(), value, problem == null ? count : count + "; " + problem);
    }

    private static Duration min(Duration a, Duration b) {
        return a.compareTo(b) < 0 ? a : b;
    }

    private static String cut(JsonNode value) {
        String text = value.toString();
        return text.length() <= 100 ? text : text.substring(0, 100) + "...";
    }

    /// The last complete fenced block; everything if there is no fence; null if the only block is not finished.
    static @Nullable String code(String completion) {
        boolean fenced = false;
        String last = null;
        StringBuilder block = null;
        for (String line : completion.lines().toList()) {
            if (line.strip().startsWith("```")) {
                fenced = true;
                if (block != null) {
                    last = block.toString();
                }
                block = block == null ? new StringBuilder() : null;
            } else if (block != null) {
                block.append(line).append('\n');
            }
        }
        return fenced ? last : completion;
    }

    private static String function(ObjectNode columns) {
        JsonNode name = columns.get("entry_point");
        if (name == null || !name.isString()) {
            throw new BadInput("column entry_point is " + name + ", expected the name of a function, as text");
        }
        return name.stringValue();
    }

    private static List<Test> tests(JsonNode column) {
        List<Test> tests = new ArrayList<>();
        for (JsonNode test : column) {
            if (!(test.get("args") instanceof ArrayNode arguments) || !test.has("expected") || test.size() != 2) {
                throw bad(test);
            }
            tests.add(new Test(arguments, test.get("expected")));
        }
        if (!column.isArray() || tests.isEmpty()) {
            throw bad(column);
        }
        return tests;
    }

    private static BadInput bad(JsonNode found) {
        return new BadInput("column tests has " + cut(found)
                + ", expected a list of one or more {\"args\": [1, 2], \"expected\": 3}");
    }

    static boolean equal(JsonNode expected, JsonNode actual) {
        if (expected.isNumber() && actual.isNumber()) {
            if (expected.isIntegralNumber() && actual.isIntegralNumber()) {
                return expected.bigIntegerValue().equals(actual.bigIntegerValue());
            }
            double e = expected.doubleValue();
            double a = actual.doubleValue();
            return Math.abs(e - a) <= TOLERANCE * Math.abs(e) || e == a;
        }
        if (expected instanceof ArrayNode list && actual instanceof ArrayNode other) {
            boolean same = list.size() == other.size();
            for (int i = 0; same && i < list.size(); i++) {
                same = equal(list.get(i), other.get(i));
            }
            return same;
        }
        if (expected instanceof ObjectNode object && actual instanceof ObjectNode other) {
            return object.size() == other.size()
                    && object.properties().stream()
                            .allMatch(e -> other.has(e.getKey()) && equal(e.getValue(), other.get(e.getKey())));
        }
        return expected.equals(actual);
    }
}
