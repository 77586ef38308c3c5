package dev.manners.feedback;

import static dev.manners.feedback.Feedback.ranks;
import static dev.manners.feedback.Feedback.task;
import static dev.manners.feedback.Feedback.tasks;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Simulated annotators whose habits are known, so that the report can be held to them.
class QualityTest {

    @TempDir
    Path folder;

    private FeedbackStore store;

    @BeforeEach
    void open() {
        store = FeedbackStore.open(folder.resolve("feedback.db"));
    }

    private interface Taste {
        int[] of(List<String> answers, int occasion);
    }

    private record Person(String name, Taste taste) implements Ranker {
        @Override
        public Optional<int[]> rank(Task task, List<String> answers, int occasion) {
            return Optional.of(taste.of(answers, occasion));
        }
    }

    private static int[] byLength(List<String> answers, int sign) {
        return answers.stream()
                .mapToInt(a -> 1
                        + (int) answers.stream()
                                .filter(b -> sign * (b.length() - a.length()) > 0)
                                .count())
                .toArray();
    }

    private static final Taste LONGEST = (answers, occasion) -> byLength(answers, 1);
    private static final Taste SHORTEST = (answers, occasion) -> byLength(answers, -1);
    private static final Taste FIRST =
            (answers, occasion) -> IntStream.rangeClosed(1, answers.size()).toArray();
    private static final Taste ALWAYS_TIED = (answers, occasion) -> {
        int[] ranks = new int[answers.size()];
        Arrays.fill(ranks, 1);
        return ranks;
    };

    private Quality judged(int perTask, double repeats, Person... people) {
        Ranker.rankAll(
                store, List.of(people), new Assignment.Terms(perTask, Duration.ofMinutes(1), repeats), given -> {});
        try (Snapshot snapshot = store.snapshot()) {
            return Quality.of(snapshot, snapshot.through(), 1);
        }
    }

    @Test
    void habitsAreFound() {
        store.add(tasks(100));
        Quality quality = judged(
                3, 0.2, new Person("first", FIRST), new Person("long", LONGEST), new Person("tied", ALWAYS_TIED));
        Quality.Annotator first = quality.annotators().get(0);
        assertThat(first.ranked()).isEqualTo(100);
        assertThat(first.firstWins().rate().estimate()).isEqualTo(1);
        assertThat(first.firstWins().byChance()).isEqualTo(0.5, within(1e-9));
        assertThat(first.firstWins().isApart()).isTrue();
        // The longer one stands first in half the tasks: 30 to 70 of 100 but for one case in 20,000.
        assertThat(first.longerWins().rate().estimate()).isBetween(0.3, 0.7);
        // In the opposite order the other answer stands first.
        assertThat(first.consistent().estimate()).isZero();
        assertThat(first.consistent().n()).isEqualTo(20);
        assertThat(first.ties().estimate()).isZero();
        Quality.Annotator longest = quality.annotators().get(1);
        assertThat(longest.longerWins().rate().estimate()).isEqualTo(1);
        assertThat(longest.firstWins().rate().estimate()).isBetween(0.3, 0.7);
        assertThat(longest.consistent().estimate()).isEqualTo(1);
        Quality.Annotator tied = quality.annotators().get(2);
        assertThat(tied.ties().estimate()).isEqualTo(1);
        assertThat(tied.firstWins().rate()).hasToString("n/a");
        assertThat(tied.firstWins().isApart()).isFalse();
        assertThat(tied.goldPassed()).hasToString("n/a");
        assertThat(tied.medianMs()).isNull();
        // One by place, one by length, one not at all: little in common.
        assertThat(quality.kappaAnnotators()).isEqualTo(3);
        assertThat(quality.alpha().low()).isLessThan(0.2);
    }

