package dev.manners.reward;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/// Where answers are found, and above all where not. In the tables `⏎` is a line break.
class AnswerRuleTest {

    /// Columns: rule, completion, what is found: the answer, or `missing`, `several`, `thinking`.
    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            ANSWER_TAG | <answer>42</answer>                                          | =42
            ANSWER_TAG | <think>6 · 7</think><answer> 42 </answer>                    | =42
            ANSWER_TAG | 6 · 7, so</think> it is <answer>42</answer>. Good.           | =42
            ANSWER_TAG | <answer>⏎42⏎</answer>                                        | =42
            ANSWER_TAG | <answer>42 or 43</answer>                                    | =42 or 43
            ANSWER_TAG | <answer>41</answer><answer>42</answer>                       | several
            ANSWER_TAG | <answer>42</answer><answer>42</answer>                       | several
            ANSWER_TAG | <answer>41<answer>42</answer></answer>                       | several
            ANSWER_TAG | <answer>42                                                   | missing
            ANSWER_TAG | 42</answer>                                                  | missing
            ANSWER_TAG | </answer>42<answer>                                          | missing
            ANSWER_TAG | <answer>41</answer> <answer>42                               | missing
            ANSWER_TAG | <answer></answer>                                            | missing
            ANSWER_TAG | <answer>  </answer>                                          | missing
            ANSWER_TAG | <ANSWER>42</ANSWER>                                          | missing
            ANSWER_TAG | <аnswer>42</аnswer>                                          | missing
            ANSWER_TAG | The answer is 42.                                            | missing
            ANSWER_TAG | <think><answer>42</answer></think>                           | thinking
            ANSWER_TAG | <think><answer>42</answer></think> I gave it above.          | thinking
            ANSWER_TAG | <think><answer>42</answer>                                   | thinking
            ANSWER_TAG | <answer>42</answer></think>                                  | thinking
            ANSWER_TAG | <think><think>a</think><answer>42</answer></think>           | thinking
            ANSWER_TAG | <think>a</think><think><answer>42</answer></think>           | thinking
            ANSWER_TAG | <think><answer>41</answer></think><answer>42</answer>        | =42
            ANSWER_TAG | <!-- <answer>42</answer> -->                                 | thinking
            ANSWER_TAG | <!-- <answer>42</answer>                                     | thinking
            ANSWER_TAG | <!-- <answer>42</answer> --><answer>41</answer>              | =41
            ANSWER_TAG | <!-- <think> --><answer>41</answer>                          | =41
            ANSWER_TAG | <answer>4<think>or 5</think>2</answer>                       | =4⏎2
            ANSWER_TAG | <answer>4<!-- -->2</answer>                                  | =4⏎2
            BOXED      | Thus $x = \\boxed{\\frac{1}{2}}$.                            | =\\frac{1}{2}
            BOXED      | \\boxed{\\{1, 2\\}}                                          | =\\{1, 2\\}
            BOXED      | \\fbox{3}                                                    | =3
            BOXED      | \\boxed{1} or \\boxed{2}                                     | several
            BOXED      | \\boxed{\\boxed{2}}                                          | several
            BOXED      | \\boxed{1                                                    | missing
            BOXED      | \\boxed{}                                                    | missing
            BOXED      | \\boxed 1                                                    | missing
            BOXED      | <think>\\boxed{1}</think> Done.                              | thinking
            BOXED      | <think>\\boxed{1}</think> \\boxed{2}                         | =2
            GSM8K      | 2 + 2 = 4⏎#### 4                                             | =4
            GSM8K      | 2 + 2 = 4⏎A: 4⏎                                              | =4
            GSM8K      | #### 4⏎#### 5                                                | several
            GSM8K      | A: 4⏎#### 4                                                  | several
            GSM8K      | #### 4⏎Or maybe 5.                                           | missing
            GSM8K      | so #### 4                                                    | missing
            GSM8K      | At Job A: 2000⏎is what he makes                              | missing
            GSM8K      | ####                                                         | missing
            GSM8K      | <think>#### 4</think>                                        | thinking
            THE_ANSWER_IS | The answer is 42.                                         | =42
            THE_ANSWER_IS | 6 · 7 = 42. So the final answer is: 42                    | =42
            THE_ANSWER_IS | Answer: B                                                 | =B
            THE_ANSWER_IS | The answer is 3.5.                                        | =3.5
            THE_ANSWER_IS | The answer is 41. The answer is 42.                       | several
            THE_ANSWER_IS | The answer is 42. Or 43.                                  | missing
            THE_ANSWER_IS | The answer is 42.⏎Or 43.                                  | missing
            THE_ANSWER_IS | Nobody thinks that the answer is 42.                      | missing
            THE_ANSWER_IS | I doubt that the correct answer is 42.                    | missing
            THE_ANSWER_IS | The answer is not 42.                                     | =not 42
            THE_ANSWER_IS | The answer is one of 41, 42, 43.                          | =one of 41, 42, 43
            THE_ANSWER_IS | The answer is                                             | missing
            THE_ANSWER_IS | <think>The answer is 42.</think>                          | thinking
            WHOLE      | <think>hm</think> 42                                         | =42
            WHOLE      | <think>hm</think>                                            | thinking
            WHOLE      | <think>hm                                                    | thinking
            LAST_NUMBER | it is 1,234.5 or so                                         | =1,234.5
            LAST_NUMBER | 41, 42                                                      | =42
            LAST_NUMBER | none                                                        | missing
            LAST_NUMBER | <think>42</think> there                                     | thinking
            """)
    void rl04_answersAreFoundOnlyWhereTheyStandOnce(String rule, String completion, String expected) {
        String text = completion.replace('⏎', '\n').replace("\\\\", "\\");
        String found = switch (AnswerRule.valueOf(rule).find(text)) {
            case Answer.Found(String answer) -> "=" + answer;
            case Answer.Missing _ -> "missing";
            case Answer.Several _ -> "several";
            case Answer.InsideThinking _ -> "thinking";
        };

        assertThat(found).isEqualTo(expected.replace('⏎', '\n').replace("\\\\", "\\"));
    }

    @Test
    void rl04_aLeadFarAwayIsStillPartOfTheSentence() {
        String text = "Nobody believes that" + " ".repeat(500) + "the answer is 42.";

        assertThat(AnswerRule.THE_ANSWER_IS.find(text)).isInstanceOf(Answer.Missing.class);
    }

    /// A million characters of what is worst for each rule.
    static Stream<Arguments> endless() {
        return Stream.of(
                        "<think>",
                        "</think>",
                        "<!--",
                        "<answer>",
                        "</answer>",
                        "<answer></answer>",
                        "\\boxed{",
                        "{",
                        "#### 1\n",
                        "####",
                        "\n",
                        " ",
                        "answer is ",
                        "The answer is ",
                        ". ",
                        "1",
                        "1,",
                        "1,111",
                        "-",
                        "\\",
                        "a",
                        "é",
                        "\uD83D")
                .flatMap(piece -> Arrays.stream(AnswerRule.values()).map(rule -> Arguments.of(rule, piece)));
    }

    @ParameterizedTest
    @MethodSource("endless")
    void rl04_endlessTextTakesNoTimeToRefuse(AnswerRule rule, String piece) {
        String text = piece.repeat(1_000_000 / piece.length());

        Assertions.assertTimeoutPreemptively(Duration.ofSeconds(20), () -> rule.find(text));
    }
}
