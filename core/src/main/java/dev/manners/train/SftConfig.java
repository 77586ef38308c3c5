package dev.manners.train;

import dev.manners.config.Checked;
import dev.manners.config.Key;
import dev.manners.data.Packing;
import dev.manners.data.Sampler;
import dev.manners.data.Tokenisation;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Options of supervised fine-tuning: names and defaults of TRL's `SFTConfig` and transformers' `TrainingArguments`.
///
/// Not taken over: `logging_nan_inf_filter`, which shows a NaN as 0. A non-finite loss stops the run here.
public record SftConfig(
        @Key(value = "Step size at its highest", byDefault = "2e-5", min = 0, aboveMin = true, max = 10)
        double learningRate,

        @Key(value = "Sequences in a micro-batch", byDefault = "8", min = 1)
        int perDeviceTrainBatchSize,

        @Key(value = "Micro-batches whose gradients make one update", byDefault = "1", min = 1)
        int gradientAccumulationSteps,

        @Key(value = "Times the data is gone through", byDefault = "3", min = 0)
        double numTrainEpochs,

        @Key(value = "Updates in all; -1: as many as num_train_epochs take", byDefault = "-1", min = -1)
        long maxSteps,

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

        @Key(value = "Longest sequence in tokens; 0: no limit", byDefault = "1024", min = 0)
        int maxLength,

        @Key(value = "Which end of a longer row is kept", byDefault = "keep_start")
        Tokenisation.Truncation truncationMode,

        @Key(value = "Put several rows into one sequence", byDefault = "false")
        boolean packing,

        @Key(value = "How rows share sequences when packing", byDefault = "bfd")
        Packing.Strategy packingStrategy,

        @Key(value = "Loss on completions only; unset: if rows have a prompt and a completion") @Nullable
        Boolean completionOnlyLoss,

        @Key(value = "Loss only on what the chat template marks as the assistant's", byDefault = "false")
        boolean assistantOnlyLoss,

        @Key(value = "Column of plain text rows", byDefault = "text")
        String datasetTextField,

        @Key(value = "Order of the rows within an epoch", byDefault = "random")
        Sampler.Order trainSamplingStrategy,

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

        @Key(value = "Sequences in an evaluation batch", byDefault = "8", min = 1)
        int perDeviceEvalBatchSize,

        @Key(
                value = "Updates between two sets of sample completions; 0: only before and after",
                byDefault = "0",
                min = 0)
        long sampleSteps)
        implements Checked {

    @Override
    public List<String> problems() {
        List<String> problems = new ArrayList<>();
        if (packing && maxLength == 0) {
            problems.add("packing is true and max_length is 0: packing needs a length to fill");
        }
        if (packing && packingStrategy == Packing.Strategy.NONE) {
            problems.add("packing is true and packing_strategy is none: choose how to pack, or set packing to false");
        }
        if (maxLength == 1) {
            problems.add("max_length is 1: a sequence needs at least 2 tokens, one to see and one to predict");
        }
        if (maxSteps > 0 && warmupSteps >= 1 && warmupSteps > maxSteps) {
            problems.add("warmup_steps " + warmupSteps + " is more than max_steps " + maxSteps);
        }
        if (assistantOnlyLoss && Boolean.TRUE.equals(completionOnlyLoss)) {
            problems.add("assistant_only_loss and completion_only_loss are both true: choose one");
        }
        return problems;
    }

    /// How rows become examples under these options.
    public Tokenisation tokenisation(boolean skipBad) {
        return new Tokenisation(
                maxLength,
                truncationMode,
                packing ? packingStrategy : Packing.Strategy.NONE,
                completionOnlyLoss,
                assistantOnlyLoss,
                datasetTextField,
                true,
                skipBad);
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
