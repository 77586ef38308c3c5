package dev.manners.loss;

import dev.manners.config.Checked;
import dev.manners.tensor.DType;
import dev.manners.tensor.Tensor;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/// DPO and its relatives: losses on pairs of a chosen and a rejected completion, against a reference policy.
///
/// With c and r the log-ratios log π(y|x) - log π_ref(y|x) of the two, summed over tokens, and Δ = c - r, a loss
/// type is a function of a pair; several add up with weights. Names and arithmetic are those of TRL's DPOTrainer.
///
/// Source: Rafailov et al. 2023, arXiv:2305.18290, and of each [Type] its own.
public final class PreferenceLoss {

    private PreferenceLoss() {}

    /// TRL's `loss_type`; ε is `label_smoothing`, which only the types that name it know.
    public enum Type {
        /// -log σ(βΔ).
        SIGMOID,
        /// max(0, 1 - βΔ) (SLiC, arXiv:2305.10425; RSO, arXiv:2309.06657).
        HINGE,
        /// (c/|y₊| - r/|y₋| - 1/(2β))², averaged over tokens as its authors did (arXiv:2310.12036, equation 17).
        IPO,
        /// q₊ (log q₊ - log(1 - ε)) + q₋ (log q₋ - log ε) with q₊ = σ(βΔ) (arXiv:2402.00856, equation 16).
        EXO_PAIR,
        /// -log σ(βc) - ½ log σ(-βc) - ½ log σ(-βr) (arXiv:2402.05369).
        NCA_PAIR,
        /// (-(1 - ε) log σ(βΔ) + ε log σ(-βΔ)) / (1 - 2ε): unbiased where a share ε of labels is flipped
        /// (arXiv:2403.00409).
        ROBUST,
        /// -log σ(βc) - log σ(-βr), without the running mean of BCO (arXiv:2404.04656).
        BCO_PAIR,
        /// (c - 1/(2β))² + (r + 1/(2β))² (arXiv:2405.00675).
        SPPO_HARD,
        /// Both models' chosen-to-rejected ratios are sorted over the batch, then the smoothed logistic of their
        /// differences (arXiv:2406.05882).
        AOT,
        /// The same of c and r, each sorted over the batch.
        AOT_UNPAIRED,
        /// 1 - σ(βc) + σ(βr): chosen ones better than the model's (arXiv:2408.06266, equation 7).
        APO_ZERO,
        /// σ(βc) + 1 - σ(β(c - r)): chosen ones worse than the model's (equation 8).
        APO_DOWN,
        /// (1 - m) (-log σ(βΔ)) + m e^(-βΔ) with m = σ(βΔ/τ) (arXiv:2406.08414, equation 5).
        DISCOPOP,
        /// Mean negative log-probability of the chosen tokens.
        SFT,
        /// -log σ(β(c/|y₊| - r/|y₋|)).
        SIGMOID_NORM;

        /// Whether a pair's loss depends on which others are in the micro-batch: these losses cannot be computed
        /// of a part of it, and how it is split matters.
        public boolean couplesPairs() {
            return this == AOT || this == AOT_UNPAIRED;
        }

        /// Whether it is of the difference of two scores only, so that another divergence's log-partition
        /// cancels.
        boolean takesDivergence() {
            return EnumSet.of(SIGMOID, SIGMOID_NORM, HINGE, IPO, EXO_PAIR, ROBUST, DISCOPOP, SFT)
                    .contains(this);
        }
    }

    /// What holds the policy near the reference, TRL's `f_divergence_type`: c and r are replaced by f'(ratio).
    ///
    /// Source: Wang et al. 2023, arXiv:2309.16240.
    public enum Divergence {
        /// c: DPO itself.
        REVERSE_KL,
        /// 1 - e^(-c).
        FORWARD_KL,
        /// log 2 + log σ(c).
        JS_DIVERGENCE,
        /// (e^((α-1)c) - 1) / (α - 1).
        ALPHA_DIVERGENCE
    }

