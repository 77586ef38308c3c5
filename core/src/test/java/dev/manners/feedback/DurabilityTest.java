package dev.manners.feedback;

import static dev.manners.feedback.Feedback.ONCE;
import static dev.manners.feedback.Feedback.tasks;
import static dev.manners.feedback.Feedback.verdict;
import static dev.manners.feedback.Feedback.verdicts;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.manners.BadInput;
import dev.manners.testing.Jvm;
import java.io.BufferedReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.jdbi.v3.core.Handle;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// What was saved stays saved: real processes are killed, files are torn.
class DurabilityTest {

    private static final long SEED = Long.getLong("tests.seed", 42);

    @TempDir
    Path folder;

    /// An annotator who never rests: says the id of each verdict when it is saved.
    static final class Annotating {
        private Annotating() {}

        public static void main(String[] words) {
            try (FeedbackStore store = FeedbackStore.open(Path.of(words[0]))) {
                for (int i = 0; ; i++) {
                    String id = words[1] + "-" + i;
                    store.add(verdict(store.next("ada", ONCE).orElseThrow(), id, 1, 2));
                    System.out.println(id);
                    System.out.flush();
                }
            }
        }
    }

    @Test
    void an06_an07_whatWasSaidToBeSavedIsThereAfterAKill() throws Exception {
        killed(20, "feedback.db");
    }

    /// A child takes a second or two to start.
    @Test
    @Tag("slow")
    @Timeout(value = 90, unit = TimeUnit.MINUTES)
    void an06_an07_whatWasSaidToBeSavedIsThereAfterAThousandKills() throws Exception {
        for (int i = 0; i < 10; i++) {
            killed(100, "feedback-" + i + ".db");
        }
    }

    /// Most of the child's time is spent in commits, so most kills fall into one.
    private void killed(int rounds, String name) throws Exception {
        Path file = folder.resolve(name);
        try (FeedbackStore store = FeedbackStore.open(file)) {
            store.add(tasks(400 * rounds));
        }
        Random random = new Random(SEED + name.hashCode());
        List<String> saved = new ArrayList<>();
        for (int round = 0; round < rounds; round++) {
            Process child = Jvm.of(
                            Annotating.class.getName(),
                            // Its library is unpacked there, and a killed process does not clean up.
                            List.of("-Dorg.sqlite.tmpdir=" + folder),
                            List.of(file.toString(), "r" + round))
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
            try (BufferedReader out = child.inputReader(StandardCharsets.UTF_8)) {
                int enough = 1 + random.nextInt(40);
                for (int i = 0; i < enough; i++) {
                    String id = out.readLine();
                    assertThat(id).as("the child ended by itself").isNotNull();
                    saved.add(id);
                }
                Thread.sleep(0, random.nextInt(999_999));
                // By the handle: the process's own method closes its output, and what was said last would be lost.
                child.toHandle().destroyForcibly();
                out.lines().forEach(saved::add);
            } finally {
                child.toHandle().destroyForcibly();
            }
            child.waitFor();
            try (FeedbackStore store = FeedbackStore.open(file)) {
                List<Recorded> all = verdicts(store);
                assertThat(all.stream().map(each -> each.verdict().id())).containsAll(saved);
                // At most one per kill was saved and could not be said any more.
                assertThat(all.size()).isBetween(saved.size(), saved.size() + round + 1);
                assertThat(all.stream().map(Recorded::number))
                        .containsExactlyElementsOf(java.util.stream.LongStream.rangeClosed(1, all.size())
                                .boxed()
                                .toList());
            }
        }
        assertThat(integrity(file)).isEqualTo("ok");
    }

    private static String integrity(Path file) {
        try (Handle handle = new Database(file).reader()) {
            return handle.createQuery("PRAGMA integrity_check")
                    .mapTo(String.class)
                    .one();
        }
    }

    @Test
    void an07_aTornLogLosesTheLastRowsAndNoPartOfOne() throws Exception {
        Path file = folder.resolve("feedback.db");
        byte[] database;
        byte[] log;
        try (FeedbackStore store = FeedbackStore.open(file)) {
            store.add(tasks(12));
            for (int i = 0; i < 12; i++) {
                store.add(verdict(store.next("ada", ONCE).orElseThrow(), "v" + i, 1, 2));
            }
            // As the disk is when the power goes: nothing has been closed.
            database = Files.readAllBytes(file);
            log = Files.readAllBytes(folder.resolve("feedback.db-wal"));
        }
        Random random = new Random(SEED);
        List<Integer> sizes = new ArrayList<>();
        for (int round = 0; round <= 40; round++) {
            int length = (int) ((long) log.length * round / 40);
            byte[] torn = Arrays.copyOf(log, length);
            if (round % 2 == 1) {
                // A torn page: the end of it is something else.
                byte[] noise = new byte[Math.min(700, length)];
                random.nextBytes(noise);
                System.arraycopy(noise, 0, torn, length - noise.length, noise.length);
            }
            Path copy = Files.createDirectory(folder.resolve("copy-" + round)).resolve("feedback.db");
            Files.write(copy, database);
            Files.write(copy.resolveSibling("feedback.db-wal"), torn);
            try (FeedbackStore store = FeedbackStore.open(copy)) {
                List<Recorded> all = verdicts(store);
                sizes.add(all.size());
                for (int i = 0; i < all.size(); i++) {
                    assertThat(all.get(i).verdict().id()).isEqualTo("v" + i);
                }
                // It can be written on.
                store.add(tasks(20));
                store.add(verdict(store.next("bob", ONCE).orElseThrow(), "after", 1, 2));
            }
            assertThat(integrity(copy)).isEqualTo("ok");
        }
        assertThat(sizes).isSorted();
        assertThat(sizes.getFirst()).isZero();
        assertThat(sizes.getLast()).isEqualTo(12);
    }

