package dev.manners.stats;

import java.util.Arrays;
import java.util.SplittableRandom;
import org.apache.commons.statistics.distribution.BetaDistribution;
import org.apache.commons.statistics.distribution.TDistribution;

/// 95 % confidence intervals.
public final class Intervals {

    private static final double Z = 1.959963984540054; // 97.5 % quantile of the standard normal
    static final double TAIL = 0.025;

    private Intervals() {}

    /// The rate of `successes` in `n` trials, by Wilson's score interval (Wilson 1927): good coverage even for
    /// small n and for rates near 0 and 1. The default for rates here.
    public static Interval wilson(long successes, long n) {
        checkCounts(successes, n);
        if (n == 0) {
            return Interval.undefined();
        }
        return wilson((double) successes / n, (double) n, n);
    }

    /// The rate of successes in trials of which some belong together and may depend on each other, such as the
    /// comparisons of one ranking: Wilson's interval with the effective sample size n / deff in place of n (Rao
    /// and Scott 1992, Biometrics 48:577). deff is how much the clusters raise the rate's variance (the ratio
    /// estimator's) above that of independent trials, and never below 1: the interval is never narrower than
    /// [#wilson(long, long)].
    ///
    /// Where all trials succeed or none does there is no variance to see; then each cluster counts as one trial.
    ///
    /// @param successes of each cluster
    /// @param trials of each cluster; those without any are left out
    public static Interval wilsonOfClusters(long[] successes, long[] trials) {
        if (successes.length != trials.length) {
            throw new IllegalArgumentException(
                    "successes of " + successes.length + " clusters and trials of " + trials.length);
        }
        long right = 0;
        long n = 0;
        long clusters = 0;
        long largest = 0;
        for (int c = 0; c < trials.length; c++) {
            checkCounts(successes[c], trials[c]);
            right += successes[c];
            n += trials[c];
            clusters += trials[c] > 0 ? 1 : 0;
            largest = Math.max(largest, trials[c]);
        }
        if (largest <= 1) {
            return wilson(right, n);
        }
        double p = (double) right / n;
        if (right == 0 || right == n || clusters == 1) {
            return wilson(p, (double) clusters, n);
        }
        double squares = 0;
        for (int c = 0; c < trials.length; c++) {
            double off = successes[c] - p * trials[c];
            squares += off * off;
        }
        double variance = squares / ((double) n * n) * clusters / (clusters - 1);
        double deff = Math.max(1, variance / (p * (1 - p) / n));
        return wilson(p, n / deff, n);
    }

    /// The same where it is not known how many succeeded in each cluster: each counts as one trial, as if its trials
    /// always went together. Too wide where they do not.
    ///
    /// @param clusters from 1 to n
    public static Interval wilsonOfClusters(long successes, long n, long clusters) {
        checkCounts(successes, n);
        if (clusters > n || (clusters < 1 && n > 0)) {
            throw new IllegalArgumentException(clusters + " clusters of " + n + " trials");
        }
        return n == 0 ? Interval.undefined() : wilson((double) successes / n, (double) clusters, n);
    }

    /// @param effective independent trials that say as much
    private static Interval wilson(double p, double effective, long n) {
        double scale = 1 / (1 + Z * Z / effective);
        double centre = scale * (p + Z * Z / (2.0 * effective));
        double half = scale * Z * Math.sqrt(p * (1 - p) / effective + Z * Z / (4.0 * effective * effective));
        // At 0 and 1 the exact limit is 0 and 1; rounding would leave it a hair beside.
        double low = p == 0 ? 0 : Math.min(p, centre - half);
        double high = p == 1 ? 1 : Math.max(p, centre + half);
        return new Interval(p, low, high, n);
    }

    /// The rate of `successes` in `n` trials, by the exact interval of Clopper and Pearson (1934): covers at least 95 %
    /// always, so it is wider than Wilson's. For gates that must not be passed by luck.
    public static Interval clopperPearson(long successes, long n) {
        checkCounts(successes, n);
        if (n == 0) {
            return Interval.undefined();
        }
        double low = successes == 0
                ? 0
                : BetaDistribution.of((double) successes, n - successes + 1.0).inverseCumulativeProbability(TAIL);
        double high = successes == n
                ? 1
                : BetaDistribution.of(successes + 1.0, (double) (n - successes)).inverseSurvivalProbability(TAIL);
        return new Interval((double) successes / n, low, high, n);
    }