    /// @param lossType one or more
    /// @param lossWeights of each; null: 1
    /// @param beta how near the reference is held
    /// @param labelSmoothing ε
    /// @param ldAlpha weight of a completion's tokens beyond the length of the pair's shorter one (LD-DPO,
    /// arXiv:2409.06411); null: as all others
    /// @param useWeighting weigh pairs by how likely the policy is to say them (WPO, arXiv:2406.11827)
    public record Options(
            List<Type> lossType,
            @Nullable List<Double> lossWeights,
            double beta,
            double labelSmoothing,
            Divergence fDivergenceType,
            double fAlphaDivergenceCoef,
            double discopopTau,
            @Nullable Double ldAlpha,
            boolean useWeighting)
            implements Checked {

        public Options {
            lossType = List.copyOf(lossType);
            lossWeights = lossWeights == null ? null : List.copyOf(lossWeights);
        }

        /// TRL's defaults.
        public static Options of(Type lossType, double beta) {
            return new Options(List.of(lossType), null, beta, 0, Divergence.REVERSE_KL, 0.5, 0.05, null, false);
        }

        /// Whether a micro-batch has to be given whole.
        public boolean couplesPairs() {
            return lossType.stream().anyMatch(Type::couplesPairs);
        }

        @Override
        public List<String> problems() {
            List<String> problems = new ArrayList<>();
            if (lossType.isEmpty()) {
                problems.add("loss_type is empty: name one loss or more");
            }
            if (lossWeights != null && lossWeights.size() != lossType.size()) {
                problems.add("loss_weights has " + lossWeights.size() + " entries and loss_type " + lossType.size()
                        + ": give one weight for each loss");
            }
            if (labelSmoothing != 0 && lossType.stream().noneMatch(Options::smooths)) {
                problems.add("label_smoothing is " + labelSmoothing
                        + ": none of the losses has it (robust, exo_pair, aot" + " and aot_unpaired do), set it to 0");
            }
            for (Type type : lossType) {
                String name = type.name().toLowerCase(Locale.ROOT);
                if (type == Type.EXO_PAIR && !(labelSmoothing > 0 && labelSmoothing < 1)) {
                    problems.add("label_smoothing is " + labelSmoothing
                            + ": exo_pair needs one above 0 and below 1, 1e-3 in its paper");
                }
                if (type == Type.ROBUST && !(labelSmoothing >= 0 && labelSmoothing < 0.5)) {
                    problems.add(
                            "label_smoothing is " + labelSmoothing + ": robust needs one of at least 0 and below 0.5");
                }
                if (beta == 0 && (type == Type.IPO || type == Type.SPPO_HARD)) {
                    problems.add("beta is 0: " + name + " divides by it");
                }
                if (type == Type.DISCOPOP && !(discopopTau > 0)) {
                    problems.add("discopop_tau is " + discopopTau + ": discopop divides by it");
                }
                if (useWeighting && type.couplesPairs()) {
                    problems.add("use_weighting is true: " + name + " sorts, which leaves no pair to weigh");
                }
                if (fDivergenceType != Divergence.REVERSE_KL && !type.takesDivergence()) {
                    problems.add("f_divergence_type is not reverse_kl: " + name
                            + " is not a loss of the difference of two scores alone, and knows no other");
                }
            }
            return problems;
        }

        private static boolean smooths(Type type) {
            return EnumSet.of(Type.EXO_PAIR, Type.ROBUST, Type.AOT, Type.AOT_UNPAIRED)
                    .contains(type);
        }

        double weight(int i) {
            return lossWeights == null ? 1 : lossWeights.get(i);
        }
    }

    /// Log-probabilities of whole completions: of the policy, and of the reference, which a cache may keep.
    ///
    /// @param logps of tokens, [M]
    /// @param segments the completions' tokens: chosen and rejected of the first pair, of the second, ...
    /// @return [2P]
    public static Tensor completionLogps(Tensor logps, Segments segments, @Nullable Double ldAlpha) {
        if (ldAlpha == null) {
            return segments.sums(logps);
        }
        float[] weights = new float[segments.tokens()];
        int position = 0;
        for (int k = 0; k < weights.length; k++) {
            int own = segments.owner(k);
            position = k == 0 || segments.owner(k - 1) != own ? 0 : position + 1;
            int shared = Math.min(segments.tokens(own), segments.tokens(own ^ 1)); // 2i and 2i + 1 are a pair
            weights[k] = position < shared ? 1 : ldAlpha.floatValue();
        }
        return segments.sum(segments.kept(logps).mul(Tensor.of(weights)));
    }

    /// @param logps log-probabilities of tokens under the policy, [M], a leaf
    /// @param segments the completions' tokens: chosen and rejected of the first pair, of the second, ...
    /// @param refLogps [#completionLogps] of the reference, [2P]
    /// @param logSumSquares log Σ_v π(v)² of the distribution that each token is from, [M]; null unless
    /// `useWeighting`
    /// @param window pairs, and for `sft` chosen tokens, of the whole update
    public static Loss of(
            Tensor logps,
            Segments segments,
            Tensor refLogps,
            @Nullable Tensor logSumSquares,
            Window window,
            Options o) {
        Tensor sums = completionLogps(logps, segments, o.ldAlpha); // [2P]
        Pairs policy = Pairs.of(sums);
        Pairs reference = Pairs.of(refLogps);
        Pairs ratio = Pairs.of(sums.sub(refLogps)); // c and r
        Tensor scores = score(sums.sub(refLogps), o);
        Pairs score = Pairs.of(scores);
        Pairs mean = Pairs.of(scores.div(segments.lengths()));
        Tensor weights = o.useWeighting ? weights(logps, segments, logSumSquares) : null; // [P]

        Tensor loss = Tensor.full(0, DType.F32);
        for (int i = 0; i < o.lossType.size(); i++) {
            Type type = o.lossType.get(i);
            Tensor pairs = type == Type.SFT
                    ? nll(logps, segments, window)
                    : pairs(type, policy, reference, ratio, score, mean, o); // [P]
            if (weights != null) {
                pairs = pairs.mul(weights);
            }
            loss = loss.add(pairs.sum().mul(o.weight(i) / window.rows()));
        }
        Tally metrics = new Tally();
        ratio.rewards(metrics, o.beta);
        policy.logps(metrics);
        return new Loss(loss, metrics);
    }

