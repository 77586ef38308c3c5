package dev.manners.train;

import dev.manners.config.Key;
import dev.manners.data.Sampler;
import dev.manners.loss.KtoLoss;
import java.util.List;

/// Options of KTO: names and defaults of TRL's `KTOConfig`.
public record KtoConfig(
        @Key(value = "Step size at its highest", byDefault = "1e-6", min = 0, aboveMin = true, max = 10)
        double learningRate,

        TrainingConfig training,

        @Key(value = "Longest prompt and completion together, in tokens; 0: no limit", byDefault = "1024", min = 0)
        int maxLength,

        @Key(value = "kto, or apo_zero_unpaired, which has no KL term", byDefault = "kto")
        KtoLoss.Type lossType,

        @Key(value = "How near the reference is held", byDefault = "0.1", min = 0)
        double beta,

        @Key(value = "Weight of the completions found good", byDefault = "1", min = 0)
        double desirableWeight,

        @Key(value = "Weight of the completions found bad", byDefault = "1", min = 0)
        double undesirableWeight,

        @Key(value = "Let the reference follow the policy", byDefault = "false")
        boolean syncRefModel,

        @Key(value = "Share of the policy in the reference at each following", byDefault = "0.6", min = 0, max = 1)
        double refModelMixupAlpha,

        @Key(value = "Updates between two followings", byDefault = "512", min = 1)
        long refModelSyncSteps,

        @Key(
                value = "Order of the rows; the KL term pairs a row with its neighbour's completion",
                byDefault = "sequential")
        Sampler.Order trainSamplingStrategy)
        implements PreferenceConfig {

    @Override
    public List<String> problems() {
        int rows = training.perDeviceTrainBatchSize() * training.gradientAccumulationSteps();
        return lossType == KtoLoss.Type.KTO && rows < 2
                ? List.of("an update has 1 row; kto's KL term needs another row's completion: raise"
                        + " per_device_train_batch_size or gradient_accumulation_steps, or use apo_zero_unpaired")
                : List.of();
    }

    KtoLoss.Options loss() {
        return new KtoLoss.Options(lossType, beta, desirableWeight, undesirableWeight);
    }
}
