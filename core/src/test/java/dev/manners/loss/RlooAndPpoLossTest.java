package dev.manners.loss;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.manners.tensor.Tensor;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

class RlooAndPpoLossTest {

    private static final int[] LENGTHS = {2, 3, 1};
    private static final float[] LOGPS = Against.normal(11, 6, -1.5, 0.5);
    private static final float[] OLD = {-1.4f, -1.9f, -1.2f, -2.1f, -0.9f, -1.1f};
    private static final Window WINDOW = new Window(5, 11);

    @Test
    void rlooIsOneClippedRatioForEachCompletion() {
        float[] advantages = {0.8f, -1.3f, 0.4f};
        Against.reference(
                LOGPS,
                logps -> RlooLoss.of(logps, Segments.of(LENGTHS), Tensor.of(OLD), Tensor.of(advantages), 5, 5, WINDOW),
                logps -> {
                    double loss = 0;
                    int t = 0;
                    for (int s = 0; s < 3; s++) {
                        double sum = 0;
                        for (int i = 0; i < LENGTHS[s]; i++, t++) {
                            sum += logps[t] - OLD[t];
                        }
                        double ratio = Math.exp(sum);
                        double a = advantages[s];
                        loss -= Math.min(ratio * a, Math.clamp(ratio, -4.0, 6.0) * a) / 5;
                    }
                    return loss;
                });
    }

    /// Ratios 2 (A > 0: clipped), 0.5 (A > 0: not), 0.5 (A < 0: clipped).
    @Test
    void rlooClipsWhatHasGoneFarEnough() {
        float half = (float) Math.log(2) / 2;
        Against.Taken taken = Against.take(
                new float[] {half, half, -half, -half, -half, -half},
                logps -> RlooLoss.of(
                        logps,
                        Segments.of(2, 2, 2),
                        Tensor.of(new float[6]),
                        Tensor.of(new float[] {1, 1, -1}),
                        0.2,
                        0.3,
                        Window.ofRows(3)));
        assertThat(taken.loss()).isCloseTo((-1.3 - 0.5 + 0.8) / 3, within(1e-6));
        assertThat(taken.gradient()).containsExactly(new float[] {0, 0, -0.5f / 3, -0.5f / 3, 0, 0}, within(1e-6f));
        assertThat(taken.metrics())
                .containsEntry("clip_ratio/low_mean", 1.0 / 3)
                .containsEntry("clip_ratio/high_mean", 1.0 / 3)
                .containsEntry("clip_ratio/region_mean", 2.0 / 3)
                .containsEntry("clip_ratio/low_min", 0.0)
                .containsEntry("clip_ratio/high_max", 1.0);
    }

    @Test
    void ppoPolicyIsTheClippedSurrogateOfTokens() {
        float[] advantages = {0.8f, -1.3f, 0.4f, 1.1f, -0.6f, 0.2f};
        Against.reference(
                LOGPS,
                logps ->
                        PpoLoss.policy(logps, Segments.of(LENGTHS), Tensor.of(OLD), Tensor.of(advantages), 0.2, WINDOW),
                logps -> {
                    double loss = 0;
                    for (int t = 0; t < 6; t++) {
                        double ratio = Math.exp(logps[t] - OLD[t]);
                        loss += Math.max(-advantages[t] * ratio, -advantages[t] * Math.clamp(ratio, 0.8, 1.2));
                    }
                    return loss / 11;
                });
    }

    @Test
    void ppoValueIsTheWorseOfFreeAndClipped() {
        float[] old = {0.5f, -0.2f, 0.1f, 0.9f, 0.3f, -0.7f};
        float[] values = {0.6f, -0.7f, 0.6f, 0.8f, 0.35f, -0.2f};
        float[] returns = {1.0f, -1.0f, 0.0f, 0.2f, 0.3f, -1.5f};
        Against.reference(
                values,
                leaf -> PpoLoss.value(leaf, Segments.of(LENGTHS), Tensor.of(old), Tensor.of(returns), 0.2, WINDOW),
                v -> {
                    double loss = 0;
                    for (int t = 0; t < 6; t++) {
                        double near = Math.clamp(v[t], (double) old[t] - 0.2, (double) old[t] + 0.2);
                        loss += Math.max(Math.pow(v[t] - returns[t], 2), Math.pow(near - returns[t], 2));
                    }
                    return loss / 2 / 11;
                });
    }

    /// By hand: one value moved 0.5 towards its return and is held at 0.2, the other moved away.
    @Test
    void ppoValueMetrics() {
        Against.Taken taken = Against.take(
                new float[] {0.5f, -0.5f},
                leaf -> PpoLoss.value(
                        leaf,
                        Segments.of(2),
                        Tensor.of(new float[2]),
                        Tensor.of(new float[] {1, 1}),
                        0.2,
                        new Window(1, 2)));
        assertThat(taken.loss()).isCloseTo((0.64 + 2.25) / 4, within(1e-6));
        assertThat(taken.gradient()).containsExactly(new float[] {0, -0.75f}, within(1e-6f));
        assertThat(taken.metrics()).containsEntry("val/clipfrac_avg", 0.5);
    }

    /// Masked tokens hold NaN; two parts make the whole.
    @Test
    void ppoKnowsNoPaddingAndNoMicroBatch() {
        float nan = Float.NaN;
        float[] advantages = {0.8f, -1.3f, nan, 1.1f, -0.6f, 0.2f};
        float[] logps = LOGPS.clone();
        logps[2] = nan;
        Segments masked = Segments.of(LENGTHS, new boolean[] {true, true, false, true, true, true});
        Against.Taken whole = Against.take(
                logps, leaf -> PpoLoss.policy(leaf, masked, Tensor.of(OLD), Tensor.of(advantages), 0.2, WINDOW));
        double parts = 0;
        Tally tally = new Tally();
        for (int[] part : new int[][] {{0, 2}, {3, 6}}) {
            parts += Against.take(Arrays.copyOfRange(logps, part[0], part[1]), leaf -> {
                        Loss loss = PpoLoss.policy(
                                leaf,
                                Segments.of(part[1] - part[0]),
                                Tensor.of(Arrays.copyOfRange(OLD, part[0], part[1])),
                                Tensor.of(Arrays.copyOfRange(advantages, part[0], part[1])),
                                0.2,
                                WINDOW);
                        tally.add(loss.metrics());
                        return loss;
                    })
                    .loss();
        }
        assertThat(parts).isCloseTo(whole.loss(), within(1e-6));
        assertThat(whole.gradient()[2]).isEqualTo(0);
        tally.values()
                .forEach((name, value) ->
                        assertThat(value).as(name).isCloseTo(whole.metrics().get(name), within(1e-6)));
    }
}
