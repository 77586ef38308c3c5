package dev.manners.reward;

import dev.manners.config.Checked;
import dev.manners.config.Key;
import java.util.ArrayList;
import java.util.List;

/// Details of rewards that a rule gives. Those of the cosine carry open-r1's names.
public record RuleConfig(
        @Key(
                value = "How far off the answer may be for numeric_answer, relative to the number expected",
                byDefault = "0",
                min = 0,
                max = 0.999999)
        double numericTolerance,

        @Key(value = "prefix_match also pays for an end where an end is due", byDefault = "true")
        boolean prefixMatchEnd,

        @Key(value = "length_cosine of a right answer without a token", byDefault = "1.0")
        double cosineMaxValueCorrect,

        @Key(value = "length_cosine of a right answer of the longest length", byDefault = "0.5")
        double cosineMinValueCorrect,

        @Key(value = "length_cosine of a wrong answer of the longest length", byDefault = "-0.5")
        double cosineMaxValueWrong,

        @Key(value = "length_cosine of a wrong answer without a token", byDefault = "-1.0")
        double cosineMinValueWrong,

        @Key(value = "Tokens in a row that repetition counts as one", byDefault = "4", min = 1, max = 1000)
        int repetitionNgrams,

        @Key(value = "What repetition approaches where all is repeated", byDefault = "-1.0", max = 0)
        double repetitionMaxPenalty,

        @Key(value = "Tokens before the longest completion over which soft_overlong grows", byDefault = "64", min = 0)
        int softPunishCache)
        implements Checked {

    @Override
    public List<String> problems() {
        List<String> problems = new ArrayList<>();
        if (cosineMinValueCorrect > cosineMaxValueCorrect) {
            problems.add("cosine_min_value_correct is " + cosineMinValueCorrect + " and cosine_max_value_correct "
                    + cosineMaxValueCorrect + ": a right answer would be worth more the longer it is; swap them");
        }
        if (cosineMinValueWrong > cosineMaxValueWrong) {
            problems.add("cosine_min_value_wrong is " + cosineMinValueWrong + " and cosine_max_value_wrong "
                    + cosineMaxValueWrong + ": a wrong answer would cost more the longer it is; swap them");
        }
        return problems;
    }
}
