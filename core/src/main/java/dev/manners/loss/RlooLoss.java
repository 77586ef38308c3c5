package dev.manners.loss;

import dev.manners.tensor.DType;
import dev.manners.tensor.Tensor;

/// REINFORCE with a leave-one-out baseline: the completion is one action, with the clipped ratio of its *whole*
/// probability,
///
///     L = mean_i -min(ρ_i A_i, clip(ρ_i, 1 - ε, 1 + ε_high) A_i),   ρ_i = exp(Σ_t log π - log π_old)
///
/// The KL from the reference is in the reward, before [Advantages#leaveOneOut].
///
/// Source: Ahmadian et al. 2024, arXiv:2402.14740; clipping as TRL's RLOOTrainer.
public final class RlooLoss {

    private RlooLoss() {}

    /// @param logps under the policy, [M], a leaf
    /// @param oldLogps under the policy that sampled, [M]
    /// @param advantages of each completion, [B]
    /// @param window completions of the whole update
    public static Loss of(
            Tensor logps,
            Segments segments,
            Tensor oldLogps,
            Tensor advantages,
            double epsilon,
            double epsilonHigh,
            Window window) {
        Tensor ratio = segments.sums(logps.sub(oldLogps)).exp(); // [B]
        Tensor clipped = ratio.clamp(1 - epsilon, 1 + epsilonHigh);
        Tensor loss = ratio.mul(advantages).minimum(clipped.mul(advantages)).neg();

        Tensor seen = ratio.detach();
        Tensor low = seen.lt(1 - epsilon).to(DType.F32).mul(advantages.lt(0).to(DType.F32));
        Tensor high =
                seen.gt(1 + epsilonHigh).to(DType.F32).mul(advantages.gt(0).to(DType.F32));
        Tally metrics = new Tally()
                .mean("clip_ratio/low_mean", low.sum().item(), segments.count())
                .mean("clip_ratio/high_mean", high.sum().item(), segments.count())
                .mean("clip_ratio/region_mean", low.add(high).sum().item(), segments.count());
        for (float one : low.toFloats()) {
            metrics.min("clip_ratio/low_min", one);
        }
        for (float one : high.toFloats()) {
            metrics.max("clip_ratio/high_max", one);
        }
        return new Loss(loss.sum().mul(1 / window.rows()), metrics);
    }
}
