package dev.manners.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.data.PreferenceRow.Ranking;
import dev.manners.data.Tokenisation.Truncation;
import java.util.List;
import org.junit.jupiter.api.Test;

/// Rankings to pairs of a length.
class PairTest {

    private static Ranking ranking(int[] prompt, int[] ranks, int[]... completions) {
        return new Ranking(prompt, List.of(completions), ranks, null, "row");
    }

    @Test
    void longPairsAreCutAtTheirEndsAndWhatIsLeftOutIsCounted() {
        int[] prompt = {1, 2, 3};
        int[] two = {1, 2};
        List<Ranking> rows = List.of(
                ranking(prompt, two, new int[] {4, 5, 6}, new int[] {7}), // cut
                ranking(prompt, two, new int[] {4, 5}, new int[] {7}), // fits
                ranking(prompt, two, new int[] {4, 5, 6}, new int[] {4, 5, 7}), // the same once they are cut
                ranking(new int[] {1, 2, 3, 4, 5}, two, new int[] {6}, new int[] {7}), // the prompt fills it
                ranking(prompt, new int[] {1, 1}, new int[] {4}, new int[] {7})); // a tie
        Pair.Fitted fitted = Pair.fitted(rows, 5, Truncation.KEEP_START);
        assertThat(fitted.pairs().stream().map(p -> p.chosen().length)).containsExactly(2, 2);
        assertThat(fitted.cut()).isEqualTo(1);
        assertThat(fitted.same()).isEqualTo(1);
        assertThat(fitted.noRoom()).isEqualTo(1);
        assertThat(fitted.ties()).isEqualTo(1);
        assertThat(fitted.notes(5)).hasSize(4);
        assertThat(Pair.fitted(rows, 0, Truncation.KEEP_START).pairs()).hasSize(4);
    }

    @Test
    void keepingTheEndBothCompletionsKeepOnePrompt() {
        int[] two = {1, 2};
        Pair.Fitted fitted = Pair.fitted(
                List.of(
                        ranking(new int[] {1, 2, 3, 4}, two, new int[] {5}, new int[] {6, 7, 8}),
                        ranking(new int[] {1, 2}, two, new int[] {3, 4, 5, 6, 7}, new int[] {8})),
                5,
                Truncation.KEEP_END);
        Pair pair = fitted.pairs().getFirst();
        assertThat(pair.prompt()).containsExactly(3, 4);
        assertThat(pair.chosen()).containsExactly(5);
        assertThat(pair.rejected()).containsExactly(6, 7, 8);
        assertThat(fitted.noRoom()).isEqualTo(1);
    }

    @Test
    void aRankingIsEveryPairOfWhichOneIsBetter() {
        Pair.Fitted fitted = Pair.fitted(
                List.of(ranking(
                        new int[] {1}, new int[] {1, 2, 2, 3}, new int[] {4}, new int[] {5}, new int[] {6}, new int[] {7
                        })),
                0,
                Truncation.KEEP_START);
        assertThat(fitted.pairs()).hasSize(5);
        assertThat(fitted.ties()).isEqualTo(1);
    }
}
