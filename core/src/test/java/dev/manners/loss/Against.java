package dev.manners.loss;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;

/// Compares a loss with a plain one in double precision, and its gradient with the central differences of that.
final class Against {

    private static final double STEP = 1e-5;

    private Against() {}

    /// @param x where the loss is taken
    /// @param loss of a leaf that holds x
    /// @param plain the same, written out again
    static void reference(float[] x, Function<Tensor, Loss> loss, ToDoubleFunction<double[]> plain) {
        double[] at = doubles(x);
        double wanted = plain.applyAsDouble(at);
        Taken taken = take(x, loss);
        assertThat(taken.loss).as("loss").isCloseTo(wanted, within(1e-5 * Math.max(1, Math.abs(wanted))));
        double[] differences = new double[x.length];
        double largest = 0;
        for (int i = 0; i < x.length; i++) {
            double kept = at[i];
            at[i] = kept + STEP;
            double up = plain.applyAsDouble(at);
            at[i] = kept - STEP;
            double down = plain.applyAsDouble(at);
            at[i] = kept;
            differences[i] = (up - down) / (2 * STEP);
            largest = Math.max(largest, Math.abs(differences[i]));
        }
        assertThat(largest).as("there is a gradient to compare").isGreaterThan(1e-4);
        for (int i = 0; i < x.length; i++) {
            assertThat((double) taken.gradient[i])
                    .as("gradient %d", i)
                    .isCloseTo(differences[i], within(2e-5 * Math.max(1, largest)));
        }
    }

    record Taken(double loss, float[] gradient, Map<String, Double> metrics) {}

    static Taken take(float[] x, Function<Tensor, Loss> loss) {
        try (Scope scope = Scope.open()) {
            Tensor leaf = Tensor.of(x).setRequiresGrad(true);
            Loss found = loss.apply(leaf);
            assertThat(found.value().numel()).isEqualTo(1);
            found.value().backward();
            return new Taken(
                    found.value().item(),
                    Objects.requireNonNull(leaf.grad()).toFloats(),
                    found.metrics().values());
        }
    }

    static double[] doubles(float[] values) {
        double[] copy = new double[values.length];
        for (int i = 0; i < copy.length; i++) {
            copy[i] = values[i];
        }
        return copy;
    }

    /// Normal numbers with this mean and deviation.
    static float[] normal(long seed, int n, double mean, double deviation) {
        Random random = new Random(seed);
        float[] values = new float[n];
        for (int i = 0; i < n; i++) {
            values[i] = (float) random.nextGaussian(mean, deviation);
        }
        return values;
    }

    static double logSigmoid(double x) {
        return -Math.log1p(Math.exp(-x));
    }

    static double sigmoid(double x) {
        return 1 / (1 + Math.exp(-x));
    }
}
