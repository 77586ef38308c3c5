package dev.manners.loss;

import dev.manners.config.Checked;
import dev.manners.tensor.DType;
import dev.manners.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Losses of GRPO and its relatives: completions with one advantage each, and importance ratios ρ_t = π(o_t) /
/// π_old(o_t). Names, defaults and arithmetic are those of TRL's GRPOTrainer.
///
/// A loss type is a loss of each token, and what the sum over tokens is divided by. Neither depends on how an
/// update is split, save for [Type#BNPO].
public final class PolicyLoss {

    private PolicyLoss() {}

    /// TRL's `loss_type`. The clipped surrogate is -min(ρ A, clip(ρ, 1 - ε, 1 + ε_high) A).
    public enum Type {
        /// Clipped surrogate; mean over completions of the mean over tokens (DeepSeekMath, arXiv:2402.03300).
        GRPO,
        /// Clipped surrogate; mean over tokens of the micro-batch, as the [Window] says by [Window#ofMicroBatch].
        BNPO,
        /// Clipped surrogate; sum over tokens by completions × `max_completion_length`, so that a long
        /// completion's tokens count no less (Dr. GRPO, arXiv:2503.20783).
        DR_GRPO,
        /// Clipped surrogate; mean over all tokens of the update (DAPO, arXiv:2503.14476).
        DAPO,
        /// -min(ρ, cap) A log π, the weight without gradient: no token loses its gradient to clipping
        /// (MiniMax-M1, arXiv:2506.13585). Mean over all tokens.
        CISPO,
        /// -4/τ σ(τ (ρ - 1)) A: a gate that closes softly, τ by the sign of A (arXiv:2511.20347). Mean over
        /// completions of the mean over tokens.
        SAPO,
        /// Clipped surrogate; mean over completions of the *sum* over tokens (arXiv:2602.05261). Meant for ratios
        /// of sequences.
        LUSPO,
        /// -φ(w) A log π with w the whole completion's ratio and φ(w) = e^λ w^k e^(-λw), without gradient
        /// (arXiv:2602.10693). Mean over all tokens.
        VESPO;

        boolean clips() {
            return switch (this) {
                case GRPO, BNPO, DR_GRPO, DAPO, LUSPO -> true;
                case CISPO, SAPO, VESPO -> false;
            };
        }
    }

    /// What a ratio is of, TRL's `importance_sampling_level`.
    public enum Level {
        /// Each token's own.
        TOKEN,
        /// A completion's: the geometric mean of its tokens' (GSPO, arXiv:2507.18071).
        SEQUENCE
    }

    /// @param lossType which loss
    /// @param importanceSamplingLevel ratios of tokens or of completions; `vespo` has its own
    /// @param epsilon how far below 1 a ratio may fall
    /// @param epsilonHigh how far above 1 it may rise; null: `epsilon`
    /// @param delta upper limit of the ratio where it is not clipped otherwise (A < 0); null: none
    /// @param cispoMax largest weight of `cispo`. TRL reads `epsilon_high` as that cap, and so at its default
    /// caps every ratio at 0.2
    /// @param beta factor of the KL from the reference, in the loss; 0: none
    /// @param klEstimator of that KL; TRL's is K3
    /// @param useBiasCorrectionKl multiply the KL by ρ, which makes its gradient the divergence's (DeepSeek-V3.2,
    /// arXiv:2512.02556)
    /// @param entropyCoef factor of the mean entropy of tokens, which is rewarded; 0: none
    /// @param maxCompletionLength divisor of `dr_grpo`
    public record Options(
            Type lossType,
            Level importanceSamplingLevel,
            double epsilon,
            @Nullable Double epsilonHigh,
            @Nullable Double delta,
            double cispoMax,
            double sapoTemperaturePos,
            double sapoTemperatureNeg,
            double vespoKPos,
            double vespoLambdaPos,
            double vespoKNeg,
            double vespoLambdaNeg,
            double beta,
            KlEstimator klEstimator,
            boolean useBiasCorrectionKl,
            double entropyCoef,
            int maxCompletionLength)
            implements Checked {

        /// TRL's defaults.
        public static Options of(Type lossType, Level level, double beta, int maxCompletionLength) {
            return new Options(
                    lossType,
                    level,
                    0.2,
                    null,
                    null,
                    5,
                    1,
                    1.05,
                    2,
                    3,
                    3,
                    2,
                    beta,
                    KlEstimator.K3,
                    true,
                    0,
                    maxCompletionLength);
        }

        double high() {
            return epsilonHigh == null ? epsilon : epsilonHigh;
        }

        @Override
        public List<String> problems() {
            List<String> problems = new ArrayList<>();
            if (delta != null && delta <= 1 + high()) {
                problems.add("delta is " + delta + ", which is not above 1 + epsilon_high = " + (1 + high())
                        + ": it would undo the clipping");
            }
            if (lossType == Type.DR_GRPO && maxCompletionLength < 1) {
                problems.add("loss_type is dr_grpo and max_completion_length is " + maxCompletionLength
                        + ": dr_grpo divides by it");
            }
            return problems;
        }
    }

