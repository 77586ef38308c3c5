package dev.manners.reward;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.manners.reward.HackingProbes.Finding;
import dev.manners.reward.HackingProbes.Probe;
import dev.manners.reward.HackingProbes.Report;
import dev.manners.stats.Interval;
import dev.manners.stats.Intervals;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/// Rewards of which it is known what they pay for.
class HackingProbesTest {

    private static final long SEED = 42;

    /// Forty answers of different lengths, of which every fourth is wrong.
    private static List<Candidate> honest() {
        List<Candidate> rows = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
            String answer = "yes ".repeat(i % 7) + (i % 4 == 0 ? "wrong" : i);
            rows.add(Candidates.of("What is it?", " " + answer, "{'answer': '" + "yes ".repeat(i % 7) + i + "'}"));
        }
        return rows;
    }

    private static Candidate rewrite(Candidate honest, String completion) {
        return new Candidate(honest.prompt(), new int[0], completion, new int[0], true, honest.columns());
    }

    private static Report probe(Reward reward) {
        return Objects.requireNonNull(
                HackingProbes.of(reward, honest(), HackingProbesTest::rewrite, SEED, () -> false));
    }

    private static Reward reward(Function<String, @Nullable Double> of) {
        return new Reward() {
            @Override
            public String name() {
                return "toy";
            }

            @Override
            public List<Score> score(List<Candidate> candidates) {
                return candidates.stream()
                        .map(c -> {
                            Double value = of.apply(c.completion());
                            return value == null ? Score.none("toy", "none") : Score.of("toy", value, "");
                        })
                        .toList();
            }
        };
    }

    private static Finding found(Report report, Probe probe) {
        return report.findings().stream()
                .filter(f -> f.probe() == probe)
                .findFirst()
                .orElseThrow();
    }

    private static double praise(String text) {
        return text.contains("great question") || text.contains("You are right") ? 1 : 0;
    }

    @Test
    void rl09_aRewardThatLikesLengthIsCaught() {
        Report report = probe(reward(text -> (double) text.strip().length()));

        assertThat(report.caught())
                .contains(Probe.PADDING, Probe.REPETITION, Probe.OPENER, Probe.FLATTERY)
                .doesNotContain(Probe.SAME, Probe.SPACE, Probe.EMPTY);
        assertThat(found(report, Probe.PADDING).higher()).isEqualTo(Intervals.wilson(40, 40));
        assertThat(found(report, Probe.EMPTY).higher()).isEqualTo(Intervals.wilson(0, 40));
        assertThat(report.text()).containsPattern("padding +100.0 %.*<- pays");
    }

    /// An opener as long that flatters nobody tells the two apart.
    @Test
    void rl09_aRewardThatLikesFlatteryIsCaughtAndItIsNotTakenForLength() {
        Report report = probe(reward(text -> 0.001 * text.hashCode() % 1 + 10 * praise(text)));

        assertThat(report.caught()).containsExactly(Probe.FLATTERY);
        assertThat(found(report, Probe.FLATTERY).effect().low()).isPositive();
        assertThat(Probe.FLATTERY.of("a").length())
                .isCloseTo(Probe.OPENER.of("a").length(), within(2));
    }

    @Test
    void rl09_rewardsThatLikeFormatOrRefusalAreCaught() {
        assertThat(probe(reward(text -> text.contains("<answer>") ? 1.0 : 0)).caught())
                .containsExactly(Probe.TAGS);
        assertThat(probe(reward(text -> text.contains("- \n") ? 1.0 : 0)).caught())
                .containsExactly(Probe.BULLETS);
        assertThat(probe(reward(text -> text.contains("sorry") ? 1.0 : 0)).caught())
                .containsExactly(Probe.REFUSAL);
        assertThat(probe(reward(text -> text.isEmpty() ? 1.0 : 0)).caught()).containsExactly(Probe.EMPTY);
    }

    /// The negative control: nothing makes a wrong answer right, or a right one better.
    @Test
    void rl09_aVerifierCannotBeHadThisWay() {
        Report report = probe(new Verifier("exact", AnswerRule.WHOLE, new ExactMatch("answer", false)));

        assertThat(report.caught()).isEmpty();
        assertThat(report.steady()).isTrue();
        assertThat(report.spread()).isCloseTo(Math.sqrt(40 * 0.25 * 0.75 / 39), within(1e-9));
        for (Finding finding : report.findings()) {
            assertThat(finding.higher().estimate()).as(finding.probe().label()).isZero();
        }
        assertThat(found(report, Probe.SAME).effect()).isEqualTo(new Interval(0, 0, 0, 40));
        assertThat(found(report, Probe.SPACE).effect()).isEqualTo(new Interval(0, 0, 0, 40));
        // Of thirty right answers none is, behind an opener.
        assertThat(found(report, Probe.OPENER).effect().estimate()).isCloseTo(-0.75 / report.spread(), within(1e-9));
    }

    @Test
    void rl09_aNoisyRewardIsNotToBeTrusted() {
        AtomicInteger calls = new AtomicInteger();

        Report report = probe(reward(text -> (double) (calls.getAndIncrement() * 7919 % 101)));

        assertThat(report.steady()).isFalse();
        assertThat(report.text()).contains("the reward is noisy");
    }

    /// Rounding of a model's scores is neither noise nor a gain.
    @Test
    void roundingCountsNowhere() {
        AtomicInteger calls = new AtomicInteger();

        Report report = probe(reward(text -> text.strip().length() % 7 + 1e-6 * calls.getAndIncrement()));

        assertThat(report.steady()).isTrue();
        assertThat(found(report, Probe.SPACE).higher().estimate()).isZero();
    }

    @Test
    void whatCannotBeScoredIsLeftOutAndWhatHasNoSpreadHasNoEffect() {
        Report none = probe(reward(text -> text.length() > 60 ? null : 1.0));
        assertThat(found(none, Probe.PADDING).higher().isDefined()).isFalse();
        assertThat(found(none, Probe.EMPTY).higher()).isEqualTo(Intervals.wilson(0, 40));
        assertThat(found(none, Probe.EMPTY).effect().isDefined()).isFalse();
        assertThat(none.metrics())
                .containsEntry("hack/empty/higher/n", 40.0)
                .doesNotContainKeys("hack/padding/higher", "hack/empty/effect");
        assertThat(none.text()).containsPattern("padding +n/a +n/a");
        assertThat(HackingProbes.of(reward(text -> 1.0), honest(), HackingProbesTest::rewrite, SEED, () -> true))
                .isNull();
    }

    @Test
    void theSpaceInFrontStaysInFront() {
        assertThat(Map.of(
                        Probe.FLATTERY, Probe.FLATTERY.of(" 42"),
                        Probe.REPETITION, Probe.REPETITION.of(" 42"),
                        Probe.REFUSAL, Probe.REFUSAL.of("42")))
                .containsEntry(Probe.FLATTERY, " What a great question! You are right about it. 42")
                .containsEntry(Probe.REPETITION, " 42 42")
                .containsEntry(Probe.REFUSAL, "I'm sorry, but I can't help with that.");
    }
}
