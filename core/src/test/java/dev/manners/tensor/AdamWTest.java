package dev.manners.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// The fused operator against the algorithm of the paper, in double precision.
class AdamWTest {

    private static final int[] SIZES = {1, 7, 64, 1000};

    @ParameterizedTest
    @CsvSource({
        "1e-3, 0.9, 0.999, 0.0, 1e-8, 1",
        "1e-2, 0.9, 0.999, 0.1, 1e-8, 1",
        "5e-3, 0.8, 0.95, 0.01, 1e-6, 1",
        "1e-2, 0.0, 0.5, 0.5, 1e-3, 1",
        "1e-2, 0.9, 0.999, 0.1, 1e-8, 3.5",
        "0.0, 0.9, 0.999, 0.1, 1e-8, 1"
    })
    void asInThePaper(double rate, double beta1, double beta2, double decay, double epsilon, double gradScale) {
        Random random = new Random(11);
        List<double[]> theta = new ArrayList<>();
        List<double[]> m = new ArrayList<>();
        List<double[]> v = new ArrayList<>();
        try (Scope scope = Scope.open()) {
            List<Tensor> parameters = new ArrayList<>();
            List<Tensor> first = new ArrayList<>();
            List<Tensor> second = new ArrayList<>();
            List<Tensor> steps = new ArrayList<>();
            for (int size : SIZES) {
                float[] start = floats(random, size, 1);
                parameters.add(Tensor.of(start));
                first.add(Tensor.zeros(DType.F32, size));
                second.add(Tensor.zeros(DType.F32, size));
                steps.add(Tensor.zeros(DType.F32));
                theta.add(doubles(start));
                m.add(new double[size]);
                v.add(new double[size]);
            }
            for (int t = 1; t <= 25; t++) {
                // The rate changes from step to step, as schedules have it; gradients of very different sizes.
                double now = rate * (1 - t / 50.0);
                List<Tensor> gradients = new ArrayList<>();
                for (int i = 0; i < SIZES.length; i++) {
                    float[] g = floats(random, SIZES[i], Math.pow(10, random.nextInt(5) - 3));
                    gradients.add(Tensor.of(g));
                    steps.get(i).add_(Tensor.full(1, DType.F32));
                    for (int k = 0; k < g.length; k++) {
                        double grad = g[k] / gradScale;
                        theta.get(i)[k] -= now * decay * theta.get(i)[k];
                        m.get(i)[k] = beta1 * m.get(i)[k] + (1 - beta1) * grad;
                        v.get(i)[k] = beta2 * v.get(i)[k] + (1 - beta2) * grad * grad;
                        double mHat = m.get(i)[k] / (1 - Math.pow(beta1, t));
                        double vHat = v.get(i)[k] / (1 - Math.pow(beta2, t));
                        theta.get(i)[k] -= now * mHat / (Math.sqrt(vHat) + epsilon);
                    }
                }
                AdamW.step(
                        parameters,
                        gradients,
                        first,
                        second,
                        steps,
                        now,
                        beta1,
                        beta2,
                        decay,
                        epsilon,
                        gradScale == 1 ? null : Tensor.full(gradScale, DType.F32));
            }
            for (int i = 0; i < SIZES.length; i++) {
                assertClose(parameters.get(i).toFloats(), theta.get(i), 1e-5);
                assertClose(first.get(i).toFloats(), m.get(i), 1e-5);
                assertClose(second.get(i).toFloats(), v.get(i), 1e-5);
                assertThat(steps.get(i).item()).isEqualTo(25);
            }
        }
    }

    private static void assertClose(float[] found, double[] wanted, double relative) {
        double largest = 1e-12;
        for (double w : wanted) {
            largest = Math.max(largest, Math.abs(w));
        }
        for (int k = 0; k < wanted.length; k++) {
            assertThat((double) found[k]).as("element %d", k).isCloseTo(wanted[k], within(relative * largest));
        }
    }

    private static float[] floats(Random random, int size, double scale) {
        float[] values = new float[size];
        for (int k = 0; k < size; k++) {
            values[k] = (float) (scale * random.nextGaussian());
        }
        return values;
    }

    private static double[] doubles(float[] values) {
        double[] copy = new double[values.length];
        for (int k = 0; k < copy.length; k++) {
            copy[k] = values[k];
        }
        return copy;
    }
}
