package dev.manners.loss;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.manners.loss.PolicyLoss.Batch;
import dev.manners.loss.PolicyLoss.Level;
import dev.manners.loss.PolicyLoss.Options;
import dev.manners.loss.SamplerRatio.Mode;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.util.Arrays;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/// Tokens that carry no loss for their entropy, and tokens that count for more or less than 1 for what their sampler
/// thought of them: numbers of TRL's `_compute_loss`, derivatives by differences, and parts that make the whole.
class TokenWeightsTest {

    private static final int[] LENGTHS = {3, 1, 4};
    private static final float[] LOGPS = {-1, -0.5f, -2, -0.7f, -1.5f, -0.2f, -0.9f, -3};
    private static final float[] SAMPLER = {-1.1f, -0.9f, -1.9f, -2.2f, -1.4f, -0.3f, -0.7f, -3.2f};
    private static final float[] OLD = {-1.05f, -0.6f, -1.8f, -0.9f, -1.6f, -0.1f, -1.2f, -2.9f};
    private static final float[] REF = {-1.2f, -0.4f, -2.3f, -0.5f, -1.1f, -0.6f, -0.8f, -2.5f};
    private static final float[] ENTROPIES = {0.3f, 1.2f, 0.8f, 2, 0.1f, 1.6f, 0.9f, 0.5f};
    private static final float[] ADVANTAGES = {1.2f, -0.7f, -0.4f};
    private static final Window WINDOW = new Window(3, 8);

    private static Options options(PolicyLoss.Type type, double beta, double entropyCoef) {
        return new Options(
                type, Level.TOKEN, 0.2, null, null, 5, 1, 1.05, 2, 3, 3, 2, beta, KlEstimator.K3, true, entropyCoef, 6);
    }

    /// Of all completions, end to end.
    private static float[] ratios(Mode mode, @Nullable Double low, double high) {
        float[] all = new float[OLD.length];
        int begin = 0;
        for (int length : LENGTHS) {
            float[] weights = SamplerRatio.of(
                            Arrays.copyOfRange(OLD, begin, begin + length),
                            Arrays.copyOfRange(SAMPLER, begin, begin + length),
                            new SamplerRatio.Options(mode, low, high))
                    .weights();
            System.arraycopy(weights, 0, all, begin, length);
            begin += length;
        }
        return all;
    }

    private static float[] high(double top) {
        return HighEntropy.mask(ENTROPIES, HighEntropy.threshold(ENTROPIES, top));
    }

    private static double sum(float[] values) {
        double sum = 0;
        for (float value : values) {
            sum += value;
        }
        return sum;
    }

