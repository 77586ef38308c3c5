package dev.manners.train;

import dev.manners.config.Checked;
import dev.manners.config.Key;
import java.util.List;

/// Options of RAFT (arXiv:2304.06767), rejection sampling: learn from each prompt's best completion.
public record RaftConfig(
        @Key(value = "Step size at its highest", byDefault = "1e-6", min = 0, aboveMin = true, max = 10)
        double learningRate,

        TrainingConfig training,

        RolloutConfig rollout,

        @Key(value = "Completions of each prompt, of which the best is learned", byDefault = "8", min = 2)
        int numGenerations)
        implements PolicyGradient, Checked {

    @Override
    public double beta() {
        return 0;
    }

    @Override
    public List<String> problems() {
        return rollout.problems(training, numGenerations);
    }
}