    /// The mean, by the percentile bootstrap (Efron 1979). One observation says nothing about spread, and its interval
    /// has no width: look at n.
    ///
    /// @param values    finite
    /// @param resamples at least 100; 2,000 is usual
    /// @param seed      the same seed gives the same interval
    public static Interval bootstrapMean(double[] values, int resamples, long seed) {
        if (resamples < 100) {
            throw new IllegalArgumentException("a bootstrap of " + resamples + " resamples; take at least 100");
        }
        for (double value : values) {
            if (!Double.isFinite(value)) {
                throw new IllegalArgumentException("the mean of values of which one is " + value);
            }
        }
        if (values.length == 0) {
            return Interval.undefined();
        }
        SplittableRandom random = new SplittableRandom(seed);
        double[] means = new double[resamples];
        for (int r = 0; r < resamples; r++) {
            double sum = 0;
            for (int i = 0; i < values.length; i++) {
                sum += values[random.nextInt(values.length)];
            }
            means[r] = sum / values.length;
        }
        Arrays.sort(means);
        double mean = Arrays.stream(values).sum() / values.length;
        // Rounding, or a very skewed sample, can put the mean a little outside; the interval always holds its estimate.
        return new Interval(
                mean, Math.min(mean, quantile(means, TAIL)), Math.max(mean, quantile(means, 1 - TAIL)), values.length);
    }

    /// The mean of a few independent runs, by Student's t (1908): for seeds, of which there are too few to resample. It
    /// takes them for normal, which three values cannot show.
    ///
    /// @param values finite; with one alone the interval has no width
    public static Interval studentMean(double... values) {
        int n = values.length;
        double sum = 0;
        for (double value : values) {
            if (!Double.isFinite(value)) {
                throw new IllegalArgumentException("the mean of values of which one is " + value);
            }
            sum += value;
        }
        if (n == 0) {
            return Interval.undefined();
        }
        double mean = sum / n;
        double squares = 0;
        for (double value : values) {
            squares += (value - mean) * (value - mean);
        }
        double half = n == 1
                ? 0
                : TDistribution.of(n - 1.0).inverseSurvivalProbability(TAIL) * Math.sqrt(squares / (n - 1) / n);
        return new Interval(mean, mean - half, mean + half, n);
    }

    /// How much higher the rate is after than before on the same items: after minus before, in [-1, 1], by Newcombe's
    /// square-and-add score interval (Newcombe 1998, Statistics in Medicine 17:2635, method 10).
    ///
    /// @param before whether each item succeeded before
    /// @param after  whether the same items succeeded after, in the same order
    public static Interval pairedDifference(boolean[] before, boolean[] after) {
        if (before.length != after.length) {
            throw new IllegalArgumentException(
                    "a paired difference of " + before.length + " items before and " + after.length + " after");
        }
        long both = 0;
        long onlyAfter = 0;
        long onlyBefore = 0;
        for (int i = 0; i < before.length; i++) {
            both += before[i] && after[i] ? 1 : 0;
            onlyAfter += !before[i] && after[i] ? 1 : 0;
            onlyBefore += before[i] && !after[i] ? 1 : 0;
        }
        return pairedDifference(both, onlyAfter, onlyBefore, before.length - both - onlyAfter - onlyBefore);
    }

    /// The same from the counts of the paired table.
    public static Interval pairedDifference(long both, long onlyAfter, long onlyBefore, long neither) {
        long n = Math.addExact(Math.addExact(both, onlyAfter), Math.addExact(onlyBefore, neither));
        checkCounts(Math.min(Math.min(both, onlyAfter), Math.min(onlyBefore, neither)), n);
        if (n == 0) {
            return Interval.undefined();
        }
        Interval after = wilson(both + onlyAfter, n);
        Interval before = wilson(both + onlyBefore, n);
        double phi = correlation(both, onlyAfter, onlyBefore, neither, n);
        double afterDown = after.estimate() - after.low();
        double afterUp = after.high() - after.estimate();
        double beforeDown = before.estimate() - before.low();
        double beforeUp = before.high() - before.estimate();
        double difference = (double) (onlyAfter - onlyBefore) / n;
        double down = Math.sqrt(afterDown * afterDown - 2 * phi * afterDown * beforeUp + beforeUp * beforeUp);
        double up = Math.sqrt(afterUp * afterUp - 2 * phi * afterUp * beforeDown + beforeDown * beforeDown);
        return new Interval(difference, Math.max(-1, difference - down), Math.min(1, difference + up), n);
    }

    /// The phi coefficient with Newcombe's continuity correction, which only ever weakens a positive correlation.
    private static double correlation(long both, long onlyAfter, long onlyBefore, long neither, long n) {
        double margins = Math.sqrt((double) (both + onlyAfter) * (onlyBefore + neither))
                * Math.sqrt((double) (both + onlyBefore) * (onlyAfter + neither));
        if (margins == 0) {
            return 0;
        }
        double cross = (double) both * neither - (double) onlyAfter * onlyBefore;
        return (cross > 0 ? Math.max(0, cross - n / 2.0) : cross) / margins;
    }

    /// Linear interpolation between order statistics (type 7 of Hyndman and Fan 1996).
    static double quantile(double[] sorted, double p) {
        double at = p * (sorted.length - 1);
        int below = (int) at;
        int above = Math.min(below + 1, sorted.length - 1);
        return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
    }

    private static void checkCounts(long successes, long n) {
        if (successes < 0 || successes > n) {
            throw new IllegalArgumentException("a rate of " + successes + " of " + n);
        }
    }
}
