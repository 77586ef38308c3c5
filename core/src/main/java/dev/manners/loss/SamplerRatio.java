package dev.manners.loss;

import dev.manners.config.Checked;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// What a completion's tokens count for, where what sampled them computes other probabilities than what is trained: the
/// importance ratio π_trainer / π_sampler of the same policy, kept from growing without bound. Numbers only: no
/// gradient goes through it.
///
/// Names and arithmetic are those of TRL's `vllm_importance_sampling_...`; what the mismatch alone can do to a run:
/// arXiv:2605.14220.
public final class SamplerRatio {

    private SamplerRatio() {}

    /// Of what the ratio is, and what happens to one outside its limits.
    public enum Mode {
        /// Each token's; it takes the limit's value.
        TOKEN_TRUNCATE,
        /// Each token's; the token does not count.
        TOKEN_MASK,
        /// The whole completion's, the product over its tokens; it takes the limit's value.
        SEQUENCE_TRUNCATE,
        /// The whole completion's; the completion does not count.
        SEQUENCE_MASK;

        /// Whether the ratio is each token's.
        public boolean ofTokens() {
            return this == TOKEN_TRUNCATE || this == TOKEN_MASK;
        }

        boolean masks() {
            return this == TOKEN_MASK || this == SEQUENCE_MASK;
        }
    }

    /// @param clipMin lowest ratio; null: any
    /// @param clipMax highest ratio
    public record Options(Mode mode, @Nullable Double clipMin, double clipMax) implements Checked {

        @Override
        public List<String> problems() {
            return clipMin != null && clipMin > clipMax
                    ? List.of("sampler_importance_sampling_clip_min is " + clipMin + ", above"
                            + " sampler_importance_sampling_clip_max = " + clipMax)
                    : List.of();
        }
    }

    /// @param weights of each token; one value throughout where the ratio is the completion's
    /// @param outside how many of them are not the ratio itself
    @SuppressWarnings("ArrayRecordComponent") // compared by nobody
    public record Weights(float[] weights, int outside) {}

    /// Of one completion.
    ///
    /// @param trainer log-probabilities of its tokens in training
    /// @param sampler the same where it was sampled
    public static Weights of(float[] trainer, float[] sampler, Options options) {
        if (trainer.length != sampler.length) {
            throw new IllegalArgumentException(
                    trainer.length + " log-probabilities in training and " + sampler.length + " where it was sampled");
        }
        double[] logs = new double[trainer.length];
        Arrays.setAll(logs, t -> (double) trainer[t] - sampler[t]);
        if (!options.mode.ofTokens()) {
            Arrays.fill(logs, Arrays.stream(logs).sum());
        }
        float[] weights = new float[logs.length];
        int outside = 0;
        double low = options.clipMin == null ? 0 : options.clipMin;
        for (int t = 0; t < weights.length; t++) {
            double ratio = Math.exp(logs[t]);
            double limited = Math.clamp(ratio, low, options.clipMax);
            outside += limited == ratio ? 0 : 1;
            weights[t] = (float) (limited == ratio || !options.mode.masks() ? limited : 0);
        }
        return new Weights(weights, outside);
    }
}
