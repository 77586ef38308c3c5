package dev.manners.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.manners.testing.NativeMemory;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// f32 products on several threads, beside sums written out in double precision.
class MatrixProductTest {

    private static final int IN = 512;
    private static final int OUT = 96;

    private int threads;

    @BeforeEach
    void twoThreads() {
        threads = LibTorch.threads();
        LibTorch.setThreads(2);
    }

    @AfterEach
    void asBefore() {
        LibTorch.setThreads(threads);
    }

    private static float[] random(int number, int n) {
        float[] values = new float[n];
        for (int i = 0; i < n; i++) {
            values[i] = (float) Philox.normal(42, Philox.Stream.INITIALISATION, number, i);
        }
        return values;
    }

    /// 128 rows are multiplied as a convolution, 100 are not: the same numbers, forward and backward.
    @Test
    void forwardAndBackward() {
        for (int rows : new int[] {128, 100}) {
            float[] x = random(1, rows * IN);
            float[] w = random(2, OUT * IN);
            float[] b = random(3, OUT);
            float[] g = random(4, rows * OUT);
            double[] y = new double[rows * OUT];
            double[] dx = new double[rows * IN];
            double[] dw = new double[OUT * IN];
            double[] db = new double[OUT];
            for (int r = 0; r < rows; r++) {
                for (int o = 0; o < OUT; o++) {
                    double sum = b[o];
                    double pull = g[r * OUT + o];
                    db[o] += pull;
                    for (int i = 0; i < IN; i++) {
                        sum += (double) x[r * IN + i] * w[o * IN + i];
                        dx[r * IN + i] += pull * w[o * IN + i];
                        dw[o * IN + i] += pull * x[r * IN + i];
                    }
                    y[r * OUT + o] = sum;
                }
            }
            try (Scope scope = Scope.open()) {
                Tensor input = Tensor.of(x, rows, IN).setRequiresGrad(true);
                Tensor weight = Tensor.of(w, OUT, IN).setRequiresGrad(true);
                Tensor bias = Tensor.of(b, OUT).setRequiresGrad(true);
                assertThat(MatrixProduct.convolves(input.pointer(), weight.pointer()))
                        .isEqualTo(rows == 128);
                Tensor product = input.linear(weight, bias);
                assertThat(product.shape()).containsExactly(rows, OUT);
                product.backward(Tensor.of(g, rows, OUT));
                close(product, y, IN);
                close(input.grad(), dx, OUT);
                close(weight.grad(), dw, rows);
                close(bias.grad(), db, rows);
                // The same by hand: added to what is there, and to nothing where no gradient is wanted.
                Tensor pull = Tensor.of(g, rows, OUT);
                weight.clearGrad();
                close(input.detach().linearBackward(weight, pull), dx, OUT);
                close(weight.grad(), dw, rows);
                input.detach().linearBackward(weight, pull);
                close(Objects.requireNonNull(weight.grad()).mul(0.5), dw, rows);
                Tensor frozen = weight.detach();
                close(input.detach().linearBackward(frozen, pull), dx, OUT);
                assertThat(frozen.grad()).isNull();
            }
        }
    }

    /// A sum of n products of numbers around 1 is about √n, with an error of some ε √n.
    private static void close(@Nullable Tensor found, double[] wanted, int n) {
        float[] values = Objects.requireNonNull(found).toFloats();
        assertThat(values).hasSameSizeAs(wanted);
        for (int i = 0; i < wanted.length; i++) {
            assertThat(Math.abs(values[i] - wanted[i])).isLessThan(4e-6 * Math.sqrt(n));
        }
    }

    /// TR08 of the way that trainers' tests, with their small models, do not take.
    @Test
    void tr08_nothingOfAProductIsLeftBehind() {
        assumeThat(NativeMemory.inUse()).as("glibc's mallinfo2").isPresent();
        assertThat(medianGrowth(() -> {})).as("bytes kept by a product, median").isLessThan(64);
        assertThat(NativeMemory.withALeak(MatrixProductTest::medianGrowth)).isGreaterThan(64);
    }

    private static long medianGrowth(Runnable everyTime) {
        List<Long> inUse = new ArrayList<>();
        try (Scope outer = Scope.open()) {
            Tensor weight = Tensor.of(random(2, OUT * IN), OUT, IN).setRequiresGrad(true);
            Tensor x = Tensor.of(random(1, 64 * IN), 64, IN).setRequiresGrad(true);
            Tensor pull = Tensor.of(random(4, 64 * OUT), 64, OUT);
            assertThat(convolves(x, weight)).isTrue();
            for (int i = 0; i < 300; i++) {
                try (Scope scope = Scope.open()) {
                    x.linear(weight, null).backward(pull);
                    x.detach().linearBackward(weight, pull);
                }
                everyTime.run();
                inUse.add(NativeMemory.inUse().orElseThrow());
            }
            x.clearGrad();
            weight.clearGrad();
        }
        return NativeMemory.medianGrowth(inUse, 100, 290);
    }

    @Test
    void onlyWhereItHelps() {
        try (Scope scope = Scope.open()) {
            Tensor weight = Tensor.zeros(DType.F32, OUT, IN);
            assertThat(convolves(Tensor.zeros(DType.F32, 64, IN), weight)).isTrue();
            assertThat(convolves(Tensor.zeros(DType.F32, 65, IN), weight)).isFalse();
            assertThat(convolves(Tensor.zeros(DType.F32, 64, 16), Tensor.zeros(DType.F32, OUT, 16)))
                    .isFalse();
            assertThat(convolves(Tensor.zeros(DType.BF16, 64, IN), weight.to(DType.BF16)))
                    .isFalse();
            assertThat(convolves(Tensor.zeros(DType.F32, 2, 64, IN), weight)).isFalse();
            LibTorch.setThreads(1);
            assertThat(convolves(Tensor.zeros(DType.F32, 64, IN), weight)).isFalse();
        }
    }

    @Test
    void roundNumbersOfRows() {
        assertThat(MatrixProduct.roundRows(130, IN, DType.F32)).isEqualTo(192);
        assertThat(MatrixProduct.roundRows(192, IN, DType.F32)).isEqualTo(192);
        assertThat(MatrixProduct.roundRows(63, IN, DType.F32)).isEqualTo(63);
        assertThat(MatrixProduct.roundRows(130, 32, DType.F32)).isEqualTo(130);
        assertThat(MatrixProduct.roundRows(130, IN, DType.BF16)).isEqualTo(130);
        LibTorch.setThreads(1);
        assertThat(MatrixProduct.roundRows(130, IN, DType.F32)).isEqualTo(130);
    }

    private static boolean convolves(Tensor x, Tensor weight) {
        return MatrixProduct.convolves(x.pointer(), weight.pointer());
    }
}
