package dev.manners.reward;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.Objects;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// The numbers game and chains of sums, and the holes that others' verifiers had.
class CountdownTest {

    private static final Verifier COUNTDOWN =
            new Verifier("countdown", AnswerRule.ANSWER_TAG, new Countdown("target", "nums"));

    private static Verdict verdict(String expression, String columns) {
        return Objects.requireNonNull(
                Candidates.score(COUNTDOWN, Candidates.of("<answer>" + expression + "</answer>", columns))
                        .verdict());
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            # expression        | target | nums     | verdict
            (3 + 7) * 2         | 20     | 2,3,7    | RIGHT
            (3+7)×2             | 20     | 2,3,7    | RIGHT
            7 − 3 ÷ 1           | 4      | 1,3,7    | RIGHT
            8/(3-8/3)           | 24     | 3,3,8,8  | RIGHT
            1 - 3               | -2     | 1,3      | RIGHT
            3 + 7 * 2           | 20     | 2,3,7    | WRONG
            10 * 2              | 20     | 2,3,7    | WRONG
            3 + 7               | 10     | 2,3,7    | WRONG
            3 + 7 + 2 + 2       | 14     | 2,3,7    | WRONG
            20                  | 20     | 2,3,7    | WRONG
            7 / 2               | 3      | 2,7      | WRONG
            # Python's ways
            2**10               | 1024   | 2,10     | UNPARSEABLE
            7//2                | 3      | 2,7      | UNPARSEABLE
            3.7*10              | 37     | 3,7,10   | UNPARSEABLE
            3_7                 | 37     | 3,7      | UNPARSEABLE
            37                  | 37     | 3,7      | WRONG
            3 7                 | 37     | 3,7      | UNPARSEABLE
            2^3                 | 8      | 2,3      | UNPARSEABLE
            7%2                 | 1      | 2,7      | UNPARSEABLE
            2e3                 | 2000   | 2,3      | UNPARSEABLE
            3(7)                | 21     | 3,7      | UNPARSEABLE
            (3)(7)              | 21     | 3,7      | UNPARSEABLE
            -3+7                | 4      | 3,7      | UNPARSEABLE
            7--3                | 10     | 3,7      | UNPARSEABLE
            +3+7                | 10     | 3,7      | UNPARSEABLE
            03+7                | 10     | 3,7      | UNPARSEABLE
            3+7=10              | 10     | 3,7      | UNPARSEABLE
            3+7 or 3*7          | 10     | 3,7      | UNPARSEABLE
            3+7 # 2             | 10     | 2,3,7    | UNPARSEABLE
            3!                  | 6      | 3        | UNPARSEABLE
            ~3                  | -4     | 3        | UNPARSEABLE
            3<<7                | 384    | 3,7      | UNPARSEABLE
            int('3')+7          | 10     | 3,7      | UNPARSEABLE
            ３+７                | 10     | 3,7      | UNPARSEABLE
            ٣+٧                 | 10     | 3,7      | UNPARSEABLE
            7/(3-3)             | 0      | 3,3,7    | UNPARSEABLE
            (3+7                | 10     | 3,7      | UNPARSEABLE
            3+7)                | 10     | 3,7      | UNPARSEABLE
            ()                  | 0      | 3,7      | UNPARSEABLE
            3+                  | 3      | 3        | UNPARSEABLE
            """)
    void rl04_onlyTheFourOperationsOnTheGivenNumbers(String expression, int target, String nums, Verdict verdict) {
        assertThat(verdict(expression, "{'target': " + target + ", 'nums': [" + nums + "]}"))
                .isEqualTo(verdict);
    }

    @Test
    void rl04_invisibleCharactersAndMonstersAreRefusedAtOnce() {
        String columns = "{'target': 10, 'nums': [3, 7]}";
        Assertions.assertTimeoutPreemptively(Duration.ofSeconds(10), () -> {
            for (String expression : new String[] {
                "3+7\u200B",
                "3\u0000+7",
                "(".repeat(1_000_000),
                "(".repeat(60) + "3+7" + ")".repeat(60),
                "9".repeat(1_000_000),
                "3+".repeat(400) + "7\u202E",
                "-".repeat(900)
            }) {
                assertThat(verdict(expression, columns)).isEqualTo(Verdict.UNPARSEABLE);
            }
        });
        assertThat(verdict("(".repeat(50) + "3+7" + ")".repeat(50), columns)).isEqualTo(Verdict.RIGHT);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{'target': 3}",
                "{'nums': [3]}",
                "{'target': '3', 'nums': [3]}",
                "{'target': 3, 'nums': 3}",
                "{'target': 3, 'nums': []}",
                "{'target': 3, 'nums': [3.5]}",
                "{'target': 3, 'nums': ['3']}"
            })
    void rl01_aRowWithoutAPuzzleCannotBeJudged(String columns) {
        assertThat(verdict("3", columns)).isEqualTo(Verdict.UNSCORABLE);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            <think>3 + 4 = 7. 7 - 5 = 2.</think><answer>2</answer>      | 1 | 2 of 2 steps are right
            <think>3 + 4 = 8. 8 - 5 = 3.</think><answer>2</answer>      | 1 | 1 of 2 steps are right
            <think>3 + 4 - 5 = 2</think><answer>3</answer>              | 0 | 1 of 1 steps are right
            <think>Easy.</think><answer>2</answer>                      | 1 | no step was written
            <answer>2</answer>                                          | 1 | no step was written
            <think>3 + 4 = 7. 7 - 5 = 2.</think>                        | 0 | 2 of 2 steps are right
            <think>3 + 4 = 7.5. 2 = 2.</think><answer>2 or 3</answer>   | 0 | 1 of 1 steps are right
            """)
    void stepsAreExplainedAndNeverNeeded(String completion, double value, String steps) {
        Score score = Candidates.score(
                new ChainArithmetic(AnswerRule.ANSWER_TAG, "answer"),
                Candidates.of("Compute 3 + 4 - 5.", completion, "{'answer': '2'}"));

        assertThat(score.value()).isEqualTo(value);
        assertThat(score.parts().getFirst().name()).isEqualTo("steps");
        assertThat(score.parts().getFirst().reason()).isEqualTo(steps);
    }
}
