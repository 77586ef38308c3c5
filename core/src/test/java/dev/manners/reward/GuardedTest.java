package dev.manners.reward;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/// Rewards that break their contract, and sums of rewards.
class GuardedTest {

    private static final List<Candidate> CANDIDATES = Stream.of("good", "bad", "good")
            .map(completion -> Candidates.of(completion, "{}"))
            .toList();

    private record Scripted(String name, UnaryOperator<List<Candidate>> before, Function<Candidate, Score> each)
            implements Reward {

        @Override
        public List<Score> score(List<Candidate> candidates) {
            return before.apply(candidates).stream().map(each).toList();
        }
    }

    private static Score length(Candidate candidate) {
        return Score.of("r", candidate.completion().length(), "length");
    }

    private static void expectOnlyTheBadRowFlagged(Reward reward, String why) {
        List<Score> scores = new Guarded(reward).score(CANDIDATES);

        assertThat(scores.stream().map(Score::value)).containsExactly(4.0, null, 4.0);
        assertThat(scores.get(1).verdict()).isEqualTo(Verdict.FAULT);
        assertThat(scores.get(1).reason()).contains(why);
        Tally tally = Objects.requireNonNull(Tally.of(scores).get("r"));
        assertThat(tally.count(Verdict.FAULT)).isEqualTo(1);
        assertThat(tally.mean()).hasValue(4);
    }

    @Test
    void rl01_rewardThatIsNaNOrInfiniteOrThrowsFlagsItsRowOnly() {
        for (double value : new double[] {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY}) {
            expectOnlyTheBadRowFlagged(
                    new Scripted("r", c -> c, c -> c.completion().equals("bad") ? Score.of("r", value, "") : length(c)),
                    Double.toString(value));
        }
        expectOnlyTheBadRowFlagged(
                new Scripted("r", c -> c, c -> {
                    if (c.completion().equals("bad")) {
                        throw new IllegalStateException("no luck");
                    }
                    return length(c);
                }),
                "no luck");
        expectOnlyTheBadRowFlagged(
                new Scripted("r", c -> c, c -> c.completion().equals("bad") ? endless(c, 0) : length(c)),
                "StackOverflow");
    }

    @SuppressWarnings("InfiniteRecursion") // what it is for
    private static Score endless(Candidate candidate, int depth) {
        Score deeper = endless(candidate, depth + 1);
        return Score.of("r", depth, deeper.reason());
    }

    @Test
    void rl01_wrongNumberOfScoresIsNeverMatchedUpByPosition() {
        // One too few: the bad one is left out, and a naive reader would shift the third score onto it.
        expectOnlyTheBadRowFlagged(
                new Scripted(
                        "r",
                        cs -> cs.stream()
                                .filter(c -> !c.completion().equals("bad"))
                                .toList(),
                        GuardedTest::length),
                "returned 0 scores for 1");
        expectOnlyTheBadRowFlagged(
                new Scripted(
                        "r",
                        cs -> {
                            List<Candidate> doubled = new ArrayList<>(cs);
                            cs.stream()
                                    .filter(c -> c.completion().equals("bad"))
                                    .forEach(doubled::add);
                            return doubled;
                        },
                        GuardedTest::length),
                "returned 2 scores for 1");
    }

    @Test
    @SuppressWarnings("NullAway") // code that was not compiled with null checks
    void rl01_nullsAreFlagged() {
        expectOnlyTheBadRowFlagged(
                new Reward() {
                    @Override
                    public String name() {
                        return "r";
                    }

                    @Override
                    public List<Score> score(List<Candidate> candidates) {
                        return Arrays.asList(candidates.stream()
                                .map(c -> c.completion().equals("bad") ? null : length(c))
                                .toArray(Score[]::new));
                    }
                },
                "returned null");
        Reward nothing = new Reward() {
            @Override
            public String name() {
                return "r";
            }

            @Override
            public List<Score> score(List<Candidate> candidates) {
                return null;
            }
        };
        assertThat(new Guarded(nothing).score(CANDIDATES)).allMatch(score -> score.verdict() == Verdict.FAULT);
    }

    @Test
    void anOrderlyRewardIsLeftAlone() {
        assertThat(new Guarded(new Scripted("r", c -> c, GuardedTest::length))
                        .score(CANDIDATES).stream().map(Score::value))
                .containsExactly(4.0, 3.0, 4.0);
        assertThat(new Guarded(new Scripted("r", c -> c, GuardedTest::length)).score(List.of()))
                .isEmpty();
    }

    @Test
    void partsAreWeightedAndWhatCouldNotBeScoredIsLeftOut() {
        Reward length = new Scripted(
                "length", c -> c, c -> Score.of("length", c.completion().length(), ""));
        Reward good = new Scripted(
                "good",
                c -> c,
                c -> c.completion().equals("good") ? Score.of("good", 1, "") : Score.none("good", "who knows"));

        List<Score> scores = new WeightedReward(List.of(length, good), List.of(0.5, 10.0)).score(CANDIDATES);

        assertThat(scores.stream().map(Score::value)).containsExactly(12.0, 1.5, 12.0);
        assertThat(scores.getFirst().name()).isEqualTo("reward");
        assertThat(scores.getFirst().reason()).isEqualTo("0.5 · 4.000 + 10.0 · 1.000");
        assertThat(scores.getFirst().parts().stream().map(Score::value)).containsExactly(4.0, 1.0);
        assertThat(Objects.requireNonNull(Tally.of(scores).get("length")).mean().orElseThrow())
                .isEqualTo(11 / 3.0, within(1e-12));
    }

    @Test
    void rl01_whatNoPartCouldScoreHasNoReward() {
        Reward none = new Scripted("none", c -> c, c -> Score.none("none", "who knows"));
        Reward huge = new Scripted("huge", c -> c, c -> Score.of("huge", Double.MAX_VALUE, ""));

        assertThat(new WeightedReward(List.of(none, none), List.of(1.0, 1.0)).score(CANDIDATES))
                .allMatch(score -> score.value() == null && score.parts().size() == 2);
        assertThat(new WeightedReward(List.of(huge), List.of(10.0)).score(CANDIDATES))
                .allMatch(score -> score.value() == null && score.verdict() == Verdict.FAULT);
        assertThatThrownBy(() -> new WeightedReward(List.of(none), List.of(Double.NaN)))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new WeightedReward(List.of(none), List.of()))
                .isInstanceOf(IllegalArgumentException.class);
    }
}
