package dev.manners.reward;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.manners.BadInput;
import dev.manners.NonFinite;
import dev.manners.files.Json;
import dev.manners.model.Decoder;
import dev.manners.model.Dropout;
import dev.manners.model.ScalarModel;
import dev.manners.model.Sequences;
import dev.manners.tensor.NoGrad;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import dev.manners.testing.Tiny;
import dev.manners.text.ChatFormat;
import dev.manners.text.Tokenizer;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.StringNode;

class RewardModelTest {

    private static ScalarModel model(long seed) {
        try (Decoder decoder = Tiny.llama(64, 16, seed)) {
            return ScalarModel.of(decoder, seed);
        }
    }

    private static Candidate candidate(int[] prompt, boolean finished, int... completion) {
        return new Candidate(StringNode.valueOf(""), prompt, "", completion, finished, Json.MAPPER.createObjectNode());
    }

    private static double last(ScalarModel model, int... ids) {
        try (Scope scope = Scope.open();
                NoGrad off = NoGrad.on()) {
            return model.values(Tensor.of(ids), new Sequences(ids.length), Dropout.NONE)
                    .toFloats()[ids.length - 1];
        }
    }

    @Test
    void scoresTheLastTokenOfPromptAndCompletionAndWhatTheTemplateWritesBehindIt() {
        int[] prompt = {5, 6, 7};
        try (ScalarModel model = model(1)) {
            Reward reward = new RewardModel("liked", model, 9);
            List<Score> scores = reward.score(List.of(
                    candidate(prompt, true, 8, 2),
                    candidate(prompt, false, 8, 3, 4),
                    candidate(new int[] {1}, true, 2),
                    candidate(prompt, true),
                    candidate(prompt, true, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6)));
            assertThat(scores.get(0).value()).isCloseTo(last(model, 5, 6, 7, 8, 2, 9), within(1e-5));
            assertThat(scores.get(1).value()).isCloseTo(last(model, 5, 6, 7, 8, 3, 4), within(1e-5));
            assertThat(scores.get(1).reason()).contains("cut off");
            assertThat(scores.get(2).value()).isCloseTo(last(model, 1, 2, 9), within(1e-5));
            assertThat(scores.get(3).value()).isNull();
            assertThat(scores.get(3).reason()).isEqualTo("no token to score");
            assertThat(scores.get(4).value()).isNull();
            assertThat(scores.get(4).reason()).isEqualTo("18 tokens, the reward model reads 16");
        }
    }

    /// As the row was in training: prompt, completion, and the template's line break behind the end of the turn.
    @Test
    void aChatModelIsAskedWhereItWasTrainedToAnswer() {
        ArrayNode prompt = Json.MAPPER.createArrayNode();
        prompt.addObject().put("role", "user").put("content", "the river");
        ArrayNode whole = prompt.deepCopy();
        whole.addObject().put("role", "assistant").put("content", "quietly");
        try (Tokenizer tokenizer = Tiny.tokenizer(Tiny.CHATML);
                Decoder decoder = Tiny.llama(tokenizer.vocabSize(), 64, 1);
                ScalarModel model = ScalarModel.of(decoder, 1)) {
            ChatFormat format = ChatFormat.of(tokenizer);
            int[] trained = format.encode(whole, null, false).ids();
            int[] asked = format.encode(prompt, null, true).ids();
            int end = format.turnEnd().orElseThrow();
            int[] completion = IntStream.concat(Arrays.stream(tokenizer.encode("quietly")), IntStream.of(end))
                    .toArray();
            Score score = RewardModel.ofChat("liked", model, format)
                    .score(List.of(candidate(asked, true, completion)))
                    .getFirst();
            assertThat(trained).hasSize(asked.length + completion.length + 1);
            assertThat(score.value()).isCloseTo(last(model, trained), within(1e-5));
        }
    }

