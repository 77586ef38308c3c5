package dev.manners.train;

import dev.manners.config.Key;
import dev.manners.data.Sampler;
import dev.manners.loss.CpoLoss;
import java.util.List;

/// Options of CPO, SimPO and AlphaPO: names and defaults of TRL's `CPOConfig`.
public record CpoConfig(
        @Key(value = "Step size at its highest", byDefault = "1e-6", min = 0, aboveMin = true, max = 10)
        double learningRate,

        TrainingConfig training,

        @Key(value = "Longest prompt and completion together, in tokens; 0: no limit", byDefault = "1024", min = 0)
        int maxLength,

        @Key(value = "Loss of the two completions' scores; SimPO is simpo with cpo_alpha 0", byDefault = "sigmoid")
        CpoLoss.Type lossType,

        @Key(value = "Factor of the scores", byDefault = "0.1", min = 0)
        double beta,

        @Key(value = "Share of labels taken to be wrong", byDefault = "0", min = 0, max = 1)
        double labelSmoothing,

        @Key(value = "Factor of the imitation of the chosen; alphapo has none", byDefault = "1.0", min = 0)
        double cpoAlpha,

        @Key(value = "Margin of simpo and alphapo", byDefault = "0.5", min = 0)
        double simpoGamma,

        @Key(value = "Shape of the score, (1 - p^-alpha) / alpha; 0: log p", byDefault = "0.0")
        double alpha,

        @Key(value = "Order of the rows within an epoch", byDefault = "random")
        Sampler.Order trainSamplingStrategy)
        implements PreferenceConfig {

    @Override
    public List<String> problems() {
        return loss().problems();
    }

    @Override
    public boolean hasReference() {
        return false;
    }

    CpoLoss.Options loss() {
        return new CpoLoss.Options(lossType, beta, labelSmoothing, cpoAlpha, simpoGamma, alpha);
    }
}
