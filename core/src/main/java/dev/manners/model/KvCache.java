package dev.manners.model;

import dev.manners.tensor.DType;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// Keys and values of what a batch of sequences has seen so far: one preallocated place (slot) per sequence, which the
/// next sequence takes over when one has finished.
public final class KvCache implements AutoCloseable {

    private final int slots;
    private final int capacity;
    private final int[] lengths;
    private final List<Tensor> keys = new ArrayList<>(); // per layer [slots * capacity, keyValueHeads, D], F32
    private final List<Tensor> values = new ArrayList<>();

    /// @param slots sequences at a time
    /// @param capacity longest sequence, prompt and completion together
    public KvCache(DecoderConfig config, int slots, int capacity) {
        this.slots = slots;
        this.capacity = capacity;
        this.lengths = new int[slots];
        try (Scope scope = Scope.open()) {
            for (int layer = 0; layer < config.layers(); layer++) {
                long cells = (long) slots * capacity;
                keys.add(scope.keepForever(Tensor.zeros(DType.F32, cells, config.keyValueHeads(), config.headDim())));
                values.add(scope.keepForever(Tensor.zeros(DType.F32, cells, config.keyValueHeads(), config.headDim())));
            }
        }
    }

    public int length(int slot) {
        return lengths[slot];
    }

    /// Forgets a slot's sequence.
    public void free(int slot) {
        lengths[slot] = 0;
    }

    /// Whole prompts, each into an empty slot.
    public Attend prefill(Sequences prompts, int... into) {
        int[] lengthOf = prompts.lengths();
        long[] cells = new long[prompts.tokens()];
        int at = 0;
        for (int s = 0; s < into.length; s++) {
            if (lengthOf[s] > capacity) {
                throw new IllegalArgumentException(lengthOf[s] + " tokens, capacity " + capacity);
            }
            for (int i = 0; i < lengthOf[s]; i++) {
                cells[at++] = (long) into[s] * capacity + i;
            }
            lengths[into[s]] = lengthOf[s];
        }
        Tensor index = Tensor.of(cells);
        return new Attend() {
            @Override
            public Tensor positions() {
                return prompts.positions();
            }

            @Override
            public int maxPosition() {
                return prompts.maxPosition();
            }

            @Override
            public Tensor attend(int layer, Tensor q, Tensor k, Tensor v, double scale, Dropout dropout, double p) {
                keys.get(layer).indexCopy_(0, index, k);
                values.get(layer).indexCopy_(0, index, v);
                return prompts.attend(layer, q, k, v, scale, dropout, p);
            }
        };
    }

    /// One further token for every slot, in slot order; empty slots compute along and nobody looks at them.
    public Attend next() {
        long[] cells = new long[slots];
        long[] position = new long[slots];
        int longest = 1;
        for (int s = 0; s < slots; s++) {
            position[s] = Math.min(lengths[s], capacity - 1);
            cells[s] = (long) s * capacity + position[s];
            if (lengths[s] > 0) {
                lengths[s]++;
                longest = Math.max(longest, lengths[s]);
            }
        }
        int seen = longest;
        Tensor index = Tensor.of(cells);
        Tensor positions = Tensor.of(position);
        boolean ragged = Arrays.stream(position).anyMatch(p -> p != position[0]);
        // Additive mask [slots, 1, 1, seen]: what lies behind a slot's own length is not seen.
        Tensor mask = Tensor.zeros(DType.F32, slots, 1, 1, seen);
        if (ragged) {
            Tensor time = Tensor.arange(0, seen).view(1, 1, 1, seen);
            mask.maskedFill_(positions.view(slots, 1, 1, 1).lt(time), Double.NEGATIVE_INFINITY);
        }
        return new Attend() {
            @Override
            public Tensor positions() {
                return positions;
            }

            @Override
            public int maxPosition() {
                return seen;
            }

            @Override
            public Tensor attend(int layer, Tensor q, Tensor k, Tensor v, double scale, Dropout dropout, double p) {
                keys.get(layer).indexCopy_(0, index, k);
                values.get(layer).indexCopy_(0, index, v);
                long heads = q.size(1);
                long headDim = q.size(2);
                long keyValueHeads = k.size(1);
                // Query heads that share keys are several queries of one head: nothing is repeated.
                Tensor grouped = q.view(slots, keyValueHeads, heads / keyValueHeads, headDim);
                return grouped.attention(
                                seen(keys.get(layer)), seen(values.get(layer)), ragged ? mask : null, false, scale)
                        .reshape(slots, heads, headDim);
            }

            private Tensor seen(Tensor cache) {
                return cache.view(slots, capacity, cache.size(1), cache.size(2))
                        .narrow(1, 0, seen)
                        .transpose(1, 2);
            }
        };
    }

    @Override
    public void close() {
        keys.forEach(Tensor::close);
        values.forEach(Tensor::close);
    }
}
