package dev.manners.train;

import dev.manners.config.Checked;
import dev.manners.config.Key;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// What GRPO, RLOO, REINFORCE++ and RAFT have in common: how completions are sampled, how often they are learned from,
/// what the reference is. Names and defaults of TRL's `GRPOConfig`, save where it says otherwise.
///
/// Not taken over: `top_p`, `top_k`, `min_p`, `repetition_penalty`. A policy is trained on samples of its whole
/// distribution; with a part of it cut off, ratios under the whole one are wrong (trl#6789).
public record RolloutConfig(
        @Key(value = "Longest completion in tokens", byDefault = "512", min = 1)
        int maxCompletionLength,

        @Key(
                value = "Temperature of sampling, and of every log-probability",
                byDefault = "1.0",
                min = 0,
                aboveMin = true,
                max = 100)
        double temperature,

        @Key(value = "Shuffle the prompts of each epoch", byDefault = "true")
        boolean shuffleDataset,

        @Key("Completions of a rollout; unset: as steps_per_generation says") @Nullable
        Integer generationBatchSize,

        @Key(
                "Micro-batches that a rollout is split into; unset: gradient_accumulation_steps, one update a time through it")
        @Nullable
        Integer stepsPerGeneration,

        @Key(value = "Times a rollout is gone through", byDefault = "1", min = 1)
        int numIterations,

        @Key(
                value = "Most draws of a rollout: after the first, groups whose rewards are all alike are replaced by"
                        + " other prompts' (DAPO's dynamic sampling); 1: none are",
                byDefault = "1",
                min = 1,
                max = 100)
        int dynamicSamplingMaxGenBatches,

        @Key(value = "Leave completions that were cut off out of the loss", byDefault = "false")
        boolean maskTruncatedCompletions,

        @Key(
                value = "A completion whose log-probabilities in sampling and in training differ by more, in the mean,"
                        + " takes those of training as its old ones",
                byDefault = "0.001",
                min = 0)
        double maxSamplingLogpDifference,

        @Key(value = "Let the reference follow the policy", byDefault = "false")
        boolean syncRefModel,

        @Key(value = "How far it goes each time: 1 all the way", byDefault = "0.6", min = 0, max = 1)
        double refModelMixupAlpha,

        @Key(value = "Updates between two times", byDefault = "512", min = 1)
        int refModelSyncSteps,

        @Key(
                value =
                        "Write completions with rewards and advantages to samples.jsonl, of a rollout every logging_steps",
                byDefault = "true")
        boolean logCompletions,

        @Key(value = "End the run when an alarm has held for long enough", byDefault = "false")
        boolean stopOnAlarm)
        implements Checked {

    @Override
    public List<String> problems() {
        return generationBatchSize != null && stepsPerGeneration != null
                ? List.of("generation_batch_size and steps_per_generation are both given: choose one")
                : List.of();
    }

    /// Completions of a rollout.
    int completions(TrainingConfig training) {
        if (generationBatchSize != null) {
            return generationBatchSize;
        }
        int steps = stepsPerGeneration == null ? training.gradientAccumulationSteps() : stepsPerGeneration;
        return Math.multiplyExact(training.perDeviceTrainBatchSize(), steps);
    }

    /// Completions of an update.
    public static int perUpdate(TrainingConfig training) {
        return Math.multiplyExact(training.perDeviceTrainBatchSize(), training.gradientAccumulationSteps());
    }

    /// What of these options and a trainer's own does not fit together.
    List<String> problems(TrainingConfig training, int numGenerations) {
        List<String> problems = new ArrayList<>();
        int completions = completions(training);
        int perUpdate = perUpdate(training);
        if (completions % numGenerations != 0) {
            problems.add("a rollout has " + completions + " completions (per_device_train_batch_size"
                    + " × steps_per_generation, or generation_batch_size) and num_generations is " + numGenerations
                    + ": it must divide them, so that groups are whole");
        }
        if (completions % perUpdate != 0) {
            problems.add("a rollout has " + completions + " completions and an update takes " + perUpdate
                    + " (per_device_train_batch_size × gradient_accumulation_steps): it must divide them");
        }
        return problems;
    }
}
