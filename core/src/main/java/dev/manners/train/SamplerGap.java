package dev.manners.train;

import dev.manners.NonFinite;
import dev.manners.loss.SamplerRatio;
import dev.manners.loss.Tally;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// How far the log-probabilities that completions were sampled with are from those of the training forward of the same
/// policy.
///
/// @param most mean difference of a completion's tokens up to which the sampler's are the old ones; those of a
/// completion beyond it are the training forward's
/// @param correction with it the training forward's always are, and what lies between weights the completion
record SamplerGap(double most, SamplerRatio.@Nullable Options correction) {

    /// @param episodes with the log-probabilities that are the old ones
    record Compared(List<Episode> episodes, Tally seen) {}

    /// @param logps of the training forward, episode by episode, [M]
    /// @throws NonFinite if one of either is not finite
    Compared compare(List<Episode> of, float[] logps) {
        Tally seen = new Tally();
        List<Episode> compared = new ArrayList<>();
        int at = 0;
        int replaced = 0;
        for (Episode e : of) {
            float[] mine = Arrays.copyOfRange(logps, at, at + e.ids().length);
            at += mine.length;
            boolean far = observe(e, mine, seen) / mine.length > most;
            replaced += far || correction != null ? 1 : 0;
            if (correction == null) {
                compared.add(far ? e.withOldLogps(mine) : e);
            } else {
                SamplerRatio.Weights weights = SamplerRatio.of(mine, e.oldLogps(), correction);
                seen.mean("sampling/importance_sampling_clip_ratio", weights.outside(), mine.length);
                compared.add(e.withOldLogps(mine).withSamplerRatio(weights.weights()));
            }
        }
        seen.mean("sampling/frac_recomputed", replaced, of.size());
        return new Compared(compared, seen);
    }

    /// @return sum of the differences
    private static double observe(Episode e, float[] mine, Tally seen) {
        double gap = 0;
        double ratios = 0;
        double errors = 0;
        for (int t = 0; t < mine.length; t++) {
            double d = (double) mine[t] - e.oldLogps()[t];
            if (!Double.isFinite(d)) {
                throw new NonFinite(
                        "log-probabilities",
                        "of a sampled token: " + e.oldLogps()[t] + " where it was sampled and " + mine[t]
                                + " in training");
            }
            gap += Math.abs(d);
            ratios += Math.exp(d);
            errors += Math.exp(Math.abs(d));
            seen.max("sampling/sampling_logp_difference/max", Math.abs(d));
            seen.min("sampling/importance_sampling_ratio/min", Math.exp(d));
            seen.max("sampling/importance_sampling_ratio/max", Math.exp(d));
        }
        seen.mean("sampling/sampling_logp_difference/mean", gap, mine.length);
        seen.mean("sampling/importance_sampling_ratio/mean", ratios, mine.length);
        seen.mean("sampling/token_mult_prob_error", errors, mine.length);
        return gap;
    }

    /// The ratios of a rollout's first update, which ought to be 1.
    static Tally firstRatios(List<Episode> of, float[] logps) {
        double ratios = 0;
        int at = 0;
        for (Episode e : of) {
            for (float old : e.oldLogps()) {
                ratios += Math.exp((double) logps[at++] - old);
            }
        }
        return new Tally().mean("val/ratio_first", ratios, at);
    }

    /// @param ratio mean of a rollout's first update
    /// @throws IllegalStateException if it is further from 1 than `tolerance`, or NaN
    static void requireSamePolicy(double ratio, double tolerance) {
        if (!(Math.abs(ratio - 1) <= tolerance)) {
            throw new IllegalStateException("the probability ratio of a rollout's first update is " + ratio
                    + " in the mean, where policy and old policy are the same: log-probabilities are not those of the"
                    + " completions that were sampled");
        }
    }
}
