package dev.manners.tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/// Several floats at a time: what the kernels share.
///
/// Loaded only where [Inference#available()] says that there is a Vector API.
final class Lanes {

    static final VectorSpecies<Float> FLOATS =
            FloatVector.SPECIES_PREFERRED.length() > 16 ? FloatVector.SPECIES_512 : FloatVector.SPECIES_PREFERRED;

    /// At most 16.
    static final int COUNT = FLOATS.length();

    private static final ByteOrder ORDER = ByteOrder.nativeOrder();

    private Lanes() {}

    /// @param at the first float, counted from the segment's beginning
    static FloatVector load(MemorySegment memory, long at) {
        return FloatVector.fromMemorySegment(FLOATS, memory, at << 2, ORDER);
    }

    static void store(FloatVector x, MemorySegment memory, long at) {
        x.intoMemorySegment(memory, at << 2, ORDER);
    }

    /// sum + x * factor, in one rounding where the processor has an instruction for it: without, `fma` is exact and
    /// thousands of times slower.
    static FloatVector addProduct(FloatVector sum, FloatVector x, float factor) {
        return LibTorch.hasFma()
                ? x.fma(FloatVector.broadcast(FLOATS, factor), sum)
                : x.mul(factor).add(sum);
    }

    /// All lanes added up, first to last. `reduceLanes` has no order: interpreted it gives other bits than compiled,
    /// and a run would not be repeatable.
    static float sum(FloatVector x) {
        float sum = 0;
        for (float lane : x.toArray()) {
            sum += lane;
        }
        return sum;
    }

    /// e to the x, for x up to 88: relative error below 2e-7. Below -87 it is e to the -87, 1.6e-38.
    ///
    /// x = n ln 2 + r, and a polynomial for e to the r (Cephes, `expf`).
    static FloatVector exp(FloatVector x) {
        FloatVector bounded = x.max(-87f);
        // Adding 1.5 * 2^23 leaves no bit behind the point.
        FloatVector n = bounded.mul(1.442695f).add(12582912f).sub(12582912f);
        FloatVector r = n.mul(-0.6933594f).add(bounded).add(n.mul(2.1219444e-4f));
        FloatVector p = r.mul(1.9875691e-4f)
                .add(0.0013981999f)
                .mul(r)
                .add(0.008333452f)
                .mul(r)
                .add(0.041665796f)
                .mul(r)
                .add(0.16666666f)
                .mul(r)
                .add(0.5f)
                .mul(r.mul(r))
                .add(r)
                .add(1f);
        IntVector exponent = (IntVector) n.convert(VectorOperators.F2I, 0);
        return p.mul(exponent.add(127).lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats());
    }

    /// @param from F32 or BF16
    /// @param at the first number, counted from the segment's beginning
    static void read(MemorySegment from, DType dtype, long at, float[] into, int count) {
        if (dtype == DType.F32) {
            MemorySegment.copy(from, ValueLayout.JAVA_FLOAT, at << 2, into, 0, count);
            return;
        }
        for (int i = 0; i < count; i++) {
            into[i] = Float.intBitsToFloat(from.get(ValueLayout.JAVA_SHORT, (at + i) << 1) << 16);
        }
    }

    /// @param to F32 or BF16, which is rounded to
    static void write(float[] from, int count, MemorySegment to, DType dtype, long at) {
        if (dtype == DType.F32) {
            MemorySegment.copy(from, 0, to, ValueLayout.JAVA_FLOAT, at << 2, count);
            return;
        }
        for (int i = 0; i < count; i++) {
            to.set(ValueLayout.JAVA_SHORT, (at + i) << 1, (short) (bf16(from[i]) >>> 16));
        }
    }

    /// To the nearest numbers that the dtype has, F32 or BF16.
    static void round(float[] values, int count, DType dtype) {
        if (dtype == DType.BF16) {
            for (int i = 0; i < count; i++) {
                values[i] = Float.intBitsToFloat(bf16(values[i]));
            }
        }
    }

    /// Bits of the nearest number with eight bits of mantissa, ties to even.
    private static int bf16(float x) {
        int bits = Float.floatToRawIntBits(x);
        return Float.isNaN(x) ? 0x7FC0_0000 : (bits + 0x7FFF + (bits >>> 16 & 1)) & 0xFFFF_0000;
    }
}
