package dev.manners.reward;

import dev.manners.data.PreferenceRow;
import dev.manners.stats.Interval;
import dev.manners.stats.Intervals;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/// How well scores tell the better completion, on rankings that were held out.
///
/// A comparison is two completions of a prompt of which one was ranked better; ties are none, and are counted apart.
/// Its predicted probability is σ of the difference of scores. Equal scores are a wrong guess.
///
/// @param comparisons which the rates are over
/// @param ties pairs that people ranked the same
/// @param accuracy share of comparisons in which the better completion has the higher score. All intervals here
/// take the comparisons of one ranking for dependent ([Intervals#wilsonOfClusters])
/// @param byLength accuracy where the better completion is longer, shorter, and as long, in tokens
/// @param byDifference the same by how much longer or shorter it is, where there are such comparisons
/// @param calibration bins of the probability of what is predicted, from 0.5 to 1
/// @param calibrationError ECE: mean over the bins, by their size, of |share that was right - mean predicted
/// probability| (Guo et al. 2017, arXiv:1706.04599); null without comparisons
public record RewardReport(
        long comparisons,
        long ties,
        Interval accuracy,
        ByLength byLength,
        List<ByDifference> byDifference,
        List<Bin> calibration,
        @Nullable Double calibrationError) {

    private static final int BINS = 10;

    /// The least difference in tokens of each bin.
    private static final int[] DIFFERENCES = {1, 5, 17, 65};

    /// Accuracy by which completion is the longer one.
    public record ByLength(Interval betterIsLonger, Interval betterIsShorter, Interval same) {}

    /// Comparisons whose better completion is longer, or shorter, by `least` to `most` tokens, both included.
    ///
    /// @param most null: or more
    public record ByDifference(
            boolean longer, int least, @Nullable Integer most, Interval right) {}

    /// Comparisons that were predicted with a probability between two limits.
    ///
    /// @param predicted mean predicted probability; 0 where there is none
    /// @param right share of them that was right
    public record Bin(double from, double to, double predicted, Interval right) {}

    /// @param ranking which it is of
    /// @param difference the better one's score less the other's
    /// @param longer by how many tokens the better one is longer
    private record Comparison(int ranking, double difference, int longer) {}

    /// @param scores of each ranking's completions
    public static RewardReport of(List<PreferenceRow.Ranking> rows, List<float[]> scores) {
        List<Comparison> comparisons = new ArrayList<>();
        long ties = 0;
        for (int n = 0; n < rows.size(); n++) {
            PreferenceRow.Ranking row = rows.get(n);
            for (int i = 0; i < row.ranks().length; i++) {
                for (int j = i + 1; j < row.ranks().length; j++) {
                    if (row.ranks()[i] == row.ranks()[j]) {
                        ties++;
                    } else {
                        // Ranks ascend: i is the better one.
                        comparisons.add(new Comparison(
                                n,
                                (double) scores.get(n)[i] - scores.get(n)[j],
                                row.completions().get(i).length
                                        - row.completions().get(j).length));
                    }
                }
            }
        }
        List<Bin> bins = bins(comparisons);
        double error = 0;
        for (Bin bin : bins) {
            if (bin.right.isDefined()) {
                error += Math.abs(bin.right.estimate() - bin.predicted) * bin.right.n() / comparisons.size();
            }
        }
        return new RewardReport(
                comparisons.size(),
                ties,
                accuracy(comparisons),
                new ByLength(
                        accuracy(comparisons, c -> c.longer > 0),
                        accuracy(comparisons, c -> c.longer < 0),
                        accuracy(comparisons, c -> c.longer == 0)),
                byDifference(comparisons),
                bins,
                comparisons.isEmpty() ? null : (Double) error);
    }

    private static Interval accuracy(List<Comparison> comparisons) {
        Map<Integer, long[]> rankings = new TreeMap<>();
        for (Comparison c : comparisons) {
            long[] counts = rankings.computeIfAbsent(c.ranking, r -> new long[2]);
            counts[0] += c.difference > 0 ? 1 : 0;
            counts[1]++;
        }
        return Intervals.wilsonOfClusters(
                rankings.values().stream().mapToLong(counts -> counts[0]).toArray(),
                rankings.values().stream().mapToLong(counts -> counts[1]).toArray());
    }

    private static Interval accuracy(List<Comparison> comparisons, Predicate<Comparison> which) {
        return accuracy(comparisons.stream().filter(which).toList());
    }

    private static List<ByDifference> byDifference(List<Comparison> comparisons) {
        List<ByDifference> all = new ArrayList<>();
        for (boolean longer : new boolean[] {true, false}) {
            for (int b = 0; b < DIFFERENCES.length; b++) {
                int least = DIFFERENCES[b];
                @Nullable Integer most = b + 1 < DIFFERENCES.length ? (Integer) (DIFFERENCES[b + 1] - 1) : null;
                Interval right = accuracy(comparisons, c -> {
                    int by = longer ? c.longer : -c.longer;
                    return by >= least && (most == null || by <= most);
                });
                if (right.isDefined()) {
                    all.add(new ByDifference(longer, least, most, right));
                }
            }
        }
        return all;
    }

    private static List<Bin> bins(List<Comparison> comparisons) {
        List<List<Comparison>> sorted = new ArrayList<>();
        for (int b = 0; b < BINS; b++) {
            sorted.add(new ArrayList<>());
        }
        for (Comparison c : comparisons) {
            sorted.get(Math.min(BINS - 1, (int) ((confidence(c) - 0.5) * 2 * BINS)))
                    .add(c);
        }
        List<Bin> bins = new ArrayList<>();
        for (int b = 0; b < BINS; b++) {
            List<Comparison> held = sorted.get(b);
            double predicted = held.isEmpty()
                    ? 0
                    : held.stream().mapToDouble(RewardReport::confidence).sum() / held.size();
            bins.add(new Bin(0.5 + 0.5 * b / BINS, 0.5 + 0.5 * (b + 1) / BINS, predicted, accuracy(held)));
        }
        return bins;
    }

    private static double confidence(Comparison c) {
        return 1 / (1 + Math.exp(-Math.abs(c.difference)));
    }

    /// A table for people.
    public String text() {
        StringBuilder text = new StringBuilder();
        line(text, "held-out accuracy", accuracy.percent());
        line(text, "  better one longer", byLength.betterIsLonger.percent());
        differences(text, true);
        line(text, "  better one shorter", byLength.betterIsShorter.percent());
        differences(text, false);
        line(text, "  as long", byLength.same.percent());
        line(text, "ties, left out", String.format(Locale.ROOT, "%,d", ties));
        line(
                text,
                "calibration error",
                calibrationError == null ? "n/a" : String.format(Locale.ROOT, "%.3f", calibrationError));
        for (Bin bin : calibration) {
            if (bin.right.isDefined()) {
                line(
                        text,
                        String.format(Locale.ROOT, "  predicted %.2f to %.2f", bin.from, bin.to),
                        String.format(Locale.ROOT, "mean %.3f, right %s", bin.predicted, bin.right.percent()));
            }
        }
        return text.toString();
    }

    private void differences(StringBuilder text, boolean longer) {
        for (ByDifference d : byDifference) {
            if (d.longer == longer) {
                String by = d.most == null ? d.least + " or more" : d.least + " to " + d.most;
                line(text, "    by " + by, d.right.percent());
            }
        }
    }

    private static void line(StringBuilder text, String what, String value) {
        text.append(String.format(Locale.ROOT, "%-26s %s%n", what, value));
    }
}
