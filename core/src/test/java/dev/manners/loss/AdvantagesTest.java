package dev.manners.loss;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.manners.loss.Advantages.Grouped;
import dev.manners.loss.Advantages.Scale;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class AdvantagesTest {

    private static List<@Nullable Double> rewards(@Nullable Double... rewards) {
        return Arrays.asList(rewards);
    }

    /// Group of 1, 2, 3, 6: mean 3, Σ(x - 3)² = 14, std = √(14/3).
    @Test
    void groupByMeanAndDeviation() {
        double std = Math.sqrt(14.0 / 3) + 1e-4;
        Grouped found = Advantages.group(rewards(1.0, 2.0, 3.0, 6.0, 5.0, 5.0, 5.0, 5.0), 4, Scale.GROUP);
        assertThat(found.advantages())
                .containsExactly(new double[] {-2 / std, -1 / std, 0, 3 / std, 0, 0, 0, 0}, within(1e-12));
        assertThat(found.groups()).isEqualTo(2);
        assertThat(found.alike()).isEqualTo(1);
    }

    @Test
    void scaleByBatchOrNotAtAll() {
        List<@Nullable Double> rewards = rewards(1.0, 3.0, 5.0, 7.0);
        assertThat(Advantages.group(rewards, 2, Scale.NONE).advantages()).containsExactly(-1, 1, -1, 1);
        double std = Math.sqrt(20.0 / 3) + 1e-4;
        assertThat(Advantages.group(rewards, 2, Scale.BATCH).advantages())
                .containsExactly(new double[] {-1 / std, 1 / std, -1 / std, 1 / std}, within(1e-12));
    }

    /// One that could not be scored is not 0 to the others, and moves nothing; nor does one that is left alone.
    @Test
    void theUnscorableAreLeftOut() {
        List<@Nullable Double> rewards = rewards(1.0, null, 3.0, 9.0, null, null);
        double std = Math.sqrt(2) + 1e-4;
        Grouped found = Advantages.group(rewards, 3, Scale.GROUP);
        assertThat(found.advantages()).containsExactly(new double[] {-1 / std, 0, 1 / std, 0, 0, 0}, within(1e-12));
        assertThat(found.groups()).isEqualTo(1);
        assertThat(Advantages.leaveOneOut(rewards, 3, false).advantages()).containsExactly(-2, 0, 2, 0, 0, 0);
    }

    /// TRL's numbers; weights 1 and 0.5. The second function, of the wider range, counts half and no more; one of the
    /// first group's completions has no second reward, and one of the second group's none at all.
    @Test
    void normalizeThenSumIsTrls() {
        List<List<@Nullable Double>> rewards = List.of(
                rewards(1.0, 10.0),
                rewards(0.0, 30.0),
                rewards(1.0, null),
                rewards(0.0, 20.0),
                rewards(1.0, 5.0),
                rewards(1.0, 5.0),
                rewards(null, null),
                rewards(1.0, null));
        Grouped found = Advantages.normalizeThenSum(rewards, List.of(1.0, 0.5), 4);
        assertThat(found.advantages())
                .containsExactly(new double[] {0.6740464, -0.6740464, 1.5951666, -1.5951666, 0, 0, 0, 0}, within(1e-6));
        assertThat(found.groups()).isEqualTo(2);
        assertThat(found.alike()).isEqualTo(1);
    }

    @Test
    void leaveOneOutIsAgainstTheMeanOfTheOthers() {
        double[] found = Advantages.leaveOneOut(rewards(1.0, 2.0, 6.0, 4.0, 4.0, 4.0), 3, false)
                .advantages();
        assertThat(found).containsExactly(new double[] {1 - 4, 2 - 3.5, 6 - 1.5, 0, 0, 0}, within(1e-12));
    }

    /// -3, -1.5, 4.5 and one without a reward: mean 0, Σ² = 31.5, n - 1 = 2.
    @Test
    void leaveOneOutNormalisedOverThoseThatHaveAReward() {
        double[] found =
                Advantages.leaveOneOut(rewards(1.0, 2.0, 6.0, null), 4, true).advantages();
        double std = Math.sqrt(31.5 / 2) + 1e-4;
        assertThat(found).containsExactly(new double[] {-3 / std, -1.5 / std, 4.5 / std, 0}, within(1e-12));
    }

    @Test
    void groupsMustBeWholeAndRewardsNumbers() {
        assertThatThrownBy(() -> Advantages.group(rewards(1.0, 2.0, 3.0), 2, Scale.GROUP))
                .hasMessageContaining("3 rewards are no whole groups of 2");
        assertThatThrownBy(() -> Advantages.group(rewards(1.0, Double.NaN), 2, Scale.GROUP))
                .hasMessageContaining("a reward of NaN");
    }

    /// Against A_t = Σ_{l ≥ 0} (γλ)^l δ_{t+l}, written as two loops over each completion's own tokens.
    @Test
    void gaeIsTheDiscountedSumOfErrors() {
        int[] lengths = {4, 1, 3};
        double[] rewards = Against.doubles(Against.normal(51, 8, 0, 1));
        double[] values = Against.doubles(Against.normal(52, 8, 0, 1));
        double gamma = 0.97;
        double lam = 0.9;
        Advantages.Estimated found = Advantages.gae(Segments.of(lengths), rewards, values, gamma, lam);
        int begin = 0;
        for (int length : lengths) {
            int end = begin + length;
            for (int t = begin; t < end; t++) {
                double sum = 0;
                for (int l = t; l < end; l++) {
                    double next = l + 1 < end ? values[l + 1] : 0;
                    sum += Math.pow(gamma * lam, l - t) * (rewards[l] + gamma * next - values[l]);
                }
                assertThat(found.advantages()[t]).isCloseTo(sum, within(1e-12));
                assertThat(found.returns()[t]).isCloseTo(sum + values[t], within(1e-12));
            }
            begin = end;
        }
    }

    @Test
    void gaeStepsOverMaskedTokens() {
        double nan = Double.NaN;
        Segments masked = Segments.of(new int[] {3, 2}, new boolean[] {true, false, true, true, false});
        double[] found = Advantages.gae(
                        masked, new double[] {1, nan, 2, 3, nan}, new double[] {0.5, nan, 0.1, 0.2, nan}, 0.9, 0.8)
                .advantages();
        double[] without = Advantages.gae(
                        Segments.of(2, 1), new double[] {1, 2, 3}, new double[] {0.5, 0.1, 0.2}, 0.9, 0.8)
                .advantages();
        assertThat(found).containsExactly(without[0], 0, without[1], without[2], 0);
    }

    @Test
    void whitenedHaveVarianceOneWithTheMeanOrWithoutIt() {
        // mean 3, variance 20/3 of 0, 2, 4, 6; the masked one does not count
        Segments segments = Segments.of(new int[] {5}, new boolean[] {true, true, false, true, true});
        double[] values = {0, 2, Double.NaN, 4, 6};
        double std = Math.sqrt(20.0 / 3 + 1e-8);
        assertThat(Advantages.whiten(segments, values, true))
                .containsExactly(new double[] {-3 / std, -1 / std, 0, 1 / std, 3 / std}, within(1e-12));
        assertThat(Advantages.whiten(segments, values, false))
                .containsExactly(new double[] {3 - 3 / std, 3 - 1 / std, 0, 3 + 1 / std, 3 + 3 / std}, within(1e-12));
        assertThatThrownBy(() -> Advantages.whiten(Segments.of(1), new double[] {1}, true))
                .hasMessageContaining("two at least");
    }

    @Test
    void tokensEarnThePenaltyAndTheLastTheScore() {
        double[] found = Advantages.tokenRewards(
                Segments.of(2, 3, 1), rewards(1.0, -2.0, null), new double[] {1, 2, 3, 4, 5, 6}, 0.1);
        assertThat(found).containsExactly(new double[] {-0.1, -0.2 + 1, -0.3, -0.4, -0.5 - 2, -0.6}, within(1e-12));
    }

    /// Returns 1 - 0.3, 1 - 0.2 of the first and -2 - 1.2, -2 - 0.9, -2 - 0.5 of the second; then mean 0,
    /// variance 1 over these five. The third has no score.
    @Test
    void reinforcePlusPlusIsTheReturnNormalisedOverTheBatch() {
        double[] kl = {1, 2, 3, 4, 5, 6};
        double[] found = Advantages.reinforcePlusPlus(Segments.of(2, 3, 1), rewards(1.0, -2.0, null), kl, 0.1);
        double[] returns = {0.7, 0.8, -3.2, -2.9, -2.5};
        double mean = Arrays.stream(returns).average().orElseThrow();
        double variance =
                Arrays.stream(returns).map(r -> (r - mean) * (r - mean)).sum() / 4;
        for (int i = 0; i < 5; i++) {
            assertThat(found[i]).isCloseTo((returns[i] - mean) / Math.sqrt(variance + 1e-8), within(1e-12));
        }
        assertThat(found[5]).isEqualTo(0);
    }
}
