package dev.manners.train;

import dev.manners.config.Checked;
import dev.manners.config.Key;
import java.util.List;

/// Options of REINFORCE++ (arXiv:2501.03262).
public record ReinforceConfig(
        @Key(value = "Step size at its highest", byDefault = "1e-6", min = 0, aboveMin = true, max = 10)
        double learningRate,

        TrainingConfig training,

        RolloutConfig rollout,

        @Key(value = "Completions of each prompt; one is enough, there is no group", byDefault = "1", min = 1)
        int numGenerations,

        @Key(
                value = "Factor of each token's KL from the reference, in its reward; 0: no reference",
                byDefault = "0.01",
                min = 0)
        double beta,

        @Key(value = "How far a token's ratio may be from 1", byDefault = "0.2", min = 0, aboveMin = true)
        double epsilon)
        implements PolicyGradient, Checked {

    @Override
    public List<String> problems() {
        return rollout.problems(training, numGenerations);
    }
}
