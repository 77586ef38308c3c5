package dev.manners.tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/// Keys and values that one layer has computed, in F32: a place (slot) for each of several sequences, and attention of
/// one query per sequence to its own.
///
/// A head's keys lie in panels of 64 positions, within which each dimension's 64 numbers lie side by side: the products
/// of one query with many keys then add up in as many lanes, with no sum across them. Values lie as they come. What a
/// sequence gets does not depend on the others in any bit.
public final class KeyValues implements AutoCloseable {

    /// Where there is no kernel to read them a panel is one position, and keys lie as values do.
    static final int PANEL = Inference.available() ? 64 : 1;

    private final int heads;
    private final int headDim;
    private final int capacity;
    private final Tensor keys; // [slots, heads, capacity / PANEL, D, PANEL]
    private final Tensor values; // [slots, heads, capacity, D]

    /// @param heads of keys and values, which several query heads may share
    /// @param capacity positions of a place, at least
    public KeyValues(int slots, int heads, int capacity, int headDim) {
        this.heads = heads;
        this.headDim = headDim;
        this.capacity = Math.multiplyExact((int) ((capacity + PANEL - 1L) / PANEL), PANEL);
        try (Scope scope = Scope.open()) {
            keys = scope.keepForever(Tensor.zeros(DType.F32, slots, heads, this.capacity / PANEL, headDim, PANEL));
            values = scope.keepForever(Tensor.zeros(DType.F32, slots, heads, this.capacity, headDim));
        }
    }

    /// @param k [N, heads, D], F32; `v` likewise
    /// @param slots place of each of the N; `positions` where in it
    public void put(Tensor k, Tensor v, int[] slots, int[] positions) {
        Tensor.Rows key = k.rows();
        Tensor.Rows value = v.rows();
        MemorySegment toKeys = keys.memory();
        MemorySegment toValues = values.memory();
        for (int i = 0; i < slots.length; i++) {
            int position = positions[i];
            for (int h = 0; h < heads; h++) {
                long head = begin(slots[i], h);
                long cell = head + (long) (position / PANEL) * PANEL * headDim + position % PANEL;
                long from = i * key.stride() + (long) h * headDim;
                for (int d = 0; d < headDim; d++, cell += PANEL) {
                    toKeys.set(
                            ValueLayout.JAVA_FLOAT,
                            cell << 2,
                            key.memory().get(ValueLayout.JAVA_FLOAT, (from + d) << 2));
                }
                MemorySegment.copy(
                        value.memory(),
                        (i * value.stride() + (long) h * headDim) << 2,
                        toValues,
                        (head + (long) position * headDim) << 2,
                        (long) headDim << 2);
            }
        }
    }

    /// Where a head's keys begin, and its values.
    long begin(int slot, int head) {
        return ((long) slot * heads + head) * capacity * headDim;
    }

    /// Makes place `to` hold what place `from` holds at its first positions.
    public void copy(int from, int to, int length) {
        int panels = (length + PANEL - 1) / PANEL;
        try (Scope scope = Scope.open()) {
            keys.select(0, to).narrow(1, 0, panels).copy_(keys.select(0, from).narrow(1, 0, panels));
            values.select(0, to)
                    .narrow(1, 0, length)
                    .copy_(values.select(0, from).narrow(1, 0, length));
        }
    }

    /// Attention of one query for each of the first places.
    ///
    /// @param queries [slots, query heads, D], F32
    /// @param seen how many positions of each place its query sees
    /// @return [slots, query heads, D], F32
    public Tensor attend(Tensor queries, int[] seen, double scale) {
        return Inference.attention()
                ? OneQuery.attend(this, queries, seen, (float) scale)
                : inLibTorch(queries, seen, scale);
    }

    int heads() {
        return heads;
    }

    int headDim() {
        return headDim;
    }

    MemorySegment keyMemory() {
        return keys.memory();
    }

    MemorySegment valueMemory() {
        return values.memory();
    }

    private Tensor inLibTorch(Tensor queries, int[] seen, double scale) {
        int slots = seen.length;
        long count = queries.size(1);
        int most = Arrays.stream(seen).max().orElseThrow();
        Tensor mask = null;
        if (Arrays.stream(seen).anyMatch(n -> n != most)) {
            // Additive [slots, 1, 1, most]: what lies behind a place's own positions is not seen.
            mask = Tensor.zeros(DType.F32, slots, 1, 1, most)
                    .maskedFill_(
                            Tensor.of(seen)
                                    .view(slots, 1, 1, 1)
                                    .le(Tensor.arange(0, most).view(1, 1, 1, most)),
                            Double.NEGATIVE_INFINITY);
        }
        Tensor k = keys.narrow(0, 0, slots)
                .transpose(3, 4)
                .reshape(slots, heads, capacity, headDim)
                .narrow(2, 0, most);
        Tensor v = values.narrow(0, 0, slots).narrow(2, 0, most);
        // Query heads that share keys are several queries of one head: nothing is repeated.
        return queries.reshape(slots, heads, count / heads, headDim)
                .attention(k, v, mask, false, scale)
                .reshape(slots, count, headDim);
    }

    @Override
    public void close() {
        keys.close();
        values.close();
    }
}
