package dev.manners.loss;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.manners.tensor.DType;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Loss and hand-written gradients against double precision and finite differences, at a vocabulary so large that the
/// rows go in three pieces, the last one shorter.
class CrossEntropyTest {

    private static final int V = 5003;
    private static final int H = 6;
    private static final int M = 500; // pieces of 209 rows
    private static final double SCALE = 0.013;

    private final float[] hidden = new float[M * H];
    private final float[] weight = new float[V * H];
    private final int[] targets;

    CrossEntropyTest() {
        Random random = new Random(5);
        for (int i = 0; i < hidden.length; i++) {
            hidden[i] = (float) random.nextGaussian();
        }
        for (int i = 0; i < weight.length; i++) {
            weight[i] = (float) random.nextGaussian();
        }
        targets = random.ints(M, 0, V).toArray();
        // Some targets are the most likely token, some occur twice.
        for (int i = 0; i < M; i += 5) {
            targets[i] = best(i);
        }
        targets[7] = targets[6];
    }

    private int best(int row) {
        double[] h = doubles(hidden);
        double[] w = doubles(weight);
        int best = 0;
        for (int v = 1; v < V; v++) {
            if (logit(h, w, row, v) > logit(h, w, row, best)) {
                best = v;
            }
        }
        return best;
    }

    private static double[] doubles(float[] values) {
        double[] copy = new double[values.length];
        Arrays.setAll(copy, i -> values[i]);
        return copy;
    }

    private static double logit(double[] h, double[] w, int row, int v) {
        double sum = 0;
        for (int k = 0; k < H; k++) {
            sum += h[row * H + k] * w[v * H + k];
        }
        return sum;
    }

    /// Loss and entropy of one row.
    private double[] row(double[] h, double[] w, int row) {
        double most = Double.NEGATIVE_INFINITY;
        double[] z = new double[V];
        for (int v = 0; v < V; v++) {
            z[v] = logit(h, w, row, v);
            most = Math.max(most, z[v]);
        }
        double sum = 0;
        double mean = 0;
        for (double x : z) {
            sum += Math.exp(x - most);
            mean += Math.exp(x - most) * x;
        }
        double log = most + Math.log(sum);
        return new double[] {log - z[targets[row]], log - mean / sum};
    }

    private double loss(double[] h, double[] w) {
        double sum = 0;
        for (int i = 0; i < M; i++) {
            sum += row(h, w, i)[0];
        }
        return sum;
    }

    @Test
    void lossEntropyAndHits() {
        double[] h = doubles(hidden);
        double[] w = doubles(weight);
        double loss = 0;
        double entropy = 0;
        int correct = 0;
        for (int i = 0; i < M; i++) {
            double[] one = row(h, w, i);
            loss += one[0];
            entropy += one[1];
            correct += best(i) == targets[i] ? 1 : 0;
        }
        try (Scope scope = Scope.open()) {
            CrossEntropy.Result result =
                    CrossEntropy.of(Tensor.of(hidden, M, H), Tensor.of(weight, V, H), Tensor.of(targets), 0);
            assertThat(result.loss()).isCloseTo(loss, within(1e-5 * loss));
            assertThat(result.entropy()).isCloseTo(entropy, within(1e-5 * entropy));
            assertThat(result.correct()).isEqualTo(correct);
            assertThat(result.hiddenGrad()).as("none was asked for").isNull();
        }
        assertThat(correct).isBetween(100, 110);
    }

