package dev.manners.stats;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class BestOfNTest {

    private static final long SEED = Long.getLong("tests.seed", 42);

    @Test
    void isTheMeanOverAllSubsets() {
        Random random = new Random(SEED);
        for (int most : new int[] {1, 2, 5, 9}) {
            List<Double> proxy = new ArrayList<>();
            List<Double> gold = new ArrayList<>();
            for (int i = 0; i < most; i++) {
                proxy.add(random.nextGaussian());
                gold.add(random.nextGaussian());
            }
            double[] expected = BestOfN.expected(new BestOfN.Scored(proxy, gold));
            double[] sums = new double[most];
            int[] counts = new int[most];
            for (int set = 1; set < 1 << most; set++) {
                int best = -1;
                for (int i = 0; i < most; i++) {
                    if ((set >> i & 1) == 1 && (best < 0 || proxy.get(i) > proxy.get(best))) {
                        best = i;
                    }
                }
                sums[Integer.bitCount(set) - 1] += gold.get(best);
                counts[Integer.bitCount(set) - 1]++;
            }
            for (int n = 0; n < most; n++) {
                assertThat(expected[n]).isCloseTo(sums[n] / counts[n], within(1e-12));
            }
        }
    }

    @Test
    void equalProxiesShareTheirGold() {
        double[] expected = BestOfN.expected(new BestOfN.Scored(List.of(1.0, 1.0, 0.0), List.of(4.0, 2.0, 9.0)));
        assertThat(expected).containsExactly(new double[] {5, 5.0 / 3 * 1 + 0 + 4.0 / 3, 3}, within(1e-12));
        // Whatever the order in which they come.
        assertThat(BestOfN.expected(new BestOfN.Scored(List.of(0.0, 1.0, 1.0), List.of(9.0, 2.0, 4.0))))
                .containsExactly(expected, within(1e-12));
    }

    @Test
    void isFiniteForManySamplesAndRisesWithTheProxyItself() {
        Random random = new Random(SEED);
        List<Double> proxy = new ArrayList<>();
        for (int i = 0; i < 4000; i++) {
            proxy.add(random.nextGaussian());
        }
        double[] expected = BestOfN.expected(new BestOfN.Scored(proxy, proxy));
        assertThat(Arrays.stream(expected)).allMatch(Double::isFinite);
        for (int n = 1; n < expected.length; n++) {
            assertThat(expected[n]).isGreaterThanOrEqualTo(expected[n - 1] - 1e-9);
        }
        assertThat(expected[0]).isCloseTo(0, within(0.1));
        assertThat(expected[3999])
                .isEqualTo(proxy.stream().mapToDouble(p -> p).max().orElseThrow(), within(1e-9));
    }

    @Test
    void promptsAreWhatIntervalsAreOver() {
        BestOfN.Scored one = new BestOfN.Scored(List.of(0.0, 1.0), List.of(0.0, 1.0));
        BestOfN.Scored other = new BestOfN.Scored(List.of(0.0, 1.0, 2.0), List.of(1.0, 0.0, 0.0));
        List<Interval> means = BestOfN.expected(List.of(one, other, one, other));
        assertThat(means).hasSize(2).allSatisfy(m -> assertThat(m.n()).isEqualTo(4));
        assertThat(means.get(1).estimate()).isCloseTo(0.5, within(1e-12));
    }

    @Test
    void klGrowsAsTheLogarithm() {
        assertThat(BestOfN.kl(1)).isZero();
        assertThat(BestOfN.kl(4)).isCloseTo(Math.log(4) - 0.75, within(1e-12));
        assertThatThrownBy(() -> BestOfN.kl(0)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new BestOfN.Scored(List.of(Double.NaN), List.of(1.0)))
                .isInstanceOf(IllegalArgumentException.class);
    }
}
