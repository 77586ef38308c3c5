package dev.manners.train;

import dev.manners.config.Key;
import dev.manners.data.Sampler;
import org.jspecify.annotations.Nullable;

/// Options of reward modelling: names and defaults of TRL's `RewardConfig`.
public record RewardConfig(
        @Key(value = "Step size at its highest", byDefault = "1e-4", min = 0, aboveMin = true, max = 10)
        double learningRate,

        TrainingConfig training,

        @Key(
                value = "Longest prompt and completion together, in tokens; longer rows are left out; 0: no limit",
                byDefault = "1024",
                min = 0)
        int maxLength,

        @Key(
                value = "Weight of the term that keeps scores near zero, 0.01 say; unset: none",
                min = 0,
                aboveMin = true,
                max = 1000)
        @Nullable
        Double centerRewardsCoefficient,

        @Key(value = "Train without the model's dropout", byDefault = "true")
        boolean disableDropout,

        @Key(value = "Order of the rows within an epoch", byDefault = "random")
        Sampler.Order trainSamplingStrategy) {}
