package dev.manners.loss;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.manners.loss.KtoLoss.Options;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class KtoLossTest {

    private static final int[] LENGTHS = {2, 3, 1, 2};
    private static final boolean[] GOOD = {true, false, false, true};
    private static final float[] LOGPS = Against.normal(41, 8, -1.2, 0.5);
    private static final float[] REF = {-3.1f, -2.2f, -1.9f, -2.4f};
    private static final double Z = 0.7;
    private static final Window WINDOW = Window.ofRows(6);

    private static Loss loss(Tensor logps, KtoLoss.Type type, int from, int to) {
        return KtoLoss.of(
                logps,
                Segments.of(Arrays.copyOfRange(LENGTHS, from, to)),
                Tensor.of(Arrays.copyOfRange(REF, from, to)),
                Arrays.copyOfRange(GOOD, from, to),
                Z,
                WINDOW,
                new Options(type, 0.4, 1.2, 0.8));
    }

    @ParameterizedTest
    @EnumSource(KtoLoss.Type.class)
    void lossAndGradientAreThoseOfTheFormula(KtoLoss.Type type) {
        Against.reference(LOGPS, logps -> loss(logps, type, 0, 4), logps -> {
            double loss = 0;
            int t = 0;
            for (int s = 0; s < 4; s++) {
                double c = -REF[s];
                for (int i = 0; i < LENGTHS[s]; i++, t++) {
                    c += logps[t];
                }
                double z = type == KtoLoss.Type.KTO ? Z : 0;
                loss += GOOD[s]
                        ? 1.2 * (1 - Against.sigmoid(0.4 * (c - z)))
                        : 0.8 * (1 - Against.sigmoid(0.4 * (z - c)));
            }
            return loss / 6;
        });
    }

    @ParameterizedTest
    @EnumSource(KtoLoss.Type.class)
    void howABatchIsSplitDoesNotMatter(KtoLoss.Type type) {
        Against.Taken whole = Against.take(LOGPS, logps -> loss(logps, type, 0, 4));
        Tally tally = new Tally();
        double parts = 0;
        for (int[] part : new int[][] {{0, 2, 0, 5}, {2, 4, 5, 8}}) {
            parts += Against.take(Arrays.copyOfRange(LOGPS, part[2], part[3]), logps -> {
                        Loss loss = loss(logps, type, part[0], part[1]);
                        tally.add(loss.metrics());
                        return loss;
                    })
                    .loss();
        }
        assertThat(parts).isCloseTo(whole.loss(), within(1e-6));
        assertThat(tally.values().keySet()).isEqualTo(whole.metrics().keySet());
        tally.values()
                .forEach((name, value) ->
                        assertThat(value).as(name).isCloseTo(whole.metrics().get(name), within(1e-6)));
        assertThat(whole.metrics().containsKey("kl")).isEqualTo(type == KtoLoss.Type.KTO);
    }

    /// With none rejected there is no mean of theirs, and no margin.
    @Test
    void metricsOfWhatWasNotThereAreAbsent() {
        Against.Taken taken = Against.take(
                new float[] {-1, -1},
                logps -> KtoLoss.of(
                        logps,
                        Segments.of(2),
                        Tensor.of(new float[] {-4}),
                        new boolean[] {true},
                        0,
                        Window.ofRows(1),
                        new Options(KtoLoss.Type.KTO, 0.5, 1, 1)));
        assertThat(taken.metrics())
                .containsEntry("rewards/chosen", 1.0)
                .containsEntry("logps/chosen", -2.0)
                .doesNotContainKeys("rewards/rejected", "logps/rejected", "rewards/margins");
    }

    @Test
    void zIsAMeanThatIsNeverNegativeAndNeverHidesNan() {
        try (Scope scope = Scope.open()) {
            Tensor ref = Tensor.of(new float[] {-2, -3});
            assertThat(KtoLoss.kl(Tensor.of(new float[] {-1, -2.5f}), ref)).isEqualTo(0.75);
            assertThat(KtoLoss.kl(Tensor.of(new float[] {-3, -3}), ref)).isEqualTo(0);
            assertThat(KtoLoss.kl(Tensor.of(new float[] {-3, Float.NaN}), ref)).isNaN();
        }
    }
}
