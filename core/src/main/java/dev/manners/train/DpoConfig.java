package dev.manners.train;

import dev.manners.config.Key;
import dev.manners.data.Sampler;
import dev.manners.data.Tokenisation;
import dev.manners.loss.PreferenceLoss;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Options of DPO and its relatives: names and defaults of TRL's `DPOConfig`.
public record DpoConfig(
        @Key(value = "Step size at its highest", byDefault = "1e-6", min = 0, aboveMin = true, max = 10)
        double learningRate,

        TrainingConfig training,

        @Key(value = "Longest prompt and completion together, in tokens; 0: no limit", byDefault = "1024", min = 0)
        int maxLength,

        @Key(value = "Which end of a longer row is kept", byDefault = "keep_start")
        Tokenisation.Truncation truncationMode,

        @Key(value = "Losses whose weighted sum is made small", byDefault = "[sigmoid]")
        List<PreferenceLoss.Type> lossType,

        @Key(value = "Weight of each; none: 1", byDefault = "[]")
        List<Double> lossWeights,

        @Key(value = "How near the reference is held", byDefault = "0.1", min = 0)
        double beta,

        @Key(value = "Share of labels taken to be wrong, by the losses that know it", byDefault = "0", min = 0, max = 1)
        double labelSmoothing,

        @Key(value = "Divergence from the reference", byDefault = "reverse_kl")
        PreferenceLoss.Divergence fDivergenceType,

        @Key(value = "α of alpha_divergence", byDefault = "0.5")
        double fAlphaDivergenceCoef,

        @Key(value = "τ of discopop", byDefault = "0.05", min = 0, aboveMin = true)
        double discopopTau,

        @Key(value = "Weight of tokens beyond the shorter completion's length (LD-DPO); unset: 1", min = 0, max = 1)
        @Nullable
        Double ldAlpha,

        @Key(value = "Weigh pairs by how likely the policy is to say them (WPO)", byDefault = "false")
        boolean useWeighting,

        @Key(value = "Take the reference's log-probabilities once, before training", byDefault = "false")
        boolean precomputeRefLogProbs,

        @Key(value = "Let the reference follow the policy", byDefault = "false")
        boolean syncRefModel,

        @Key(value = "Share of the policy in the reference at each following", byDefault = "0.6", min = 0, max = 1)
        double refModelMixupAlpha,

        @Key(value = "Updates between two followings", byDefault = "512", min = 1)
        long refModelSyncSteps,

        @Key(value = "Order of the rows within an epoch", byDefault = "random")
        Sampler.Order trainSamplingStrategy)
        implements PreferenceConfig {

    @Override
    public List<String> problems() {
        List<String> problems = new ArrayList<>(loss().problems());
        if (syncRefModel && precomputeRefLogProbs) {
            problems.add(
                    "sync_ref_model and precompute_ref_log_probs are both true: what was computed once would not be"
                            + " the moving reference's");
        }
        return problems;
    }

    PreferenceLoss.Options loss() {
        return new PreferenceLoss.Options(
                lossType,
                lossWeights.isEmpty() ? null : lossWeights,
                beta,
                labelSmoothing,
                fDivergenceType,
                fAlphaDivergenceCoef,
                discopopTau,
                ldAlpha,
                useWeighting);
    }
}
