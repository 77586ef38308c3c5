package dev.manners.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.manners.files.DirectoryLock;
import dev.manners.files.Manifest;
import dev.manners.testing.Jvm;
import dev.manners.testing.TinyModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Real processes, real signals: what a scheduler, a closed laptop and a power cut do to a run.
class InterruptionTest {

    private static final long SEED = Long.getLong("tests.seed", 42);
    private static final int STEPS = 200;

    @TempDir
    static Path shared;

    private static Path base = Path.of("");
    private static Path rows = Path.of("");
    private static Path straight = Path.of("");

    @TempDir
    Path folder;

    @BeforeAll
    static void leftAlone() throws IOException {
        assumeThat(System.getProperty("os.name"))
                .as("signals as POSIX has them")
                .doesNotStartWith("Windows");
        base = TinyModel.write(shared.resolve("base"));
        rows = TinyModel.rows(shared.resolve("rows.jsonl"), 40);
        straight = shared.resolve("straight");
        assertThat(Manners.run(words(straight)).code()).isZero();
    }

    private static List<String> words(Path output, String... more) {
        List<String> words = new ArrayList<>(List.of(
                "sft",
                "--model",
                base.toString(),
                "--dataset",
                rows.toString(),
                "--output-dir",
                output.toString(),
                "--max-steps",
                String.valueOf(STEPS),
                "--per-device-train-batch-size",
                "4",
                "--learning-rate",
                "1e-3",
                "--logging-steps",
                "1",
                "--save-steps",
                "30",
                "--save-total-limit",
                "2",
                "--bf16",
                "false",
                "--threads",
                "1"));
        words.addAll(List.of(more));
        return words;
    }

    private Process start(List<String> words) throws IOException {
        return Jvm.of(Main.class.getName(), List.of(), words)
                .redirectOutput(folder.resolve("out").toFile())
                .redirectError(folder.resolve("err").toFile())
                .start();
    }

    private static long lines(Path file) throws IOException {
        if (!Files.exists(file)) {
            return 0;
        }
        try (Stream<String> lines = Files.lines(file)) {
            return lines.count();
        }
    }

    private void await(Process process, Path file, long lines) throws Exception {
        while (lines(file) < lines) {
            assertThat(process.isAlive())
                    .as(() -> "the process ended by itself: " + read("err"))
                    .isTrue();
            Thread.sleep(2);
        }
    }

    private String read(String name) {
        try {
            return Files.readString(folder.resolve(name));
        } catch (IOException e) {
            return e.toString();
        }
    }

    private static List<Path> checkpoints(Path run) throws IOException {
        try (Stream<Path> all = Files.list(run)) {
            return all.filter(p -> p.getFileName().toString().startsWith("checkpoint-"))
                    .sorted()
                    .toList();
        }
    }

    private static List<String> names(Path directory, String ending) throws IOException {
        if (!Files.isDirectory(directory)) {
            return List.of();
        }
        try (Stream<Path> all = Files.list(directory)) {
            return all.map(p -> p.getFileName().toString())
                    .filter(name -> name.endsWith(ending))
                    .toList();
        }
    }

    private static void assertAsLeftAlone(Path run) {
        for (String file : List.of("metrics.jsonl", "samples.jsonl", "model/model.safetensors", "model/config.json")) {
            assertThat(run.resolve(file)).hasSameBinaryContentAs(straight.resolve(file));
        }
    }

    @ParameterizedTest
    @CsvSource({"TERM, 143, 5", "INT, 130, 35", "HUP, 129, 1"})
    void tr06_aSignalSavesAndTheSameCommandGoesOn(String signal, int code, int after) throws Exception {
        assumeThat(Jvm.hears(code - 128))
                .as("SIG" + signal + " is not ignored here")
                .isTrue();
        Path run = folder.resolve("run");
        Process process = start(words(run));
        try {
            await(process, run.resolve("metrics.jsonl"), after);
            Jvm.signal(process, signal);
            assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        } finally {
            process.destroyForcibly();
        }
        assertThat(process.exitValue()).as(() -> read("err")).isEqualTo(code);
        assertThat(read("err")).contains("manners: SIG" + signal + ": finishing the update and saving");
        // The update that was being made is the last in the log, and it is saved.
        long done = lines(run.resolve("metrics.jsonl"));
        assertThat(done).isBetween((long) after, STEPS - 1L);
        Manifest.verify(run.resolve("checkpoint-" + done));
        assertThat(read("out")).contains("Interrupted after update " + done + "; saved.");
        assertThat(run.resolve("model")).doesNotExist();
        assertThat(run.resolve("manifest.json")).doesNotExist();

        assertThat(Manners.run(words(run)).code()).isZero();
        assertAsLeftAlone(run);
    }

