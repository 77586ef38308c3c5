package dev.manners.files;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.manners.BadInput;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.function.BiPredicate;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AtomicDirectoryTest {

    @TempDir
    Path temp;

    private static final class Killed extends Error {
        private static final long serialVersionUID = 1L;
    }

    private static List<String> names(Path directory) {
        try (Stream<Path> children = Files.list(directory)) {
            return children.map(child -> child.getFileName().toString())
                    .sorted()
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static int stepsOfASave(Path directory) {
        int[] count = {0};
        Child.save(directory, 1, (operation, path) -> count[0]++);
        return count[0];
    }

    @Test
    void writesForcesManifestsAndRenamesInThatOrder() {
        List<String> log = new ArrayList<>();
        Child.save(temp, 1, (operation, path) -> log.add(operation + " " + path.getFileName()));
        String work = log.getLast().equals("fsync " + temp.getFileName()) ? "checkpoint-1.tmp" : "?";
        List<String> commit = log.stream()
                .map(line -> line.replaceAll("checkpoint-1\\.tmp-\\d+-\\d+", work))
                .dropWhile(line -> !line.equals("write vocab"))
                .toList();
        assertThat(commit)
                .containsExactly(
                        "write vocab",
                        "fsync vocab",
                        "fsync optimizer.bin",
                        "fsync model.bin",
                        "write MANIFEST.json",
                        "fsync MANIFEST.json",
                        "fsync tokenizer",
                        "fsync checkpoint-1.tmp",
                        "rename checkpoint-1",
                        "fsync " + temp.getFileName());
        assertThat(names(temp)).containsExactly("checkpoint-1");
        assertThat(names(temp.resolve("checkpoint-1")))
                .containsExactly("MANIFEST.json", "model.bin", "optimizer.bin", "tokenizer");
    }

    @Test
    void tr01_haltedAtEveryStepTheTargetIsCompleteOrAbsent() throws Exception {
        int steps = stepsOfASave(temp.resolve("count"));
        assertThat(steps).isGreaterThan(10);
        int complete = 0;
        for (int n = 0; n <= steps; n++) {
            Path run = temp.resolve("run-" + n);
            Child.save(run, 1, Steps.NONE);
            Process child = Child.start("halt", run.toString(), Integer.toString(n));
            assertThat(child.waitFor()).isEqualTo(n < steps ? 9 : 0);

            boolean present = Files.exists(run.resolve("checkpoint-2"));
            complete += present ? 1 : 0;
            Path expected = run.resolve(present ? "checkpoint-2" : "checkpoint-1");
            List<String> warnings = new ArrayList<>();
            assertThat(Manifest.newestVerified(run, "checkpoint-", warnings::add))
                    .contains(expected);
            assertThat(warnings).isEmpty();

            // The next attempt clears what the dead left, and succeeds.
            if (!present) {
                Child.save(run, 2, Steps.NONE);
            }
            assertThat(names(run)).containsExactly("checkpoint-1", "checkpoint-2");
        }
        // Only the very last step, forcing the parent, comes after the rename.
        assertThat(complete).isEqualTo(2);
    }

    /// A power failure keeps what was forced and loses the rest: every file not forced by then is emptied.
    @Test
    void tr01_withoutPowerAtEveryStepTheTargetIsCompleteOrAbsent() throws IOException {
        int steps = stepsOfASave(temp.resolve("count"));
        for (int n = 0; n < steps; n++) {
            Path run = temp.resolve("run-" + n);
            Child.save(run, 1, Steps.NONE);
            Set<String> forced = new HashSet<>();
            String[] forcing = {""};
            int[] left = {n};
            AtomicDirectory unclosed = AtomicDirectory.create(
                    run.resolve("checkpoint-2"),
                    (operation, path) -> {
                        forced.add(forcing[0]);
                        forcing[0] =
                                operation.equals("fsync") ? path.getFileName().toString() : "";
                        if (left[0]-- == 0) {
                            throw new Killed();
                        }
                    },
                    Exchange::swap);
            assertThatThrownBy(() -> {
                        Child.fill(unclosed, 2, Steps.NONE);
                        unclosed.commit(Map.of("step", 2));
                        throw new Killed();
                    })
                    .isInstanceOf(Killed.class);
            losePower(run, forced);
            Path target = run.resolve("checkpoint-2");
            if (Files.exists(target)) {
                assertThat(Manifest.verify(target).extra().path("step").intValue())
                        .isEqualTo(2);
            }
            assertThat(Manifest.newestVerified(run, "checkpoint-", warning -> {}))
                    .isPresent();
        }
    }

    private static void losePower(Path run, Set<String> forced) throws IOException {
        try (Stream<Path> all = Files.walk(run)) {
            for (Path path : all.filter(Files::isRegularFile).toList()) {
                boolean ours = run.relativize(path).toString().startsWith("checkpoint-2");
                if (ours && !forced.contains(path.getFileName().toString())) {
                    Files.write(path, new byte[0]);
                }
            }
        }
    }

    @Test
    void tr02_killedAtRandomTimesEveryCheckpointVerifies() throws Exception {
        Random random = new Random(42);
        int newest = 0;
        for (int round = 0; round < 4; round++) {
            Path run = temp.resolve("round-" + round);
            Process child = Child.start("forever", run.toString());
            try (BufferedReader output = Child.output(child)) {
                int saved = Integer.parseInt(output.readLine());
                int wanted = saved + random.nextInt(30);
                while (saved < wanted) {
                    saved = Integer.parseInt(output.readLine());
                }
                child.destroyForcibly().waitFor();
                newest = saved;
            }
            List<String> complete =
                    names(run).stream().filter(name -> !name.contains(".tmp-")).toList();
            assertThat(complete).hasSizeGreaterThanOrEqualTo(newest);
            complete.forEach(name -> Manifest.verify(run.resolve(name)));
            Child.save(run, complete.size() + 1, Steps.NONE);
            assertThat(Manifest.newestVerified(run, "checkpoint-", warning -> {}))
                    .contains(run.resolve("checkpoint-" + (complete.size() + 1)));
        }
    }

    @Test
    void tr03_tr04_whateverStepFailsThePreviousIsIntactAndNothingIsLeft() throws IOException {
        int steps = stepsOfASave(temp.resolve("count"));
        Path run = temp.resolve("run");
        Child.save(run, 1, Steps.NONE);
        for (int n = 0; n < steps; n++) {
            int[] left = {n};
            assertThatThrownBy(() -> Child.save(run, 2, (operation, path) -> {
                        if (left[0]-- == 0) {
                            throw new IOException("No space left on device");
                        }
                    }))
                    .satisfiesAnyOf(
                            e -> assertThat(e)
                                    .isInstanceOf(CannotWrite.class)
                                    .hasMessageContaining("No space left on device")
                                    .hasMessageContaining("bytes free in"),
                            // The caller's own writes, not ours to wrap.
                            e -> assertThat(e).isInstanceOf(UncheckedIOException.class));
            boolean last = n == steps - 1;
            assertThat(names(run)).isEqualTo(last ? List.of("checkpoint-1", "checkpoint-2") : List.of("checkpoint-1"));
            Manifest.verify(run.resolve("checkpoint-1"));
        }
        Manifest.verify(run.resolve("checkpoint-2"));
    }

    @Test
    void tr05_folderRemovedWhileWriting() throws IOException {
        try (AtomicDirectory directory = AtomicDirectory.create(temp.resolve("checkpoint-1"))) {
            Files.delete(directory.path());
            assertThatThrownBy(() -> directory.commit(Map.of()))
                    .isInstanceOf(CannotWrite.class)
                    .hasMessageContaining("is gone");
        }
        Files.writeString(temp.resolve("file"), "");
        assertThatThrownBy(() -> AtomicDirectory.create(temp.resolve("file/checkpoint-1")))
                .isInstanceOf(CannotWrite.class);
        assertThat(names(temp)).containsExactly("file");
    }

    @Test
    void withoutCommitNothingIsLeft() {
        try (AtomicDirectory directory = AtomicDirectory.create(temp.resolve("model"))) {
            Child.fill(directory, 1, Steps.NONE);
        }
        assertThat(names(temp)).isEmpty();
    }

    @Test
    void aTakenNameIsNotOverwritten() throws IOException {
        Files.createDirectory(temp.resolve("checkpoint-1"));
        assertThatThrownBy(() -> Child.save(temp, 1, Steps.NONE))
                .isInstanceOf(CannotWrite.class)
                .hasMessageContaining("exists already");
        assertThat(names(temp)).containsExactly("checkpoint-1");
        assertThat(names(temp.resolve("checkpoint-1"))).isEmpty();
    }

    @Test
    void linksAreNotCommitted() {
        assertThatThrownBy(() -> {
                    try (AtomicDirectory directory = AtomicDirectory.create(temp.resolve("model"))) {
                        Files.createSymbolicLink(directory.path().resolve("link"), Path.of("/etc/hostname"));
                        directory.commit(Map.of());
                    }
                })
                .isInstanceOf(CannotWrite.class)
                .hasMessageContaining("neither a file nor a folder");
        assertThat(names(temp)).isEmpty();
    }

    @Test
    void theSameRunGivesTheSameManifest() {
        Child.save(temp.resolve("a"), 1, Steps.NONE);
        Child.save(temp.resolve("b"), 1, Steps.NONE);
        assertThat(Manifest.verify(temp.resolve("a/checkpoint-1")).id())
                .isEqualTo(Manifest.verify(temp.resolve("b/checkpoint-1")).id());
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void replacingKilledAtEveryStepLeavesTheOldOrTheNew(boolean exchange) {
        for (int n = 0; n < 40; n++) {
            Path best = temp.resolve("run-" + n + "/best");
            replace(best, 1, Steps.NONE, exchange);
            int[] left = {n};
            boolean finished = false;
            // Not closed: as if the process had ended.
            AtomicDirectory unclosed = AtomicDirectory.create(
                    best,
                    (operation, path) -> {
                        if (left[0]-- == 0) {
                            throw new Killed();
                        }
                    },
                    swap(exchange));
            try {
                Child.fill(unclosed, 2, Steps.NONE);
                unclosed.commitReplacing(Map.of("step", 2));
                finished = true;
            } catch (Killed e) {
                finished = false;
            } finally {
                Temporary.release(unclosed.path());
            }
            if (exchange) {
                assertThat(Manifest.verify(best).extra().path("step").intValue())
                        .isIn(1, 2);
            }
            try (AtomicDirectory next = AtomicDirectory.create(best)) {
                assertThat(next.path()).isEmptyDirectory();
                int step = Manifest.verify(best).extra().path("step").intValue();
                assertThat(step).isIn(finished ? List.of(2) : List.of(1, 2));
            }
            assertThat(names(temp.resolve("run-" + n))).containsExactly("best");
            if (finished) {
                assertThat(n).isGreaterThan(8);
                return;
            }
        }
        throw new AssertionError("never finished");
    }

    /// The system's exchange, or a system that has none.
    private static BiPredicate<Path, Path> swap(boolean exchange) {
        return exchange ? Exchange::swap : (one, other) -> false;
    }

    private static void replace(Path best, int number, Steps steps, boolean exchange) {
        try (AtomicDirectory directory = AtomicDirectory.create(best, steps, swap(exchange))) {
            Child.fill(directory, number, Steps.NONE);
            directory.commitReplacing(Map.of("step", number));
        }
    }

    @Test
    void theSystemExchangesInOneStep() throws IOException {
        Files.writeString(Files.createDirectory(temp.resolve("a")).resolve("in-a"), "");
        Files.writeString(Files.createDirectory(temp.resolve("\u00fc b")).resolve("in-b"), "");
        assumeTrue(System.getProperty("os.name").equals("Linux"), "only Linux has renameat2");
        assertThat(Exchange.swap(temp.resolve("a"), temp.resolve("\u00fc b"))).isTrue();
        assertThat(names(temp.resolve("a"))).containsExactly("in-b");
        assertThat(Exchange.swap(temp.resolve("a"), temp.resolve("absent"))).isFalse();
    }

    @Test
    void aFolderOfSomebodyElseIsNotReplaced() throws IOException {
        Files.writeString(Files.createDirectory(temp.resolve("home")).resolve("thesis.tex"), "years");
        assertThatThrownBy(() -> replace(temp.resolve("home"), 1, Steps.NONE, true))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("not written by this program");
        assertThat(temp.resolve("home/thesis.tex")).hasContent("years");
    }

    @Test
    void onlyTheDeadsLeftoversAreRemoved() throws Exception {
        Process dead = new ProcessBuilder("true").start();
        dead.waitFor();
        Files.createDirectory(temp.resolve("model.tmp-" + dead.pid() + "-1"));
        Files.createDirectory(temp.resolve("model.tmp-1-1"));
        Files.createDirectory(temp.resolve("model.tmp-mine"));
        Files.createDirectory(temp.resolve("other.tmp-" + dead.pid() + "-1"));
        try (AtomicDirectory first = AtomicDirectory.create(temp.resolve("model"));
                AtomicDirectory second = AtomicDirectory.create(temp.resolve("model"))) {
            assertThat(first.path()).isDirectory();
            assertThat(second.path()).isDirectory();
        }
        assertThat(names(temp)).containsExactly("model.tmp-1-1", "model.tmp-mine", "other.tmp-" + dead.pid() + "-1");
    }
}
