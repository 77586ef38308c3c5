package dev.manners.stats;

import java.util.Arrays;
import java.util.List;
import java.util.OptionalDouble;
import java.util.SplittableRandom;
import java.util.function.Function;

/// How far several annotators agree on the same units, beyond what chance would give.
///
/// A unit is what was judged: an item, or a pair of answers. It is given as the values it got, categories as whole
/// numbers, one from each annotator who judged it; who did not is not there. Units that hang together, such as all
/// pairs
/// of one prompt, come as a group: intervals are percentile bootstraps (Efron 1979) that draw groups, not units, with
/// replacement, since related units say less than as many unrelated ones. In each interval n is the number of units
/// that count.
///
/// Undefined, and not 1 or 0, is what the data cannot tell: no unit with two values, or one category only, where
/// agreement and chance cannot be told apart.
public final class Agreement {

    private Agreement() {}

    /// What distance between two values means.
    public enum Level {
        /// Equal or not.
        NOMINAL,
        /// In an order; how far apart two values are is how many values lie between them.
        ORDINAL,
        /// Their difference.
        INTERVAL,
        /// Their difference relative to their size; values from 0.
        RATIO
    }

    /// Krippendorff's alpha: 1 - observed / expected disagreement. Any number of annotators, values may be missing
    /// (Krippendorff 2011, "Computing Krippendorff's alpha-reliability"). Units with fewer than two
    /// values do not count.
    ///
    /// @param groups groups of units, each the values it got
    /// @param resamples of the bootstrap, at least 100; 2,000 is usual
    /// @param seed the same seed gives the same interval
    public static Interval krippendorff(List<List<int[]>> groups, Level level, int resamples, long seed) {
        int[] categories = categories(groups);
        if (level == Level.RATIO && categories.length > 0 && categories[0] < 0) {
            throw new IllegalArgumentException("ratios of values of which one is " + categories[0]);
        }
        int v = categories.length;
        // Coincidences of each group, v x v: how often two values met in a unit, each unit's pairs weighing 1 / (m -
        // 1).
        List<double[]> parts = groups.stream()
                .map(units -> {
                    double[] met = new double[v * v];
                    for (int[] unit : units) {
                        for (int i = 0; i < unit.length; i++) {
                            for (int j = 0; j < unit.length; j++) {
                                if (i != j) {
                                    met[index(categories, unit[i]) * v + index(categories, unit[j])] +=
                                            1.0 / (unit.length - 1);
                                }
                            }
                        }
                    }
                    return met;
                })
                .toList();
        return bootstrap(parts, met -> alpha(met, categories, level), units(groups, 2), resamples, seed);
    }

    private static OptionalDouble alpha(double[] met, int[] categories, Level level) {
        int v = categories.length;
        double[] total = new double[v];
        double n = 0;
        for (int c = 0; c < v; c++) {
            for (int k = 0; k < v; k++) {
                total[c] += met[c * v + k];
            }
            n += total[c];
        }
        double observed = 0;
        double expected = 0;
        for (int c = 0; c < v; c++) {
            for (int k = 0; k < v; k++) {
                double distance = c == k ? 0 : squaredDistance(total, categories, c, k, level);
                observed += met[c * v + k] * distance;
                expected += total[c] * total[k] * distance;
            }
        }
        return expected == 0 ? OptionalDouble.empty() : OptionalDouble.of(1 - (n - 1) * observed / expected);
    }

    private static double squaredDistance(double[] total, int[] categories, int c, int k, Level level) {
        double a = categories[c];
        double b = categories[k];
        double distance = switch (level) {
            case NOMINAL -> 1;
            case ORDINAL ->
                Arrays.stream(total, Math.min(c, k), Math.max(c, k) + 1).sum() - (total[c] + total[k]) / 2;
            case INTERVAL -> a - b;
            case RATIO -> (a - b) / (a + b);
        };
        return distance * distance;
    }