    private static Tensor pairs(
            Type type, Pairs policy, Pairs reference, Pairs ratio, Pairs score, Pairs mean, Options o) {
        double e = o.labelSmoothing;
        Tensor x = score.chosen().sub(score.rejected()).mul(o.beta); // βΔ
        Tensor c = ratio.chosen().mul(o.beta); // βc
        Tensor r = ratio.rejected().mul(o.beta); // βr
        return switch (type) {
            case SIGMOID -> x.logSigmoid().neg();
            case HINGE -> x.neg().add(1).relu();
            case IPO ->
                mean.chosen().sub(mean.rejected()).add(-1 / (2 * o.beta)).square();
            case EXO_PAIR -> {
                Tensor won = x.sigmoid().mul(x.logSigmoid().add(-Math.log1p(-e)));
                Tensor lost = x.neg().sigmoid().mul(x.neg().logSigmoid().add(-Math.log(e)));
                yield won.add(lost);
            }
            case NCA_PAIR ->
                c.logSigmoid()
                        .neg()
                        .sub(c.neg().logSigmoid().mul(0.5))
                        .sub(r.neg().logSigmoid().mul(0.5));
            case ROBUST ->
                x.logSigmoid().mul(-(1 - e)).add(x.neg().logSigmoid().mul(e)).mul(1 / (1 - 2 * e));
            case BCO_PAIR -> c.logSigmoid().neg().sub(r.neg().logSigmoid());
            case SPPO_HARD -> {
                Tensor won = ratio.chosen().add(-0.5 / o.beta).square();
                yield won.add(ratio.rejected().add(0.5 / o.beta).square());
            }
            case AOT -> {
                Tensor now = policy.chosen().sub(policy.rejected()).sort(false)[0];
                Tensor before = reference.chosen().sub(reference.rejected()).sort(false)[0];
                yield CpoLoss.logistic(now.sub(before).mul(o.beta), e);
            }
            case AOT_UNPAIRED -> CpoLoss.logistic(c.sort(false)[0].sub(r.sort(false)[0]), e);
            case APO_ZERO -> c.sigmoid().neg().add(1).add(r.sigmoid());
            case APO_DOWN -> c.sigmoid().add(1).sub(c.sub(r).sigmoid());
            case DISCOPOP -> {
                Tensor m = x.mul(1 / o.discopopTau).sigmoid();
                yield x.logSigmoid().neg().mul(m.neg().add(1)).add(x.neg().exp().mul(m));
            }
            case SIGMOID_NORM ->
                mean.chosen().sub(mean.rejected()).mul(o.beta).logSigmoid().neg();
            case SFT -> throw new IllegalStateException("not of pairs' scores");
        };
    }

    /// f'(ratio) of log-ratios.
    private static Tensor score(Tensor logRatio, Options o) {
        double a = o.fAlphaDivergenceCoef - 1;
        return switch (o.fDivergenceType) {
            case REVERSE_KL -> logRatio;
            case FORWARD_KL -> logRatio.neg().exp().neg().add(1);
            case JS_DIVERGENCE -> logRatio.logSigmoid().add(Math.log(2));
            case ALPHA_DIVERGENCE ->
                Math.abs(a) < 1e-6
                        ? logRatio
                        // Bounded as in TRL: e^80 is still an F32.
                        : logRatio.mul(a)
                                .clamp(Double.NEGATIVE_INFINITY, 80)
                                .expm1()
                                .mul(1 / a);
        };
    }

    /// Of each pair its chosen tokens' part of the mean over all chosen tokens, times `window.rows()`.
    private static Tensor nll(Tensor logps, Segments segments, Window window) {
        Tensor chosen = Pairs.of(segments.sums(logps)).chosen(); // [P]
        return chosen.mul(-window.rows() / window.tokens());
    }

    /// exp of the mean over tokens of log π(token) - log Σ_v π(v)², of both completions, multiplied, without
    /// gradient.
    private static Tensor weights(Tensor logps, Segments segments, @Nullable Tensor logSumSquares) {
        if (logSumSquares == null) {
            throw new IllegalArgumentException("use_weighting is true: log Σ π² of every token is needed");
        }
        Tensor aligned = segments.kept(logps.detach()).sub(segments.kept(logSumSquares.detach()));
        Pairs weight = Pairs.of(segments.mean(aligned).exp());
        return weight.chosen().mul(weight.rejected());
    }
}
