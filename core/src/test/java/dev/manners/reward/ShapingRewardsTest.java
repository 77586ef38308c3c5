package dev.manners.reward;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.manners.config.Options;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Format, length, repetition.
class ShapingRewardsTest {

    private static final RuleConfig RULES = Options.with(RuleConfig.class, Map.of());

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            <think>a</think><answer>b</answer>                       | 1
            ` <think>a</think>⏎⏎<answer>b</answer>⏎ `                | 1
            <think></think><answer>b</answer>                        | 0
            <think> . </think><answer>b</answer>                     | 0
            <think>a</think><answer> </answer>                       | 0
            <answer>b</answer>                                       | 0
            <think>a<answer>b</answer></think>                       | 0
            <answer>b</answer><think>a</think>                       | 0
            <think>a</think><answer>b</answer><answer>c</answer>     | 0
            <think>a</think><think>b</think><answer>c</answer>       | 0
            <think>a</think> so <answer>b</answer>                   | 0
            <think>a</think><answer>b</answer> Done.                 | 0
            <think>a</think><answer>b                                | 0
            <think>a</think><answer>​</answer>                       | 0
            a</think><answer>b</answer>                              | 0
            ``                                                       | 0
            """)
    void rl04_theFormatIsTheWholeCompletionAndSaysSomething(String completion, double value) {
        Candidate candidate = Candidates.of(completion.replace('⏎', '\n'), "{}");

        assertThat(Candidates.score(new FormatReward(), candidate).value()).isEqualTo(value);
    }

    @Test
    void aPromptMayHaveOpenedTheThinking() {
        FormatReward format = new FormatReward(ids -> "<|im_start|>assistant\n<think>\n");

        assertThat(Candidates.score(format, Candidates.of("a</think><answer>b</answer>", "{}"))
                        .value())
                .isEqualTo(1);
        assertThat(Candidates.score(format, Candidates.of("<think>a</think><answer>b</answer>", "{}"))
                        .value())
                .isEqualTo(0);
        // What was opened and closed, or opened further ahead, is not open.
        for (String prompt : List.of("<think>\n\n</think>\n\n", "Write <think> first.", "")) {
            assertThat(Candidates.score(
                                    new FormatReward(ids -> prompt), Candidates.of("a</think><answer>b</answer>", "{}"))
                            .value())
                    .as(prompt)
                    .isEqualTo(0);
        }
    }

    /// Cosine of 0, 1/2 and almost 1 half turns; values by hand.
    @ParameterizedTest
    @CsvSource({
        "1, 0, true, 1.0",
        "1, 50, true, 0.75",
        "1, 25, true, 0.926776695",
        "1, 99, true, 0.500123360",
        "0, 0, true, -1.0",
        "0, 50, true, -0.75",
        "0, 99, true, -0.500123360",
        "1, 100, true, -1",
        "0, 100, true, -1",
        "1, 10, false, -1"
    })
    void lengthAlongACosine(double accuracy, int length, boolean finished, double value) {
        Score score = Candidates.score(
                new CosineLengthReward(constant(accuracy), 100, RULES), Candidates.ofLength(length, finished));

        assertThat(Objects.requireNonNull(score.value())).isEqualTo(value, within(1e-8));
        assertThat(score.parts()).hasSize(1);
    }

    @Test
    void whatCannotBeJudgedHasNoLengthRewardEither() {
        Score score = Candidates.score(
                new CosineLengthReward(fixed(Score.none("accuracy", "no answer column")), 100, RULES),
                Candidates.ofLength(5, true));

        assertThat(score.value()).isNull();
    }

    /// DAPO's own numbers: 20,480 and 4,096.
    @ParameterizedTest
    @CsvSource({"0, 0", "16384, 0", "16385, -0.000244140625", "18432, -0.5", "20480, -1", "20481, -1", "30000, -1"})
    void overlongIsPunishedSoftly(int length, double value) {
        assertThat(Candidates.score(new SoftOverlongPunishment(20_480, 4_096), Candidates.ofLength(length, true))
                        .value())
                .isEqualTo(value);
    }

    @Test
    void withoutACacheOnlyTheOverlongIsPunished() {
        SoftOverlongPunishment hard = new SoftOverlongPunishment(10, 0);

        assertThat(Candidates.score(hard, Candidates.ofLength(10, true)).value())
                .isEqualTo(0);
        assertThat(Candidates.score(hard, Candidates.ofLength(11, false)).value())
                .isEqualTo(-1);
        assertThatThrownBy(() -> new SoftOverlongPunishment(10, 11)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void repeatsArePunishedByTheirShare() {
        RepetitionPenalty penalty = new RepetitionPenalty(2, -1);

        assertThat(penalty(penalty, 1, 2, 3, 4)).isEqualTo(0);
        assertThat(penalty(penalty, 1, 2, 1, 2)).isEqualTo(-1 / 3.0, within(1e-12));
        assertThat(penalty(penalty, 7, 7, 7, 7, 7)).isEqualTo(-0.75);
        assertThat(penalty(penalty, 7)).isEqualTo(0);
        assertThat(penalty(penalty)).isEqualTo(0);
        assertThatThrownBy(() -> new RepetitionPenalty(2, 1)).isInstanceOf(IllegalArgumentException.class);
    }

    private static double penalty(Reward reward, int... ids) {
        return Objects.requireNonNull(
                Candidates.score(reward, Candidates.tokens(ids, true)).value());
    }

    private static Reward constant(double value) {
        return fixed(Score.of("accuracy", value, "given"));
    }

    private static Reward fixed(Score score) {
        return new Reward() {
            @Override
            public String name() {
                return score.name();
            }

            @Override
            public List<Score> score(List<Candidate> candidates) {
                return candidates.stream().map(_ -> score).toList();
            }
        };
    }
}