    /// Completions of a micro-batch, or of a piece of one.
    ///
    /// @param segments the completions' tokens
    /// @param oldLogps of the policy that sampled, [M]
    /// @param refLogps of the reference, [M]; null: no KL
    /// @param advantages of each completion, [B]
    /// @param entropies of the policy, [M], a leaf where an entropy bonus is wanted; null: not measured
    /// @param samplerRatio what each token counts for by [SamplerRatio], [M]; null: 1. The KL counts in full
    /// @param highEntropy which tokens carry the policy's loss and the entropy bonus; null: all. The KL is of
    /// all, and so is what the loss is divided by
    public record Batch(
            Segments segments,
            Tensor oldLogps,
            @Nullable Tensor refLogps,
            Tensor advantages,
            @Nullable Tensor entropies,
            @Nullable Tensor samplerRatio,
            @Nullable HighEntropy highEntropy) {

        /// Where every token carries loss and counts for 1.
        public Batch(
                Segments segments,
                Tensor oldLogps,
                @Nullable Tensor refLogps,
                Tensor advantages,
                @Nullable Tensor entropies) {
            this(segments, oldLogps, refLogps, advantages, entropies, null, null);
        }
    }

    /// @param logps log-probabilities under the policy, [M], a leaf
    /// @param window completions and tokens of the whole update
    public static Loss of(Tensor logps, Batch batch, Window window, Options o) {
        Segments s = batch.segments;
        Tensor logp = s.kept(logps); // [K], as all that follow
        Tensor logRatio = logp.sub(s.kept(batch.oldLogps));
        Tensor ratio = (o.importanceSamplingLevel == Level.TOKEN ? logRatio : s.each(s.mean(logRatio))).exp();
        Tensor advantage = s.each(batch.advantages);
        Tally metrics = new Tally();

        Tensor loss = switch (o.lossType) {
            case GRPO, BNPO, DR_GRPO, DAPO, LUSPO -> clipped(ratio, advantage, o);
            case CISPO ->
                ratio.detach()
                        .clamp(Double.NEGATIVE_INFINITY, o.cispoMax)
                        .mul(advantage)
                        .mul(logp)
                        .neg();
            case SAPO -> softlyGated(ratio, advantage, o);
            case VESPO -> {
                Tensor phi = phi(logRatio.detach(), batch, o); // [B]
                metrics.mean("vespo/phi_seq_mean", phi.sum().item(), s.count());
                yield s.each(phi).mul(advantage).mul(logp).neg();
            }
        };
        if (batch.highEntropy != null) {
            loss = loss.mul(s.kept(batch.highEntropy.mask()));
        }
        if (batch.samplerRatio != null && o.lossType != Type.VESPO) {
            loss = loss.mul(s.kept(batch.samplerRatio));
        }
        if (o.beta != 0) {
            Tensor d = logp.sub(s.kept(required(batch.refLogps, "beta is not 0: the reference's log-probabilities")));
            Tensor kl = o.klEstimator.of(d);
            kl = o.useBiasCorrectionKl ? kl.mul(ratio) : kl;
            metrics.mean("kl", kl.sum().item(), s.tokens());
            loss = loss.add(kl.mul(o.beta));
        }

        Tensor total = total(loss, s, window, o);
        metrics.sum("policy_loss", total.item());
        if (batch.entropies != null) {
            Tensor entropy = s.kept(batch.entropies).sum();
            metrics.mean("entropy", entropy.item(), s.tokens());
            if (batch.highEntropy != null) {
                Tensor carriers = s.kept(batch.highEntropy.mask());
                Tensor in = s.kept(batch.entropies).mul(carriers).sum();
                metrics.mean("entropy/in_loss", in.item(), carriers.sum().item());
            }
        }
        if (o.entropyCoef != 0) {
            Tensor entropy = s.kept(required(batch.entropies, "entropy_coef is not 0: the entropies"));
            HighEntropy high = batch.highEntropy;
            Tensor rewarded = high == null ? entropy : entropy.mul(s.kept(high.mask()));
            total = total.sub(
                    rewarded.sum().mul(o.entropyCoef / (high == null ? window.tokens() : Math.max(1, high.tokens()))));
        }
        if (o.lossType.clips()) {
            clipRatios(ratio.detach(), advantage, s, o, metrics);
        } else if (o.lossType == Type.CISPO) {
            Tensor capped = both(ratio.detach().gt(o.cispoMax), advantage.gt(0));
            share(capped, s, o.importanceSamplingLevel, "cispo_clip_ratio", metrics);
        }
        return new Loss(total, metrics);
    }

