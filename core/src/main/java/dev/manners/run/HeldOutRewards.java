package dev.manners.run;

import dev.manners.train.Evaluation;
import dev.manners.train.Rollouts;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Mean rewards on prompts that are not trained on, one completion each, with the same random numbers every time.
record HeldOutRewards(Rollouts rollouts) implements Evaluation {

    /// Prompts of an evaluation are numbered apart from those of training, and so have other random numbers.
    private static final long EVALUATION = 1L << 30;

    @Override
    public @Nullable Map<String, Double> at(long step) {
        Map<String, Double> measured = rollouts.measure(EVALUATION);
        if (measured == null) {
            return null;
        }
        Map<String, Double> metrics = new LinkedHashMap<>();
        measured.forEach((name, value) -> metrics.put("eval_" + name, value));
        return metrics;
    }
}
