package dev.manners.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.manners.BadInput;
import dev.manners.files.Json;
import dev.manners.files.Sha256;
import dev.manners.testing.Jvm;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.node.ObjectNode;

/// Whose folder it is: a run's own, unfinished, and nobody else's.
class RunDirectoryTest {

    private static final Map<String, Object> OPTIONS = Map.of("seed", 1);

    @TempDir
    Path folder;

    /// Holds a run's folder until its standard input ends.
    static final class Holder {
        public static void main(String[] arguments) throws IOException {
            try (RunDirectory run = RunDirectory.open(Path.of(arguments[0]), OPTIONS, List.of())) {
                System.out.println("open");
                while (System.in.read() >= 0) {
                    System.out.println(run.path());
                }
            }
        }
    }

    private static void refused(Path path, Map<String, Object> options, List<Path> inputs, String... reasons) {
        assertThatThrownBy(() -> RunDirectory.open(path, options, inputs).close())
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("--output-dir ")
                .hasMessageContainingAll(reasons);
    }

    /// A folder in which a run got as far as writing a metric.
    private Path unfinished() throws IOException {
        Path path = folder.resolve("run");
        RunDirectory.open(path, OPTIONS, List.of()).close();
        Files.writeString(path.resolve("metrics.jsonl"), "");
        return path;
    }

    @Test
    void theSameOptionsGoOnAndOthersAreRefusedWithTheirDifferences() throws IOException {
        Path path = unfinished();
        RunDirectory.open(path, OPTIONS, List.of()).close();
        refused(
                path,
                Map.of("seed", 2, "packing", true),
                List.of(),
                "was seed: 1",
                "is seed: 2",
                "is packing: true",
                "Give the same options to resume it, or another --output-dir.");
        assertThat(path.resolve("config.yaml")).hasContent("seed: 1");
        // The refusals have let go of the folder.
        RunDirectory.open(path, OPTIONS, List.of()).close();
    }

    /// Whoever mistypes --model is refused after the folder was made; the corrected command must not be
    /// refused for being another.
    @Test
    void optionsThatLedToNothingDoNotBind() throws IOException {
        Path path = folder.resolve("run");
        RunDirectory.open(path, OPTIONS, List.of()).close();
        RunDirectory.open(path, Map.of("seed", 2), List.of()).close();
        assertThat(path.resolve("config.yaml")).hasContent("seed: 2");
    }

    @Test
    void aFinishedRunIsNotRunAgain() throws IOException {
        Path path = unfinished();
        try (RunDirectory run = RunDirectory.open(path, OPTIONS, List.of())) {
            run.finish(List.of("sft"), Map.of(), List.of("metrics.jsonl"), Map.of("steps", 3), Instant.now());
        }
        refused(path, OPTIONS, List.of(), "holds this run, finished");
        refused(path, Map.of("seed", 2), List.of(), "was seed: 1");
    }

    @Test
    void tr13_aSecondProcessIsRefused() throws Exception {
        Path path = folder.resolve("run");
        Process holder = Jvm.of(Holder.class.getName(), List.of(), List.of(path.toString()))
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        try (BufferedReader output = holder.inputReader()) {
            assertThat(output.readLine()).isEqualTo("open");
            assertThatThrownBy(() -> RunDirectory.open(path, OPTIONS, List.of()))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("in use by process " + holder.pid());
        } finally {
            holder.destroyForcibly().waitFor();
        }
        RunDirectory.open(path, OPTIONS, List.of()).close();
    }

    @Test
    void cf05_aFolderOfSomebodyElseIsRefused() throws IOException {
        Files.writeString(folder.resolve("thesis.tex"), "");
        refused(folder, OPTIONS, List.of(), "is not empty and holds no run (1 files, such as thesis.tex)");
        assertThat(folder.resolve("config.yaml")).doesNotExist();
    }

    @Test
    void cf05_aFileIsNoFolder() throws IOException {
        Path file = Files.writeString(folder.resolve("file"), "mine");
        refused(file, OPTIONS, List.of(), "is a file; a run needs a folder");
        refused(file.resolve("below"), OPTIONS, List.of(), "cannot be made");
        assertThat(file).hasContent("mine");
    }

