package dev.manners.reward;

import dev.manners.data.PreferenceRow;
import dev.manners.stats.Interval;
import dev.manners.stats.Intervals;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/// How well scores tell the better completion, on rankings that were held out.
///
/// A comparison is two completions of a prompt of which one was ranked better; ties are none, and are counted apart.
/// Its predicted probability is σ of the difference of scores. Equal scores are a wrong guess.
///
/// @param comparisons which the rates are over
/// @param ties pairs that people ranked the same
/// @param accuracy share of comparisons in which the better completion has the higher score. The interval takes them
/// for independent: where rankings hold more than two completions it is too narrow
/// @param byLength accuracy where the better completion is longer, shorter, and as long, in tokens
/// @param calibration bins of the probability of what is predicted, from 0.5 to 1
/// @param calibrationError ECE: mean over the bins, by their size, of |share that was right - mean predicted
/// probability| (Guo et al. 2017, arXiv:1706.04599); null without comparisons
/// @param manyOfARanking whether a ranking holds several comparisons
public record RewardReport(
        long comparisons,
        long ties,
        Interval accuracy,
        ByLength byLength,
        List<Bin> calibration,
        @Nullable Double calibrationError,
        boolean manyOfARanking) {

    private static final int BINS = 10;

    /// Accuracy by which completion is the longer one.
    public record ByLength(Interval betterIsLonger, Interval betterIsShorter, Interval same) {}

    /// Comparisons that were predicted with a probability between two limits.
    ///
    /// @param predicted mean predicted probability; 0 where there is none
    /// @param right share of them that was right
    public record Bin(double from, double to, double predicted, Interval right) {}

    private record Comparison(double difference, int longer) {}

    /// @param scores of each ranking's completions
    public static RewardReport of(List<PreferenceRow.Ranking> rows, List<float[]> scores) {
        List<Comparison> comparisons = new ArrayList<>();
        long ties = 0;
        boolean many = false;
        for (int n = 0; n < rows.size(); n++) {
            PreferenceRow.Ranking row = rows.get(n);
            int before = comparisons.size();
            for (int i = 0; i < row.ranks().length; i++) {
                for (int j = i + 1; j < row.ranks().length; j++) {
                    if (row.ranks()[i] == row.ranks()[j]) {
                        ties++;
                    } else {
                        comparisons.add(new Comparison(
                                (double) scores.get(n)[i] - scores.get(n)[j],
                                Integer.compare(
                                        row.completions().get(i).length,
                                        row.completions().get(j).length)));
                    }
                }
            }
            many |= comparisons.size() - before > 1;
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
                new ByLength(accuracy(comparisons, 1), accuracy(comparisons, -1), accuracy(comparisons, 0)),
                bins,
                comparisons.isEmpty() ? null : (Double) error,
                many);
    }

    private static Interval accuracy(List<Comparison> comparisons) {
        return Intervals.wilson(
                comparisons.stream().filter(c -> c.difference > 0).count(), comparisons.size());
    }

    private static Interval accuracy(List<Comparison> comparisons, int longer) {
        return accuracy(comparisons.stream().filter(c -> c.longer == longer).toList());
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
        line(text, "  better one shorter", byLength.betterIsShorter.percent());
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
        if (manyOfARanking) {
            text.append(
                    "Rankings hold several comparisons each, which are not independent: intervals are too narrow.\n");
        }
        return text.toString();
    }

    private static void line(StringBuilder text, String what, String value) {
        text.append(String.format(Locale.ROOT, "%-26s %s%n", what, value));
    }
}
