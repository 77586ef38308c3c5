package dev.manners.reward;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.manners.files.Json;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.node.StringNode;

class StandardisedTest {

    /// Scores given beforehand; null where there is none.
    private record Given(String name, @Nullable Double... values) implements Reward {
        @Override
        public List<Score> score(List<Candidate> candidates) {
            List<Score> scores = new ArrayList<>();
            for (int i = 0; i < candidates.size(); i++) {
                Double value = values[i];
                scores.add(value == null ? Score.none(name, "cut off") : Score.of(name, value, "given"));
            }
            return scores;
        }
    }

    private static List<Candidate> candidates(int n) {
        Candidate one = new Candidate(
                StringNode.valueOf(""), new int[] {1}, "", new int[] {2}, true, Json.MAPPER.createObjectNode());
        return Collections.nCopies(n, one);
    }

    @Test
    void meanZeroAndUnitSpreadOnTheAnswersItIsMeasuredBy() {
        double[] scores = {1, 3, 5, 7};
        Reward measured = Standardised.by(new Given("a", 1.0, 3.0, 5.0, 7.0), scores);
        double[] found =
                measured.score(candidates(4)).stream().mapToDouble(Score::value).toArray();
        assertThat(Arrays.stream(found).sum()).isCloseTo(0, within(1e-12));
        assertThat(Arrays.stream(found).map(v -> v * v).sum() / 4).isCloseTo(1, within(1e-12));
        assertThat(measured.name()).isEqualTo("a");
    }

    @Test
    void whatHasNoScoreKeepsNone() {
        Score score = Standardised.by(new Given("a", (Double) null), 1, 2)
                .score(candidates(1))
                .getFirst();
        assertThat(score.value()).isNull();
        assertThat(score.reason()).isEqualTo("cut off");
    }

    /// Members that agree but for zero and unit are certain. Raw, UWO takes the distance of their zeros for doubt.
    @Test
    void membersOfOneOpinionDoNotDisagree() {
        Given one = new Given("a", 0.0, 2.0);
        Given other = new Given("b", 10.0, 16.0);
        List<Reward> raw = List.of(one, other);
        List<Reward> measured = List.of(Standardised.by(one, 0, 2), Standardised.by(other, 10, 16));
        for (Score score : new Ensemble("uwo", measured, Ensemble.Combination.UWO, 1).score(candidates(2))) {
            assertThat(Math.abs(Objects.requireNonNull(score.value()))).isCloseTo(1, within(1e-12));
        }
        assertThat(new Ensemble("uwo", raw, Ensemble.Combination.UWO, 1)
                        .score(candidates(2))
                        .getFirst()
                        .value())
                .isCloseTo(5 - 25, within(1e-12));
    }

    @Test
    void scoresThatAreAllAlikeMeasureNothing() {
        assertThatThrownBy(() -> Standardised.by(new Given("a", 1.0), 2, 2))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("a: mean 2.0, standard deviation 0.0");
    }
}
