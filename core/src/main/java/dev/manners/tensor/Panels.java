package dev.manners.tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/// A linear layer's weight in F32, laid out for the lanes of this processor: the outputs in panels as wide as two
/// vectors, within which each input's numbers lie side by side.
///
/// For products that one thread computes by itself. What libtorch and oneDNN do before and after such a product takes
/// about as long as the product, where a decoding step has eight rows and a layer of 256. A row of the product has the
/// same bits whatever other rows there are.
final class Panels implements AutoCloseable {

    private static final int WIDTH = 2 * Lanes.COUNT;

    /// Rows that are multiplied at a time: two vectors of sums for each stay in registers.
    private static final int ROWS = 4;

    private final int in;
    private final int out;
    private final int count;
    private final Tensor panels; // [count, in, WIDTH], the last filled up with zeros

    /// @param weight [out, in], F32
    Panels(Tensor weight) {
        out = Math.toIntExact(weight.size(0));
        in = Math.toIntExact(weight.size(1));
        count = (out + WIDTH - 1) / WIDTH;
        try (Scope scope = Scope.open();
                NoGrad off = NoGrad.on()) {
            Tensor padded = Tensor.zeros(DType.F32, (long) count * WIDTH, in);
            padded.narrow(0, 0, out).copy_(weight.detach());
            panels = scope.keepForever(
                    padded.view(count, WIDTH, in).transpose(1, 2).contiguous());
        }
    }

    /// x Wᵀ + b.
    ///
    /// @param x [N, in], F32
    /// @return [N, out]
    Tensor linear(Tensor x, @Nullable Tensor bias) {
        Tensor.Rows rows = x.rows();
        int n = (int) rows.count();
        Tensor y = Tensor.empty(DType.F32, n, out);
        MemorySegment to = y.memory();
        MemorySegment weights = panels.memory();
        float[] added = new float[count * WIDTH];
        if (bias != null) {
            Lanes.read(bias.memory(), DType.F32, 0, added, out);
        }
        float[] blocks = blocks(rows);
        float[] sums = new float[ROWS * WIDTH];
        for (int first = 0; first < out; first += WIDTH) {
            int width = Math.min(WIDTH, out - first);
            for (int r = 0; r < n; r += ROWS) {
                multiply(blocks, r * in, in, weights, (long) first * in, added, first, sums);
                for (int i = 0; i < Math.min(ROWS, n - r); i++) {
                    long at = (long) (r + i) * out + first;
                    MemorySegment.copy(sums, i * WIDTH, to, ValueLayout.JAVA_FLOAT, at << 2, width);
                }
            }
        }
        return y;
    }

    /// Four rows at a time, input by input: [N / 4, in, 4], the last filled up with zeros.
    private float[] blocks(Tensor.Rows rows) {
        int n = (int) rows.count();
        float[] blocks = new float[(n + ROWS - 1) / ROWS * ROWS * in];
        float[] row = new float[in];
        for (int r = 0; r < n; r++) {
            Lanes.read(rows.memory(), DType.F32, r * rows.stride(), row, in);
            int at = r / ROWS * ROWS * in + r % ROWS;
            for (int i = 0; i < in; i++, at += ROWS) {
                blocks[at] = row[i];
            }
        }
        return blocks;
    }

    /// One block of rows with one panel.
    ///
    /// @param x where the block begins; `w` where the panel does
    /// @param sums of four rows
    private static void multiply(
            float[] blocks, int x, int in, MemorySegment weights, long w, float[] added, int first, float[] sums) {
        FloatVector a0 = FloatVector.fromArray(Lanes.FLOATS, added, first);
        FloatVector a1 = FloatVector.fromArray(Lanes.FLOATS, added, first + Lanes.COUNT);
        FloatVector b0 = a0;
        FloatVector b1 = a1;
        FloatVector c0 = a0;
        FloatVector c1 = a1;
        FloatVector d0 = a0;
        FloatVector d1 = a1;
        for (int i = x; i < x + ROWS * in; i += ROWS, w += WIDTH) {
            FloatVector w0 = Lanes.load(weights, w);
            FloatVector w1 = Lanes.load(weights, w + Lanes.COUNT);
            a0 = Lanes.addProduct(a0, w0, blocks[i]);
            a1 = Lanes.addProduct(a1, w1, blocks[i]);
            b0 = Lanes.addProduct(b0, w0, blocks[i + 1]);
            b1 = Lanes.addProduct(b1, w1, blocks[i + 1]);
            c0 = Lanes.addProduct(c0, w0, blocks[i + 2]);
            c1 = Lanes.addProduct(c1, w1, blocks[i + 2]);
            d0 = Lanes.addProduct(d0, w0, blocks[i + 3]);
            d1 = Lanes.addProduct(d1, w1, blocks[i + 3]);
        }
        a0.intoArray(sums, 0);
        a1.intoArray(sums, Lanes.COUNT);
        b0.intoArray(sums, WIDTH);
        b1.intoArray(sums, WIDTH + Lanes.COUNT);
        c0.intoArray(sums, 2 * WIDTH);
        c1.intoArray(sums, 2 * WIDTH + Lanes.COUNT);
        d0.intoArray(sums, 3 * WIDTH);
        d1.intoArray(sums, 3 * WIDTH + Lanes.COUNT);
    }

    @Override
    public void close() {
        panels.close();
    }
}
