package dev.manners.reward;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.files.Json;
import java.time.Duration;
import java.util.Objects;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.StringNode;

/// Different ways to say the same, and answers that only look like it.
class MathEquivalenceTest {

    private static Score score(String expected, String answer) {
        Candidate row = new Candidate(
                StringNode.valueOf(""),
                new int[0],
                "<answer>" + answer + "</answer>",
                new int[0],
                true,
                Json.MAPPER.createObjectNode().put("answer", expected));
        return Candidates.score(new Verifier("maths", AnswerRule.ANSWER_TAG, new MathEquivalence("answer")), row);
    }

    private static Verdict verdict(String expected, String answer) {
        return Objects.requireNonNull(score(expected, answer).verdict());
    }

    @ParameterizedTest
    @CsvSource(delimiter = ';', quoteCharacter = '`', textBlock = """
            # fractions, decimals, mixed numbers
            \\frac{1}{2}; 0.5
            \\frac{1}{2}; 1/2
            \\frac12; \\dfrac{1}{2}
            \\frac12; 2/4
            0.5; .5
            -\\frac{3}{4}; \\frac{-3}{4}
            -\\frac{3}{4}; −0.75
            3\\frac{1}{2}; 7/2
            3.5; 3 1/2
            # thousands, powers of ten, money
            1234567; 1,234,567
            1234567; 1{,}234{,}567
            1234567; 1\\,234\\,567
            12000; 1.2 \\times 10^4
            12000; 1.2 \\cdot 10^{4}
            0.0012; 1.2 \\times 10^{-3}
            1000; \\$1,000
            1000; $1000
            # percent and units
            50\\%; 0.5
            50\\%; \\frac{1}{2}
            50; 50%
            0.5; 50\\%
            50\\%; 50
            5; 500%
            5 \\text{ cm}; 5
            5; 5\\text{ cm}
            5\\text{ m}; 500 \\text{ cm}
            2\\text{ hours}; 120 minutes
            9 \\text{ square feet}; 9 ft^2
            1\\text{ m}^2; 10000 \\text{ cm}^2
            60^\\circ; 60
            60^{\\circ}; 60°
            42 \\text{ apples}; 42 \\text{ apples}
            # roots and constants
            2\\sqrt{3}; \\sqrt{12}
            2\\sqrt3; 2 \\cdot \\sqrt{3}
            \\frac{\\sqrt{2}}{2}; \\frac{1}{\\sqrt{2}}
            \\sqrt[3]{16}; 2\\sqrt[3]{2}
            \\frac{\\pi}{4}; 0.25\\pi
            \\pi/4; \\arctan(1)
            \\sin(\\pi/3); \\sqrt{3}/2
            2^{100}; 1267650600228229401496703205376
            \\log_2 8 + \\pi; 3+\\pi
            \\ln(4); 2\\ln 2
            3+4i; 4i + 3
            (1+i)^2; 2i
            5!; 120
            |{-3}|+\\pi; 3+\\pi
            # expressions
            (x+1)^2; x^2+2x+1
            x^2-1; (x-1)(x+1)
            \\frac{x^2-1}{x-1}; x+1
            2xy; 2 y x
            \\frac{1}{x}+\\frac{1}{y}; \\frac{x+y}{xy}
            \\sin^2 x + \\cos^2 x + x; x + 1
            # statements
            x = 5; 5
            5; x=5
            y = 2x + 3; y = 3 + 2x
            y = 2x + 3; 2x+3
            x^2 + y^2 = 1; 2x^2 + 2y^2 - 2 = 0
            2x < 6; x < 3
            2x > 6; 6 < 2x
            # collections
            (1, 2); ( 1.0 , 4/2 )
            \\left(1, \\frac{1}{2}\\right); (1, 0.5)
            [1, 2); \\left[1,2\\right)
            (-\\infty, 3]; (-inf, 3]
            (-\\infty, 1) \\cup (2, \\infty); (2,\\infty)\\cup(-\\infty,1)
            x \\in [1, 2]; [1,2]
            \\{1, 2\\}; \\{2, 1\\}
            1, 2; 2, 1
            1, -2; -2,1
            \\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}; \\begin{bmatrix} 1 & 4/2 \\\\ 3 & 4 \\end{bmatrix}
            # wrappers and words
            42; $42$
            42; \\(42\\)
            42; \\boxed{42}
            42; 42.
            \\text{Tuesday}; Tuesday
            """)
    void saysTheSame(String expected, String answer) {
        assertThat(score(expected, answer)).returns(Verdict.RIGHT, Score::verdict);
    }

