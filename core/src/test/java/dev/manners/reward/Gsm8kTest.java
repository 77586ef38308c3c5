package dev.manners.reward;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.files.Json;
import dev.manners.testing.Shared;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.node.ObjectNode;

/// The verifier against the labels that were recorded for real solutions of four models (Cobbe et al. 2021).
class Gsm8kTest {

    private static final Verifier VERIFIER =
            new Verifier("numeric_answer", AnswerRule.GSM8K, new NumericAnswer("ground_truth", 0));

    @ParameterizedTest
    @CsvSource({"6b_finetuning, 286", "6b_verification, 515", "175b_finetuning, 458", "175b_verification, 742"})
    void agreesWithEveryLabelThatWasRecorded(String model, int right) throws IOException {
        int counted = 0;
        for (ObjectNode row : rows("data/verifiable/gsm8k/example_model_solutions.jsonl")) {
            ObjectNode solution = (ObjectNode) Objects.requireNonNull(row.get(model));
            Score score = score(row, solution.get("solution").stringValue());
            assertThat(score.verdict() == Verdict.RIGHT)
                    .as("%s: %s", solution, score.reason())
                    .isEqualTo(solution.get("is_correct").booleanValue());
            counted += score.verdict() == Verdict.RIGHT ? 1 : 0;
        }
        assertThat(counted).isEqualTo(right);
    }

    @Test
    void everyReferenceSolutionIsRightAndNoOtherQuestionsIs() throws IOException {
        List<ObjectNode> rows = rows("data/verifiable/gsm8k/test.jsonl");
        int chance = 0;
        for (int i = 0; i < rows.size(); i++) {
            ObjectNode row = rows.get(i);
            row.set("ground_truth", row.get("answer"));
            assertThat(score(row, row.get("answer").stringValue()).verdict()).isEqualTo(Verdict.RIGHT);
            // Negative control: the solution of the question before. Some have the same number.
            String other =
                    rows.get((i + rows.size() - 1) % rows.size()).get("answer").stringValue();
            chance += score(row, other).verdict() == Verdict.RIGHT ? 1 : 0;
        }
        assertThat(rows).hasSize(1_319);
        assertThat(chance).isLessThan(rows.size() / 20);
    }

    /// The answer is 1234.5 dollars. Verdicts of `numeric_answer`, and of `math_equivalence`, which knows LaTeX and
    /// units, and reads commas that do not part thousands as those of a list. In the table `⏎` is a line break.
    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            RIGHT       | RIGHT       | 12 · 100 + 34.5⏎#### 1234.5
            RIGHT       | RIGHT       | #### 1,234.5
            RIGHT       | RIGHT       | #### $1,234.50
            RIGHT       | RIGHT       | #### 2469/2
            RIGHT       | RIGHT       | #### 1234.5.
            UNPARSEABLE | RIGHT       | #### \\frac{2469}{2}
            UNPARSEABLE | RIGHT       | #### 1234 \\frac{1}{2}
            UNPARSEABLE | RIGHT       | #### 1{,}234.5
            UNPARSEABLE | RIGHT       | #### 1234.5 \\text{ dollars}
            UNPARSEABLE | WRONG       | #### 1,23,4.5
            UNPARSEABLE | WRONG       | #### 1234,5
            UNPARSEABLE | UNPARSEABLE | #### twelve hundred
            WRONG       | WRONG       | #### 1234.4
            UNPARSEABLE | WRONG       | #### 2,469/3
            WRONG       | WRONG       | #### 2469/3
            WRONG       | WRONG       | #### -1,234.5
            UNPARSEABLE | UNPARSEABLE | ####
            UNPARSEABLE | UNPARSEABLE | 1234.5
            UNPARSEABLE | UNPARSEABLE | The answer is 1234.5.
            UNPARSEABLE | UNPARSEABLE | so #### 1234.5
            UNPARSEABLE | UNPARSEABLE | #### 1234.4⏎#### 1234.5
            """)
    void ds15_anAnswerThatCannotBeReadIsNotAWrongOne(Verdict numeric, Verdict maths, String completion) {
        Candidate candidate = Candidates.of(completion.replace('⏎', '\n'), "{'answer': '1234.5'}");
        for (Task task : List.of(new NumericAnswer("answer", 0), new MathEquivalence("answer"))) {
            Score score = Candidates.score(new Verifier("gsm8k", AnswerRule.GSM8K, task), candidate);
            Verdict expected = task instanceof NumericAnswer ? numeric : maths;
            assertThat(score.verdict()).as(score.reason()).isEqualTo(expected);
            assertThat(score.value()).isEqualTo(expected == Verdict.RIGHT ? 1.0 : 0.0);
        }
    }

    private static Score score(ObjectNode row, String solution) {
        return Candidates.score(
                VERIFIER,
                new Candidate(
                        Objects.requireNonNull(row.get("question")), new int[0], solution, new int[0], true, row));
    }

    private static List<ObjectNode> rows(String file) throws IOException {
        Path path = Shared.path(file);
        return Files.readAllLines(path).stream()
                .map(line -> Json.parseObject(line.getBytes(StandardCharsets.UTF_8), file))
                .toList();
    }
}
