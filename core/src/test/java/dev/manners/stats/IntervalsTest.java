package dev.manners.stats;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.manners.files.Json;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.stream.DoubleStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class IntervalsTest {

    /// Reference values: R's prop.test(correct = FALSE) gives the same limits.
    @ParameterizedTest
    @CsvSource({"8, 10, 0.4901625, 0.9433178", "0, 20, 0, 0.1611252", "20, 20, 0.8388748, 1", "81, 263, 0.2553, 0.3662"
    })
    void wilsonReferenceValues(long successes, long n, double low, double high) {
        Interval interval = Intervals.wilson(successes, n);
        assertThat(interval.estimate()).isEqualTo((double) successes / n);
        assertThat(interval.low()).isCloseTo(low, within(5e-5));
        assertThat(interval.high()).isCloseTo(high, within(5e-5));
    }

    @Test
    void trialsThatAreAllAloneAreIndependent() {
        long[] successes = {1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 0};
        long[] trials = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0};
        assertThat(Intervals.wilsonOfClusters(successes, trials)).isEqualTo(Intervals.wilson(8, 10));
    }

    /// Every trial twice says no more than once: deff = 2 m / (m - 1) by the variance with m - 1, so n / deff = m - 1.
    @Test
    void trialsCountedTwiceSayNoMoreThanOnce() {
        long[] successes = {2, 2, 0, 2, 2, 0, 2, 2, 2, 2, 0};
        long[] trials = {2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2};
        Interval interval = Intervals.wilsonOfClusters(successes, trials);
        double p = 8.0 / 11;
        double z = 1.959963984540054;
        double half = z * Math.sqrt(p * (1 - p) / 10 + z * z / 400) / (1 + z * z / 10);
        double centre = (p + z * z / 20) / (1 + z * z / 10);
        assertThat(interval.estimate()).isCloseTo(p, within(1e-12));
        assertThat(interval.low()).isCloseTo(centre - half, within(1e-12));
        assertThat(interval.high()).isCloseTo(centre + half, within(1e-12));
        assertThat(interval.n()).isEqualTo(22);
    }

    @Test
    void clustersThatAgreeMoreThanChanceDoNotNarrowAnInterval() {
        long[] successes = {1, 1, 1, 1, 1};
        long[] trials = {2, 2, 2, 2, 2};
        assertThat(Intervals.wilsonOfClusters(successes, trials)).isEqualTo(Intervals.wilson(5, 10));
        Interval all = Intervals.wilsonOfClusters(new long[] {6, 6, 6, 6}, new long[] {6, 6, 6, 6});
        assertThat(all.low()).isEqualTo(Intervals.wilson(4, 4).low());
        assertThat(all.high()).isEqualTo(1);
        assertThat(Intervals.wilsonOfClusters(new long[] {0}, new long[] {0}).isDefined())
                .isFalse();
    }

    /// Six comparisons a ranking, each cluster with a rate of its own: 95 % intervals must hold the truth so often, and
    /// those that take trials for independent must not (the negative control).
    /// Where it is not known which trials succeeded: as wide as if each cluster were one trial.
    @Test
    void wilsonOfClustersThatAreNotTold() {
        assertThat(Intervals.wilsonOfClusters(6, 10, 10)).isEqualTo(Intervals.wilson(6, 10));
        Interval few = Intervals.wilsonOfClusters(6, 10, 5);
        Interval five = Intervals.wilson(3, 5);
        assertThat(few).isEqualTo(new Interval(0.6, five.low(), five.high(), 10));
        Interval known = Intervals.wilsonOfClusters(new long[] {2, 1, 1, 1, 1}, new long[] {2, 2, 2, 2, 2});
        assertThat(known.low()).isGreaterThanOrEqualTo(few.low());
        assertThat(known.high()).isLessThanOrEqualTo(few.high());
        assertThat(Intervals.wilsonOfClusters(0, 0, 0).isDefined()).isFalse();
        assertThatThrownBy(() -> Intervals.wilsonOfClusters(1, 2, 3)).hasMessageContaining("3 clusters of 2 trials");
        assertThatThrownBy(() -> Intervals.wilsonOfClusters(1, 2, 0)).hasMessageContaining("0 clusters of 2 trials");
    }

    @Test
    void clusteredIntervalsCoverWhatIndependentOnesMiss() {
        SplittableRandom random = new SplittableRandom(7);
        int covered = 0;
        int naive = 0;
        int runs = 2000;
        double truth = 0.8 * 0.95 + 0.2 * 0.2;
        for (int run = 0; run < runs; run++) {
            long[] successes = new long[200];
            long[] trials = new long[200];
            long sum = 0;
            for (int c = 0; c < successes.length; c++) {
                double rate = random.nextDouble() < 0.8 ? 0.95 : 0.2;
                trials[c] = 6;
                for (int t = 0; t < 6; t++) {
                    successes[c] += random.nextDouble() < rate ? 1 : 0;
                }
                sum += successes[c];
            }
            Interval clustered = Intervals.wilsonOfClusters(successes, trials);
            Interval independent = Intervals.wilson(sum, 1200);
            covered += clustered.low() <= truth && truth <= clustered.high() ? 1 : 0;
            naive += independent.low() <= truth && truth <= independent.high() ? 1 : 0;
        }
        assertThat((double) covered / runs).isBetween(0.93, 0.97);
        assertThat((double) naive / runs).isLessThan(0.80);
    }

    /// Reference values: R's binom.test; 81 of 263 is Newcombe 1998 (Statistics in Medicine 17:857), table I.
    @ParameterizedTest
    @CsvSource({"8, 10, 0.4439045, 0.9747893", "0, 20, 0, 0.1684335", "20, 20, 0.8315665, 1", "81, 263, 0.2527, 0.3676"
    })
    void clopperPearsonReferenceValues(long successes, long n, double low, double high) {
        Interval interval = Intervals.clopperPearson(successes, n);
        assertThat(interval.low()).isCloseTo(low, within(5e-5));
        assertThat(interval.high()).isCloseTo(high, within(5e-5));
    }

    /// Altman, Machin, Bryant and Gardner 2000, "Statistics with Confidence", table 6.2: 0.122, from 0.011 to 0.226.
    /// Newcombe 1998 (Statistics in Medicine 17:2635), method 10, 36/12/2/0: 0.0569 to 0.3404.
    @ParameterizedTest
    @CsvSource({
        "14, 5, 0, 22, 0.1220, 0.0115, 0.2265",
        "36, 12, 2, 0, 0.2, 0.0569, 0.3404",
        "36, 2, 12, 0, -0.2, -0.3404, -0.0569",
        "54, 0, 0, 0, 0, -0.0664, 0.0664",
        "0, 10, 0, 0, 1, 0.6075, 1"
    })
    void pairedDifferenceReferenceValues(
            long both, long onlyAfter, long onlyBefore, long neither, double estimate, double low, double high) {
        Interval interval = Intervals.pairedDifference(both, onlyAfter, onlyBefore, neither);
        assertThat(interval.estimate()).isCloseTo(estimate, within(5e-5));
        assertThat(interval.low()).isCloseTo(low, within(5e-5));
        assertThat(interval.high()).isCloseTo(high, within(5e-5));
    }

    @Test
    void pairedDifferenceCountsItemsInOrder() {
        boolean[] before = {true, false, false, true, false};
        boolean[] after = {true, true, true, false, false};
        assertThat(Intervals.pairedDifference(before, after)).isEqualTo(Intervals.pairedDifference(1, 2, 1, 1));
        assertThatThrownBy(() -> Intervals.pairedDifference(before, new boolean[4]))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("5 items before and 4 after");
    }

    @Test
    void bootstrapOfANormalSampleIsNearTheTextbookInterval() {
        SplittableRandom random = new SplittableRandom(7);
        double[] values = DoubleStream.generate(() -> random.nextGaussian(3, 2))
                .limit(400)
                .toArray();
        double mean = Arrays.stream(values).average().orElseThrow();
        double deviation = Math.sqrt(
                Arrays.stream(values).map(v -> (v - mean) * (v - mean)).sum() / 399);
        double half = 1.96 * deviation / Math.sqrt(400);

        Interval interval = Intervals.bootstrapMean(values, 4_000, 42);

        assertThat(interval.estimate()).isCloseTo(mean, within(1e-12));
        assertThat(interval.low()).isCloseTo(mean - half, within(0.1 * half));
        assertThat(interval.high()).isCloseTo(mean + half, within(0.1 * half));
        assertThat(Intervals.bootstrapMean(values, 4_000, 42)).isEqualTo(interval);
        assertThat(Intervals.bootstrapMean(values, 4_000, 43)).isNotEqualTo(interval);
    }

    @Test
    void nothingObservedIsUndefinedAndNeverANumber() {
        for (Interval interval : new Interval[] {
            Intervals.wilson(0, 0),
            Intervals.clopperPearson(0, 0),
            Intervals.bootstrapMean(new double[0], 100, 1),
            Intervals.pairedDifference(0, 0, 0, 0)
        }) {
            assertThat(interval.isDefined()).isFalse();
            assertThat(interval).hasToString("n/a").isEqualTo(Interval.undefined());
            assertThat(interval.percent()).isEqualTo("n/a");
            assertThatThrownBy(interval::estimate).isInstanceOf(IllegalStateException.class);
            assertThat(Json.MAPPER.writeValueAsString(interval))
                    .isEqualTo("{\"estimate\":null,\"low\":null,\"high\":null,\"n\":0}");
        }
    }

    /// t with 2 degrees of freedom, 97.5 %: 4.302653 (any table); s = 1, so the half width is t / √3.
    @Test
    void studentsIntervalOfThreeRuns() {
        Interval interval = Intervals.studentMean(1, 2, 3);
        assertThat(interval.estimate()).isEqualTo(2);
        assertThat(interval.high() - 2).isCloseTo(4.302652729911275 / Math.sqrt(3), within(1e-9));
        assertThat(2 - interval.low()).isCloseTo(interval.high() - 2, within(1e-12));
        assertThat(interval.n()).isEqualTo(3);
        assertThat(Intervals.studentMean(5)).isEqualTo(new Interval(5, 5, 5, 1));
        assertThat(Intervals.studentMean().isDefined()).isFalse();
        assertThatThrownBy(() -> Intervals.studentMean(1, Double.NaN)).hasMessageContaining("NaN");
    }

    @Test
    void shownWithItsIntervalAndCount() {
        Interval interval = Intervals.wilson(8, 10);
        assertThat(interval).hasToString("0.800 [0.490, 0.943], n = 10");
        assertThat(interval.percent()).isEqualTo("80.0 % [49.0, 94.3], n = 10");
        assertThat(Json.MAPPER.writeValueAsString(interval)).startsWith("{\"estimate\":0.8,\"low\":0.49");
    }

    @Test
    void nonsenseIsRefused() {
        assertThatThrownBy(() -> Intervals.wilson(11, 10)).hasMessageContaining("11 of 10");
        assertThatThrownBy(() -> Intervals.clopperPearson(-1, 10)).hasMessageContaining("-1 of 10");
        assertThatThrownBy(() -> Intervals.pairedDifference(1, -1, 1, 1)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> Intervals.bootstrapMean(new double[] {1, Double.NaN}, 100, 1))
                .hasMessageContaining("NaN");
        assertThatThrownBy(() -> new Interval(Double.NaN, 0, 1, 3)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new Interval(0.5, 0, Double.POSITIVE_INFINITY, 3))
                .isInstanceOf(IllegalArgumentException.class);
    }
}
