package dev.manners.loss;

import dev.manners.config.Checked;
import dev.manners.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/// Preference losses without a reference model: CPO, SimPO, AlphaPO. With s the log-probability of a completion,
/// summed over its tokens, or their mean (`ipo`, `simpo`, `alphapo`), and Δ = s₊ - s₋:
///
///     sigmoid           -(1 - ε) log σ(βΔ) - ε log σ(-βΔ)
///     hinge             max(0, 1 - βΔ)
///     ipo               (Δ - 1/(2β))²
///     simpo, alphapo    as sigmoid, of βΔ - γ
///
/// plus `cpo_alpha` times the chosen tokens' mean negative log-probability. `alpha` ≠ 0 takes (1 - p^-α)/α in
/// place of s = log p, whatever the loss.
///
/// Sources: Xu et al. 2024 (CPO), arXiv:2401.08417; Meng et al. 2024 (SimPO), arXiv:2405.14734; Gupta et al. 2025
/// (AlphaPO), arXiv:2501.03884. As TRL's CPOTrainer.
public final class CpoLoss {

    private CpoLoss() {}

    /// TRL's `loss_type`.
    public enum Type {
        SIGMOID,
        HINGE,
        IPO,
        /// SimPO is this with a `cpo_alpha` of 0.
        SIMPO,
        /// `simpo`, with no imitation of the chosen whatever `cpo_alpha` says.
        ALPHAPO;

        boolean averages() {
            return this == IPO || this == SIMPO || this == ALPHAPO;
        }
    }

    /// @param labelSmoothing ε: share of labels taken to be wrong, of the logistic losses
    /// @param cpoAlpha factor of the imitation of the chosen
    /// @param simpoGamma γ: margin of the rewards βs
    /// @param alpha shape of the reward; 0: log p
    public record Options(
            Type lossType, double beta, double labelSmoothing, double cpoAlpha, double simpoGamma, double alpha)
            implements Checked {

        /// SimPO as published: no reference, no imitation.
        public static Options simpo(double beta, double gamma) {
            return new Options(Type.SIMPO, beta, 0, 0, gamma, 0);
        }

        @Override
        public List<String> problems() {
            List<String> problems = new ArrayList<>();
            if (labelSmoothing != 0 && (lossType == Type.HINGE || lossType == Type.IPO)) {
                problems.add("label_smoothing is " + labelSmoothing + ": hinge and ipo have none, set it to 0");
            }
            if (beta == 0 && lossType == Type.IPO) {
                problems.add("beta is 0: ipo divides by it");
            }
            return problems;
        }

        double imitation() {
            return lossType == Type.ALPHAPO ? 0 : cpoAlpha;
        }
    }

    /// @param logps log-probabilities of tokens, [M], a leaf
    /// @param segments the completions' tokens: chosen and rejected of the first pair, of the second, ...
    /// @param window pairs, and chosen tokens, of the whole update
    public static Loss of(Tensor logps, Segments segments, Window window, Options o) {
        Tensor sums = segments.sums(logps); // [2P]
        Tensor completions = o.lossType.averages() ? sums.div(segments.lengths()) : sums;
        Tensor scores =
                o.alpha == 0 ? completions : completions.mul(-o.alpha).expm1().mul(-1 / o.alpha);
        Pairs score = Pairs.of(scores);
        Tensor delta = score.chosen().sub(score.rejected()).mul(o.beta); // βΔ, [P]
        Tensor losses = switch (o.lossType) {
            case SIGMOID -> logistic(delta, o.labelSmoothing);
            case SIMPO, ALPHAPO -> logistic(delta.add(-o.simpoGamma), o.labelSmoothing);
            case HINGE -> delta.neg().add(1).relu();
            case IPO ->
                score.chosen().sub(score.rejected()).add(-1 / (2 * o.beta)).square();
        };
        Tensor loss = losses.sum().mul(1 / window.rows());

        Tally metrics = new Tally();
        score.rewards(metrics, o.beta);
        Pairs.of(completions).logps(metrics);
        if (o.imitation() != 0) {
            Tensor nll = Pairs.of(sums).chosen().sum().mul(-1 / window.tokens());
            metrics.sum("nll_loss", nll.item());
            loss = loss.add(nll.mul(o.imitation()));
        }
        return new Loss(loss, metrics);
    }

    /// -(1 - ε) log σ(x) - ε log σ(-x).
    static Tensor logistic(Tensor x, double labelSmoothing) {
        Tensor loss = x.logSigmoid().mul(-(1 - labelSmoothing));
        return labelSmoothing == 0 ? loss : loss.sub(x.neg().logSigmoid().mul(labelSmoothing));
    }
}
