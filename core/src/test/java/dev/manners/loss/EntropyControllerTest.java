package dev.manners.loss;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class EntropyControllerTest {

    private static EntropyController adaptive(double coefficient) {
        return new EntropyController.Adaptive(coefficient, Double.POSITIVE_INFINITY, 0, 0.02, 0.005, 1.5);
    }

    /// Numbers of TRL's rule, worked out by hand: `entropy_coef` moves first, and the entropy seen decides of the next
    /// bonus.
    @Test
    void itStepsUpBelowTheTargetAndDownAboveItWithinItsBounds() {
        EntropyController c = adaptive(0.01);
        assertThat(c.applied()).as("nothing seen yet").isZero();
        double[] entropies = {1.6, 1.5, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0};
        double[] coefficients = {0.005, 0.01, 0.015, 0.02, 0.02, 0.015, 0.01, 0.005, 0, 0};
        for (int i = 0; i < entropies.length; i++) {
            c = c.after(entropies[i]);
            assertThat(c.coefficient()).as("after " + i).isCloseTo(coefficients[i], within(1e-12));
            assertThat(c.applied()).as("after " + i).isEqualTo(entropies[i] <= 1.5 ? c.coefficient() : 0);
        }
        EntropyController again = adaptive(0.01).with(c.coefficient(), c.entropy());
        assertThat(again).as("from a checkpoint").isEqualTo(c);
    }

    @Test
    void aFixedOneStays() {
        EntropyController c = new EntropyController.Fixed(-0.01);
        assertThat(c.after(0).after(9).applied()).isEqualTo(-0.01);
    }

    @Test
    void noEntropyIsAnErrorAndNotAZero() {
        assertThatThrownBy(() -> adaptive(0.01).after(Double.NaN)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> adaptive(1)).hasMessageContaining("between 0.0 and 0.02");
    }
}
