package dev.manners.reward.code;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.manners.BadInput;
import dev.manners.config.Options;
import dev.manners.files.Json;
import dev.manners.reward.Candidate;
import dev.manners.reward.Score;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.SocketTimeoutException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/// Candidates as hostile as they come, really run. Where a machine has no isolation, those that need it are skipped.
class CodeRewardTest {

    private static final Sandbox SANDBOX = Sandbox.detect();
    private static final String MARK =
            "manners-hostile-" + ProcessHandle.current().pid();
    private static final String ADD_TESTS = """
            [{"args": [1, 2], "expected": 3}, {"args": [40, 2], "expected": 42}]""";

    @TempDir
    Path temp;

    /// No process of a candidate outlives its score: each test's candidate that starts some gives them this mark.
    @AfterEach
    void noProcessIsLeft() {
        assertThat(ProcessHandle.current().descendants().filter(ProcessHandle::isAlive))
                .isEmpty();
        assertThat(marked()).isEmpty();
    }

    private static List<String> marked() {
        try (Stream<Path> processes = Files.list(Path.of("/proc"))) {
            return processes
                    .filter(path -> path.getFileName().toString().matches("\\d+"))
                    .map(path -> {
                        try {
                            return Files.readString(path.resolve("cmdline")).replace('\0', ' ');
                        } catch (java.io.IOException | RuntimeException e) {
                            return "";
                        }
                    })
                    .filter(command -> command.contains(MARK))
                    .toList();
        } catch (java.io.IOException e) {
            return List.of();
        }
    }

    private static CodeReward reward(String language, String... more) {
        assumeTrue(
                !(SANDBOX instanceof Sandbox.Unisolated),
                () -> "this machine has no isolation to run hostile code in: " + SANDBOX);
        Options options = new Options().set("code_language", language, "test");
        for (int i = 0; i < more.length; i += 2) {
            options.set("code_" + more[i], more[i + 1], "test");
        }
        return CodeReward.open(options.bind(CodeConfig.class), SANDBOX);
    }

    private static CodeReward python(String... more) {
        return reward("python", more);
    }

    private static CodeReward java(String... more) {
        return reward("java", more);
    }

    private static Candidate candidate(String completion, String function, String tests) {
        ObjectNode columns = Json.MAPPER.createObjectNode().put("entry_point", function);
        columns.set("tests", Json.MAPPER.readTree(tests));
        return new Candidate(
                JsonNodeFactory.instance.stringNode("Write it."), new int[0], completion, new int[0], true, columns);
    }

    private static Score add(CodeReward reward, String completion) {
        return reward.score(List.of(candidate(completion, "add", ADD_TESTS))).getFirst();
    }

    private static void refused(Score score, String reason) {
        assertThat(score.value()).as(score.reason()).isEqualTo(0.0);
        assertThat(score.reason()).contains(reason);
    }

    @Test
    void rightCodeIsRewardedAndWrongCodeExplained() {
        List<Score> scores = python().score(List.of(
                candidate("Here:\n```python\ndef add(a, b):\n    return a + b\n```\nDone.", "add", ADD_TESTS),
                candidate("def add(a, b):\n    return 3", "add", ADD_TESTS),
                candidate("def add(a, b):\n    return 1 / 0", "add", ADD_TESTS),
                candidate("def add(a, b:", "add", ADD_TESTS),
                candidate("```python\ndef add(a, b):", "add", ADD_TESTS),
                candidate("class Solution:\n    def add(self, a, b): return a + b", "Solution.add", ADD_TESTS)));
        assertThat(scores).extracting(Score::value).containsExactly(1.0, 0.0, 0.0, 0.0, 0.0, 1.0);
        assertThat(scores.get(0).reason()).isEqualTo("2 of 2 tests passed");
        assertThat(scores.get(1).reason()).isEqualTo("1 of 2 tests passed; test 2: returned 3, expected 42");
        assertThat(scores.get(2).reason()).contains("raised ZeroDivisionError");
        assertThat(scores.get(3).reason()).contains("does not load: SyntaxError");
        assertThat(scores.get(4).reason()).isEqualTo("no complete block of code");
        assertThat(add(python("partial_credit", "true"), "def add(a, b):\n    return 3")
                        .value())
                .isEqualTo(0.5);
    }

