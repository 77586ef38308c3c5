package dev.manners.tensor;

import static dev.manners.testing.Numbers.normal;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/// Weights in oneDNN's layout multiply as they do in the plain one, and every row as if it were alone.
class PackedWeightTest {

    @ParameterizedTest
    @CsvSource({"F32, false", "BF16, false", "F32, true", "BF16, true"})
    void multipliesAsThePlainLayout(DType dtype, boolean small) {
        int[][] shapes = {{1, 1}, {3, 5}, {96, 32}, {200, 77}, {576, 300}};
        for (int[] shape : shapes) {
            try (Scope scope = Scope.open();
                    NoGrad off = NoGrad.on()) {
                Tensor weight = normal(1, shape[0], shape[1]).to(dtype);
                Tensor bias = normal(2, shape[0]).to(dtype);
                Tensor x = normal(3, 70, shape[1]).to(dtype);
                try (PackedWeight packed = PackedWeight.of(weight, small)) {
                    assumeTrue(packed != null, "this processor and build have a layout");
                    float[] wanted = x.to(DType.F32)
                            .linear(weight.to(DType.F32), bias.to(DType.F32))
                            .toFloats();
                    // Half a step of the result's dtype, or what adding up in another order does: with so many products
                    // of numbers around 1 an error of about ε √n, and every processor has an order of its own.
                    double step = dtype == DType.BF16 ? 1.0 / 256 : 2e-6 * Math.sqrt(shape[1]);
                    Tensor all = packed.linear(x, bias);
                    assertThat(all.dtype()).isEqualTo(dtype);
                    float[] found = all.toFloats();
                    for (int i = 0; i < wanted.length; i++) {
                        assertThat((double) Math.abs(found[i] - wanted[i]))
                                .isLessThanOrEqualTo(step * Math.max(1, Math.abs(wanted[i])));
                    }
                    for (int rows : new int[] {1, 2, 7, 16, 33}) {
                        assertThat(packed.linear(x.narrow(0, 5, rows), bias).toFloats())
                                .isEqualTo(all.narrow(0, 5, rows).toFloats());
                    }
                    float[] unbiased = packed.linear(x, null).toFloats();
                    assertThat(unbiased).isNotEqualTo(found);
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = DType.class,
            names = {"I64", "F16", "BOOL"})
    void onlyWhatLayersHave(DType dtype) {
        try (Scope scope = Scope.open()) {
            Tensor weight = Tensor.zeros(dtype, 16, 32);
            assertThat(PackedWeight.of(weight, false)).isNull();
            assertThat(PackedWeight.of(weight, true)).isNull();
        }
    }
}