    /// Central differences of the loss in double precision, at coordinates of every piece and of seen and unseen
    /// targets.
    @Test
    void gradientsAreTheDifferences() {
        double[] h = doubles(hidden);
        double[] w = doubles(weight);
        double e = 1e-5;
        try (Scope scope = Scope.open()) {
            Tensor wide = Tensor.of(weight, V, H).setRequiresGrad(true);
            CrossEntropy.Result result = CrossEntropy.of(Tensor.of(hidden, M, H), wide, Tensor.of(targets), SCALE);
            float[] dh = Objects.requireNonNull(result.hiddenGrad()).toFloats();
            float[] dw = Objects.requireNonNull(wide.grad()).toFloats();
            for (int at : new int[] {0, 5, 208 * H, 209 * H + 3, 417 * H + 1, 418 * H, M * H - 1}) {
                double kept = h[at];
                h[at] = kept + e;
                double up = row(h, w, at / H)[0];
                h[at] = kept - e;
                double down = row(h, w, at / H)[0];
                h[at] = kept;
                double wanted = SCALE * (up - down) / (2 * e);
                assertThat((double) dh[at]).as("dh[%d]", at).isCloseTo(wanted, within(1e-6 + 1e-4 * Math.abs(wanted)));
            }
            List<Integer> places = new ArrayList<>(List.of(0, V * H - 1));
            for (int i : new int[] {0, 6, 7, 250, 499}) {
                places.add(targets[i] * H + i % H);
            }
            for (int at : places) {
                double kept = w[at];
                w[at] = kept + e;
                double up = loss(h, w);
                w[at] = kept - e;
                double down = loss(h, w);
                w[at] = kept;
                double wanted = SCALE * (up - down) / (2 * e);
                assertThat((double) dw[at]).as("dw[%d]", at).isCloseTo(wanted, within(1e-6 + 1e-4 * Math.abs(wanted)));
            }
        }
    }

    /// However the rows are handed over, the sums are the same: all at once in pieces, in uneven parts, one by one.
    @ParameterizedTest
    @ValueSource(ints = {1, 37, 209, 210, 499})
    void howRowsAreSplitDoesNotMatter(int part) {
        try (Scope scope = Scope.open()) {
            Tensor h = Tensor.of(hidden, M, H);
            Tensor y = Tensor.of(targets);
            Tensor wholeWeight = Tensor.of(weight, V, H).setRequiresGrad(true);
            Tensor partWeight = Tensor.of(weight, V, H).setRequiresGrad(true);
            CrossEntropy.Result whole = CrossEntropy.of(h, wholeWeight, y, SCALE);
            double loss = 0;
            double entropy = 0;
            long correct = 0;
            List<Tensor> hiddenGrads = new ArrayList<>();
            for (int begin = 0; begin < M; begin += part) {
                int length = Math.min(part, M - begin);
                CrossEntropy.Result one =
                        CrossEntropy.of(h.narrow(0, begin, length), partWeight, y.narrow(0, begin, length), SCALE);
                loss += one.loss();
                entropy += one.entropy();
                correct += one.correct();
                hiddenGrads.add(Objects.requireNonNull(one.hiddenGrad()));
            }
            assertThat(loss).isCloseTo(whole.loss(), within(1e-6 * whole.loss()));
            assertThat(entropy).isCloseTo(whole.entropy(), within(1e-6 * whole.entropy()));
            assertThat(correct).isEqualTo(whole.correct());
            assertClose(Tensor.cat(0, hiddenGrads), Objects.requireNonNull(whole.hiddenGrad()));
            assertClose(Objects.requireNonNull(partWeight.grad()), Objects.requireNonNull(wholeWeight.grad()));
        }
    }

    private static void assertClose(Tensor found, Tensor wanted) {
        float[] a = found.toFloats();
        float[] b = wanted.toFloats();
        assertThat(a.length).isEqualTo(b.length);
        double largest = 0;
        double off = 0;
        for (int i = 0; i < a.length; i++) {
            largest = Math.max(largest, Math.abs(b[i]));
            off = Math.max(off, Math.abs(a[i] - b[i]));
        }
        assertThat(off).isLessThanOrEqualTo(1e-5 * largest);
        assertThat(largest).isPositive();
    }

    /// A frozen output layer gets no gradient, the hidden states do.
    @Test
    void aFrozenLayerIsLeftAlone() {
        try (Scope scope = Scope.open()) {
            Tensor frozen = Tensor.of(weight, V, H);
            CrossEntropy.Result result = CrossEntropy.of(Tensor.of(hidden, M, H), frozen, Tensor.of(targets), SCALE);
            assertThat(frozen.grad()).isNull();
            assertThat(Objects.requireNonNull(result.hiddenGrad()).dtype()).isEqualTo(DType.F32);
        }
    }
}
