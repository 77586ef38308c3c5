package dev.manners.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;

class EnsembleChoiceTest {

    private static final EnsembleChoice.Curve CURVE =
            new EnsembleChoice.Curve(List.of(0.8, 0.9, 0.7), List.of(0.0, 1.0, 3.0));

    /// Between two n in proportion; at the end where it was never reached.
    @Test
    void goldAtAScoreIsInterpolated() {
        assertThat(CURVE.goldAt(-1)).isCloseTo(0.8, within(1e-12));
        assertThat(CURVE.goldAt(0)).isCloseTo(0.8, within(1e-12));
        assertThat(CURVE.goldAt(0.5)).isCloseTo(0.85, within(1e-12));
        assertThat(CURVE.goldAt(2)).isCloseTo(0.8, within(1e-12));
        assertThat(CURVE.goldAt(5)).isCloseTo(0.7, within(1e-12));
    }

    @Test
    void theyAreComparedWhereBothHaveBeen() {
        EnsembleChoice.Curve less = new EnsembleChoice.Curve(List.of(0.8, 0.85), List.of(0.0, 2.0));
        assertThat(new EnsembleChoice(CURVE, less).commonProxy()).isEqualTo(2);
        assertThat(new EnsembleChoice(less, CURVE).commonProxy()).isEqualTo(2);
    }
}
