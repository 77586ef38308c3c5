package dev.manners.train;

import dev.manners.config.Checked;
import dev.manners.config.Key;
import dev.manners.loss.Advantages;
import dev.manners.loss.EntropyController;
import dev.manners.loss.KlEstimator;
import dev.manners.loss.PolicyLoss;
import dev.manners.loss.SamplerRatio;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/// Options of GRPO: names and defaults of TRL's `GRPOConfig`.
public record GrpoConfig(
        @Key(value = "Step size at its highest", byDefault = "1e-6", min = 0, aboveMin = true, max = 10)
        double learningRate,

        TrainingConfig training,

        RolloutConfig rollout,

        @Key(value = "Completions of each prompt, the group", byDefault = "8", min = 2)
        int numGenerations,

        @Key(value = "Factor of the KL from the reference, in the loss; 0: no reference", byDefault = "0.0", min = 0)
        double beta,

        @Key(value = "Which loss", byDefault = "dapo") PolicyLoss.Type lossType,

        @Key(value = "Probability ratios of tokens, or of whole completions (GSPO)", byDefault = "token")
        PolicyLoss.Level importanceSamplingLevel,

        @Key(value = "What rewards, less their group's mean, are divided by", byDefault = "group")
        Advantages.Scale scaleRewards,

        @Key(
                value = "How several reward functions become one advantage: their weighted sum against its group's, or"
                        + " each against its own group's and then the weighted sum (GDPO)",
                byDefault = "sum_then_normalize")
        Advantages.Aggregation multiObjectiveAggregation,

        @Key(value = "How far a ratio may fall below 1", byDefault = "0.2", min = 0, aboveMin = true)
        double epsilon,

        @Key(value = "How far it may rise above 1; unset: epsilon", min = 0, aboveMin = true) @Nullable
        Double epsilonHigh,

        @Key("Upper limit of a ratio with a negative advantage; unset: none") @Nullable
        Double delta,

        @Key(
                value = "Largest weight of loss_type cispo; TRL calls it epsilon_high",
                byDefault = "5.0",
                min = 0,
                aboveMin = true)
        double cispoMax,

        @Key(
                value = "Temperature of sapo's gate where the advantage is positive",
                byDefault = "1.0",
                min = 0,
                aboveMin = true)
        double sapoTemperaturePos,

        @Key(value = "The same where it is not", byDefault = "1.05", min = 0, aboveMin = true)
        double sapoTemperatureNeg,

        @Key(value = "Exponent of vespo's weight where the advantage is not negative", byDefault = "2.0", min = 0)
        double vespoKPos,

        @Key(value = "Decay of that weight", byDefault = "3.0", min = 0)
        double vespoLambdaPos,

        @Key(value = "Exponent of vespo's weight where the advantage is negative", byDefault = "3.0", min = 0)
        double vespoKNeg,

        @Key(value = "Decay of that weight", byDefault = "2.0", min = 0)
        double vespoLambdaNeg,

        @Key(value = "Weight the KL by the ratio, which makes its gradient right", byDefault = "true")
        boolean useBiasCorrectionKl,

        @Key(value = "Factor of the entropy bonus; 0: none", byDefault = "0.0")
        double entropyCoef,

        @Key(value = "Move entropy_coef so that the entropy does not stay below entropy_target", byDefault = "false")
        boolean useAdaptiveEntropy,

        @Key(value = "Lowest entropy_coef where it moves", byDefault = "0.0")
        double entropyCoefMin,

        @Key(value = "Highest", byDefault = "1.0") double entropyCoefMax,

        @Key(value = "How far it moves with each update", byDefault = "0.005", min = 0, aboveMin = true)
        double entropyCoefDelta,

        @Key(
                value = "Entropy at which it turns, nats a token; the bonus is given only at or below it",
                byDefault = "0.2",
                min = 0)
        double entropyTarget,

        @Key(
                value = "Share of tokens, those of the highest entropy, that carry the policy's loss",
                byDefault = "1.0",
                min = 0,
                max = 1)
        double topEntropyQuantile,

        @Key(
                value = "Weight the loss by the ratio of training's probabilities to the sampler's; TRL's"
                        + " vllm_importance_sampling_correction",
                byDefault = "false")
        boolean samplerImportanceSamplingCorrection,

        @Key(
                value = "Ratio of tokens or of whole completions; beyond the limits truncated or masked",
                byDefault = "sequence_mask")
        SamplerRatio.Mode samplerImportanceSamplingMode,

        @Key(value = "Its highest value", byDefault = "3.0", min = 0, aboveMin = true)
        double samplerImportanceSamplingClipMax,

        @Key(value = "Its lowest; unset: none", min = 0) @Nullable
        Double samplerImportanceSamplingClipMin)
        implements PolicyGradient, Checked {

    /// @param entropyCoef of the update
    PolicyLoss.Options loss(double entropyCoef) {
        return new PolicyLoss.Options(
                lossType,
                importanceSamplingLevel,
                epsilon,
                epsilonHigh,
                delta,
                cispoMax,
                sapoTemperaturePos,
                sapoTemperatureNeg,
                vespoKPos,
                vespoLambdaPos,
                vespoKNeg,
                vespoLambdaNeg,
                beta,
                KlEstimator.K3,
                useBiasCorrectionKl,
                entropyCoef,
                rollout.maxCompletionLength());
    }

    EntropyController entropyController() {
        return useAdaptiveEntropy
                ? new EntropyController.Adaptive(
                        entropyCoef,
                        Double.POSITIVE_INFINITY,
                        entropyCoefMin,
                        entropyCoefMax,
                        entropyCoefDelta,
                        entropyTarget)
                : new EntropyController.Fixed(entropyCoef);
    }

    /// Null where sampler and trainer are taken to be one.
    SamplerRatio.@Nullable Options samplerRatio() {
        return samplerImportanceSamplingCorrection
                ? new SamplerRatio.Options(
                        samplerImportanceSamplingMode,
                        samplerImportanceSamplingClipMin,
                        samplerImportanceSamplingClipMax)
                : null;
    }

    @Override
    public List<String> problems() {
        List<String> problems = new ArrayList<>(rollout.problems(training, numGenerations));
        problems.addAll(loss(entropyCoef).problems());
        if (useAdaptiveEntropy && !(entropyCoefMin <= entropyCoef && entropyCoef <= entropyCoefMax)) {
            problems.add(
                    "entropy_coef is " + entropyCoef + ", where use_adaptive_entropy begins: expected a number from"
                            + " entropy_coef_min, " + entropyCoefMin + ", to entropy_coef_max, " + entropyCoefMax);
        }
        SamplerRatio.Options ratio = samplerRatio();
        if (ratio != null) {
            problems.addAll(ratio.problems());
            if (lossType == PolicyLoss.Type.VESPO && !ratio.mode().ofTokens()) {
                problems.add("loss_type is vespo, whose weight is of whole completions already, and"
                        + " sampler_importance_sampling_mode is "
                        + ratio.mode().name().toLowerCase(Locale.ROOT) + ": choose token_truncate or token_mask");
            }
        }
        if (multiObjectiveAggregation == Advantages.Aggregation.NORMALIZE_THEN_SUM
                && scaleRewards != Advantages.Scale.GROUP) {
            problems.add(
                    "multi_objective_aggregation is normalize_then_sum, which divides by deviations of its own, and"
                            + " scale_rewards is " + scaleRewards.name().toLowerCase(Locale.ROOT) + ": leave it out");
        }
        return problems;
    }
}