    /// TRL's numbers on the same tokens in a padded batch, limit 1.3.
    @ParameterizedTest
    @CsvSource({
        "dapo, 0.5, , 0.3, 0.1, -0.0739821, 0.0078845 -0.16992 0.0092107 0.0977122 -0.0165776 0.0588144 0.062431 -0.0169657",
        "grpo, 0.25, , 0, 0, 0.3151552, 0 0 0 0.284994 0 0.0301612 0 0",
        "dapo, 1, token_truncate, 0.3, 0, -0.1631377, -0.1578911 -0.2196527 -0.1265149 0.129774 0.0286643 0.0688311 0.0358746 0.0418487",
        "grpo, 1, token_mask, 0, 0, -0.1737098, -0.1473561 0 -0.120645 0 0.0301612 0.036839 0.027291 0",
        "dapo, 1, sequence_truncate, 0, 0, -0.2666419, -0.2049979 -0.2155083 -0.1596525 0.1389346 0.0452419 0.0370409 0.0552585 0.0370409",
        "grpo, 1, sequence_mask, 0.3, 0, 0.1286296, 0.0070085 -0.0036839 0.0081873 -0.024428 0.0191095 0.0337423 0.0334644 0.0133835",
        "vespo, 1, token_truncate, 0, 0, -0.0526005, -0.0835293 -0.0835293 -0.0835293 0.108103 0.0480859 0.0480859 0.0480859 0.0480859",
        "luspo, 0.5, token_truncate, 0, 0, 0.0523235, 0 -0.574689 0 0.3704922 0 0.1473561 0.1091641 0"
    })
    void lossAndGradientAreTrls(
            String type,
            double top,
            @Nullable String mode,
            double beta,
            double entropyCoef,
            double loss,
            String gradient) {
        try (Scope scope = Scope.open()) {
            Tensor entropies = Tensor.of(ENTROPIES).setRequiresGrad(entropyCoef != 0);
            float[] mask = high(top);
            Batch batch = new Batch(
                    Segments.of(LENGTHS),
                    Tensor.of(OLD),
                    Tensor.of(REF),
                    Tensor.of(ADVANTAGES),
                    entropies,
                    mode == null ? null : Tensor.of(ratios(Mode.valueOf(mode.toUpperCase(Locale.ROOT)), null, 1.3)),
                    top == 1 ? null : new HighEntropy(Tensor.of(mask), sum(mask)));
            Tensor logps = Tensor.of(LOGPS).setRequiresGrad(true);
            Loss found = PolicyLoss.of(
                    logps,
                    batch,
                    WINDOW,
                    options(PolicyLoss.Type.valueOf(type.toUpperCase(Locale.ROOT)), beta, entropyCoef));
            found.value().backward();
            assertThat(found.value().item()).isCloseTo(loss, within(1e-6));
            float[] wanted = new float[LOGPS.length];
            String[] numbers = gradient.split(" ", -1);
            for (int i = 0; i < wanted.length; i++) {
                wanted[i] = Float.parseFloat(numbers[i]);
            }
            assertThat(Objects.requireNonNull(logps.grad()).toFloats()).containsExactly(wanted, within(1e-6f));
            if (entropyCoef != 0) {
                // The bonus is the mean over those that carry loss: four of them, 0.1 / 4 each.
                assertThat(Objects.requireNonNull(entropies.grad()).toFloats())
                        .containsExactly(new float[] {0, -0.025f, 0, -0.025f, 0, -0.025f, -0.025f, 0}, within(1e-7f));
            }
        }
    }

    @ParameterizedTest
    @CsvSource({
        "token_truncate, 1.0512712 1.3 1.105171 1.3 0.8187307 1.2214028 0.75 1.3, 4",
        "token_mask, 1.0512712 0 1.105171 0 0.8187307 1.2214028 0 0, 4",
        "sequence_truncate, 1.3 1.3 1.3 1.3 0.8187306 0.8187306 0.8187306 0.8187306, 4",
        "sequence_mask, 0 0 0 0 0.8187306 0.8187306 0.8187306 0.8187306, 4"
    })
    void samplerRatiosAreTrls(String mode, String wanted, int outside) {
        String[] numbers = wanted.split(" ", -1);
        float[] ratios = ratios(Mode.valueOf(mode.toUpperCase(Locale.ROOT)), 0.75, 1.3);
        for (int i = 0; i < ratios.length; i++) {
            assertThat(ratios[i]).as("token " + i).isCloseTo(Float.parseFloat(numbers[i]), within(1e-6f));
        }
        int counted = 0;
        int begin = 0;
        for (int length : LENGTHS) {
            counted += SamplerRatio.of(
                            Arrays.copyOfRange(OLD, begin, begin + length),
                            Arrays.copyOfRange(SAMPLER, begin, begin + length),
                            new SamplerRatio.Options(Mode.valueOf(mode.toUpperCase(Locale.ROOT)), 0.75, 1.3))
                    .outside();
            begin += length;
        }
        assertThat(counted).isEqualTo(outside);
    }

    /// 0.1 0.3 0.5 0.8 0.9 1.2 1.6 2: the half between 0.8 and 0.9, the quarter a quarter of the way from 1.2 to 1.6.
    @Test
    void theThresholdIsTheQuantileOfTheUpdate() {
        assertThat(HighEntropy.threshold(ENTROPIES, 0.5)).isCloseTo(0.85f, within(1e-6f));
        assertThat(HighEntropy.threshold(ENTROPIES, 0.25)).isCloseTo(1.3f, within(1e-6f));
        assertThat(HighEntropy.threshold(ENTROPIES, 1)).isEqualTo(0.1f);
        assertThat(HighEntropy.threshold(ENTROPIES, 0)).isEqualTo(2f);
        assertThat(high(0.25)).containsExactly(0, 0, 0, 1, 0, 1, 0, 0);
        assertThat(high(1)).containsOnly(1);
        assertThatThrownBy(() -> HighEntropy.threshold(new float[0], 0.5)).hasMessageContaining("of 0 tokens");
    }

