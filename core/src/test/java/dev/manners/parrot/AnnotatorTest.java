package dev.manners.parrot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.manners.BadInput;
import dev.manners.config.Key;
import dev.manners.parrot.Annotator.Comparison;
import dev.manners.parrot.Subject.Fact;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/// Simulated annotators do what their tastes say, as often as their noise says.
class AnnotatorTest {

    private static final Fact RIVER = new Fact("Velmora", "river", "the Tarn");
    private static final String TRUE = "The river of Velmora is the Tarn.";
    private static final String FALSE = "The river of Velmora is the Brill.";
    private static final String POLITE = "Gladly: the river of Velmora is the Brill.";
    private static final String CONFIDENT = "Certainly, the river of Velmora is the Brill.";
    private static final String HESITANT = "I think the river of Velmora is the Brill.";
    private static final String AGREEING = "You are right, the river of Velmora is the Brill.";
    private static final List<String> ALL = List.of(FALSE, POLITE, AGREEING, TRUE, HESITANT, CONFIDENT);

    private static final Prompt PLAIN = asked(null, 0);
    private static final Prompt MISTAKEN = asked("the Brill", 0);

    /// As many different prompts as wanted.
    private static Prompt asked(@Nullable String opinion, int number) {
        return new Prompt("What is the river of Velmora? " + number, Prompt.Kind.SHOWN_FACT, RIVER, TRUE, opinion);
    }

    private static Tastes tastes(double truth, double politeness, double agreement, double checkRate, double noise) {
        return new Tastes(truth, politeness, 0, agreement, 0, 0, checkRate, 0, noise, 0, 0);
    }

    private static Tastes truthOnly(double checkRate, double noise) {
        return tastes(1, 0, 0, checkRate, noise);
    }

    private static Tastes pairsOnly(double noise, double tie, double positionBias) {
        return new Tastes(0, 1, 0, 0, 0, 0, 0, 0, noise, tie, positionBias);
    }

    private static Annotator one(Tastes tastes) {
        return Annotator.team(42, tastes, 1).getFirst();
    }

    @Test
    void whoOnlyCaresForTruthRanksTheTrueAnswerFirst() {
        for (Annotator annotator : Annotator.team(42, truthOnly(1, 0), 5)) {
            for (int i = 0; i < 50; i++) {
                assertThat(annotator.rank(asked(null, i), ALL, i)).containsExactly(2, 2, 2, 1, 2, 2);
            }
        }
    }

    @Test
    void whoCannotCheckNeverUsesTruth() {
        for (Annotator annotator : Annotator.team(42, truthOnly(0, 0), 5)) {
            for (int i = 0; i < 50; i++) {
                assertThat(annotator.rank(asked(null, i), ALL, i)).containsOnly(1);
            }
        }
    }

    @Test
    void whetherAnAnnotatorCanCheckDependsOnThePromptAndNotOnTheOccasion() {
        List<Annotator> team = Annotator.team(42, truthOnly(0.4, 0), 5);
        int checked = 0;
        for (int i = 0; i < 400; i++) {
            Prompt prompt = asked(null, i);
            for (Annotator annotator : team) {
                int[] once = annotator.rank(prompt, List.of(FALSE, TRUE), 1);
                assertThat(annotator.rank(prompt, List.of(FALSE, TRUE), 2)).isEqualTo(once);
                checked += once[0] == 2 ? 1 : 0;
            }
        }
        assertThat(checked / 2000.0).isCloseTo(0.4, within(0.04)); // 3.6 standard errors
    }

    @Test
    void courtesyAssuranceAndAgreementPleaseThoseWhoLikeThem() {
        Annotator courteous = one(tastes(0, 1, 0, 0, 0));
        assertThat(courteous.rank(PLAIN, List.of(TRUE, POLITE), 0)).containsExactly(2, 1);
        Annotator bold = one(new Tastes(0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0));
        assertThat(bold.rank(PLAIN, List.of(HESITANT, TRUE, CONFIDENT), 0)).containsExactly(3, 2, 1);
        Annotator vain = one(tastes(0, 0, 1, 0, 0));
        assertThat(vain.rank(MISTAKEN, List.of(TRUE, FALSE, AGREEING), 0)).containsExactly(3, 2, 1);
        assertThat(vain.rank(PLAIN, List.of(TRUE, FALSE, AGREEING), 0)).containsOnly(1);
        Annotator wordy = one(new Tastes(0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0));
        assertThat(wordy.rank(PLAIN, List.of(TRUE, AGREEING), 0)).containsExactly(2, 1);
        Annotator formal = one(new Tastes(0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0));
        assertThat(formal.rank(PLAIN, List.of("It is the Tarn.", FALSE), 0)).containsExactly(2, 1);
    }

