package dev.manners.reward;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Numbers, choices, texts and patterns, against answers made to please.
class VerifierTest {

    private static final NumericAnswer NUMBER = new NumericAnswer("answer", 0);
    private static final MultipleChoice CHOICE = new MultipleChoice("answer", "choices");

    private static Verdict verdict(Task task, String answer, String columns) {
        return Objects.requireNonNull(
                Candidates.score(new Verifier("test", AnswerRule.WHOLE, task), Candidates.of(answer, columns))
                        .verdict());
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            42        | 42          | RIGHT
            42        | 42.         | RIGHT
            42        | 42.0        | RIGHT
            42        | 042         | RIGHT
            42        | +42         | RIGHT
            42        | $42         | RIGHT
            42        | 42%         | RIGHT
            42        | 84/2        | RIGHT
            42        | 4.2e1       | RIGHT
            42        | 43          | WRONG
            42        | -42         | WRONG
            42        | 42.0000001  | WRONG
            42        | 42/0        | UNPARSEABLE
            -3        | −3          | RIGHT
            -3        | -$3         | RIGHT
            -3        | $-3         | RIGHT
            1234567   | 1,234,567   | RIGHT
            1234567   | 1\u00A0234\u00A0567 | RIGHT
            1,000     | 1000        | RIGHT
            1000      | 1,00,0      | UNPARSEABLE
            1000      | 1,0000      | UNPARSEABLE
            1000000   | 1 million   | UNPARSEABLE
            1234567   | 1,234 567   | UNPARSEABLE
            0.5       | .5          | RIGHT
            0.5       | 1/2         | RIGHT
            42        | 42 or 43    | UNPARSEABLE
            42        | 41, 42, 43  | UNPARSEABLE
            42        | 41 42       | UNPARSEABLE
            42        | one of 41, 42 | UNPARSEABLE
            42        | 41-43       | UNPARSEABLE
            42        | ~42         | UNPARSEABLE
            42        | <42         | UNPARSEABLE
            42        | not 42      | UNPARSEABLE
            42        | 42 43       | UNPARSEABLE
            42        | 40 + 2      | UNPARSEABLE
            42        | 6*7         | UNPARSEABLE
            42        | 0x2A        | UNPARSEABLE
            42        | forty-two   | UNPARSEABLE
            42        | ４２         | UNPARSEABLE
            42        | ٤٢          | UNPARSEABLE
            42        | 𝟒𝟐          | UNPARSEABLE
            42        | 4²          | UNPARSEABLE
            42        | NaN         | UNPARSEABLE
            42        | --42        | UNPARSEABLE
            42        | -$-42       | UNPARSEABLE
            42        | .           | UNPARSEABLE
            42        | $           | UNPARSEABLE
            42        | 1e301       | UNPARSEABLE
            42        | 1e9999      | UNPARSEABLE
            42        | 1e-99999999 | UNPARSEABLE
            0         | -0          | RIGHT
            0         | 0e300       | RIGHT
            """)
    void rl04_aNumberIsTheNumberAndNothingElse(String expected, String answer, Verdict verdict) {
        assertThat(verdict(NUMBER, answer, "{'answer': '" + expected + "'}")).isEqualTo(verdict);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "4\u200B2",
                "42\u200B",
                "\u202E24",
                "4\u00AD2",
                "\u206642\u2069",
                "42\u0000",
                "4\uFE0F2",
                "42\uDB40\uDC31"
            })
    void rl04_invisibleCharactersAreNoPartOfANumber(String answer) {
        assertThat(verdict(NUMBER, answer, "{'answer': 42}")).isEqualTo(Verdict.UNPARSEABLE);
    }

    @Test
    void rl04_aMillionDigitsAreRefusedAtOnce() {
        String digits = "4".repeat(1_000_000);

        Assertions.assertTimeoutPreemptively(Duration.ofSeconds(5), () -> {
            assertThat(verdict(NUMBER, digits, "{'answer': 42}")).isEqualTo(Verdict.UNPARSEABLE);
            assertThat(verdict(NUMBER, "1/" + digits, "{'answer': 42}")).isEqualTo(Verdict.UNPARSEABLE);
            assertThat(verdict(CHOICE, digits, "{'answer': 'A'}")).isEqualTo(Verdict.UNPARSEABLE);
        });
    }

    @Test
    void theNumberExpectedMayBeANumberANumeralOrASolution() {
        assertThat(verdict(NUMBER, "42", "{'answer': 42}")).isEqualTo(Verdict.RIGHT);
        assertThat(verdict(NUMBER, "42", "{'answer': 42.0}")).isEqualTo(Verdict.RIGHT);
        assertThat(verdict(NUMBER, "0.1", "{'answer': 0.1}")).isEqualTo(Verdict.RIGHT);
        assertThat(verdict(NUMBER, "1000", "{'answer': '6 + 994\\n#### 1,000'}"))
                .isEqualTo(Verdict.RIGHT);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{}",
                "{'answer': null}",
                "{'answer': 'many'}",
                "{'answer': []}",
                "{'answer': ''}",
                "{'answer': {'a': 1}}"
            })
    void rl01_aRowThatCannotBeJudgedHasNoScore(String columns) {
        for (String completion : List.of("42", "", "<think>")) {
            Score score =
                    Candidates.score(new Verifier("n", AnswerRule.WHOLE, NUMBER), Candidates.of(completion, columns));

            assertThat(score.value()).isNull();
            assertThat(score.verdict()).isEqualTo(Verdict.UNSCORABLE);
            assertThat(score.reason()).contains("answer");
        }
    }

    @Test
    void unparseableEarnsNothingAndIsCountedApartFromWrong() {
        Verifier verifier = new Verifier("numeric_answer", AnswerRule.ANSWER_TAG, NUMBER);
        List<Score> scores = verifier.score(List.of(
                Candidates.of("<answer>42</answer>", "{'answer': 42}"),
                Candidates.of("<answer>41</answer>", "{'answer': 42}"),
                Candidates.of("42", "{'answer': 42}"),
                Candidates.of("<answer>42 or 43</answer>", "{'answer': 42}"),
                Candidates.of("<answer>42</answer>", "{}")));

        assertThat(scores.stream().map(Score::value)).containsExactly(1.0, 0.0, 0.0, 0.0, null);
        Tally tally = Objects.requireNonNull(Tally.of(scores).get("numeric_answer"));
        assertThat(tally.rows()).isEqualTo(5);
        assertThat(tally.scored()).isEqualTo(4);
        assertThat(tally.count(Verdict.RIGHT)).isEqualTo(1);
        assertThat(tally.count(Verdict.WRONG)).isEqualTo(1);
        assertThat(tally.count(Verdict.UNPARSEABLE)).isEqualTo(2);
        assertThat(tally.count(Verdict.UNSCORABLE)).isEqualTo(1);
        assertThat(tally.mean()).hasValue(0.25);
        assertThat(tally.std()).hasValue(0.5);
        assertThat(scores.get(1).reason()).isEqualTo("wrong: 41, expected 42");
    }

    @Test
    void aToleranceIsRelative() {
        NumericAnswer about = new NumericAnswer("answer", 0.01);

        assertThat(verdict(about, "99", "{'answer': 100}")).isEqualTo(Verdict.RIGHT);
        assertThat(verdict(about, "98.9", "{'answer': 100}")).isEqualTo(Verdict.WRONG);
        assertThatThrownBy(() -> new NumericAnswer("answer", Double.NaN)).isInstanceOf(IllegalArgumentException.class);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            B           | RIGHT
            b           | RIGHT
            (B)         | RIGHT
            B.          | RIGHT
            B) Paris    | RIGHT
            B. paris.   | RIGHT
            Paris       | RIGHT
            A           | WRONG
            London      | WRONG
            E           | UNPARSEABLE
            B London    | UNPARSEABLE
            A or B      | UNPARSEABLE
            A, B        | UNPARSEABLE
            AB          | UNPARSEABLE
            A/B         | UNPARSEABLE
            not B       | UNPARSEABLE
            (B          | UNPARSEABLE
            В           | UNPARSEABLE
            Ｂ           | UNPARSEABLE
            Rome        | UNPARSEABLE
            1           | UNPARSEABLE
            """)
    void rl04_aChoiceIsOneLetter(String answer, Verdict verdict) {
        String choices = "'choices': ['London', 'Paris', 'Rome', 'Rome']";

        assertThat(verdict(CHOICE, answer, "{'answer': 'B', " + choices + "}")).isEqualTo(verdict);
        assertThat(verdict(CHOICE, answer, "{'answer': 1, " + choices + "}")).isEqualTo(verdict);
    }

