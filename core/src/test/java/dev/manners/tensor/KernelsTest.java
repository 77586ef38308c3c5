package dev.manners.tensor;

import static dev.manners.testing.Numbers.normal;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.manners.testing.Jvm;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/// What a decoding step computes with kernels of our own is what libtorch's operations give, for each row as if it were
/// alone.
class KernelsTest {

    @BeforeAll
    static void there() {
        // The tests' JVM has the module, so that this is not skipped unseen.
        assertThat(ModuleLayer.boot().findModule("jdk.incubator.vector")).isPresent();
        assumeTrue(Inference.available(), "an optimising compiler");
    }

    private static void assertClose(Tensor found, Tensor wanted, double tolerance) {
        assertThat(found.shape()).isEqualTo(wanted.shape());
        assertThat(found.dtype()).isEqualTo(wanted.dtype());
        float[] f = found.toFloats();
        float[] w = wanted.toFloats();
        for (int i = 0; i < w.length; i++) {
            assertThat((double) Math.abs(f[i] - w[i]))
                    .as("element %d: %s, expected %s", i, f[i], w[i])
                    .isLessThanOrEqualTo(tolerance * Math.max(1, Math.abs(w[i])));
        }
    }

    /// In BF16 two orders of adding up may fall on two sides of a rounding.
    private static double tolerance(DType dtype) {
        return dtype == DType.BF16 ? 1.0 / 128 : 2e-6;
    }

    // ---- rows

    @ParameterizedTest
    @EnumSource(
            value = DType.class,
            names = {"F32", "BF16"})
    void rmsNorm(DType dtype) {
        for (int n : new int[] {1, 5, 32, 77, 256}) {
            try (Scope scope = Scope.open()) {
                Tensor x = normal(1, 9, n).mul(3);
                Tensor weight = normal(2, n).to(dtype);
                Tensor wanted = x.rmsNorm(weight, 1e-5);
                try (Inference inference = Inference.on(true)) {
                    Tensor found = x.rmsNorm(weight, 1e-5);
                    assertClose(found, wanted, tolerance(dtype));
                    assertThat(x.narrow(0, 4, 1).rmsNorm(weight, 1e-5).toFloats())
                            .isEqualTo(found.narrow(0, 4, 1).toFloats());
                    // Heads of a wider row, as the norm of queries has them.
                    Tensor heads = normal(3, 6, 5, n);
                    assertClose(
                            heads.narrow(1, 1, 3).rmsNorm(weight, 1e-5),
                            heads.narrow(1, 1, 3).contiguous().rmsNorm(weight, 1e-5),
                            0);
                }
            }
        }
    }

