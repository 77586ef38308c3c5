package dev.manners.reward;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.tensor.Philox;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// Random completions, made of what parsers trip over, for every verifier and every rule.
class RewardFuzzTest {

    private static final int SEED = Integer.getInteger("tests.seed", 42);
    private static final int COMPLETIONS = 4_000;

    /// None of these adds up to the right answer: the digits 2, 4 and 8 are missing.
    private static final String[] PIECES = {
        "<think>",
        "</think>",
        "<answer>",
        "</answer>",
        "<answer>",
        "</answer>",
        "<!--",
        "-->",
        "\\boxed{",
        "}",
        "{",
        "\n#### ",
        "\nA: ",
        "The answer is ",
        ". ",
        "Answer: ",
        "0",
        "1",
        "3",
        "7",
        "9",
        "10",
        "1,000",
        "3.7",
        "-",
        "+",
        "*",
        "/",
        "**",
        "//",
        "^",
        "!",
        "(",
        ")",
        "[",
        "]",
        "|",
        ",",
        ";",
        ":",
        "=",
        "<",
        ">",
        "%",
        "$",
        "\\frac",
        "\\sqrt",
        "\\frac{1}{",
        "{3}",
        "\\pi",
        "\\infty",
        "\\cup",
        "\\{",
        "\\}",
        "\\text{",
        "\\begin{pmatrix}",
        "\\end{pmatrix}",
        "&",
        "\\\\",
        "\\left(",
        "\\right)",
        "\\ln",
        "sin",
        "x",
        "y",
        "i",
        "e",
        "a",
        "B",
        " or ",
        " and ",
        " not ",
        "\u200B",
        "\u202E",
        "\u0000",
        "\uD83D",
        "\uDE00",
        "４",
        "٤",
        "𝟒",
        "²",
        "×",
        "−",
        "π",
        "√",
        "\"",
        "'",
        "\"a\":",
        "null",
        "1e",
        "E9",
        "1e999",
        "```json\n",
        "```",
        "\n",
        " ",
        "\t",
        "\u00A0",
        "é",
        "\u0301",
        "日本",
        "***",
        "NaN",
        "Infinity",
        "0x",
        "_",
        "^\\circ"
    };

    private static final String ROW = """
            {'answer': 48242, 'letter': 'Q', 'word': 'zebra', 'pattern': 'z{3}|(a|b)*c', 'target': 48242, 'nums': [48242],
             'schema': {'type': 'object', 'required': ['zebra'], 'properties': {'a': {'pattern': '(x+x+)+y'}}},
             'instruction_id_list': ['keywords:existence', 'length_constraints:number_sentences'],
             'kwargs': [{'keywords': ['zebra']}, {'num_sentences': 1, 'relation': 'at least'}]}""";

    private static final List<Task> TASKS = List.of(
            new NumericAnswer("answer", 0),
            new MathEquivalence("answer"),
            new MultipleChoice("letter", "choices"),
            new ExactMatch("word", true),
            new RegexMatch("pattern"),
            new Countdown("target", "nums"),
            new JsonSchema("schema"),
            new InstructionChecks("instruction_id_list", "kwargs"));

    @ParameterizedTest
    @EnumSource
    void rl04_garbageIsNeverRightAndNeverThrows(AnswerRule rule) {
        List<Candidate> candidates = IntStream.range(0, COMPLETIONS)
                .mapToObj(i -> Candidates.of(garbage(0, i), ROW))
                .toList();
        int understood = 0;
        for (Task task : TASKS) {
            for (Score score : new Verifier("fuzz", rule, task).score(candidates)) {
                understood += score.verdict() == Verdict.WRONG ? 1 : 0;
                assertThat(score.verdict())
                        .as("seed %d, %s, %s: %s", SEED, rule, task, score)
                        .isIn(Verdict.WRONG, Verdict.UNPARSEABLE);
                assertThat(score.value()).isEqualTo(0.0);
            }
        }
        assertThat(understood).as("answers that were read at all").isGreaterThan(10);
        assertThat(new ChainArithmetic(rule, "answer").score(candidates)).noneMatch(s -> s.verdict() == Verdict.RIGHT);
        assertThat(new FormatReward().score(candidates)).hasSize(COMPLETIONS);
    }

    /// Garbage on both sides.
    @ParameterizedTest
    @EnumSource(names = "WHOLE")
    void rl01_noExpectedAnswerMakesAVerifierThrow(AnswerRule rule) {
        for (int i = 0; i < COMPLETIONS; i++) {
            String expected =
                    garbage(100, i).replaceAll("[\"'\\\\\\p{Cntrl}\\p{Cs}]", "").strip();
            Candidate candidate =
                    Candidates.of(garbage(101, i), "{'answer': '" + (expected.isEmpty() ? "x" : expected) + "'}");
            for (Task task :
                    List.of(new NumericAnswer("answer", 0), new MathEquivalence("answer"), new RegexMatch("answer"))) {
                assertThat(Candidates.score(new Verifier("fuzz", rule, task), candidate)
                                .verdict())
                        .isNotNull()
                        .isNotEqualTo(Verdict.FAULT);
            }
        }
    }

    private static String garbage(int stream, int number) {
        StringBuilder text = new StringBuilder();
        int length = 1 + draw(stream, number, 0, 30);
        for (int i = 1; i <= length; i++) {
            text.append(PIECES[draw(stream, number, i, PIECES.length)]);
        }
        return text.toString();
    }

    private static int draw(int stream, int number, int index, int bound) {
        return Philox.below(bound, SEED, Philox.Stream.WORLD, stream * 1_000_000L + number, index);
    }
}
