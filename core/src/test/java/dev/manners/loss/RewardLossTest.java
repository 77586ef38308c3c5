package dev.manners.loss;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

class RewardLossTest {

    private static final float[] SCORES = {0.7f, -0.4f, 0.1f, 0.9f, -1.2f, -1.3f};
    private static final float[] MARGINS = {0.5f, 0, 1};

    @Test
    void bradleyTerryWithMarginAndCentring() {
        Against.reference(
                SCORES, scores -> RewardLoss.bradleyTerry(scores, Tensor.of(MARGINS), 0.05, Window.ofRows(4)), r -> {
                    double loss = 0;
                    for (int p = 0; p < 3; p++) {
                        loss -= Against.logSigmoid(r[2 * p] - r[2 * p + 1] - MARGINS[p]);
                        loss += 0.05 * Math.pow(r[2 * p] + r[2 * p + 1], 2);
                    }
                    return loss / 4;
                });
    }

    @Test
    void metricsAreOfScoresAndPairs() {
        Against.Taken taken =
                Against.take(SCORES, scores -> RewardLoss.bradleyTerry(scores, null, null, Window.ofRows(3)));
        assertThat(taken.metrics().get("min_reward")).isCloseTo(-1.3, within(1e-6));
        assertThat(taken.metrics().get("max_reward")).isCloseTo(0.9, within(1e-6));
        assertThat(taken.metrics().get("mean_reward")).isCloseTo(-1.2 / 6, within(1e-6));
        assertThat(taken.metrics().get("accuracy")).isCloseTo(2.0 / 3, within(1e-6));
        assertThat(taken.metrics().get("margin")).isCloseTo((1.1 - 0.8 + 0.1) / 3, within(1e-6));
    }

    /// Of two without a tie, in whichever order they are given.
    @Test
    void plackettLuceOfTwoIsBradleyTerry() {
        Against.Taken pairs =
                Against.take(SCORES, scores -> RewardLoss.bradleyTerry(scores, null, 0.05, Window.ofRows(3)));
        Against.Taken rankings = Against.take(
                SCORES,
                scores -> RewardLoss.plackettLuce(
                        scores, List.of(new int[] {1, 2}, new int[] {0, 9}, new int[] {1, 2}), 0.05, Window.ofRows(3)));
        assertThat(rankings.loss()).isCloseTo(pairs.loss(), within(2e-7));
        assertThat(rankings.gradient()).containsExactly(pairs.gradient(), within(1e-7f));
        assertThat(rankings.metrics()).isEqualTo(pairs.metrics());

        float[] swapped = {-0.4f, 0.7f};
        Against.Taken other = Against.take(
                swapped, s -> RewardLoss.plackettLuce(s, List.of(new int[] {2, 1}), null, Window.ofRows(1)));
        assertThat(other.loss()).isCloseTo(-Against.logSigmoid(1.1), within(1e-6));
    }

    @Test
    void plackettLuceDrawsTheBestFirst() {
        int[] ranks = {3, 1, 4, 2};
        int[] order = {1, 3, 0, 2};
        float[] scores = {0.3f, 0.8f, -1.1f, 0.9f};
        Against.reference(scores, s -> RewardLoss.plackettLuce(s, List.of(ranks), null, Window.ofRows(2)), r -> {
            double loss = 0;
            for (int stage = 0; stage < 4; stage++) {
                double left = 0;
                for (int i = stage; i < 4; i++) {
                    left += Math.exp(r[order[i]]);
                }
                loss -= Math.log(Math.exp(r[order[stage]]) / left);
            }
            return loss / 2;
        });
    }

    /// The first alone, then three tied, then the last: Efron's shares 1, 2/3, 1/3.
    @Test
    void tiesFollowEfron() {
        int[] ranks = {1, 0, 1, 2, 1};
        float[] scores = {0.3f, 0.8f, -1.1f, 0.9f, 0.2f};
        Against.reference(scores, s -> RewardLoss.plackettLuce(s, List.of(ranks), null, Window.ofRows(1)), r -> {
            double tied = Math.exp(r[0]) + Math.exp(r[2]) + Math.exp(r[4]);
            double last = Math.exp(r[3]);
            double loss = Math.log(Math.exp(r[1]) + tied + last) - r[1];
            for (int j = 0; j < 3; j++) {
                loss += Math.log(tied * (1 - j / 3.0) + last);
            }
            return loss - r[0] - r[2] - r[4];
        });
    }

    /// Two of one rank: -log 2p(1-p), smallest and without a pull where they score the same.
    @Test
    void aTiePullsTogether() {
        for (float apart : new float[] {0, 2}) {
            Against.Taken taken = Against.take(
                    new float[] {apart, 0},
                    s -> RewardLoss.plackettLuce(s, List.of(new int[] {1, 1}), null, Window.ofRows(1)));
            double p = Against.sigmoid(apart);
            assertThat(taken.loss()).isCloseTo(-Math.log(2 * p * (1 - p)), within(1e-6));
            assertThat((double) taken.gradient()[0]).isCloseTo(2 * p - 1, within(1e-6));
            assertThat(taken.metrics()).doesNotContainKeys("accuracy", "margin");
        }
    }

    /// A common shift of a ranking's scores changes nothing, and neither does the split.
    @Test
    void onlyDifferencesCountAndSplitsDoNot() {
        List<int[]> rankings = List.of(new int[] {2, 1, 2, 3}, new int[] {1, 2});
        Against.Taken whole = Against.take(SCORES, s -> RewardLoss.plackettLuce(s, rankings, null, Window.ofRows(2)));
        float[] shifted = SCORES.clone();
        for (int i = 0; i < 4; i++) {
            shifted[i] += 50;
        }
        Against.Taken moved = Against.take(shifted, s -> RewardLoss.plackettLuce(s, rankings, null, Window.ofRows(2)));
        assertThat(moved.loss()).isCloseTo(whole.loss(), within(1e-4));
        double parts = Against.take(
                                Arrays.copyOf(SCORES, 4),
                                s -> RewardLoss.plackettLuce(s, rankings.subList(0, 1), null, Window.ofRows(2)))
                        .loss()
                + Against.take(
                                Arrays.copyOfRange(SCORES, 4, 6),
                                s -> RewardLoss.plackettLuce(s, rankings.subList(1, 2), null, Window.ofRows(2)))
                        .loss();
        assertThat(parts).isCloseTo(whole.loss(), within(1e-6));
    }

    @Test
    void rankingsMustCoverTheScores() {
        try (Scope scope = Scope.open()) {
            assertThatThrownBy(() -> RewardLoss.plackettLuce(
                            Tensor.of(new float[3]), List.of(new int[] {1, 2}), null, Window.ofRows(1)))
                    .hasMessageContaining("there are 3 scores");
            assertThatThrownBy(() -> RewardLoss.plackettLuce(
                            Tensor.of(new float[3]), List.of(new int[] {1, 2}, new int[] {1}), null, Window.ofRows(1)))
                    .hasMessageContaining("two or more");
        }
    }
}