    @Test
    void rotate() {
        for (int headDim : new int[] {2, 8, 20, 64}) {
            try (Scope scope = Scope.open()) {
                Tensor heads = normal(1, 7, 6, headDim).narrow(1, 1, 4);
                Tensor rotation = normal(2, 7, 1, headDim / 2, 2);
                Tensor wanted = heads.contiguous().rotate(rotation);
                try (Inference inference = Inference.on(true)) {
                    assertClose(heads.rotate(rotation), wanted, 1e-6);
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = DType.class,
            names = {"F32", "BF16"})
    void gatedSilu(DType dtype) {
        for (int half : new int[] {1, 7, 64, 688}) {
            try (Scope scope = Scope.open()) {
                // Up to where e to the x is no float any more.
                Tensor wide = normal(1, 5, 2L * half).mul(40).to(dtype);
                Tensor wanted = wide.gatedSilu();
                try (Inference inference = Inference.on(true)) {
                    assertClose(wide.gatedSilu(), wanted, tolerance(dtype));
                }
            }
        }
    }

    @Test
    void exponential() {
        double worst = 0;
        float[] x = new float[Lanes.COUNT];
        for (float from = -87; from < 88; from += 0.01f * Lanes.COUNT) {
            for (int i = 0; i < x.length; i++) {
                x[i] = from + 0.01f * i;
            }
            float[] found = Lanes.exp(FloatVector.fromArray(Lanes.FLOATS, x, 0)).toArray();
            for (int i = 0; i < x.length; i++) {
                worst = Math.max(worst, Math.abs(found[i] / Math.exp(x[i]) - 1));
            }
        }
        assertThat(worst).isBetween(1e-9, 2e-7);
        Arrays.fill(x, Float.NaN);
        assertThat(Lanes.exp(FloatVector.fromArray(Lanes.FLOATS, x, 0)).lane(0)).isNaN();
        Arrays.fill(x, Float.NEGATIVE_INFINITY);
        assertThat(Lanes.exp(FloatVector.fromArray(Lanes.FLOATS, x, 0)).lane(0)).isBetween(0f, 2e-38f);
    }

    /// Every kind of number, ties among them, is rounded as libtorch does.
    @Test
    void bf16() {
        try (Scope scope = Scope.open()) {
            float[] values = new float[4096];
            for (int i = 0; i < values.length; i++) {
                values[i] = switch (i % 4) {
                    case 0 -> Float.intBitsToFloat(0x3F80_8000 + (i << 15)); // ties
                    case 1 -> (float) Philox.normal(42, Philox.Stream.INITIALISATION, 9, i);
                    case 2 -> Float.intBitsToFloat(i); // next to nothing
                    default -> Float.MAX_VALUE / (i - 2); // also up to infinity
                };
            }
            values[7] = Float.NaN;
            values[11] = Float.NEGATIVE_INFINITY;
            Tensor wanted = Tensor.of(values).to(DType.BF16);
            Tensor found = Tensor.empty(DType.BF16, values.length);
            Lanes.write(values, values.length, found.memory(), DType.BF16, 0);
            assertThat(found.toFloats()).isEqualTo(wanted.toFloats());
            float[] read = new float[values.length];
            Lanes.read(wanted.memory(), DType.BF16, 0, read, read.length);
            assertThat(read).isEqualTo(wanted.toFloats());
            Lanes.round(values, values.length, DType.BF16);
            assertThat(values).isEqualTo(wanted.toFloats());
        }
    }

    /// A NaN is an event: no kernel makes a number of it.
    @Test
    void nanStaysNaN() {
        try (Scope scope = Scope.open();
                Inference inference = Inference.on(true);
                Panels panels = new Panels(normal(2, 16, 32));
                KeyValues cache = new KeyValues(1, 1, 100, 16)) {
            Tensor x = normal(1, 2, 32);
            x.narrow(0, 1, 1).narrow(1, 3, 1).copy_(Tensor.full(Double.NaN, DType.F32, 1, 1));
            for (Tensor y : new Tensor[] {x.rmsNorm(Tensor.full(1, DType.F32, 32), 1e-5), panels.linear(x, null)}) {
                assertThat(y.narrow(0, 0, 1).nonFinite()).isZero();
                assertThat(y.narrow(0, 1, 1).nonFinite()).isEqualTo(y.size(1));
            }
            assertThat(x.gatedSilu().nonFinite()).isEqualTo(1);
            for (int t = 0; t < 70; t++) {
                Tensor k = normal(10 + t, 1, 1, 16);
                cache.put(t == 65 ? k.mul(Double.NaN) : k, k, new int[] {0}, new int[] {t});
            }
            Tensor query = normal(3, 1, 1, 16);
            assertThat(cache.attend(query, new int[] {65}, 0.25).nonFinite()).isZero();
            assertThat(cache.attend(query, new int[] {66}, 0.25).nonFinite()).isEqualTo(16);
        }
    }

    /// Computes the same often enough that it is interpreted at first and compiled by both compilers in the end.
    static final class Often {
        public static void main(String[] args) {
            try (Scope scope = Scope.open();
                    Inference inference = Inference.on(true);
                    Panels panels = new Panels(normal(1, 40, 64));
                    KeyValues cache = new KeyValues(1, 2, 64, 32)) {
                Tensor x = normal(2, 3, 64);
                Tensor weight = normal(3, 64);
                for (int t = 0; t < 50; t++) {
                    cache.put(normal(10 + t, 1, 2, 32), normal(99 + t, 1, 2, 32), new int[] {0}, new int[] {t});
                }
                Tensor query = normal(4, 1, 4, 32);
                int before = 0;
                for (int i = 0; i < 30_000; i++) {
                    try (Scope each = Scope.open()) {
                        int hash = Arrays.hashCode(x.rmsNorm(weight, 1e-5).toFloats())
                                + 31 * Arrays.hashCode(x.gatedSilu().toFloats())
                                + 37 * Arrays.hashCode(panels.linear(x, null).toFloats())
                                + 41
                                        * Arrays.hashCode(cache.attend(query, new int[] {50}, 0.2)
                                                .toFloats());
                        if (i == 0 || hash != before) {
                            System.out.println(i + " " + Inference.available());
                        }
                        before = hash;
                    }
                }
            }
        }
    }

    /// TR12: a run that is taken up in a new process, where nothing is compiled yet, goes on with the same bits.
    @Test
    void tr12_theSameBitsInterpretedAndCompiled() throws Exception {
        Process process = Jvm.of(
                        Often.class.getName(),
                        List.of("-XX:TieredStopAtLevel=4", "--add-modules", "jdk.incubator.vector"),
                        List.of())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        assertThat(process.inputReader(StandardCharsets.UTF_8).lines()).containsExactly("0 true");
        assertThat(process.waitFor()).isZero();
    }

    // ---- attention

    @ParameterizedTest
    @CsvSource({"1, 1, 8", "4, 4, 32", "9, 3, 64", "8, 2, 20", "2, 2, 80", "14, 2, 128"})
    void attention(int queryHeads, int heads, int headDim) {
        int[] lengths = {1, 63, 64, 65, 130, 7};
        try (Scope scope = Scope.open();
                NoGrad off = NoGrad.on();
                KeyValues cache = new KeyValues(lengths.length + 1, heads, 140, headDim)) {
            for (int slot = 0; slot < lengths.length; slot++) {
                int[] positions = new int[lengths[slot]];
                Arrays.setAll(positions, i -> i);
                int[] slots = new int[positions.length];
                Arrays.fill(slots, slot);
                // As attention gets them: heads of wider rows.
                Tensor wide = normal(slot, lengths[slot], 2L * heads + 1, headDim);
                cache.put(wide.narrow(1, 1, heads), wide.narrow(1, 1L + heads, heads), slots, positions);
            }
            Tensor queries =
                    normal(100, lengths.length, queryHeads + 2L, headDim).narrow(1, 1, queryHeads);
            double scale = 1 / Math.sqrt(headDim);
            Tensor wanted = cache.attend(queries, lengths, scale);
            try (Inference inference = Inference.on(true)) {
                Tensor found = cache.attend(queries, lengths, scale);
                assertClose(found, wanted, 2e-6);
                // The first alone, and a copy of another in its place.
                assertThat(cache.attend(queries.narrow(0, 0, 1), new int[] {1}, scale)
                                .toFloats())
                        .isEqualTo(found.narrow(0, 0, 1).toFloats());
                cache.copy(4, 0, 130);
                assertThat(cache.attend(queries.narrow(0, 4, 1), new int[] {130}, scale)
                                .toFloats())
                        .isEqualTo(found.narrow(0, 4, 1).toFloats());
            }
        }
    }

    /// Scores far apart, as a trained head's are: no overflow, and the largest takes all.
    @Test
    void attentionOfLargeScores() {
        try (Scope scope = Scope.open();
                Inference inference = Inference.on(true);
                KeyValues cache = new KeyValues(1, 1, 64, 8)) {
            for (int t = 0; t < 20; t++) {
                cache.put(
                        Tensor.full(t == 13 ? 100 : -100, DType.F32, 1, 1, 8),
                        Tensor.full(t, DType.F32, 1, 1, 8),
                        new int[] {0},
                        new int[] {t});
            }
            assertThat(cache.attend(Tensor.full(50, DType.F32, 1, 1, 8), new int[] {20}, 1)
                            .toFloats())
                    .containsOnly(13f);
        }
    }
}
