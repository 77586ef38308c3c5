package dev.manners.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.manners.stats.Interval;
import java.util.List;
import org.junit.jupiter.api.Test;

class CurveTest {

    private static final Curve CURVE = new Curve(List.of(0.8, 0.9, 0.7), List.of(0.0, 1.0, 3.0));

    /// Between two neighbours in proportion; at the end where it was never reached.
    @Test
    void goldAtAScoreIsInterpolated() {
        assertThat(CURVE.goldAt(-1)).isCloseTo(0.8, within(1e-12));
        assertThat(CURVE.goldAt(0)).isCloseTo(0.8, within(1e-12));
        assertThat(CURVE.goldAt(0.5)).isCloseTo(0.85, within(1e-12));
        assertThat(CURVE.goldAt(2)).isCloseTo(0.8, within(1e-12));
        assertThat(CURVE.goldAt(5)).isCloseTo(0.7, within(1e-12));
    }

    /// The proxy may fall between: what counts is where it first is there.
    @Test
    void theFirstTimeCounts() {
        Curve falling = new Curve(List.of(0.8, 0.6, 0.4), List.of(1.0, 0.0, 2.0));
        assertThat(falling.goldAt(1)).isCloseTo(0.8, within(1e-12));
        assertThat(falling.goldAt(1.5)).isCloseTo(0.45, within(1e-12));
        assertThat(falling.reaches()).isEqualTo(2);
    }

    /// On a straight line the mean is the middle's.
    @Test
    void goldOnTheWayThere() {
        Curve line = new Curve(List.of(1.0, 0.5), List.of(0.0, 2.0));
        assertThat(line.goldUpTo(2)).isCloseTo(0.75, within(1e-12));
        assertThat(line.goldUpTo(1)).isCloseTo(0.875, within(1e-12));
    }

    /// Two choices are compared where both have been.
    @Test
    void theLargestScoreOfTwoChoices() {
        Curve less = new Curve(List.of(0.8, 0.85), List.of(0.0, 2.0));
        assertThat(new EnsembleChoice(CURVE, less).common()).isEqualTo(2);
        assertThat(new EnsembleChoice(less, CURVE).common()).isEqualTo(2);
    }

    /// Gold between two evaluations, where the proxy has gained what is asked.
    @Test
    void goldAtAGainIsInterpolated() {
        List<Taste> tastes = List.of(taste(0, 1, 0.8), taste(10, 2, 0.9), taste(20, 4, 0.5));
        assertThat(Curve.of(tastes).goldAt(0)).isCloseTo(0.8, within(1e-12));
        assertThat(Curve.of(tastes).goldAt(0.5)).isCloseTo(0.85, within(1e-12));
        assertThat(Curve.of(tastes).goldAt(2)).isCloseTo(0.7, within(1e-12));
        assertThat(Curve.of(tastes).goldAt(3)).isCloseTo(0.5, within(1e-12));
    }

    private static Taste taste(long step, double proxy, double gold) {
        Interval none = new Interval(0, 0, 0, 1);
        return new Taste(
                step, none, new Interval(proxy, proxy, proxy, 1), new Interval(gold, gold, gold, 1), none, none);
    }
}
