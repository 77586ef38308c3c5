package dev.manners.train;

import dev.manners.config.Key;
import dev.manners.data.Sampler;
import java.util.List;

/// Options of ORPO: names and defaults of TRL's `ORPOConfig`.
public record OrpoConfig(
        @Key(value = "Step size at its highest", byDefault = "1e-6", min = 0, aboveMin = true, max = 10)
        double learningRate,

        TrainingConfig training,

        @Key(value = "Longest prompt and completion together, in tokens; 0: no limit", byDefault = "1024", min = 0)
        int maxLength,

        @Key(value = "Weight of the odds ratio beside the imitation, λ of the paper", byDefault = "0.1", min = 0)
        double beta,

        @Key(value = "Order of the rows within an epoch", byDefault = "random")
        Sampler.Order trainSamplingStrategy)
        implements PreferenceConfig {

    @Override
    public List<String> problems() {
        return List.of();
    }

    @Override
    public boolean hasReference() {
        return false;
    }
}
