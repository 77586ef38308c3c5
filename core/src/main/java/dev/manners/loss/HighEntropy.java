package dev.manners.loss;

import dev.manners.tensor.Tensor;
import java.util.Arrays;

/// Which tokens of an update carry the policy's loss where only the most uncertain do: those of the highest entropy, at
/// which the text forks; the others follow.
///
/// The threshold is of the whole update, so that loss and gradient do not depend on how it is split.
///
/// Source: Wang et al. 2025, "Beyond the 80/20 rule", arXiv:2506.01939; TRL's `top_entropy_quantile`.
///
/// @param mask 1 where a token carries loss, else 0, [M]
/// @param tokens how many do, of the whole update
public record HighEntropy(Tensor mask, double tokens) {

    /// The entropy from which on tokens carry loss: the quantile 1 - `top`, between two tokens by a straight line, in
    /// single precision, as torch.quantile computes it.
    ///
    /// @param entropies of all tokens of the update, one at least
    /// @param top share of tokens that carry loss; 0: those of the highest entropy alone
    public static float threshold(float[] entropies, double top) {
        if (entropies.length == 0 || !(top >= 0 && top <= 1)) {
            throw new IllegalArgumentException("the top " + top + " of " + entropies.length + " tokens");
        }
        float[] sorted = entropies.clone();
        Arrays.sort(sorted);
        float rank = (float) (1 - top) * (sorted.length - 1);
        int below = (int) rank;
        int above = Math.min(below + 1, sorted.length - 1);
        float weight = rank - below;
        float step = sorted[above] - sorted[below];
        return weight < 0.5f ? sorted[below] + weight * step : sorted[above] - step * (1 - weight);
    }

    /// @param entropies of some tokens
    /// @return 1 where the threshold is reached, else 0
    public static float[] mask(float[] entropies, float threshold) {
        float[] mask = new float[entropies.length];
        for (int i = 0; i < mask.length; i++) {
            mask[i] = entropies[i] >= threshold ? 1 : 0;
        }
        return mask;
    }
}
