package dev.manners.loss;

import dev.manners.tensor.DType;
import dev.manners.tensor.Tensor;

/// Losses on completions that were each found good or bad, without a partner. With the log-ratio c = log π(y|x) -
/// log π_ref(y|x), summed over tokens:
///
///     kto                  good: w₊ (1 - σ(β(c - z)))    bad: w₋ (1 - σ(β(z - c)))
///     apo_zero_unpaired    good: w₊ (1 - σ(βc))          bad: w₋ σ(βc)
///
/// z is [#kl]: what the policy gained on completions that do not belong to their prompts.
///
/// Sources: Ethayarajh et al. 2024, arXiv:2402.01306, equation 7; D'Oosterlinck et al. 2024, arXiv:2408.06266. As
/// TRL's KTOTrainer.
public final class KtoLoss {

    private KtoLoss() {}

    /// TRL's `loss_type`.
    public enum Type {
        KTO,
        APO_ZERO_UNPAIRED
    }

    /// @param beta how near the reference is held
    /// @param desirableWeight w₊
    /// @param undesirableWeight w₋
    public record Options(Type lossType, double beta, double desirableWeight, double undesirableWeight) {}

    /// z = max(0, mean of log π - log π_ref) over mismatched prompts and completions, without gradient. It is as
    /// noisy as they are few: TRL refuses micro-batches of one.
    ///
    /// @param logps log-probabilities of whole mismatched completions, [B]
    /// @param refLogps the same under the reference, [B]
    public static double kl(Tensor logps, Tensor refLogps) {
        double mean = logps.detach().sub(refLogps).sum().item() / logps.numel();
        // Not Math.max(0, NaN) nor max of torch: a NaN stays one.
        return mean < 0 ? 0 : mean;
    }

    /// @param logps log-probabilities of tokens, [M], a leaf
    /// @param segments the completions' tokens
    /// @param refLogps of whole completions under the reference, [B]
    /// @param desirable which completions were found good, [B]
    /// @param z the KL term; unused by `apo_zero_unpaired`
    /// @param window completions of the whole update
    public static Loss of(
            Tensor logps, Segments segments, Tensor refLogps, boolean[] desirable, double z, Window window, Options o) {
        if (desirable.length != segments.count()) {
            throw new IllegalArgumentException(desirable.length + " labels for " + segments.count() + " completions");
        }
        float[] signs = new float[desirable.length];
        float[] weights = new float[desirable.length];
        for (int i = 0; i < signs.length; i++) {
            signs[i] = desirable[i] ? 1 : -1;
            weights[i] = (float) (desirable[i] ? o.desirableWeight : o.undesirableWeight);
        }
        Tensor completions = segments.sums(logps); // [B]
        Tensor ratio = completions.sub(refLogps);
        Tensor against = o.lossType == Type.KTO ? ratio.add(-z) : ratio;
        // 1 - σ(x) = σ(-x), for both: x is β(c - z) or β(z - c).
        Tensor loss = against.mul(Tensor.of(signs)).mul(-o.beta).sigmoid().mul(Tensor.of(weights));

        Tensor good = Tensor.of(signs).gt(0).to(DType.F32);
        Tally metrics = new Tally();
        if (o.lossType == Type.KTO) {
            metrics.mean("kl", z * signs.length, signs.length);
        }
        Tensor rewards = ratio.detach().mul(o.beta);
        means(metrics, "chosen", rewards, completions.detach(), good);
        means(metrics, "rejected", rewards, completions.detach(), good.neg().add(1));
        metrics.difference("rewards/margins", "rewards/chosen", "rewards/rejected");
        return new Loss(loss.sum().mul(1 / window.rows()), metrics);
    }

    private static void means(Tally metrics, String which, Tensor rewards, Tensor logps, Tensor those) {
        double n = those.sum().item();
        metrics.mean("rewards/" + which, rewards.mul(those).sum().item(), n);
        metrics.mean("logps/" + which, logps.mul(those).sum().item(), n);
    }
}
