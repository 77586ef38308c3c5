package dev.manners.feedback;

import static dev.manners.feedback.Feedback.ONCE;
import static dev.manners.feedback.Feedback.ranks;
import static dev.manners.feedback.Feedback.sample;
import static dev.manners.feedback.Feedback.task;
import static dev.manners.feedback.Feedback.tasks;
import static dev.manners.feedback.Feedback.terms;
import static dev.manners.feedback.Feedback.verdict;
import static dev.manners.feedback.Feedback.verdicts;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.manners.BadInput;
import dev.manners.files.Json;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class FeedbackStoreTest {

    @TempDir
    Path folder;

    private final Hand clock = new Hand();

    /// A clock that stands still until it is moved.
    private static final class Hand extends Clock {
        private Instant now = Instant.parse("2026-11-25T12:00:00.123Z");

        void move(Duration by) {
            now = now.plus(by);
        }

        @Override
        public ZoneId getZone() {
            return ZoneOffset.UTC;
        }

        @Override
        public Clock withZone(ZoneId zone) {
            return this;
        }

        @Override
        public Instant instant() {
            return now;
        }
    }

    private FeedbackStore open() {
        return FeedbackStore.open(folder.resolve("feedback.db"), clock);
    }

    private static Assignment next(FeedbackStore store, String annotator) {
        return store.next(annotator, ONCE).orElseThrow();
    }

    @Test
    void whatIsPutInComesOut() {
        Task task = new Task(
                Task.question("How far \"is\" it? 世界 🙂\n"),
                List.of(
                        new Answer(" Far. ", List.of(sample(7, Answer.Finish.STOP), sample(8, Answer.Finish.LENGTH))),
                        Answer.of("Near."),
                        Answer.of("Here.")),
                List.of(1, 2, 2));
        Verdict verdict;
        try (FeedbackStore store = open()) {
            assertThat(store.add(List.of(task))).isEqualTo(1);
            Assignment given = next(store, "Ada");
            assertThat(given.task()).isEqualTo(task);
            assertThat(given.shown()).containsExactlyInAnyOrder(0, 1, 2);
            verdict = given.verdict(
                    "v-1",
                    ranks(2, 1, 0),
                    new Verdict.Remarks(
                            3, Map.of(0, Set.of("harmful", "false")), Map.of(0, 1, 1, 5), "It's \"near\".\n é"),
                    new Verdict.Circumstances(
                            120L,
                            4_000L,
                            "1.0",
                            "abc",
                            Json.MAPPER.createObjectNode().put("batch", 12)));
            store.add(verdict);
        }
        try (FeedbackStore store = open()) {
            assertThat(verdicts(store)).containsExactly(new Recorded(1, verdict, false, clock.instant()));
            assertThat(store.task(task.id())).contains(task);
            assertThat(Verdict.goldPassed(task, verdict.ranking())).isFalse();
        }
    }

    @Test
    void an03_theSameVerdictTenTimesIsOneRow() {
        try (FeedbackStore store = open()) {
            store.add(tasks(3));
            Verdict verdict = verdict(next(store, "ada"), "one-key", 1, 2);
            Recorded first = store.add(verdict);
            for (int i = 0; i < 10; i++) {
                clock.move(Duration.ofDays(1));
                assertThat(store.add(verdict)).isEqualTo(first);
            }
            assertThat(verdicts(store)).containsExactly(first);
            // The same key for something else is a mistake of who sends it, and is told.
            assertThatThrownBy(() -> store.add(verdict(next(store, "bob"), "one-key", 2, 1)))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("another verdict has this id");
            // So is a second verdict that does not say what it corrects.
            assertThatThrownBy(() -> store.add(new Verdict(
                            "other-key",
                            verdict.task(),
                            "ada",
                            0,
                            verdict.shown(),
                            ranks(2, 1),
                            Verdict.Remarks.NONE,
                            verdict.circumstances(),
                            null)))
                    .hasMessageContaining("supersede one-key");
            assertThat(verdicts(store)).containsExactly(first);
        }
    }

    @Test
    void an03_sentByTwentyAtOnceItIsOneRow() throws Exception {
        try (FeedbackStore store = open();
                FeedbackStore other = open()) {
            store.add(tasks(1));
            Verdict verdict = verdict(next(store, "ada"), "one-key", 1, 2);
            Set<Long> numbers = new java.util.HashSet<>();
            for (Recorded each : all(20, i -> (i % 2 == 0 ? store : other).add(verdict))) {
                numbers.add(each.number());
            }
            assertThat(numbers).containsExactly(1L);
            assertThat(verdicts(store)).hasSize(1);
        }
    }

    private interface Work<T> {
        T of(int worker);
    }

    private static <T> List<T> all(int workers, Work<T> work) throws Exception {
        try (ExecutorService pool = Executors.newFixedThreadPool(workers)) {
            List<Callable<T>> calls = IntStream.range(0, workers)
                    .<Callable<T>>mapToObj(i -> () -> work.of(i))
                    .toList();
            List<T> results = new ArrayList<>();
            for (Future<T> each : pool.invokeAll(calls)) {
                results.add(each.get());
            }
            return results;
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3})
    void an04_ofTwentyAnnotatorsExactlyAsManyGetATaskAsItWants(int k) throws Exception {
        try (FeedbackStore store = open();
                FeedbackStore other = open()) {
            store.add(tasks(1));
            List<Assignment> got = all(20, i -> (i % 2 == 0 ? store : other).next("annotator " + i, terms(k))).stream()
                    .flatMap(Optional::stream)
                    .toList();
            assertThat(got).hasSize(k);
            got.forEach(each -> store.add(verdict(each, each.annotator().replace(' ', '-'), 1, 2)));
            assertThat(store.next("one more", terms(k))).isEmpty();
        }
    }

    @Test
    void an04_everyTaskGetsAsManyVerdictsAsItWantsHoweverTheyCome() throws Exception {
        try (FeedbackStore store = open()) {
            store.add(tasks(30));
            all(5, i -> {
                int n = 0;
                for (Optional<Assignment> given = store.next("a" + i, terms(2));
                        given.isPresent();
                        given = store.next("a" + i, terms(2))) {
                    store.add(verdict(given.get(), "a" + i + "-" + n++, 1, 2));
                }
                return n;
            });
            Map<String, Long> byTask = new java.util.HashMap<>();
            verdicts(store).forEach(each -> byTask.merge(each.verdict().task(), 1L, Long::sum));
            assertThat(byTask).hasSize(30);
            assertThat(byTask.values()).containsOnly(2L);
            assertThat(verdicts(store)).noneMatch(Recorded::late);
        }
    }

    @Test
    void whoDoesNotAnswerLosesThePlaceAndWhoComesTooLateIsKeptApart() {
        try (FeedbackStore store = open()) {
            store.add(tasks(1));
            Assignment forgotten = next(store, "ada");
            assertThat(store.next("bob", ONCE)).isEmpty();
            // Asked again, the same person has the same task in the same order.
            assertThat(next(store, "ada")).isEqualTo(forgotten);
            clock.move(Duration.ofHours(1));
            Assignment taken = next(store, "bob");
            assertThat(taken.task()).isEqualTo(forgotten.task());
            assertThat(store.next("ada", ONCE)).isEmpty();
            assertThat(store.add(verdict(taken, "in-time", 1, 2)).late()).isFalse();
            assertThat(store.add(verdict(forgotten, "too-late", 2, 1)).late()).isTrue();
        }
    }

    @Test
    void whoSkipsLeavesTheTaskToOthers() {
        try (FeedbackStore store = open()) {
            store.add(tasks(1));
            Assignment given = next(store, "ada");
            store.add(given.verdict(
                    "s", new Ranking.Skipped("cannot say"), Verdict.Remarks.NONE, Verdict.Circumstances.of("test")));
            assertThat(store.next("ada", ONCE)).isEmpty();
            store.add(next(store, "bob")
                    .verdict("b", new Ranking.AllBad(), Verdict.Remarks.NONE, Verdict.Circumstances.of("test")));
            assertThat(store.next("cyd", ONCE)).isEmpty();
            assertThat(verdicts(store)).noneMatch(Recorded::late);
        }
    }

    @Test
    void an17_undoAndEditAreNewRows() {
        try (FeedbackStore store = open()) {
            store.add(tasks(1));
            Verdict first = verdict(next(store, "ada"), "v1", 1, 2);
            store.add(first);
            Verdict edited = first.corrected("v2", ranks(2, 1));
            store.add(edited);
            assertThatThrownBy(() -> store.add(first.corrected("v3", ranks(1, 1))))
                    .as("two corrections of one verdict would be two truths")
                    .hasMessageContaining("supersede v2");
            Verdict undone = edited.corrected("v4", new Ranking.Withdrawn("a slip"));
            store.add(undone);
            // Asked again: the answer goes on from what was withdrawn.
            Assignment again = next(store, "ada");
            assertThat(again.supersedes()).isEqualTo("v4");
            assertThat(again.shown()).isEqualTo(first.shown());
            Verdict last = verdict(again, "v5", 1, 1);
            store.add(last);
            assertThat(verdicts(store).stream().map(Recorded::verdict)).containsExactly(first, edited, undone, last);
            List<String> standing = new ArrayList<>();
            try (Snapshot snapshot = store.snapshot()) {
                for (long through = 1; through <= 4; through++) {
                    snapshot.forEachStanding(
                            through, (task, each) -> standing.add(each.verdict().id()));
                }
            }
            assertThat(standing).containsExactly("v1", "v2", "v4", "v5");
        }
    }

    @Test
    void an23_answersThatReadAlikeAreOneAndWhatIsNoAnswerIsNotShown() {
        Task sampled = Task.of(
                Task.question("Q?"),
                List.of(
                        Map.entry(" Paris.", sample(1, Answer.Finish.STOP)),
                        Map.entry("", sample(2, Answer.Finish.STOP)),
                        Map.entry("Paris.\n", sample(3, Answer.Finish.STOP)),
                        Map.entry("Error 500", sample(4, Answer.Finish.ERROR)),
                        Map.entry("Paris is the", sample(5, Answer.Finish.LENGTH))));
        // Nothing is lost: five samples in four answers.
        assertThat(sampled.answers().stream().map(Answer::text))
                .containsExactly("Paris.", "", "Error 500", "Paris is the");
        assertThat(sampled.answers().getFirst().samples())
                .extracting(Answer.Sample::seed)
                .containsExactly(1L, 3L);
        assertThat(sampled.servable()).containsExactly(0, 3);
        assertThat(sampled.answers().stream().map(Answer::truncated)).containsExactly(false, false, false, true);
        Task alike = Task.of(
                Task.question("Alike?"),
                List.of(
                        Map.entry("Yes.", sample(1, Answer.Finish.STOP)),
                        Map.entry("Yes. ", sample(2, Answer.Finish.STOP))));
        Task empty = Task.of(
                Task.question("Empty?"),
                List.of(
                        Map.entry("Yes.", sample(1, Answer.Finish.STOP)),
                        Map.entry(" \n", sample(2, Answer.Finish.STOP))));
        try (FeedbackStore store = open()) {
            store.add(List.of(alike, empty, sampled));
            Assignment given = next(store, "ada");
            assertThat(given.task()).isEqualTo(sampled);
            assertThat(given.shown()).containsExactlyInAnyOrder(0, 3);
            assertThatThrownBy(() -> store.add(verdict(given, "v", 1, 2, 0, 3)))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("answer 1 is empty or an error");
            store.add(verdict(given, "v", 1, 0, 0, 2));
            assertThat(store.next("ada", ONCE)).isEmpty();
            try (Snapshot snapshot = store.snapshot()) {
                assertThat(snapshot.tasks()).isEqualTo(3);
                assertThat(snapshot.servable()).isEqualTo(1);
            }
        }
        assertThatThrownBy(() -> task(1, "Yes.", "Yes. ")).hasMessageContaining("read alike");
    }

    @Test
    void aModelMaySayAnything() {
        Task task = Task.of(
                Task.question("Q?"),
                List.of(
                        Map.entry("a\0b", sample(1, Answer.Finish.STOP)),
                        Map.entry("\u001b[31mred\u202E", sample(2, Answer.Finish.STOP))));
        try (FeedbackStore store = open()) {
            store.add(List.of(task));
            assertThat(next(store, "ada").task()).isEqualTo(task);
        }
        assertThat(task.answers().getFirst().text()).isEqualTo("a\uFFFDb");
        // From a file it is a damaged row.
        assertThatThrownBy(() -> task(1, "a\0b", "c")).isInstanceOf(BadInput.class);
        assertThatThrownBy(() -> task(1, "a\uD83D", "c")).isInstanceOf(BadInput.class);
    }

    @Test
    void theSameTaskIsStoredOnce() {
        try (FeedbackStore store = open()) {
            assertThat(store.add(tasks(5))).isEqualTo(5);
            assertThat(store.add(tasks(7))).isEqualTo(2);
        }
    }

    @Test
    void answersStandInEachPlaceEquallyOften() {
        try (FeedbackStore store = open()) {
            store.add(tasks(200));
            int[] first = new int[2];
            Map<String, Set<List<Integer>>> orders = new java.util.HashMap<>();
            for (String annotator : List.of("ada", "bob")) {
                for (int i = 0; i < 200; i++) {
                    Assignment given = store.next(annotator, terms(2)).orElseThrow();
                    store.add(verdict(given, annotator + i, 1, 2));
                    first[annotator.equals("ada") ? given.shown().getFirst() : 0] += annotator.equals("ada") ? 1 : 0;
                    orders.computeIfAbsent(given.taskId(), id -> new java.util.HashSet<>())
                            .add(given.shown());
                }
            }
            // A fair coin 200 times: between 70 and 130 but for one case in 20,000.
            assertThat(first[0]).isBetween(70, 130);
            assertThat(orders.values()).as("each task was shown in both orders").allMatch(set -> set.size() == 2);
        }
    }

    @Test
    void aShareOfTasksIsAskedAgainInTheOppositeOrder() {
        try (FeedbackStore store = open()) {
            store.add(tasks(20));
            Assignment.Terms terms = new Assignment.Terms(1, Duration.ofMinutes(1), 0.1);
            List<Assignment> given = new ArrayList<>();
            for (Optional<Assignment> next = store.next("ada", terms);
                    next.isPresent();
                    next = store.next("ada", terms)) {
                given.add(next.get());
                store.add(verdict(next.get(), "v" + given.size(), 1, 2));
            }
            assertThat(given).hasSize(22);
            Assignment again = given.get(10);
            assertThat(again.occasion()).isEqualTo(1);
            assertThat(again.taskId()).isEqualTo(given.getFirst().taskId());
            assertThat(again.shown()).isEqualTo(given.getFirst().shown().reversed());
            // Asked twice is not two annotators.
            assertThat(store.next("bob", ONCE)).isEmpty();
        }
    }

    @Test
    void aVerdictMustFitWhatWasGiven() {
        try (FeedbackStore store = open()) {
            store.add(List.of(task(1, "a", "b", "c")));
            Assignment given = next(store, "ada");
            for (Integer[] wrong : List.of(
                    new Integer[] {1, 2}, new Integer[] {1, 2, 4}, new Integer[] {1, -1, 2}, new Integer[] {1, 0, 0})) {
                assertThatThrownBy(() -> store.add(verdict(given, "v", wrong))).isInstanceOf(BadInput.class);
            }
            assertThatThrownBy(() -> store.add(verdict(given, "<script>", 1, 2, 3)))
                    .hasMessageContaining("the id must be");
            assertThatThrownBy(() -> store.add(new Verdict(
                            "v",
                            given.taskId(),
                            "ada",
                            0,
                            given.shown().reversed(),
                            ranks(1, 2, 3),
                            Verdict.Remarks.NONE,
                            Verdict.Circumstances.of("test"),
                            null)))
                    .hasMessageContaining("given out as");
            assertThatThrownBy(() -> store.add(new Verdict(
                            "v",
                            given.taskId(),
                            "bob",
                            0,
                            given.shown(),
                            ranks(1, 2, 3),
                            Verdict.Remarks.NONE,
                            Verdict.Circumstances.of("test"),
                            null)))
                    .hasMessageContaining("was not given task");
            for (String name : List.of("", " ", "a\nb", "x".repeat(101), "\u202Eada")) {
                assertThatThrownBy(() -> store.next(name, ONCE)).hasMessageContaining("visible characters");
            }
            assertThat(verdicts(store)).isEmpty();
            store.add(verdict(given, "v", 1, 2, 3));
        }
    }
}