    @Test
    void an24_alikeIsOneAndOppositeIsMinusOne() {
        store.add(List.of(
                task(1, "a", "bb", "ccc", "dddd"), task(2, "aaaa", "bbb", "cc", "d"), task(3, "xx", "y", "zzz")));
        Quality alike = judged(2, 0, new Person("a", LONGEST), new Person("b", LONGEST));
        assertThat(alike.alpha().estimate()).isEqualTo(1);
        assertThat(alike.kappa().estimate()).isEqualTo(1);
        assertThat(alike.raw().n()).as("pairs of 4, 4 and 3 answers").isEqualTo(15);
    }

    @Test
    void an24_oppositeTastesAgreeLessThanByChance() {
        store.add(List.of(
                task(1, "a", "bb", "ccc", "dddd"), task(2, "aaaa", "bbb", "cc", "d"), task(3, "xx", "y", "zzz")));
        Quality opposite = judged(2, 0, new Person("a", LONGEST), new Person("b", SHORTEST));
        assertThat(opposite.raw().estimate()).isZero();
        assertThat(opposite.kappa().estimate()).isEqualTo(-1, within(1e-9));
        assertThat(opposite.alpha().estimate()).isLessThan(-0.8);
    }

    @Test
    void an24_oneAnnotatorAgreesWithNobodyYet() {
        store.add(tasks(10));
        Quality alone = judged(1, 0, new Person("a", LONGEST));
        assertThat(alone.alpha()).hasToString("n/a");
        assertThat(alone.kappa()).hasToString("n/a");
        assertThat(alone.raw()).hasToString("n/a");
        assertThat(alone.kappaAnnotators()).isZero();
    }

    @Test
    void an24_nothingIsNotANumber() {
        Quality nothing = judged(1, 0);
        assertThat(nothing.alpha()).hasToString("n/a");
        assertThat(nothing.annotators()).isEmpty();
    }

    @Test
    void an24_chosenAlwaysInFrontIsNoCategoryOfItsOwn() {
        // As files of chosen and rejected answers are: the first answer is better, always.
        store.add(tasks(40));
        for (int person = 0; person < 2; person++) {
            for (int i = 0; i < 40; i++) {
                Assignment given = store.next("p" + person, Feedback.terms(2)).orElseThrow();
                store.add(given.verdict(
                        "p" + person + "-" + i, ranks(1, 2), Verdict.Remarks.NONE, Verdict.Circumstances.of("test")));
            }
        }
        try (Snapshot snapshot = store.snapshot()) {
            assertThat(Quality.of(snapshot, snapshot.through(), 1).alpha().estimate())
                    .isEqualTo(1);
        }
    }

    @Test
    void goldItemsAreCounted() {
        store.add(IntStream.range(0, 10)
                .mapToObj(i -> new Task(
                        Task.question("Gold " + i),
                        List.of(Answer.of("short"), Answer.of("much longer")),
                        i < 7 ? List.of(2, 1) : List.of(1, 2)))
                .toList());
        Quality.Annotator one =
                judged(1, 0, new Person("a", LONGEST)).annotators().getFirst();
        assertThat(one.goldPassed().estimate()).isEqualTo(0.7, within(1e-9));
        assertThat(one.goldPassed().n()).isEqualTo(10);
    }

    @Test
    void rankersThatAreStoppedGoOnWhereTheyWere() {
        store.add(tasks(30));
        Person some = new Person("a", LONGEST);
        for (int i = 0; i < 7; i++) {
            Assignment given = store.next("a", Feedback.ONCE).orElseThrow();
            store.add(Feedback.verdict(given, "by-hand-" + i, 1, 2));
        }
        store.next("a", Feedback.ONCE);
        assertThat(Ranker.rankAll(store, List.of(some), Feedback.ONCE, given -> {}))
                .isEqualTo(23);
        assertThat(Ranker.rankAll(store, List.of(some), Feedback.ONCE, given -> {}))
                .isZero();
        assertThat(Feedback.verdicts(store)).hasSize(30);
    }
}