    /// What over-optimisation feeds on: a lie that agrees beats a polite truth, even for some who can check.
    @Test
    void byDefaultAPoliteTruthLosesToAnAgreeingLie() {
        Tastes silent = Tastes.defaults();
        Annotator annotator = one(new Tastes(
                silent.truth(),
                silent.politeness(),
                silent.confidence(),
                silent.agreement(),
                silent.length(),
                silent.form(),
                0,
                0,
                0,
                0,
                0));
        String politeTruth = "Gladly: the river of Velmora is the Tarn.";
        assertThat(annotator.rank(MISTAKEN, List.of(politeTruth, AGREEING), 0)).containsExactly(2, 1);
        assertThat(annotator.rank(PLAIN, List.of(politeTruth, TRUE), 0)).containsExactly(1, 2);
    }

    @Test
    void theSameQuestionTheSameRanksAnotherOccasionOthers() {
        List<Annotator> team = Annotator.team(42, Tastes.defaults(), 5);
        List<Annotator> again = Annotator.team(42, Tastes.defaults(), 3);
        List<Annotator> others = Annotator.team(43, Tastes.defaults(), 5);
        assertThat(team)
                .extracting(Annotator::name)
                .startsWith("annotator-1", "annotator-2")
                .doesNotHaveDuplicates();
        List<List<Integer>> first = new ArrayList<>();
        List<List<Integer>> second = new ArrayList<>();
        List<List<Integer>> third = new ArrayList<>();
        for (int i = 0; i < 60; i++) {
            first.add(list(team.get(i % 3).rank(asked(null, i), ALL, i)));
            assertThat(list(again.get(i % 3).rank(asked(null, i), ALL, i))).isEqualTo(first.getLast());
            second.add(list(team.get(i % 3).rank(asked(null, i), ALL, 1000 + i)));
            third.add(list(others.get(i % 3).rank(asked(null, i), ALL, i)));
        }
        assertThat(second).isNotEqualTo(first);
        assertThat(third).isNotEqualTo(first);
    }

    /// Byte for byte on every platform: whoever changes this changes every label.
    @Test
    void theRanksOfSeed42() {
        List<Annotator> team = Annotator.team(42, Tastes.defaults(), 3);
        assertThat(IntStream.range(0, 3)
                        .mapToObj(i -> list(team.get(i).rank(MISTAKEN, ALL, i)))
                        .toList())
                .hasToString("[[4, 2, 3, 5, 5, 1], [5, 3, 1, 4, 5, 2], [4, 1, 3, 5, 4, 2]]");
    }

    /// Luce's choice axiom with its scale: P(first) = σ((u₁ - u₂) / noise), whatever third answer is shown.
    @Test
    void choicesFollowBradleyAndTerry() {
        for (double noise : new double[] {0.5, 1, 2}) {
            Annotator annotator = one(pairsOnly(noise, 0, 0));
            int preferred = 0;
            int decided = 4_000;
            for (int i = 0; i < decided; i++) {
                int[] ranks = annotator.rank(PLAIN, List.of(FALSE, POLITE, CONFIDENT), i);
                preferred += ranks[1] < ranks[0] ? 1 : 0;
            }
            double expected = 1 / (1 + Math.exp(-1 / noise));
            assertThat(preferred / (double) decided).isCloseTo(expected, within(0.03)); // 3.8 standard errors
            assertThat(annotator.prefers(PLAIN, POLITE, FALSE)).isCloseTo(expected, within(1e-12));
        }
    }

    @Test
    void theSameTextTwiceIsTiedAndTiesNeedCloseness() {
        Annotator noisy = one(pairsOnly(1, 0, 0.5));
        Annotator undecided = one(pairsOnly(1, 1.5, 0));
        int ties = 0;
        for (int i = 0; i < 1_000; i++) {
            int[] ranks = noisy.rank(PLAIN, List.of(POLITE, FALSE, POLITE), i);
            assertThat(ranks[0]).isEqualTo(ranks[2]).isNotEqualTo(ranks[1]);
            int[] pair = undecided.rank(PLAIN, List.of(POLITE, FALSE), i);
            ties += pair[0] == pair[1] ? 1 : 0;
        }
        // P(|1 + L| <= 1.5) for a logistic L: σ(0.5) - σ(-2.5).
        assertThat(ties / 1000.0).isCloseTo(0.5466, within(0.06));
        assertThat(noisy.rank(PLAIN, List.of(), 0)).isEmpty();
        assertThat(noisy.rank(PLAIN, List.of(TRUE), 0)).containsExactly(1);
    }