    @Test
    void cf05_neverInsideTheInput() throws IOException {
        Path model = Files.createDirectories(folder.resolve("model"));
        Path link = Files.createSymbolicLink(folder.resolve("link"), model);
        for (Path inside : List.of(
                model, model.resolve("runs/x"), folder.resolve("other/../model/x"), link, link.resolve("x/y"))) {
            refused(inside, OPTIONS, List.of(model), "lies inside the input", "never writes into what it reads");
        }
        refused(model.resolve("x"), OPTIONS, List.of(folder.resolve("none"), link), "lies inside the input");
        assertThat(model).isEmptyDirectory();
        // A name that only begins the same is another folder.
        RunDirectory.open(folder.resolve("model2"), OPTIONS, List.of(model)).close();
    }

    @Test
    void cf05_whereNothingCanBeWritten() throws IOException {
        Path closed = Files.createDirectory(folder.resolve("closed"));
        assertThat(closed.toFile().setWritable(false)).isTrue();
        if (Files.isWritable(closed)) {
            // Root may write everywhere but where the kernel has no files to make.
            closed = Path.of("/proc/self");
            assumeThat(closed).isDirectory();
        }
        refused(closed.resolve("run"), OPTIONS, List.of(), "cannot be made");
    }

    @Test
    void cf05_memoryIsNoDisk() throws IOException {
        Path memory = Path.of("/dev/shm");
        assumeThat(Files.isWritable(memory) && Files.getFileStore(memory).type().equals("tmpfs"))
                .isTrue();
        Path path = Files.createTempDirectory(memory, "manners-test");
        try (RunDirectory run = RunDirectory.open(path, OPTIONS, List.of())) {
            assertThat(run.warnings())
                    .anySatisfy(w -> assertThat(w).contains("is on tmpfs: it is memory, and gone after a restart"));
        } finally {
            Files.deleteIfExists(path.resolve(".lock"));
            Files.deleteIfExists(path.resolve("config.yaml"));
            Files.delete(path);
        }
    }

    @Test
    void theManifestNamesWhatWasMadeAndKeepsClocksApart() throws IOException {
        Path path = unfinished();
        Files.createDirectories(path.resolve("model/sub"));
        Files.writeString(path.resolve("model/sub/a"), "a");
        String[] runs = new String[2];
        for (int i = 0; i < 2; i++) {
            try (RunDirectory run = RunDirectory.open(path, OPTIONS, List.of())) {
                run.finish(
                        List.of("sft", "--seed", "1"),
                        Map.of("data", "abc"),
                        List.of("model", "metrics.jsonl"),
                        Map.of("steps", 3),
                        Instant.now());
            }
            ObjectNode manifest = Json.readObject(path.resolve("manifest.json"));
            runs[i] = manifest.path("run").toString();
            assertThat(manifest.path("run").path("outputs").propertyNames())
                    .containsExactly("metrics.jsonl", "model/sub/a");
            assertThat(manifest.path("run").path("outputs").path("model/sub/a").asString())
                    .isEqualTo(Sha256.of(path.resolve("model/sub/a")));
            assertThat(manifest.path("run").path("config").path("seed").asInt()).isEqualTo(1);
            assertThat(manifest.path("occasion").propertyNames())
                    .contains("began", "ended", "java", "libtorch", "threads");
            Files.delete(path.resolve("manifest.json"));
        }
        assertThat(runs[0]).isEqualTo(runs[1]);
    }

    @Test
    void cf09_secretsAreNotWrittenDown() throws IOException {
        Path path = unfinished();
        try (RunDirectory run = RunDirectory.open(path, OPTIONS, List.of())) {
            run.finish(
                    List.of(
                            "sft",
                            "--hub-token=s3cret",
                            "--hf-token",
                            "s3cret",
                            "--api_key",
                            "s3cret",
                            "--set",
                            "db.password=s3cret",
                            "hf_s3cretS3cretS3cret",
                            "--max-length",
                            "512"),
                    Map.of(),
                    List.of("metrics.jsonl"),
                    Map.of(),
                    Instant.now());
        }
        String manifest = Files.readString(path.resolve("manifest.json"));
        assertThat(manifest)
                .doesNotContainIgnoringCase("s3cret")
                .contains("***")
                .contains("--max-length", "512");
        // What only sounds like one is kept: people ask about tokens.
        assertThat(RunDirectory.redact("How many tokens are in this text?"))
                .isEqualTo("How many tokens are in this text?");
    }
}