    /// Fleiss' kappa (Fleiss 1971, Psychological Bulletin 76:378): nominal, the same number of annotators for each
    /// unit.
    /// It cannot do with missing values: units with another number of values are left out.
    ///
    /// @param annotators how many values a unit has, at least 2
    /// @see #krippendorff for the other arguments
    public static Interval fleiss(List<List<int[]>> groups, int annotators, int resamples, long seed) {
        if (annotators < 2) {
            throw new IllegalArgumentException("agreement of " + annotators + " annotators");
        }
        List<List<int[]>> complete = groups.stream()
                .map(units ->
                        units.stream().filter(unit -> unit.length == annotators).toList())
                .toList();
        int[] categories = categories(complete);
        int v = categories.length;
        // Of each group: how often each category was given, the sum of the units' agreement, the units.
        List<double[]> parts = complete.stream()
                .map(units -> {
                    double[] part = new double[v + 2];
                    for (int[] unit : units) {
                        Arrays.stream(unit).forEach(value -> part[index(categories, value)]++);
                        part[v] += alike(unit);
                        part[v + 1]++;
                    }
                    return part;
                })
                .toList();
        return bootstrap(
                parts,
                part -> {
                    double units = part[v + 1];
                    double chance = 0;
                    for (int c = 0; c < v; c++) {
                        double share = part[c] / (units * annotators);
                        chance += share * share;
                    }
                    double observed = part[v] / units;
                    boolean oneCategory =
                            Arrays.stream(part, 0, v).filter(count -> count > 0).count() < 2;
                    return oneCategory ? OptionalDouble.empty() : OptionalDouble.of((observed - chance) / (1 - chance));
                },
                units(complete, 2),
                resamples,
                seed);
    }

    /// Raw agreement: the share of a unit's pairs of annotators that gave the same value, on average over units with
    /// two
    /// values or more. Chance is not taken off: with few categories it is high by itself.
    ///
    /// @see #krippendorff for the arguments
    public static Interval raw(List<List<int[]>> groups, int resamples, long seed) {
        List<double[]> parts = groups.stream()
                .map(units -> {
                    double[] part = new double[2];
                    units.stream().filter(unit -> unit.length > 1).forEach(unit -> {
                        part[0] += alike(unit);
                        part[1]++;
                    });
                    return part;
                })
                .toList();
        return bootstrap(
                parts,
                part -> part[1] == 0 ? OptionalDouble.empty() : OptionalDouble.of(part[0] / part[1]),
                units(groups, 2),
                resamples,
                seed);
    }

    /// The share of a unit's pairs of values that are equal.
    private static double alike(int[] unit) {
        long pairs = 0;
        for (int i = 0; i < unit.length; i++) {
            for (int j = i + 1; j < unit.length; j++) {
                pairs += unit[i] == unit[j] ? 1 : 0;
            }
        }
        return 2.0 * pairs / ((double) unit.length * (unit.length - 1));
    }

    /// Values that count, in order: those of units that have another beside them.
    private static int[] categories(List<List<int[]>> groups) {
        return groups.stream()
                .flatMap(List::stream)
                .filter(unit -> unit.length > 1)
                .flatMapToInt(Arrays::stream)
                .distinct()
                .sorted()
                .toArray();
    }

    private static int index(int[] categories, int value) {
        return Arrays.binarySearch(categories, value);
    }

    private static long units(List<List<int[]>> groups, int atLeast) {
        return groups.stream()
                .flatMap(List::stream)
                .filter(unit -> unit.length >= atLeast)
                .count();
    }

    /// A statistic of sums over groups. A resample for which it is undefined is drawn anew, a hundred times at most on
    /// average; data of which so few resamples can be used has no interval, and so no estimate is shown either.
    private static Interval bootstrap(
            List<double[]> parts, Function<double[], OptionalDouble> statistic, long n, int resamples, long seed) {
        if (resamples < 100) {
            throw new IllegalArgumentException("a bootstrap of " + resamples + " resamples; take at least 100");
        }
        if (n == 0) {
            return Interval.undefined();
        }
        double[] sums = new double[parts.getFirst().length];
        parts.forEach(part -> add(sums, part));
        OptionalDouble estimate = statistic.apply(sums);
        if (estimate.isEmpty()) {
            return Interval.undefined();
        }
        SplittableRandom random = new SplittableRandom(seed);
        double[] drawn = new double[resamples];
        int defined = 0;
        for (int attempt = 0; defined < resamples; attempt++) {
            if (attempt == 100 * resamples) {
                return Interval.undefined();
            }
            Arrays.fill(sums, 0);
            for (int i = 0; i < parts.size(); i++) {
                add(sums, parts.get(random.nextInt(parts.size())));
            }
            OptionalDouble value = statistic.apply(sums);
            if (value.isPresent()) {
                drawn[defined++] = value.getAsDouble();
            }
        }
        Arrays.sort(drawn);
        double e = estimate.getAsDouble();
        return new Interval(
                e,
                Math.min(e, Intervals.quantile(drawn, Intervals.TAIL)),
                Math.max(e, Intervals.quantile(drawn, 1 - Intervals.TAIL)),
                n);
    }

    private static void add(double[] sums, double[] part) {
        for (int i = 0; i < sums.length; i++) {
            sums[i] += part[i];
        }
    }
}