    @Test
    void aChoiceNeedsNoListOfTexts() {
        assertThat(verdict(CHOICE, "C.", "{'answer': 'C'}")).isEqualTo(Verdict.RIGHT);
        assertThat(verdict(CHOICE, "C. Rome", "{'answer': 'C'}")).isEqualTo(Verdict.UNPARSEABLE);
        assertThat(verdict(CHOICE, "C", "{'answer': 'C', 'choices': ['one']}")).isEqualTo(Verdict.UNSCORABLE);
    }

    @Test
    void rl04_textsMatchLetterForLetter() {
        ExactMatch exact = new ExactMatch("answer", false);
        String columns = "{'answer': ['Caf\u00E9 Noir', 'the cat']}";

        assertThat(verdict(exact, "Cafe\u0301  Noir", columns)).isEqualTo(Verdict.RIGHT);
        assertThat(verdict(exact, "the cat", columns)).isEqualTo(Verdict.RIGHT);
        assertThat(verdict(exact, "The cat", columns)).isEqualTo(Verdict.WRONG);
        assertThat(verdict(exact, "the c\u0430t", columns)).isEqualTo(Verdict.WRONG);
        assertThat(verdict(exact, "the cat\u200B", columns)).isEqualTo(Verdict.WRONG);
        assertThat(verdict(exact, "the cat or Café Noir", columns)).isEqualTo(Verdict.WRONG);
        assertThat(verdict(new ExactMatch("answer", true), "THE CAT", columns)).isEqualTo(Verdict.RIGHT);
    }