    @Test
    void rightJavaIsRewardedAndWrongJavaExplained() {
        List<Score> scores = java().score(List.of(
                candidate(
                        "```java\npublic class Sum {\n  static int add(int a, int b) { return a + b; }\n}\n```",
                        "add",
                        ADD_TESTS),
                candidate("class S { long add(long a, long b) { return a - b; } }", "S.add", ADD_TESTS),
                candidate("class S { int add(int a, int b) { return a + ; } }", "add", ADD_TESTS),
                candidate(
                        "import java.util.*; record R() { static Map<String, List<Double>> f(int[] x, List<String> s)"
                                + " { return Map.of(s.get(0), List.of(x[1] / 3.0)); } }",
                        "f",
                        """
                        [{"args": [[1, 2], ["a"]], "expected": {"a": [0.6666666667]}}]""")));
        assertThat(scores).extracting(Score::value).containsExactly(1.0, 0.0, 0.0, 1.0);
        assertThat(scores.get(1).reason()).contains("returned -1, expected 3");
        assertThat(scores.get(2).reason()).contains("does not load").contains("line 1");
    }

    @Test
    void valuesAreComparedAsData() {
        assertThat(equal("1", "1.0")).isTrue();
        assertThat(equal("1", "true")).isFalse();
        assertThat(equal("0.1", "0.10000000000000002")).isTrue();
        assertThat(equal("9007199254740993", "9007199254740992")).isFalse();
        assertThat(equal("[1, [2]]", "[1, [2], 3]")).isFalse();
        assertThat(equal("{\"a\": 1}", "{\"b\": 1}")).isFalse();
        assertThat(equal("{\"a\": null}", "{\"b\": null}")).isFalse();
        assertThat(equal("null", "null")).isTrue();
    }

    private static boolean equal(String expected, String actual) {
        return CodeReward.equal(Json.MAPPER.readTree(expected), Json.MAPPER.readTree(actual));
    }

    @Test
    void rowsWithoutTestsGetNoScoreAndBadOnesAreRefused() {
        CodeReward reward = python();
        Candidate none = candidate("x", "f", "null");
        assertThat(reward.score(List.of(none)).getFirst().value()).isNull();
        for (String tests :
                List.of("[]", "[1]", "{}", "\"x\"", "[{\"args\": 1, \"expected\": 1}]", "[{\"args\": []}]")) {
            assertThatThrownBy(() -> reward.score(List.of(candidate("x", "f", tests))))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("column tests");
        }
    }

    @Test
    void rl02_whatHangsSleepsOrSpinsIsKilledOnTime() {
        CodeReward python = python("timeout_seconds", "1");
        refused(add(python, "import time\ntime.sleep(1000)"), "took too long while loading");
        refused(add(python, "def add(a, b):\n    while True: pass"), "test 1: took too long");
        refused(add(python, """
                        import signal
                        for s in range(1, 65):
                            try: signal.signal(s, signal.SIG_IGN)
                            except BaseException: pass
                        while True: pass"""), "took too long");
        refused(
                add(java("timeout_seconds", "5"), "class A { static int add(int a, int b) { while (true) {} } }"),
                "test 1: took too long");
    }