    /// One update of ten thousand micro-batches: whoever cannot wait for its end signals again.
    @Test
    void tr06_aSecondSignalEndsAtOnceAndLeavesNothingHalf() throws Exception {
        Path run = folder.resolve("run");
        Path many = TinyModel.rows(folder.resolve("many.jsonl"), 10_000);
        List<String> words = words(run, "--gradient-accumulation-steps", "10000");
        words.set(words.indexOf("--dataset") + 1, many.toString());
        words.set(words.indexOf("--per-device-train-batch-size") + 1, "1");
        words.set(words.indexOf("--max-steps") + 1, "2");
        Process process = start(words);
        try {
            await(process, run.resolve("events.jsonl"), 1);
            Jvm.signal(process, "TERM");
            while (!read("err").contains("SIGTERM") && process.isAlive()) {
                Thread.sleep(2);
            }
            assertThat(process.isAlive()).as("it is still in its first update").isTrue();
            Jvm.signal(process, "TERM");
            assertThat(process.waitFor(10, TimeUnit.SECONDS)).isTrue();
        } finally {
            process.destroyForcibly();
        }
        assertThat(process.exitValue()).isEqualTo(143);
        assertThat(checkpoints(run)).isEmpty();
        assertThat(lines(run.resolve("metrics.jsonl"))).isZero();
        // The system has let go of the folder with the process.
        DirectoryLock.acquire(run).close();
    }

    /// Large datasets take minutes: they are not waited for, and what was made of them does not stay behind.
    @Test
    void tr06_aSignalWhileRowsAreTokenised() throws Exception {
        Path run = folder.resolve("run");
        Path cache = run.resolve(".tokenised");
        Path many = TinyModel.rows(folder.resolve("many.jsonl"), 200_000);
        List<String> words = words(run);
        words.set(words.indexOf("--dataset") + 1, many.toString());
        Process process = start(words);
        try {
            while (names(cache, ".part").isEmpty() && process.isAlive()) {
                Thread.sleep(2);
            }
            Jvm.signal(process, "TERM");
            assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        } finally {
            process.destroyForcibly();
        }
        assertThat(process.exitValue()).as(() -> read("err")).isEqualTo(143);
        assertThat(read("out")).contains("Interrupted while the rows were tokenised. The same command starts again.");
        assertThat(names(cache, "")).isEmpty();
        assertThat(checkpoints(run)).isEmpty();
        // It is the run's own folder still, with the same options or, since nothing was made, with others.
        words.set(words.indexOf("--dataset") + 1, rows.toString());
        assertThat(Manners.run(words).code()).isZero();
        assertAsLeftAlone(run);
    }

    /// No handler hears this one.
    @Test
    @Tag("slow")
    void tr02_killedAtRandomTimesAndBegunAgain() throws Exception {
        System.out.println("tests.seed=" + SEED);
        Random random = new Random(SEED);
        Path run = folder.resolve("run");
        long killed = 0;
        for (int round = 1; round <= 5; round++) {
            Process process = start(words(run));
            try {
                await(process, run.resolve("events.jsonl"), lines(run.resolve("events.jsonl")) + 1);
                long target = Math.min(STEPS - 5, round * 30L + random.nextInt(20));
                await(process, run.resolve("metrics.jsonl"), target);
                Thread.sleep(random.nextInt(30));
            } finally {
                process.destroyForcibly().waitFor();
            }
            killed += process.exitValue() == 137 ? 1 : 0;
            // Whenever it was: what carries a checkpoint's name and can be read is whole, and one is always left.
            assertThat(Manifest.newestVerified(run, "checkpoint-", w -> {})).isPresent();
            if (Files.exists(run.resolve("manifest.json"))) {
                break;
            }
        }
        assertThat(killed).isPositive();
        if (!Files.exists(run.resolve("manifest.json"))) {
            assertThat(Manners.run(words(run)).code()).isZero();
        }
        assertAsLeftAlone(run);
    }
}
