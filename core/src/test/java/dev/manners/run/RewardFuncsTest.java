package dev.manners.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.manners.BadInput;
import dev.manners.config.Options;
import dev.manners.files.Json;
import dev.manners.reward.Candidate;
import dev.manners.reward.Score;
import dev.manners.testing.Shared;
import dev.manners.testing.Tiny;
import dev.manners.text.ChatFormat;
import dev.manners.text.Tokenizer;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
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
        try (Tokenizer policy = Tiny.tokenizer(null)) {
            return functions
                    .reward(policy, 100, null, null)
                    .score(List.of(candidate))
                    .getFirst();
        }
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

    private static Score ruled(String name, Map<String, Object> options, String answer, String completion, int... ids) {
        Map<String, Object> all = new HashMap<>(options);
        all.put("reward_funcs", List.of(name));
        all.put("answer_rule", "whole");
        Candidate candidate = new Candidate(
                StringNode.valueOf("?"),
                new int[0],
                completion,
                ids,
                true,
                Json.MAPPER.createObjectNode().put("answer", answer));
        try (Tokenizer policy = Tiny.tokenizer(null)) {
            return Options.with(RewardFuncs.class, all)
                    .reward(policy, 100, null, null)
                    .score(List.of(candidate))
                    .getFirst();
        }
    }

    @Test
    void rulesTakeTheirDetails() {
        assertThat(ruled("numeric_answer", Map.of(), "200", "201").value()).isEqualTo(0);
        assertThat(ruled("numeric_answer", Map.of("numeric_tolerance", 0.01), "200", "201")
                        .value())
                .isEqualTo(1);
        assertThat(ruled("prefix_match", Map.of(), "12", "12").value()).isEqualTo(1);
        assertThat(ruled("prefix_match", Map.of("prefix_match_end", false), "12", "12")
                        .value())
                .isEqualTo(2.0 / 3);
        // Of eight tokens in pairs: seven pairs, two of them different.
        assertThat(ruled(
                                "repetition",
                                Map.of("repetition_ngrams", 2, "repetition_max_penalty", -0.7),
                                "",
                                "",
                                1,
                                2,
                                1,
                                2,
                                1,
                                2,
                                1,
                                2)
                        .value())
                .isCloseTo(-0.5, within(1e-12));
        RewardFuncs cosine = Options.with(
                RewardFuncs.class,
                Map.of(
                        "reward_funcs",
                        List.of("length_cosine", "exact_match"),
                        "answer_rule",
                        "whole",
                        "cosine_max_value_wrong",
                        0,
                        "cosine_min_value_wrong",
                        -3));
        try (Tokenizer policy = Tiny.tokenizer(null)) {
            Candidate wrong = new Candidate(
                    StringNode.valueOf("?"),
                    new int[0],
                    "no",
                    new int[50],
                    true,
                    Json.MAPPER.createObjectNode().put("answer", "yes"));
            assertThat(cosine.reward(policy, 100, null, null)
                            .score(List.of(wrong))
                            .getFirst()
                            .value())
                    .isCloseTo(-1.5, within(1e-12));
        }
        assertThatThrownBy(() -> Options.with(
                        RewardFuncs.class,
                        Map.of("reward_funcs", List.of("exact_match"), "cosine_min_value_correct", 2)))
                .hasMessageContaining("cosine_min_value_correct is 2.0 and cosine_max_value_correct 1.0");
    }

    private static ArrayNode question() {
        ArrayNode messages = Json.MAPPER.createArrayNode();
        messages.addObject().put("role", "user").put("content", "What is 1 + 1? Begin with <think>");
        return messages;
    }

    /// Whether the form is right, of a completion behind a prompt that a chat template wrote.
    private static boolean formed(String template, String completion) {
        ArrayNode messages = question();
        try (Tokenizer policy = Tiny.tokenizer(template)) {
            Candidate candidate = new Candidate(
                    messages,
                    ChatFormat.of(policy).encode(messages, null, true).ids(),
                    completion,
                    new int[50],
                    true,
                    Json.MAPPER.createObjectNode());
            Score score = Options.with(RewardFuncs.class, Map.of("reward_funcs", List.of("format")))
                    .reward(policy, 100, null, null)
                    .score(List.of(candidate))
                    .getFirst();
            return Objects.requireNonNull(score.value()) == 1;
        }
    }

    private static final String INSIDE = "one and one</think><answer>2</answer>";

    @Test
    void aCompletionBeginsInsideTheThinkingThatItsTemplateHasOpened() {
        String opening = Tiny.CHATML.replace(
                "'<|im_start|>assistant\\n' }}{%- endif", "'<|im_start|>assistant\\n<think>\\n' }}{%- endif");
        assertThat(opening).isNotEqualTo(Tiny.CHATML);

        assertThat(formed(opening, INSIDE)).isTrue();
        assertThat(formed(opening, "<think>" + INSIDE)).isFalse();
        assertThat(formed(Tiny.CHATML, INSIDE)).isFalse();
        assertThat(formed(Tiny.CHATML, "<think>" + INSIDE)).isTrue();
    }

    /// Templates that are in use, some of which open the thinking (DeepSeek R1, Qwen3 Thinking).
    @Test
    void realTemplatesThatOpenTheThinkingAreKnown() {
        int opening = 0;
        int others = 0;
        for (JsonNode one : Json.readObject(Shared.path("data/chat_templates/trl.json"))
                .path("templates")
                .values()) {
            String template = one.path("template").asString();
            boolean opens;
            try (Tokenizer policy = Tiny.tokenizer(template)) {
                opens = ChatFormat.of(policy)
                        .render(question(), null, true)
                        .text()
                        .stripTrailing()
                        .endsWith("<think>");
            } catch (BadInput e) {
                continue; // It needs more than a question.
            }
            String name = one.path("name").asString();
            assertThat(formed(template, INSIDE)).as(name).isEqualTo(opens);
            assertThat(formed(template, "<think>" + INSIDE)).as(name).isEqualTo(!opens);
            opening += opens ? 1 : 0;
            others += opens ? 0 : 1;
        }
        assertThat(opening).isGreaterThanOrEqualTo(10);
        assertThat(others).isGreaterThanOrEqualTo(20);
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
