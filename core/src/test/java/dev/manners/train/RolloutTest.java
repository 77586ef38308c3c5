package dev.manners.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.manners.files.Json;
import dev.manners.reward.AnswerRule;
import dev.manners.reward.Candidate;
import dev.manners.reward.NumericAnswer;
import dev.manners.reward.Reward;
import dev.manners.reward.Score;
import dev.manners.reward.Verifier;
import dev.manners.reward.WeightedReward;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.node.StringNode;

class RolloutTest {

    /// Two right, one wrong, three that nobody can read, and one whose row has no answer.
    @Test
    void ds15_wrongAndUnparseableAnswersAreCountedApart() {
        Verifier verifier = new Verifier("numeric_answer", AnswerRule.GSM8K, new NumericAnswer("answer", 0));
        Reward weighted = new WeightedReward(List.of(verifier, new Brief()), List.of(1.0, 0.1));
        List<String> texts = List.of("#### 42", "#### 42.0", "#### 41", "42", "#### 42 apples", "####", "#### 42");
        List<Rollout.Sample> samples = new ArrayList<>();
        List<Rollout.Sample> alone = new ArrayList<>();
        for (int i = 0; i < texts.size(); i++) {
            ObjectNode row = Json.MAPPER.createObjectNode();
            if (i < 6) {
                row.put("answer", 42);
            }
            Candidate candidate =
                    new Candidate(StringNode.valueOf(""), new int[] {1}, texts.get(i), new int[] {1}, true, row);
            samples.add(sample(weighted, candidate));
            alone.add(sample(verifier, candidate));
        }
        Rollout lone = new Rollout(alone, 1, List.of(1.0), 1);
        for (Rollout rollout : List.of(new Rollout(samples, 1, List.of(1.0, 0.1), 1), lone)) {
            Map<String, Double> metrics = rollout.metrics();
            assertThat(metrics.get("rewards/numeric_answer/mean")).isCloseTo(2.0 / 6, within(1e-12));
            assertThat(metrics)
                    .containsEntry("rewards/numeric_answer/frac_wrong", 1.0 / 6)
                    .containsEntry("rewards/numeric_answer/frac_unparseable", 3.0 / 6)
                    .doesNotContainKeys("rewards/brief/frac_wrong", "rewards/brief/frac_unparseable");
        }
        assertThat(lone.metrics()).containsEntry("frac_unscorable", 1 - 6.0 / 7);
    }

    private static Rollout.Sample sample(Reward reward, Candidate candidate) {
        return new Rollout.Sample(
                0,
                candidate.promptIds(),
                "",
                candidate.completionIds(),
                new float[] {0},
                candidate.completion(),
                true,
                reward.score(List.of(candidate)).getFirst());
    }

    private record Brief() implements Reward {

        @Override
        public String name() {
            return "brief";
        }

        @Override
        public List<Score> score(List<Candidate> candidates) {
            return candidates.stream().map(c -> Score.of(name(), 0.5, "")).toList();
        }
    }
}