    @Test
    void an07_aFullDiskSavesNothingAndSaysSo() {
        Path file = folder.resolve("feedback.db");
        Verdict verdict;
        try (FeedbackStore store = FeedbackStore.open(file)) {
            store.add(tasks(3));
            verdict = verdict(store.next("ada", ONCE).orElseThrow(), "v", 1, 2);
            store.limitPages();
            String rationale = "x".repeat(9_000);
            Verdict large = new Verdict(
                    "large",
                    verdict.task(),
                    "ada",
                    0,
                    verdict.shown(),
                    verdict.ranking(),
                    new Verdict.Remarks(null, java.util.Map.of(), java.util.Map.of(), rationale),
                    verdict.circumstances(),
                    null);
            assertThatThrownBy(() -> store.add(large))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("nothing was saved: the disk is full");
            assertThat(verdicts(store)).isEmpty();
        }
        try (FeedbackStore store = FeedbackStore.open(file)) {
            store.add(verdict);
            assertThat(verdicts(store)).hasSize(1);
        }
    }

    @Test
    void an18_aNewerStoreIsRefusedAndLeftAlone() throws Exception {
        Path file = folder.resolve("feedback.db");
        try (FeedbackStore store = FeedbackStore.open(file)) {
            store.add(tasks(1));
        }
        new Database(file).migrate(Database.MIGRATIONS, "classpath:db/newer");
        byte[] before = Files.readAllBytes(file);
        assertThatThrownBy(() -> FeedbackStore.open(file))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("newer version of this program")
                .hasMessageContaining("its schema is 1000");
        assertThat(Files.readAllBytes(file)).isEqualTo(before);
    }

    @Test
    void an18_aMigrationThatFailsLeavesTheStoreAsItWas() {
        Path file = folder.resolve("feedback.db");
        try (FeedbackStore store = FeedbackStore.open(file)) {
            store.add(tasks(5));
        }
        // Its first statement succeeds, its second does not.
        assertThatThrownBy(() -> new Database(file).migrate(Database.MIGRATIONS, "classpath:db/broken"))
                .isInstanceOf(BadInput.class);
        try (Handle handle = new Database(file).reader()) {
            assertThat(handle.createQuery("SELECT COUNT(*) FROM sqlite_master WHERE name = 'half'")
                            .mapTo(int.class)
                            .one())
                    .isZero();
        }
        try (FeedbackStore store = FeedbackStore.open(file)) {
            assertThat(store.add(tasks(5))).isZero();
        }
    }

    @Test
    void an18_theNewestMigrationIsTheSchemaThisProgramKnows() {
        Path file = folder.resolve("feedback.db");
        FeedbackStore.open(file).close();
        try (Handle handle = new Database(file).reader()) {
            assertThat(handle.createQuery("SELECT MAX(CAST(version AS INTEGER)) FROM flyway_schema_history")
                            .mapTo(int.class)
                            .one())
                    .isEqualTo(Database.SCHEMA);
        }
    }

    @Test
    void whatIsNoStoreIsNotTouched() throws Exception {
        Path text = Files.writeString(folder.resolve("notes.txt"), "These are my notes.\n".repeat(100));
        assertThatThrownBy(() -> FeedbackStore.open(text))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("not a feedback store");
        assertThat(text).hasContent("These are my notes.\n".repeat(100).strip());
        Path other = folder.resolve("other.db");
        try (Handle handle = new Database(other).writer()) {
            handle.execute("CREATE TABLE notes (text TEXT)");
        }
        assertThatThrownBy(() -> FeedbackStore.open(other))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("cannot be made a feedback store");
        assertThatThrownBy(() -> FeedbackStore.open(folder))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("it is a folder");
    }

    @Test
    void severalProcessesMayOpenANewStoreAtOnce() throws Exception {
        Path file = folder.resolve("feedback.db");
        List<Thread> threads = new ArrayList<>();
        List<Throwable> failed = java.util.Collections.synchronizedList(new ArrayList<>());
        for (int i = 0; i < 4; i++) {
            threads.add(Thread.ofPlatform().start(() -> {
                try (FeedbackStore store = FeedbackStore.open(file)) {
                    store.add(tasks(10));
                } catch (RuntimeException e) {
                    failed.add(e);
                }
            }));
        }
        for (Thread thread : threads) {
            thread.join();
        }
        assertThat(failed).isEmpty();
        try (FeedbackStore store = FeedbackStore.open(file);
                Snapshot snapshot = store.snapshot()) {
            assertThat(snapshot.tasks()).isEqualTo(10);
        }
    }
}