    @Test
    void rl02_forkBombsAndThreadBombsAreBounded() {
        refused(
                add(
                        python("timeout_seconds", "3", "memory_mb", "4096"),
                        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"),
                "took too long");
        Score threads = add(
                java("timeout_seconds", "10"),
                "class A { static int add(int a, int b) { for (;;) new Thread(() -> { for (;;) {} }).start(); } }");
        assertThat(threads.value()).as(threads.reason()).isEqualTo(0.0);
    }

    @Test
    void rl02_tenGigabytesAreNotHad() {
        refused(add(python(), "x = bytearray(10_000_000_000)\ndef add(a, b): return a + b"), "MemoryError");
        refused(add(python(), """
                        import os, time
                        time.sleep(0.1)
                        for i in range(5):
                            os.fork()
                        x = bytearray(os.urandom(1 << 20)) * 200
                        time.sleep(5)
                        def add(a, b): return a + b"""), "MiB of memory");
        refused(
                add(
                        java(),
                        "class A { static int add(int a, int b) { long[][] x = new long[100][];"
                                + " for (int i = 0; i < 100; i++) x[i] = new long[13_000_000]; return a + b; } }"),
                "OutOfMemoryError");
    }

    @Test
    void rl02_oneGigabyteIsNotPrintedReturnedOrWritten() {
        String right = "\ndef add(a, b): return a + b";
        refused(add(python(), "for i in range(1000): print('x' * 1_000_000)" + right), "printed or returned more");
        refused(add(python(), "def add(a, b): return 'x' * 100_000_000"), "printed or returned more");
        refused(
                add(
                        python(),
                        "f = open('f', 'w', buffering=1)\nfor i in range(1000): f.write('x' * 1_000_000)" + right),
                "Error");
        refused(
                add(python(), "for i in range(100): open(f'f{i}', 'w').write('x' * 1_000_000)" + right),
                "No space left");
        refused(
                add(
                        java(),
                        "class A { static int add(int a, int b) {"
                                + " for (int i = 0; i < 1000; i++) System.out.println(\"x\".repeat(1_000_000)); return a + b; } }"),
                "printed or returned more");
    }

    /// The attack is on a folder made for it, and on a new name beside the system's: were there a hole, nothing that
    /// matters would be lost.
    @Test
    void rl02_filesOfTheHostAreNeitherSeenNorDeleted() throws Exception {
        Path canary = Files.writeString(temp.resolve("canary"), "alive");
        String attack = """
                import os, shutil
                def can(what, *arguments):
                    try:
                        what(*arguments)
                        return True
                    except OSError:
                        return False
                def add(a, b):
                    shutil.rmtree('FOLDER', ignore_errors=True)
                    return [can(os.listdir, 'FOLDER'), can(os.remove, 'FOLDER/canary'), can(os.mkdir, '/usr/manners-canary'),
                            can(os.mkdir, '/manners-canary'), can(open, '/etc/shadow'), can(open, 'mine', 'w')]
                """.replace("FOLDER", temp.toString());
        Score python = python().score(List.of(candidate(
                        attack,
                        "add",
                        "[{\"args\": [1, 2], \"expected\": [false, false, false, false, false, true]}]")))
                .getFirst();
        assertThat(python.value()).as(python.reason()).isEqualTo(1.0);
        Score java = java().score(List.of(candidate(
                        """
                        import java.nio.file.*;
                        class A { static boolean seen() throws Exception {
                          Path p = Path.of("CANARY"); boolean seen = Files.exists(p); Files.deleteIfExists(p); return seen; } }
                        """.replace("CANARY", canary.toString()), "seen", "[{\"args\": [], \"expected\": false}]")))
                .getFirst();
        assertThat(java.value()).as(java.reason()).isEqualTo(1.0);
        assertThat(canary).hasContent("alive");
        assertThat(Path.of("/usr/manners-canary")).doesNotExist();
    }

    @Test
    void rl02_noConnectionGetsOut() throws Exception {
        try (ServerSocket listener = new ServerSocket(0, 8, InetAddress.getLoopbackAddress())) {
            listener.setSoTimeout(300);
            refused(
                    add(
                            python(),
                            "import socket\nsocket.create_connection(('127.0.0.1', " + listener.getLocalPort()
                                    + "), 2)\ndef add(a, b): return a + b"),
                    "Error");
            refused(
                    add(
                            java(),
                            "class A { static int add(int a, int b) throws Exception {"
                                    + " new java.net.Socket(\"127.0.0.1\", " + listener.getLocalPort()
                                    + "); return a + b; } }"),
                    "Exception");
            assertThatThrownBy(listener::accept).isInstanceOf(SocketTimeoutException.class);
        }
    }

    @Test
    void rl03_leavingEarlyIsNotPassing() {
        CodeReward python = python();
        refused(add(python, "import sys\nsys.exit(0)"), "SystemExit");
        refused(add(python, "import os\nos._exit(0)"), "ended by itself while loading");
        refused(add(python, "import os\ndef add(a, b): os._exit(0)"), "test 1: ended by itself");
        refused(add(python, "import os\ndef add(a, b):\n    if a == 40: os._exit(0)\n    return 3"), "1 of 2");
        refused(add(python, "import os, signal\nos.kill(os.getpid(), 9)"), "ended by itself");
        refused(
                add(python, "import atexit, sys\natexit.register(lambda: print('2 of 2 tests passed'))\nsys.exit(0)"),
                "SystemExit");
        CodeReward java = java();
        refused(add(java, "class A { static int add(int a, int b) { System.exit(0); return 3; } }"), "ended by itself");
        refused(
                add(java, "class A { static int add(int a, int b) { Runtime.getRuntime().halt(0); return 3; } }"),
                "ended by itself");
    }

    @Test
    void rl03_objectsThatEqualEverythingAndPatchedLibrariesDoNotPass() {
        CodeReward python = python();
        refused(add(python, """
                        class All(int):
                            def __eq__(self, other): return True
                            def __hash__(self): return 0
                        def add(a, b): return All(7)"""), "returned 7");
        refused(add(python, """
                        import builtins, json
                        json.dumps = lambda *a, **k: '{"value": 3}'
                        builtins.isinstance = lambda *a: True
                        def add(a, b): return 0"""), "wrote to the channel");
        refused(add(python, """
                        import sys, types
                        for name in ('pytest', 'unittest'):
                            sys.modules[name] = types.SimpleNamespace(skip=lambda *a: None)
                        import pytest
                        pytest.skip()
                        def add(a, b): return None"""), "returned null");
        refused(add(python, "def add(a, b): return float('nan')"), "raised ValueError");
    }

    @Test
    void rl03_forgedAnswersOnTheChannelAreRefused() {
        String forge = """
                import os
                for fd in os.listdir('/proc/self/fd'):
                    try: os.write(int(fd), b'{"nonce": "0", "value": 3}\\n{"passed": true}\\n')
                    except OSError: pass
                def add(a, b): return 0
                """;
        refused(add(python(), forge), "wrote to the channel of answers");
        // It finds the harness's own nonce too, and answers in its stead: only what it answers counts.
        refused(add(python(), """
                        import json, os, sys
                        def add(a, b):
                            frame = sys._getframe(1)
                            frame.f_locals['answers'].write(json.dumps({'nonce': frame.f_locals['request']['nonce'], 'value': 3}) + '\\n')
                            frame.f_locals['answers'].flush()
                            return 3
                        """), "1 of 2 tests passed");
        refused(add(java(), """
                        import java.io.*;
                        class A { static int add(int a, int b) throws Exception {
                          try (var out = new FileOutputStream(FileDescriptor.out)) { out.write("{\\"value\\": 3}\\n".getBytes()); }
                          return 0; } }
                        """), "wrote to the channel of answers");
    }

    @Test
    void rl03_daemonsEndWithTheirCandidate() {
        Score score = add(python(), """
                import os, subprocess, sys
                subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)', 'MARK'], start_new_session=True)
                if os.fork() == 0:
                    os.setsid()
                    if os.fork() == 0:
                        for fd in range(256):
                            try: os.close(fd)
                            except OSError: pass
                        os.execv(sys.executable, [sys.executable, '-c', 'import time; time.sleep(600)', 'MARK'])
                    os._exit(0)
                def add(a, b): return a + b
                """.replace("MARK", MARK));
        assertThat(score.value()).as(score.reason()).isEqualTo(1.0);
        assertThat(marked()).isEmpty();
    }

    @Test
    void rl04_expectedValuesAreNowhereInTheCandidatesReach() throws Exception {
        Path dataset = Files.writeString(temp.resolve("dataset.jsonl"), "31415926535");
        String search = """
                import glob, os, sys
                def find(n):
                    found = []
                    for path in ['DATASET', *glob.glob('/.candidate/**', recursive=True), *glob.glob('/proc/[0-9]*/environ'),
                                 *glob.glob('/proc/[0-9]*/cmdline')]:
                        try:
                            if b'31415926535' in open(path, 'rb').read(): found.append(path)
                        except OSError: pass
                    frame = sys._getframe(1)
                    if '31415926535' in repr(frame.f_locals): found.append('frame')
                    return [len(glob.glob('/proc/[0-9]*')) < 10, found]
                """.replace("DATASET", dataset.toString());
        Score score = python().score(List.of(candidate(
                        search,
                        "find",
                        "[{\"args\": [1], \"expected\": [true, []]}," + "{\"args\": [1], \"expected\": 31415926535}]")))
                .getFirst();
        assertThat(score.reason()).startsWith("1 of 2 tests passed; test 2: returned [true,[]]");
    }

    @Test
    void rl02_aBatchHasItsTime() {
        Candidate sleeper = candidate("import time\ntime.sleep(100)", "add", ADD_TESTS);
        long began = System.nanoTime();
        List<Score> scores = python("timeout_seconds", "60", "batch_timeout_seconds", "2", "parallel", "1")
                .score(List.of(sleeper, sleeper, sleeper));
        assertThat(System.nanoTime() - began).isLessThan(30_000_000_000L);
        assertThat(scores).extracting(Score::value).containsOnlyNulls();
        assertThat(scores).extracting(Score::reason).allMatch(r -> r.contains("the batch took longer"));
    }

    @Test
    void rl02_withoutIsolationNothingRunsUnlessAllowed() {
        Sandbox none = new Sandbox.Unisolated("unshare: refused");
        assertThatThrownBy(() -> CodeReward.open(
                        new Options().set("code_language", "python", "test").bind(CodeConfig.class), none))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("unshare: refused")
                .hasMessageContaining("code_allow_unisolated");
        CodeReward allowed = CodeReward.open(
                new Options()
                        .set("code_language", "python", "test")
                        .set("code_allow_unisolated", "true", "test")
                        .set("code_timeout_seconds", "1", "test")
                        .bind(CodeConfig.class),
                none);
        assertThat(allowed.isolated()).isFalse();
        assertThat(add(allowed, "def add(a, b): return a + b").value()).isEqualTo(1.0);
        refused(add(allowed, "while True: pass"), "took too long");
    }

    @Test
    void missingPythonIsNamed() {
        assertThatThrownBy(() -> CodeReward.open(
                        new Options()
                                .set("code_language", "python", "test")
                                .set("code_python", "python-that-is-not-there", "test")
                                .bind(CodeConfig.class),
                        SANDBOX))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("python-that-is-not-there");
    }

    @Test
    void theLastCompleteBlockIsTheCode() {
        assertThat(CodeReward.code("a\n```java\none\n```\n```\ntwo\n```\nb")).isEqualTo("two\n");
        assertThat(CodeReward.code("plain")).isEqualTo("plain");
        assertThat(CodeReward.code("```python\ncut off")).isNull();
    }
}
