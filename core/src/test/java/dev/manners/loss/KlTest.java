package dev.manners.loss;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.EnumMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// Estimators and controllers of the KL divergence.
class KlTest {

    @ParameterizedTest
    @EnumSource(KlEstimator.class)
    void tensorsAndNumbersAgreeWithTheFormula(KlEstimator estimator) {
        float[] d = {-1.3f, -0.02f, 0.5f, 2};
        Against.reference(d, leaf -> new Loss(estimator.of(leaf).sum(), new Tally()), x -> {
            double sum = 0;
            for (double one : x) {
                sum += switch (estimator) {
                    case K1 -> one;
                    case K2 -> one * one / 2;
                    case K3 -> Math.exp(-one) - 1 + one;
                };
                assertThat(estimator.of(one))
                        .isCloseTo(
                                switch (estimator) {
                                    case K1 -> one;
                                    case K2 -> one * one / 2;
                                    case K3 -> Math.exp(-one) - 1 + one;
                                },
                                within(1e-12));
            }
            return sum;
        });
    }

    /// π = (0.7, 0.3), π_ref = (0.4, 0.6): the means over π of K1 and K3 are the divergence, that of K2 is near
    /// it.
    @Test
    void k1AndK3AreUnbiased() {
        double[] p = {0.7, 0.3};
        double[] q = {0.4, 0.6};
        double kl = 0;
        Map<KlEstimator, Double> means = new EnumMap<>(KlEstimator.class);
        for (int i = 0; i < 2; i++) {
            double d = Math.log(p[i] / q[i]);
            kl += p[i] * d;
            for (KlEstimator estimator : KlEstimator.values()) {
                means.merge(estimator, p[i] * estimator.of(d), Double::sum);
            }
        }
        assertThat(means.get(KlEstimator.K1)).isCloseTo(kl, within(1e-12));
        assertThat(means.get(KlEstimator.K3)).isCloseTo(kl, within(1e-12));
        assertThat(means.get(KlEstimator.K2)).isNotEqualTo(kl).isCloseTo(kl, within(0.01));
    }

    /// Near 0 nothing is lost to cancellation, in F32 as well.
    @Test
    void k3IsNeverNegative() {
        for (float d : new float[] {1e-4f, -1e-4f, 1e-3f, -1e-3f}) {
            Against.Taken taken = Against.take(
                    new float[] {d}, leaf -> new Loss(KlEstimator.K3.of(leaf).sum(), new Tally()));
            assertThat(taken.loss()).isNotNegative().isCloseTo((double) d * d / 2, within(0.005 * d * d));
        }
    }

    @Test
    void fixedStaysAndAdaptiveFollows() {
        KlController fixed = new KlController.Fixed(0.05);
        assertThat(fixed.after(100, 1000)).isEqualTo(fixed);

        KlController adaptive = new KlController.Adaptive(0.1, 6, 10_000);
        // 10 % too much; far too much, clipped to 20 %; far too little, the same
        assertThat(adaptive.after(6.6, 500).coefficient()).isCloseTo(0.1 * (1 + 0.1 * 0.05), within(1e-12));
        assertThat(adaptive.after(60, 500).coefficient()).isCloseTo(0.1 * (1 + 0.2 * 0.05), within(1e-12));
        assertThat(adaptive.after(-3, 500).coefficient()).isCloseTo(0.1 * (1 - 0.2 * 0.05), within(1e-12));
        assertThat(adaptive.after(6, 500).coefficient()).isEqualTo(0.1);
    }

    @Test
    void oneNumberIsItsState() {
        KlController adaptive = new KlController.Adaptive(0.1, 6, 10_000);
        KlController gone = adaptive.after(9, 64).after(4, 64);
        KlController resumed = adaptive.with(gone.coefficient());
        assertThat(resumed.after(7, 64)).isEqualTo(gone.after(7, 64));
    }

    @Test
    void aKlThatIsNoNumberIsNotFollowed() {
        KlController adaptive = new KlController.Adaptive(0.1, 6, 10_000);
        assertThatThrownBy(() -> adaptive.after(Double.NaN, 64)).hasMessageContaining("a KL of NaN");
        assertThatThrownBy(() -> new KlController.Adaptive(0.1, 0, 100)).hasMessageContaining("target of 0.0");
    }
}
