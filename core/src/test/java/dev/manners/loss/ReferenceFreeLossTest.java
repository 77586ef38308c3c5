package dev.manners.loss;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.manners.loss.CpoLoss.Options;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/// CPO, SimPO, AlphaPO and ORPO.
class ReferenceFreeLossTest {

    private static final int[] LENGTHS = {3, 2, 2, 4};
    private static final float[] LOGPS = Against.normal(31, 11, -1.0, 0.3);
    private static final Window WINDOW = new Window(3, 9);

    static Stream<Options> everyLoss() {
        List<Options> all = new ArrayList<>();
        for (CpoLoss.Type type : CpoLoss.Type.values()) {
            double smoothing = type == CpoLoss.Type.HINGE || type == CpoLoss.Type.IPO ? 0 : 0.1;
            all.add(new Options(type, 0.3, smoothing, 1, 0.5, 0));
            all.add(new Options(type, 0.3, 0, 0.5, 0.5, 0.2));
            all.add(new Options(type, 0.3, 0, 0, 0.5, -0.4));
        }
        return all.stream();
    }

    @ParameterizedTest
    @MethodSource("everyLoss")
    void lossAndGradientAreThoseOfTheFormula(Options o) {
        assertThat(o.problems()).isEmpty();
        Against.reference(LOGPS, logps -> CpoLoss.of(logps, Segments.of(LENGTHS), WINDOW, o), logps -> {
            double[] sums = sums(logps);
            double loss = 0;
            for (int p = 0; p < 2; p++) {
                double delta = score(sums[2 * p], LENGTHS[2 * p], o) - score(sums[2 * p + 1], LENGTHS[2 * p + 1], o);
                double e = o.labelSmoothing();
                double x = o.beta() * (delta - (o.lossType() == CpoLoss.Type.SIGMOID ? 0 : o.simpoGamma() / o.beta()));
                loss += switch (o.lossType()) {
                            case SIGMOID, SIMPO, ALPHAPO ->
                                -(1 - e) * Against.logSigmoid(x) - e * Against.logSigmoid(-x);
                            case HINGE -> Math.max(0, 1 - o.beta() * delta);
                            case IPO -> Math.pow(delta - 1 / (2 * o.beta()), 2);
                        }
                        / WINDOW.rows();
                if (o.lossType() != CpoLoss.Type.ALPHAPO) {
                    loss -= o.cpoAlpha() * sums[2 * p] / WINDOW.tokens();
                }
            }
            return loss;
        });
    }

    private static double score(double sum, int length, Options o) {
        double logp = o.lossType() == CpoLoss.Type.SIGMOID || o.lossType() == CpoLoss.Type.HINGE ? sum : sum / length;
        return o.alpha() == 0 ? logp : (1 - Math.pow(Math.exp(logp), -o.alpha())) / o.alpha();
    }

    private static double[] sums(double[] logps) {
        double[] sums = new double[4];
        int t = 0;
        for (int s = 0; s < 4; s++) {
            for (int i = 0; i < LENGTHS[s]; i++, t++) {
                sums[s] += logps[t];
            }
        }
        return sums;
    }

    @Test
    void simpoIsTheMarginOfMeans() {
        // means -1 and -2, β = 2, γ = 1: -log σ(2 - 1)
        Against.Taken taken = Against.take(
                new float[] {-1, -1, -2},
                logps -> CpoLoss.of(logps, Segments.of(2, 1), Window.ofRows(1), Options.simpo(2, 1)));
        assertThat(taken.loss()).isCloseTo(-Against.logSigmoid(1), within(1e-6));
        assertThat(taken.metrics())
                .containsEntry("rewards/chosen", -2.0)
                .containsEntry("rewards/margins", 2.0)
                .containsEntry("rewards/accuracies", 1.0)
                .doesNotContainKey("nll_loss");
    }

    @Test
    void orpoIsImitationAndOdds() {
        Against.reference(LOGPS, logps -> OrpoLoss.of(logps, Segments.of(LENGTHS), WINDOW, 0.4), logps -> {
            double[] sums = sums(logps);
            double loss = 0;
            for (int p = 0; p < 2; p++) {
                double won = Math.exp(sums[2 * p] / LENGTHS[2 * p]);
                double lost = Math.exp(sums[2 * p + 1] / LENGTHS[2 * p + 1]);
                double odds = Math.log(won / (1 - won)) - Math.log(lost / (1 - lost));
                loss -= sums[2 * p] / WINDOW.tokens() + 0.4 * Against.logSigmoid(odds) / WINDOW.rows();
            }
            return loss;
        });
    }

    /// 1 - p is exact for probabilities near 1 and near 0 alike, and a certain token gives no NaN.
    @ParameterizedTest
    @ValueSource(floats = {-1e-6f, -1e-4f, -0.1f, -0.69f, -0.70f, -5, -60})
    void orpoOddsAtEveryProbability(float logp) {
        Against.Taken taken = Against.take(
                new float[] {logp, -1.5f}, logps -> OrpoLoss.of(logps, Segments.of(1, 1), new Window(1, 1), 1));
        double odds = logp - Math.log(-Math.expm1(logp)) + 1.5 + Math.log(-Math.expm1(-1.5));
        assertThat(taken.metrics().get("log_odds_chosen")).isCloseTo(odds, within(1e-5 * Math.abs(odds) + 1e-5));
        double slope = -1 - Against.sigmoid(-odds) / -Math.expm1(logp);
        assertThat((double) taken.gradient()[0]).isCloseTo(slope, within(1e-4 * Math.abs(slope)));
    }

    @Test
    void aCertainTokenHasNoNan() {
        for (float[] logps : new float[][] {{0, -1}, {-1, 0}, {0, 0}}) {
            Against.Taken taken =
                    Against.take(logps, leaf -> OrpoLoss.of(leaf, Segments.of(1, 1), new Window(1, 1), 1));
            assertThat(Double.isFinite(taken.loss())).isTrue();
            assertThat(Float.isFinite(taken.gradient()[0]) && Float.isFinite(taken.gradient()[1]))
                    .isTrue();
        }
    }

    @Test
    void howABatchIsSplitDoesNotMatter() {
        Options o = new Options(CpoLoss.Type.SIGMOID, 0.3, 0.1, 1, 0.5, 0);
        for (boolean orpo : new boolean[] {false, true}) {
            double whole = loss(0, 4, 0, 11, orpo, o);
            double parts = loss(0, 2, 0, 5, orpo, o) + loss(2, 4, 5, 11, orpo, o);
            assertThat(parts).isCloseTo(whole, within(1e-6));
        }
    }

    private static double loss(int from, int to, int begin, int end, boolean orpo, Options o) {
        Segments segments = Segments.of(Arrays.copyOfRange(LENGTHS, from, to));
        return Against.take(
                        Arrays.copyOfRange(LOGPS, begin, end),
                        logps -> orpo
                                ? OrpoLoss.of(logps, segments, WINDOW, 0.4)
                                : CpoLoss.of(logps, segments, WINDOW, o))
                .loss();
    }
}
