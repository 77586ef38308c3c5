package dev.manners.run;

import dev.manners.parrot.ParrotWorld;
import dev.manners.parrot.Prompt;
import dev.manners.parrot.gold.Gold;
import java.util.List;

/// What answers are worth to somebody who knows the truth. Knows of no reward, as no reward knows of it.
final class GoldScores {

    private GoldScores() {}

    /// @param answers one to each prompt, in order
    static double[] of(ParrotWorld world, List<Prompt> prompts, List<String> answers) {
        double[] values = new double[answers.size()];
        for (int i = 0; i < values.length; i++) {
            values[i] = Gold.value(world, prompts.get(i), answers.get(i));
        }
        return values;
    }
}