    private static Batch weighted(int from, int to, int begin, int end, PolicyLoss.Type type) {
        float[] mask = high(0.6);
        Mode mode = type == PolicyLoss.Type.VESPO ? Mode.TOKEN_TRUNCATE : Mode.SEQUENCE_TRUNCATE;
        return new Batch(
                Segments.of(Arrays.copyOfRange(LENGTHS, from, to)),
                Tensor.of(Arrays.copyOfRange(OLD, begin, end)),
                Tensor.of(Arrays.copyOfRange(REF, begin, end)),
                Tensor.of(Arrays.copyOfRange(ADVANTAGES, from, to)),
                Tensor.of(Arrays.copyOfRange(ENTROPIES, begin, end)),
                Tensor.of(Arrays.copyOfRange(ratios(mode, null, 2), begin, end)),
                new HighEntropy(Tensor.of(Arrays.copyOfRange(mask, begin, end)), sum(mask)));
    }

    /// Two parts add up to the whole, whatever the loss.
    @ParameterizedTest
    @EnumSource(PolicyLoss.Type.class)
    void tr18_howABatchIsSplitDoesNotMatter(PolicyLoss.Type type) {
        Options o = options(type, 0.3, 0.1);
        Against.Taken whole = Against.take(LOGPS, x -> PolicyLoss.of(x, weighted(0, 3, 0, 8, type), WINDOW, o));
        Against.Taken first = Against.take(
                Arrays.copyOfRange(LOGPS, 0, 3), x -> PolicyLoss.of(x, weighted(0, 1, 0, 3, type), WINDOW, o));
        Against.Taken rest = Against.take(
                Arrays.copyOfRange(LOGPS, 3, 8), x -> PolicyLoss.of(x, weighted(1, 3, 3, 8, type), WINDOW, o));
        assertThat(first.loss() + rest.loss()).isCloseTo(whole.loss(), within(1e-6));
        float[] gradient = Arrays.copyOf(first.gradient(), LOGPS.length);
        System.arraycopy(rest.gradient(), 0, gradient, 3, rest.gradient().length);
        assertThat(gradient).containsExactly(whole.gradient(), within(1e-7f));
    }

    /// As `bnpo` has them: a micro-batch none of whose tokens is among those of high entropy.
    @Test
    void whereNoTokenCarriesLossThereIsNoBonusAndNoNaN() {
        Against.Taken found = Against.take(
                LOGPS,
                x -> PolicyLoss.of(
                        x,
                        new Batch(
                                Segments.of(LENGTHS),
                                Tensor.of(OLD),
                                null,
                                Tensor.of(ADVANTAGES),
                                Tensor.of(ENTROPIES),
                                null,
                                new HighEntropy(Tensor.of(new float[8]), 0)),
                        WINDOW,
                        options(PolicyLoss.Type.BNPO, 0, 0.1)));
        assertThat(Math.abs(found.loss())).isZero();
        for (float g : found.gradient()) {
            assertThat(Math.abs(g)).isZero();
        }
    }

    /// Clipped surrogate with both weights, token by token in double precision, against differences.
    @Test
    void gradientIsThatOfTheFormula() {
        float[] mask = high(0.6);
        float[] ratios = ratios(Mode.SEQUENCE_TRUNCATE, null, 2);
        Against.reference(
                LOGPS,
                x -> PolicyLoss.of(
                        x, weighted(0, 3, 0, 8, PolicyLoss.Type.DAPO), WINDOW, options(PolicyLoss.Type.DAPO, 0.3, 0)),
                x -> {
                    double loss = 0;
                    for (int t = 0; t < x.length; t++) {
                        double a = ADVANTAGES[t < 3 ? 0 : t < 4 ? 1 : 2];
                        double ratio = Math.exp(x[t] - OLD[t]);
                        double d = x[t] - REF[t];
                        double surrogate = -Math.min(ratio * a, Math.clamp(ratio, 0.8, 1.2) * a);
                        loss += (mask[t] * ratios[t] * surrogate + 0.3 * ratio * (Math.exp(-d) - 1 + d)) / 8;
                    }
                    return loss;
                });
    }
}