    @ParameterizedTest
    @CsvSource(delimiter = ';', quoteCharacter = '`', textBlock = """
            \\frac{1}{3}; 0.333
            \\frac{1}{3}; 0.33333333333333333333333333333333333333333333333333333333333333333333
            \\sqrt{2}; 1.41421356237309504880168872420969807856967
            \\pi; 3.14159265358979
            \\pi; 22/7
            e^{100}; 26881171418161354484126255515800135873611119
            42; 43
            42; -42
            # not worked out
            391; 17 \\cdot 23
            42; 40+2
            42; \\sqrt{1764}
            42; 6 \\times 7
            1024; 2^{10}
            120; 5!
            # other collections
            (1, 2); (2, 1)
            (1, 2); [1, 2]
            [1, 2); [1, 2]
            \\{1, 2\\}; \\{1\\}
            \\{1, 2\\}; \\{1, 2, 3\\}
            \\{1, 2\\}; \\{1, 1, 2\\}
            1, 2; 1, 2, 3
            42; 41, 42
            42; \\{42, 43\\}
            (1000, 2); (1,000,2)
            (-\\infty, 3); (\\infty, 3)
            \\begin{pmatrix} 1 & 2 \\end{pmatrix}; \\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}
            # other statements
            x = 5; y = 5
            x < 3; x > 3
            x < 3; x \\le 3
            2x + y = 1; 2x + y = 2
            5\\text{ m}; 5 \\text{ kg}
            5\\text{ m}; 5 \\text{ cm}
            50\\%; 0.05
            5; 50%
            # roots take one sign
            \\sqrt{x^2}; x
            x; |x|
            \\text{Tuesday}; Wednesday
            \\text{Tuesday}; Tuesday or Wednesday
            """)
    void saysSomethingElse(String expected, String answer) {
        assertThat(score(expected, answer)).returns(Verdict.WRONG, Score::verdict);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "42 or 43",
                "42 or 42",
                "one of 41, 42",
                "not 42",
                "about 42",
                "42 apples",
                "42 \\text{ or so}",
                "42 million",
                "4 2",
                "42 43",
                "42_{10}",
                "x_1",
                "(42",
                "42)",
                "\\frac{84}",
                "\\frac{84}{0}",
                "{42",
                "42}",
                "42 = ",
                "= 42",
                "1 = 2 = 3",
                "\\pm 42",
                "42 \\pm 1",
                "４２",
                "٤٢",
                "𝟒𝟐",
                "4\u200B2",
                "\u202E24",
                "4\u00AD2",
                "\\begin{tabular}42\\end{tabular}",
                "\\infty + 1",
                "\\phantom{43}42",
                "\\text{43} 42",
                "\\color{white}{42}",
                "42 % 43",
                "$42$ or $43$",
                "..",
                "1.2.3",
                "^",
                "\\",
                "!"
            })
    void rl04_gamesAreNotRead(String answer) {
        assertThat(score("42", answer)).returns(Verdict.UNPARSEABLE, Score::verdict);
    }

    @Test
    void rl04_monstersAreRefusedInBoundedTime() {
        Assertions.assertTimeoutPreemptively(Duration.ofSeconds(60), () -> {
            for (String answer : new String[] {
                "9".repeat(1_000_000),
                "(".repeat(1_000),
                "-".repeat(1_900),
                "{".repeat(1_000),
                "\\sqrt".repeat(300),
                "\\frac{1}{".repeat(200),
                "2^".repeat(900) + "2",
                "9!".repeat(500),
                "1,".repeat(900),
                "|".repeat(1_500),
                "(((((((((42)))))))))".repeat(90)
            }) {
                assertThat(verdict("42", answer)).as("%.20s", answer).isNotEqualTo(Verdict.RIGHT);
            }
            for (String answer : new String[] {
                "9^{9^{9^9}}", "2^{100000000}", "1000!", "(1000!)!", "10^{-10^9}", "e^{e^{e^{e^{10}}}}",
                        "\\sin(10^{300})", "\\tan(\\pi/2)", "x^{10000}",
                "\\sqrt[0]{2}", "\\ln 0", "x^{x^{x^x}}", "\\log_1 2", "0^{-1}", "(1+i)^{9999}", "1/(x-x)",
                        "\\arcsin(3)", "(x+y)^{9999}/z^{9999}"
            }) {
                assertThat(verdict("2\\sqrt{3}", answer)).as(answer).isNotEqualTo(Verdict.RIGHT);
                assertThat(verdict(answer, "42")).as(answer).isNotEqualTo(Verdict.RIGHT);
            }
        });
    }
}
