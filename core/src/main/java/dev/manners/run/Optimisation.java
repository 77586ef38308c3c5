package dev.manners.run;

import dev.manners.data.DatasetFile;
import dev.manners.data.ModelEncoder;
import dev.manners.data.Prompts;
import dev.manners.data.Sampler;
import dev.manners.model.Decoder;
import dev.manners.model.ScalarModel;
import dev.manners.reward.Reward;
import dev.manners.rollout.Sampling;
import dev.manners.train.Evaluation;
import dev.manners.train.GrpoTrainer;
import dev.manners.train.Outcome;
import dev.manners.train.PolicyGradient;
import dev.manners.train.PpoConfig;
import dev.manners.train.PpoTrainer;
import dev.manners.train.Rollouts;
import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// A policy of the story learns from rewards of its own answers.
///
/// @param stage its name in the log and among the checkpoints
/// @param prompts file of the world that it is asked
/// @param inputs models it depends on, for the fingerprint
record Optimisation(
        Story story,
        String stage,
        LoadedModel policy,
        String prompts,
        Reward reward,
        Evaluation evaluation,
        Map<String, Path> inputs) {

    private static final int SLOTS = 64;

    /// With a value function (PPO).
    Outcome with(PpoConfig config, Decoder reference, ScalarModel value) {
        try (DatasetFile file = open();
                Progress progress = Progress.of(stage)) {
            return new PpoTrainer(
                            policy.decoder(),
                            reference,
                            value,
                            config,
                            rollouts(
                                    file,
                                    config.responseLength(),
                                    config.temperature(),
                                    config.training().seed()),
                            evaluation,
                            story.tracker(stage, progress),
                            story.checkpoints(stage),
                            story.fingerprint(config, Stage.dtype(config.training()), inputs),
                            story.interrupts()::requested)
                    .train();
        }
    }

    /// Each completion beside others (GRPO, RLOO).
    ///
    /// @param reference null where `beta` is 0
    <C extends Record & PolicyGradient> Outcome with(C config, @Nullable Decoder reference) {
        try (DatasetFile file = open();
                Progress progress = Progress.of(stage)) {
            return new GrpoTrainer(
                            policy.decoder(),
                            reference,
                            config,
                            rollouts(
                                    file,
                                    config.rollout().maxCompletionLength(),
                                    config.rollout().temperature(),
                                    config.training().seed()),
                            evaluation,
                            story.tracker(stage, progress),
                            story.checkpoints(stage),
                            story.fingerprint(config, Stage.dtype(config.training()), inputs),
                            story.interrupts()::requested)
                    .train();
        }
    }

    private DatasetFile open() {
        return DatasetFile.open(story.rows().resolve(prompts).toString());
    }

    private Rollouts rollouts(DatasetFile file, int longest, double temperature, long seed) {
        int room = policy.decoder().config().maxPositions() - longest;
        return new Rollouts(
                Prompts.of(file, "prompt", new ModelEncoder(policy.tokenizer()), room, false, n -> {}),
                policy.engine(SLOTS)::rollout,
                Sampling.at(temperature, longest, seed),
                reward,
                Sampler.Order.RANDOM,
                story.interrupts()::requested);
    }
}
