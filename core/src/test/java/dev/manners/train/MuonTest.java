package dev.manners.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.manners.tensor.DType;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import dev.manners.testing.Numbers;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class MuonTest {

    /// What PyTorch 2.13's `Muon(lr=0.1, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")` makes of
    /// `arange(n) / n - 0.4` in three steps with gradients `sin(arange(n) * (t + 1) + t)`, its iteration in F32.
    static Stream<Arguments> steps() {
        return Stream.of(
                Arguments.of(2, 3, new float[] {-0.461143f, -0.27112f, -0.076059f, 0.067937f, 0.257185f, 0.494647f}),
                Arguments.of(4, 2, new float[] {
                    -0.444962f, -0.300782f, -0.161696f, -0.037705f, 0.117216f, 0.30102f, 0.316525f, 0.4221f
                }));
    }

    @ParameterizedTest
    @MethodSource("steps")
    void threeStepsAsInPyTorch(int m, int n, float[] expected) {
        try (Scope scope = Scope.open()) {
            float[] values = new float[m * n];
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) i / values.length - 0.4f;
            }
            Tensor matrix = Tensor.of(values, m, n);
            Tensor momentum = Tensor.zeros(DType.F32, m, n);
            for (int t = 0; t < 3; t++) {
                float[] gradient = new float[values.length];
                for (int i = 0; i < gradient.length; i++) {
                    gradient[i] = (float) Math.sin(i * (t + 1) + t);
                }
                Muon.step(matrix, Tensor.of(gradient, m, n), momentum, 0.1, 0.1);
            }
            assertThat(matrix.toFloats()).containsExactly(expected, within(2e-6f));
        }
    }

    /// Gradients whose directions differ a hundredfold in size come out as directions of like size.
    @ParameterizedTest
    @CsvSource({"24, 40", "40, 24", "32, 32"})
    void everyDirectionMovesAlike(int m, int n) {
        try (Scope scope = Scope.open()) {
            int directions = Math.min(m, n);
            float[] sizes = new float[directions];
            for (int i = 0; i < directions; i++) {
                sizes[i] = (float) Math.pow(100, (double) i / (directions - 1));
            }
            Tensor scaled = Tensor.of(sizes, m <= n ? new long[] {m, 1} : new long[] {1, n});
            Tensor x = Muon.orthogonal(Numbers.normal(1, m, n).mul(scaled));
            Tensor gram =
                    m <= n ? x.matmul(x.transpose(0, 1)) : x.transpose(0, 1).matmul(x);
            for (int i = 0; i < 50; i++) {
                Tensor some = Numbers.normal(100 + i, directions, 1);
                double stretched =
                        some.transpose(0, 1).matmul(gram).matmul(some).item()
                                / some.square().sum().item();
                assertThat(Math.sqrt(stretched)).isBetween(0.6, 1.3);
            }
        }
    }
}
