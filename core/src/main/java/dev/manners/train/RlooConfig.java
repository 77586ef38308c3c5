package dev.manners.train;

import dev.manners.config.Checked;
import dev.manners.config.Key;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Options of RLOO: names and defaults of TRL's `RLOOConfig`.
public record RlooConfig(
        @Key(value = "Step size at its highest", byDefault = "1e-6", min = 0, aboveMin = true, max = 10)
        double learningRate,

        TrainingConfig training,

        RolloutConfig rollout,

        @Key(value = "Completions of each prompt; the others are each one's baseline", byDefault = "2", min = 2)
        int numGenerations,

        @Key(value = "Factor of the KL from the reference, in the reward; 0: no reference", byDefault = "0.05", min = 0)
        double beta,

        @Key(value = "Make the advantages' mean 0 and their deviation 1", byDefault = "false")
        boolean normalizeAdvantages,

        @Key(value = "Lowest and highest reward, before the KL: -10,10; unset: as they are", byDefault = "[]")
        List<String> rewardClipRange,

        @Key(value = "How far a completion's ratio may fall below 1", byDefault = "0.2", min = 0, aboveMin = true)
        double epsilon,

        @Key(value = "How far it may rise above 1; unset: epsilon", min = 0, aboveMin = true) @Nullable
        Double epsilonHigh)
        implements PolicyGradient, Checked {

    double high() {
        return epsilonHigh == null ? epsilon : epsilonHigh;
    }

    /// A reward within the range.
    double clipped(double reward) {
        return rewardClipRange.isEmpty()
                ? reward
                : Math.clamp(
                        reward,
                        Double.parseDouble(rewardClipRange.getFirst()),
                        Double.parseDouble(rewardClipRange.getLast()));
    }

    @Override
    public List<String> problems() {
        List<String> problems = new ArrayList<>(rollout.problems(training, numGenerations));
        if (!rewardClipRange.isEmpty() && !isRange()) {
            problems.add("reward_clip_range is " + rewardClipRange + ", expected two numbers, the lower first");
        }
        return problems;
    }

    private boolean isRange() {
        try {
            return rewardClipRange.size() == 2
                    && Double.parseDouble(rewardClipRange.get(0)) < Double.parseDouble(rewardClipRange.get(1));
        } catch (NumberFormatException e) {
            return false;
        }
    }
}