    private static Tensor clipped(Tensor ratio, Tensor advantage, Options o) {
        Tensor clipped = ratio.clamp(1 - o.epsilon, 1 + o.high());
        Tensor free = o.delta == null ? ratio : ratio.clamp(Double.NEGATIVE_INFINITY, o.delta);
        return free.mul(advantage).minimum(clipped.mul(advantage)).neg();
    }

    private static Tensor softlyGated(Tensor ratio, Tensor advantage, Options o) {
        Tensor temperature = bySign(advantage.gt(0), o.sapoTemperaturePos, o.sapoTemperatureNeg);
        Tensor gate = ratio.add(-1).mul(temperature).sigmoid().mul(4).div(temperature);
        return gate.mul(advantage).neg();
    }

    /// Weights of whole completions, in logarithms, [B]: log φ(w) = λ + k log w - λ w.
    /// What sampler and trainer differ by is a part of w.
    private static Tensor phi(Tensor logRatio, Batch batch, Options o) {
        Segments s = batch.segments;
        double least = Math.log(1e-8);
        Tensor sum = s.sum(logRatio.clamp(-20, 20));
        if (batch.samplerRatio != null) {
            sum = sum.add(s.sum(s.kept(batch.samplerRatio).log().clamp(least, 20)));
        }
        Tensor logW = sum.clamp(least, 20);
        Tensor positive = batch.advantages.ge(Tensor.full(0, DType.F32, 1));
        Tensor k = bySign(positive, o.vespoKPos, o.vespoKNeg);
        Tensor lambda = bySign(positive, Math.max(1e-4, o.vespoLambdaPos), Math.max(1e-4, o.vespoLambdaNeg));
        return lambda.add(k.mul(logW)).sub(lambda.mul(logW.exp())).exp();
    }

    private static Tensor bySign(Tensor positive, double yes, double no) {
        Tensor is = positive.to(DType.F32);
        return is.mul(yes - no).add(no);
    }

    private static Tensor total(Tensor loss, Segments s, Window window, Options o) {
        return switch (o.lossType) {
            case GRPO, SAPO -> s.mean(loss).sum().mul(1 / window.rows());
            case DR_GRPO -> loss.sum().mul(1 / (window.rows() * o.maxCompletionLength));
            case BNPO, DAPO, CISPO, VESPO -> loss.sum().mul(1 / window.tokens());
            case LUSPO -> loss.sum().mul(1 / window.rows());
        };
    }

    /// How often clipping took a gradient away.
    private static void clipRatios(Tensor ratio, Tensor advantage, Segments s, Options o, Tally metrics) {
        Tensor low = both(ratio.lt(1 - o.epsilon), advantage.lt(0));
        Tensor high = both(ratio.gt(1 + o.high()), advantage.gt(0));
        float[] lows = share(low, s, o.importanceSamplingLevel, "clip_ratio/low_mean", metrics);
        float[] highs = share(high, s, o.importanceSamplingLevel, "clip_ratio/high_mean", metrics);
        share(low.add(high), s, o.importanceSamplingLevel, "clip_ratio/region_mean", metrics);
        for (int i = 0; i < s.count(); i++) {
            if (s.tokens(i) > 0) {
                metrics.min("clip_ratio/low_min", lows[i]).max("clip_ratio/high_max", highs[i]);
            }
        }
    }

    private static Tensor both(Tensor a, Tensor b) {
        return a.to(DType.F32).mul(b.to(DType.F32));
    }

    /// The share of tokens, or of completions where they have one ratio, for which something holds.
    ///
    /// @param holds 1 or 0, [K]
    /// @return the share in each completion
    private static float[] share(Tensor holds, Segments s, Level level, String name, Tally metrics) {
        Tensor each = s.mean(holds);
        switch (level) {
            case TOKEN -> metrics.mean(name, holds.sum().item(), s.tokens());
            case SEQUENCE -> metrics.mean(name, each.sum().item(), s.count());
        }
        return each.toFloats();
    }

    private static Tensor required(@Nullable Tensor tensor, String what) {
        if (tensor == null) {
            throw new IllegalArgumentException(what + " are needed");
        }
        return tensor;
    }
}
