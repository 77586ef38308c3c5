package dev.manners.tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;

/// What lies between the matrix products of a layer, each in one pass over its rows and without gradients. A row's
/// result does not depend on the others in any bit.
///
/// They round where the operations do that they stand for: in BF16 after every one of them.
final class RowKernels {

    private RowKernels() {}

    /// As [Tensor#rmsNorm].
    ///
    /// @param x [N, .., H], F32
    /// @param weight [H], F32 or BF16
    static Tensor rmsNorm(Tensor x, Tensor weight, double eps) {
        int n = (int) weight.numel();
        Tensor y = Tensor.empty(weight.dtype(), x.shape());
        Tensor.Rows rows = x.rows();
        MemorySegment out = y.memory();
        float[] w = new float[n];
        float[] row = new float[n];
        Lanes.read(weight.memory(), weight.dtype(), 0, w, n);
        long done = 0;
        for (int r = 0; r < rows.count(); r++) {
            for (long i = 0; i < rows.length(); i += n, done += n) {
                Lanes.read(rows.memory(), DType.F32, r * rows.stride() + i, row, n);
                times(row, (float) (1 / Math.sqrt(squares(row) / n + eps)));
                Lanes.round(row, n, weight.dtype());
                times(row, w);
                Lanes.write(row, n, out, weight.dtype(), done);
            }
        }
        return y;
    }

    private static float squares(float[] row) {
        FloatVector sum = FloatVector.zero(Lanes.FLOATS);
        int i = 0;
        for (; i < Lanes.FLOATS.loopBound(row.length); i += Lanes.COUNT) {
            FloatVector x = FloatVector.fromArray(Lanes.FLOATS, row, i);
            sum = sum.add(x.mul(x));
        }
        float all = Lanes.sum(sum);
        for (; i < row.length; i++) {
            all += row[i] * row[i];
        }
        return all;
    }

    private static void times(float[] row, float factor) {
        for (int i = 0; i < row.length; i++) {
            row[i] *= factor;
        }
    }

    private static void times(float[] row, float[] factors) {
        for (int i = 0; i < row.length; i++) {
            row[i] *= factors[i];
        }
    }

    /// As [Tensor#rotate].
    ///
    /// @param heads [N, heads, D], F32
    /// @param rotation [N, 1, D/2, 2], F32
    static Tensor rotate(Tensor heads, Tensor rotation) {
        Tensor.Rows rows = heads.rows();
        int headDim = (int) heads.size(2);
        Tensor turned = Tensor.empty(DType.F32, heads.shape());
        MemorySegment from = rows.memory();
        MemorySegment angles = rotation.memory();
        MemorySegment out = turned.memory();
        float[] cosSin = new float[headDim];
        long done = 0;
        for (int r = 0; r < rows.count(); r++) {
            Lanes.read(angles, DType.F32, (long) r * headDim, cosSin, headDim);
            for (long h = 0; h < rows.length(); h += headDim, done += headDim) {
                long at = r * rows.stride() + h;
                for (int i = 0; i < headDim; i += 2) {
                    float x = from.get(ValueLayout.JAVA_FLOAT, (at + i) << 2);
                    float y = from.get(ValueLayout.JAVA_FLOAT, (at + i + 1) << 2);
                    out.set(ValueLayout.JAVA_FLOAT, (done + i) << 2, x * cosSin[i] - y * cosSin[i + 1]);
                    out.set(ValueLayout.JAVA_FLOAT, (done + i + 1) << 2, x * cosSin[i + 1] + y * cosSin[i]);
                }
            }
        }
        return turned;
    }

    /// As [Tensor#gatedSilu].
    ///
    /// @param wide [N, 2M], F32 or BF16
    static Tensor gatedSilu(Tensor wide) {
        DType dtype = wide.dtype();
        int half = (int) wide.size(1) / 2;
        long rows = wide.size(0);
        Tensor y = Tensor.empty(dtype, rows, half);
        MemorySegment in = wide.memory();
        MemorySegment out = y.memory();
        float[] gate = new float[half];
        float[] up = new float[half];
        for (long r = 0; r < rows; r++) {
            Lanes.read(in, dtype, r * 2 * half, gate, half);
            Lanes.read(in, dtype, (r * 2 + 1) * half, up, half);
            silu(gate);
            Lanes.round(gate, half, dtype);
            times(gate, up);
            Lanes.write(gate, half, out, dtype, r * half);
        }
        return y;
    }

    private static void silu(float[] values) {
        int i = 0;
        for (; i < Lanes.FLOATS.loopBound(values.length); i += Lanes.COUNT) {
            silu(FloatVector.fromArray(Lanes.FLOATS, values, i)).intoArray(values, i);
        }
        if (i < values.length) {
            var inside = Lanes.FLOATS.indexInRange(i, values.length);
            silu(FloatVector.fromArray(Lanes.FLOATS, values, i, inside)).intoArray(values, i, inside);
        }
    }

    private static FloatVector silu(FloatVector x) {
        // e to the 87 fits, and x divided by it is what silu is there: almost nothing.
        return x.div(Lanes.exp(x.neg().min(87f)).add(1f));
    }
}
