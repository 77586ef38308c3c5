package dev.manners.parrot;

import dev.manners.config.Checked;
import dev.manners.config.Key;
import java.util.List;

/// How much [ChainArithmetic] there is, and how hard it is.
public record ChainSettings(
        @Key(value = "Demonstrations, with their thinking", byDefault = "1000", min = 1, max = 100_000)
        int demonstrations,

        @Key(value = "Prompts to learn from verified rewards", byDefault = "2000", min = 1, max = 100_000)
        int prompts,

        @Key(value = "Held-out prompts", byDefault = "200", min = 1, max = 100_000)
        int heldOut,

        @Key(value = "Numbers in the shortest chain", byDefault = "2", min = 2, max = 9)
        int minTerms,

        @Key(value = "Numbers in the longest chain", byDefault = "5", min = 2, max = 9)
        int maxTerms,

        @Key(
                value = "Further demonstrations, which give the answer at once",
                byDefault = "1500",
                min = 0,
                max = 100_000)
        int hastyDemonstrations)
        implements Checked {

    public static ChainSettings defaults() {
        return new ChainSettings(1_000, 2_000, 200, 2, 5, 1_500);
    }

    @Override
    public List<String> problems() {
        return minTerms <= maxTerms
                ? List.of()
                : List.of("min_terms is " + minTerms + " and max_terms " + maxTerms
                        + ": the shortest chain cannot be longer than the longest");
    }
}
