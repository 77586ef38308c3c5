package dev.manners.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.manners.BadInput;
import dev.manners.config.Options;
import dev.manners.files.Json;
import dev.manners.reward.Candidate;
import dev.manners.reward.Score;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.node.StringNode;

/// Rewards as a recipe names them.
class RewardFuncsTest {

    private static Score score(List<String> names, List<String> weights, String completion) {
        RewardFuncs functions = Options.with(
                RewardFuncs.class,
                Map.of("reward_funcs", names, "reward_weights", weights, "answer_rule", "answer_tag"));
        Candidate candidate = new Candidate(
                StringNode.valueOf("What is a half?"),
                new int[0],
                completion,
                new int[50],
                true,
                Json.MAPPER.createObjectNode().put("answer", "\\frac{1}{2}"));
        return functions.reward(100, null, null).score(List.of(candidate)).getFirst();
    }

    @Test
    void namesAndWeightsMakeASum() {
        Score score = score(
                List.of("accuracy", "format"), List.of("1", "0.25"), "<think>one of two</think><answer>0.5</answer>");

        assertThat(score.value()).isEqualTo(1.25);
        assertThat(score.parts().stream().map(Score::name)).containsExactly("accuracy", "format");
    }

    @Test
    void namesAndWeightsMayBeOneWord() {
        Score score =
                score(List.of("accuracy,format"), List.of("1, 0.25"), "<think>one of two</think><answer>0.5</answer>");

        assertThat(score.value()).isEqualTo(1.25);
    }

    @Test
    void lengthIsWeighedByTheFirstVerifier() {
        // Half the longest, so half way from 1 to 0.5; and from -1 to -0.5.
        assertThat(score(List.of("length_cosine", "accuracy"), List.of("1", "0"), "<answer>0.5</answer>")
                        .value())
                .isEqualTo(0.75);
        assertThat(score(List.of("length_cosine", "accuracy"), List.of("1", "0"), "<answer>0.6</answer>")
                        .value())
                .isEqualTo(-0.75);
    }

    @Test
    void lengthAloneWeighsNothing() {
        assertThatThrownBy(() -> score(List.of("length_cosine", "format"), List.of(), ""))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("length_cosine, but no verifier");
    }
}