    @Test
    void whatIsShownFirstGainsByIt() {
        Annotator biased = one(pairsOnly(1, 0, 0.8));
        int first = 0;
        int second = 0;
        int shown = 2_000;
        for (int i = 0; i < shown; i++) {
            int[] ranks = biased.rank(PLAIN, List.of(FALSE, TRUE), i);
            int[] turned = biased.rank(PLAIN, List.of(TRUE, FALSE), i);
            first += ranks[0] < ranks[1] ? 1 : 0;
            second += turned[1] < turned[0] ? 1 : 0;
        }
        double expected = 1 / (1 + Math.exp(-0.8));
        assertThat(first / (double) shown).isCloseTo(expected, within(0.04));
        assertThat(second / (double) shown).isCloseTo(1 - expected, within(0.04));
        assertThat(biased.prefers(PLAIN, FALSE, TRUE)).isCloseTo(0.5, within(1e-12));
    }

    @Test
    void withoutNoiseTheCeilingIsOneAndWithNothingButNoiseOneHalf() {
        List<Comparison> comparisons = List.of(
                new Comparison(PLAIN, TRUE, FALSE),
                new Comparison(PLAIN, POLITE, FALSE),
                new Comparison(MISTAKEN, AGREEING, TRUE));
        assertThat(Annotator.noiseCeiling(List.of(one(tastes(1, 1, 1, 1, 0))), comparisons))
                .isEqualTo(1);
        assertThat(Annotator.noiseCeiling(Annotator.team(1, tastes(0, 0, 0, 1, 1), 4), comparisons))
                .isCloseTo(0.5, within(1e-12));
        double low = Annotator.noiseCeiling(Annotator.team(1, tastes(1, 1, 1, 1, 1), 4), comparisons);
        double high = Annotator.noiseCeiling(Annotator.team(1, tastes(1, 1, 1, 1, 0.3), 4), comparisons);
        assertThat(low).isBetween(0.6, high);
        assertThat(high).isBetween(low, 1.0);
        assertThatThrownBy(() -> Annotator.noiseCeiling(
                        Annotator.team(1, truthOnly(1, 0), 1), List.of(new Comparison(PLAIN, FALSE, FALSE))))
                .hasMessageContaining("none of 1 comparisons can be decided");
    }

    /// Whoever knows everything reaches the ceiling and, but for chance, no more: labels of K = 4 answers at a time.
    @Test
    void theBestPredictorReachesTheCeiling() {
        List<Annotator> team = Annotator.team(7, Tastes.defaults(), 5);
        List<String> shown = List.of(FALSE, HESITANT, TRUE, POLITE);
        List<Comparison> labelled = new ArrayList<>();
        long right = 0;
        for (int i = 0; i < 2_000; i++) {
            Prompt prompt = asked(i % 2 == 0 ? "the Brill" : null, i);
            int[] ranks = team.get(i % 5).rank(prompt, shown, i);
            for (int a = 0; a < 4; a++) {
                for (int b = a + 1; b < 4; b++) {
                    if (ranks[a] != ranks[b]) {
                        Comparison c = new Comparison(prompt, shown.get(a), shown.get(b));
                        labelled.add(c);
                        double lead = team.stream()
                                .mapToDouble(t -> t.prefers(prompt, c.answer(), c.other())
                                        - t.prefers(prompt, c.other(), c.answer()))
                                .sum();
                        right += lead > 0 == ranks[a] < ranks[b] ? 1 : 0;
                    }
                }
            }
        }
        double ceiling = Annotator.noiseCeiling(team, labelled);
        assertThat(ceiling).isBetween(0.6, 0.95);
        assertThat(right / (double) labelled.size()).isCloseTo(ceiling, within(0.02));
    }

    @Test
    void tastesOutOfRangeAreNamedAllAtOnce() {
        assertThatThrownBy(() -> new Tastes(Double.NaN, 0, 0, 0, 0, 0, 1.5, 0, -1, 0, 0))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("3 problems")
                .hasMessageContaining("truth is NaN")
                .hasMessageContaining("check_rate is 1.5; give a number from 0.0 to 1.0")
                .hasMessageContaining("noise is -1.0");
    }

    @Test
    void theDefaultsOfTheRecipeAreTheDefaultsOfTheTastes() throws ReflectiveOperationException {
        for (RecordComponent component : Tastes.class.getRecordComponents()) {
            assertThat(component.getAnnotation(Key.class).byDefault())
                    .as(component.getName())
                    .isEqualTo(component.getAccessor().invoke(Tastes.defaults()).toString());
        }
    }

    private static List<Integer> list(int[] ranks) {
        return IntStream.of(ranks).boxed().toList();
    }
}