    @Test
    void aScoreThatIsNotANumberStopsTheRun() {
        try (ScalarModel model = model(1)) {
            try (Scope scope = Scope.open()) {
                Objects.requireNonNull(model.trainableByName().get("score.weight"))
                        .value()
                        .detach()
                        .mul_(Double.NaN);
            }
            model.refresh();
            Reward reward = new RewardModel("liked", model);
            List<Candidate> one = List.of(candidate(new int[] {1}, true, 2));
            assertThatThrownBy(() -> reward.score(one))
                    .isInstanceOf(NonFinite.class)
                    .hasMessageContaining("liked scores NaN");
        }
    }

    @Test
    void ensemblesTakeTheMeanTheWorstOrPunishDisagreement() {
        List<Candidate> one = List.of(candidate(new int[] {5}, true, 8, 2));
        try (ScalarModel a = model(1);
                ScalarModel b = model(2)) {
            List<RewardModel> members = List.of(new RewardModel("a", a), new RewardModel("b", b));
            double x = last(a, 5, 8, 2);
            double y = last(b, 5, 8, 2);
            double variance = (x - y) * (x - y) / 4;
            assertThat(value(members, Ensemble.Combination.MEAN, one)).isCloseTo((x + y) / 2, within(1e-5));
            assertThat(value(members, Ensemble.Combination.WCO, one)).isCloseTo(Math.min(x, y), within(1e-5));
            assertThat(value(members, Ensemble.Combination.UWO, one))
                    .isCloseTo((x + y) / 2 - 0.5 * variance, within(1e-5));
            Score score = new Ensemble("all", members, Ensemble.Combination.UWO, 0.5)
                    .score(one)
                    .getFirst();
            assertThat(score.parts().stream().map(Score::name)).containsExactly("a", "b");
            assertThat(score.reason()).startsWith("uwo of 2 members: mean ");
        }
        // Published by hand: members 1, 2, 6 have mean 3 and variance 14/3.
        assertThat(Ensemble.combine(Ensemble.Combination.UWO, 0.3, 1, 2, 6)).isCloseTo(1.6, within(1e-12));
        assertThat(Ensemble.combine(Ensemble.Combination.WCO, 0, 2, 1, 6)).isEqualTo(1);
    }

    private static Double value(List<RewardModel> members, Ensemble.Combination how, List<Candidate> candidates) {
        return Objects.requireNonNull(new Ensemble("all", members, how, 0.5)
                .score(candidates)
                .getFirst()
                .value());
    }

    @Test
    void aMemberThatCannotScoreLeavesTheEnsembleWithoutAScore() {
        Reward none = new Reward() {
            @Override
            public String name() {
                return "mute";
            }

            @Override
            public List<Score> score(List<Candidate> candidates) {
                return candidates.stream().map(c -> Score.none("mute", "busy")).toList();
            }
        };
        Score score = new Ensemble("all", List.of(none), Ensemble.Combination.MEAN, 0)
                .score(List.of(candidate(new int[] {1}, true, 2)))
                .getFirst();
        assertThat(score.value()).isNull();
        assertThat(score.reason()).isEqualTo("mute has no score");
    }

    @Test
    void rl08_aRewardModelThatReadsOtherTokensIsRefused() {
        try (Tokenizer policy = Tiny.tokenizer(Tiny.CHATML);
                Tokenizer same = Tiny.tokenizer(Tiny.CHATML);
                Tokenizer otherTemplate = Tiny.tokenizer(Tiny.CHATML.replace("assistant\\n", "assistant "));
                Tokenizer otherEnd = Tiny.tokenizer(Tiny.END, Tiny.CHATML);
                Decoder decoder = Tiny.llama(policy.vocabSize(), 16, 1);
                ScalarModel model = ScalarModel.of(decoder, 1);
                ScalarModel small = model(1)) {
            RewardModel.requireSameTokens(policy, same, model);
            assertThatThrownBy(() -> RewardModel.requireSameTokens(policy, otherTemplate, model))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("the chat template is another");
            assertThatThrownBy(() -> RewardModel.requireSameTokens(policy, otherEnd, model))
                    .hasMessageContaining("special tokens are others");
            assertThatThrownBy(() -> RewardModel.requireSameTokens(policy, same, small))
                    .hasMessageContaining("the reward model embeddings for 64");
        }
    }
}