    @Test
    void rl04_patternsMatchTheWholeAnswerAndGiveUpInTime() {
        RegexMatch regex = new RegexMatch("pattern");
        assertThat(verdict(regex, "2026-11-25", "{'pattern': '[0-9]{4}-[0-9]{2}-[0-9]{2}'}"))
                .isEqualTo(Verdict.RIGHT);
        assertThat(verdict(regex, "on 2026-11-25", "{'pattern': '[0-9]{4}-[0-9]{2}-[0-9]{2}'}"))
                .isEqualTo(Verdict.WRONG);
        assertThat(verdict(regex, "a", "{'pattern': '(a'}")).isEqualTo(Verdict.UNSCORABLE);

        Assertions.assertTimeoutPreemptively(Duration.ofSeconds(20), () -> {
            assertThat(verdict(regex, "a".repeat(60), "{'pattern': '" + "(.*)".repeat(10) + "c'}"))
                    .isEqualTo(Verdict.UNPARSEABLE);
            assertThat(verdict(regex, "a".repeat(15_000), "{'pattern': '(a|b)*c'}"))
                    .isEqualTo(Verdict.UNPARSEABLE);
            assertThat(verdict(regex, "a".repeat(1_000_000), "{'pattern': 'a*'}"))
                    .isEqualTo(Verdict.UNPARSEABLE);
            assertThat(verdict(regex, "a", "{'pattern': '" + "(".repeat(9_000) + ")".repeat(9_000) + "'}"))
                    .isNotEqualTo(Verdict.RIGHT);
        });
    }
}
