package dev.manners.loss;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class TallyTest {

    @Test
    void partsMakeTheWhole() {
        Tally whole = new Tally()
                .mean("mean", 10, 4)
                .sum("sum", 1)
                .min("min", 3)
                .max("max", 3)
                .add(new Tally().mean("mean", 2, 2).sum("sum", 2).min("min", 1).max("max", 1));
        assertThat(whole.values())
                .containsEntry("mean", 2.0)
                .containsEntry("sum", 3.0)
                .containsEntry("min", 1.0)
                .containsEntry("max", 3.0);
    }

    @Test
    void aMeanOfNothingIsAbsentAndANanIsNot() {
        Tally tally = new Tally().mean("none", 0, 0).mean("broken", Double.NaN, 2);
        assertThat(tally.values()).containsOnlyKeys("broken");
        assertThat(tally.values().get("broken")).isNaN();
    }

    @Test
    void oneNameIsOneKindOfMetric() {
        assertThatThrownBy(() -> new Tally().sum("x", 1).mean("x", 1, 1)).hasMessageContaining("not the same metric");
    }

    @Test
    void aCheckpointHoldsAllOfIt() {
        Tally tally = new Tally()
                .mean("a", 10, 4)
                .mean("b", 1, 1)
                .sum("sum", 1)
                .min("min", 3)
                .max("max", 3)
                .difference("a - b", "a", "b");
        Tally more = new Tally().mean("a", 2, 2).sum("sum", 2).min("min", 1).max("max", 5);
        assertThat(Tally.of(tally.state()).add(more).values())
                .isEqualTo(tally.add(more).values())
                .containsEntry("a - b", 1.0);
    }
}
