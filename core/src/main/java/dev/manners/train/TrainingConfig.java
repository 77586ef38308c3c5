package dev.manners.train;

import dev.manners.config.Checked;
import dev.manners.config.Key;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// What every trainer lets one choose, by the names and with the defaults of transformers' `TrainingArguments`.
///
/// Not taken over: `logging_nan_inf_filter`, which shows a NaN as 0. A non-finite loss stops the run here.
public record TrainingConfig(
        @Key(value = "Rows in a micro-batch", byDefault = "8", min = 1)
        int perDeviceTrainBatchSize,

        @Key(value = "Micro-batches whose gradients make one update", byDefault = "1", min = 1)
        int gradientAccumulationSteps,

        @Key(value = "Times the data is gone through", byDefault = "3", min = 0)
        double numTrainEpochs,

        @Key(value = "Updates in all; -1: as many as num_train_epochs take", byDefault = "-1", min = -1)
        long maxSteps,

        @Key(
                value = "What turns gradients into updates; muon: Muon for the layers' matrices, AdamW for the rest",
                byDefault = "adamw_torch_fused")
        Optim optim,

        @Key(value = "Course of the learning rate", byDefault = "linear")
        Schedule lrSchedulerType,

        @Key(
                value = "Updates over which the learning rate rises; below 1: that fraction of all updates",
                byDefault = "0",
                min = 0)
        double warmupSteps,

        @Key(value = "Decoupled weight decay, on matrices only", byDefault = "0.0", min = 0, max = 10)
        double weightDecay,

        @Key(value = "Decay of AdamW's first moment", byDefault = "0.9", min = 0, max = 0.9999999)
        double adamBeta1,

        @Key(value = "Decay of AdamW's second moment", byDefault = "0.999", min = 0, max = 0.9999999)
        double adamBeta2,

        @Key(value = "AdamW's epsilon", byDefault = "1e-8", min = 0, aboveMin = true, max = 1)
        double adamEpsilon,

        @Key(value = "Gradients are clipped to this global norm; 0: not clipped", byDefault = "1.0", min = 0)
        double maxGradNorm,

        @Key(value = "Multiply matrices in bf16, with f32 master weights; unset: where the processor has it") @Nullable
        Boolean bf16,

        @Key(value = "Seed of every random number of the run", byDefault = "42", min = 0)
        long seed,

        @Key(value = "Updates between two lines of metrics", byDefault = "10", min = 1)
        long loggingSteps,

        @Key(value = "Updates between two checkpoints; 0: only at the end", byDefault = "500", min = 0)
        long saveSteps,

        @Key(value = "Checkpoints kept, the newest; 0: all", byDefault = "0", min = 0)
        int saveTotalLimit,

        @Key(value = "Updates between two evaluations; 0: only before and after", byDefault = "0", min = 0)
        long evalSteps,

        @Key(value = "Rows in an evaluation batch", byDefault = "8", min = 1)
        int perDeviceEvalBatchSize,

        @Key(
                value = "Updates between two sets of sample completions; 0: only before and after",
                byDefault = "0",
                min = 0)
        long sampleSteps)
        implements Checked {

    @Override
    public List<String> problems() {
        return maxSteps > 0 && warmupSteps >= 1 && warmupSteps > maxSteps
                ? List.of("warmup_steps " + warmupSteps + " is more than max_steps " + maxSteps)
                : List.of();
    }

    /// Updates of the whole run.
    public long totalSteps(long stepsPerEpoch) {
        return maxSteps >= 0 ? maxSteps : (long) Math.ceil(numTrainEpochs * stepsPerEpoch);
    }

    /// Updates over which the learning rate rises.
    public long warmup(long totalSteps) {
        return warmupSteps >= 1 ? (long) warmupSteps : (long) Math.ceil(warmupSteps * totalSteps);
    }
}
