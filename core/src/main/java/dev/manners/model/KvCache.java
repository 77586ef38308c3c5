package dev.manners.model;

import dev.manners.tensor.DType;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/// Keys and values of what a batch of sequences has seen so far: one preallocated place (slot) per sequence, which the
/// next sequence takes over when one has finished.
///
/// A head's keys lie side by side, as attention reads them.
public final class KvCache implements AutoCloseable {

    private final int capacity;
    private final int heads;
    private final int[] lengths;
    private final List<Tensor> keys = new ArrayList<>(); // per layer [slots, keyValueHeads, capacity, D], F32
    private final List<Tensor> values = new ArrayList<>();

    /// @param slots sequences at a time
    /// @param capacity longest sequence, prompt and completion together
    public KvCache(DecoderConfig config, int slots, int capacity) {
        this.capacity = capacity;
        this.heads = config.keyValueHeads();
        this.lengths = new int[slots];
        try (Scope scope = Scope.open()) {
            for (int layer = 0; layer < config.layers(); layer++) {
                keys.add(scope.keepForever(Tensor.zeros(DType.F32, slots, heads, capacity, config.headDim())));
                values.add(scope.keepForever(Tensor.zeros(DType.F32, slots, heads, capacity, config.headDim())));
            }
        }
    }

    public int length(int slot) {
        return lengths[slot];
    }

    /// Makes `to` see what `from` has seen first: a prompt that several samples share, or a sequence that moves.
    ///
    /// @param length tokens, at most those of `from`
    public void copy(int from, int to, int length) {
        if (length > lengths[from]) {
            throw new IllegalArgumentException("slot " + from + " holds " + lengths[from] + " tokens, not " + length);
        }
        try (Scope scope = Scope.open()) {
            for (List<Tensor> cache : List.of(keys, values)) {
                for (Tensor layer : cache) {
                    layer.select(0, to)
                            .narrow(1, 0, length)
                            .copy_(layer.select(0, from).narrow(1, 0, length));
                }
            }
        }
        lengths[to] = length;
    }

    /// Whole prompts, each into a slot of its own, whatever was there.
    public Attend prefill(Sequences prompts, int... into) {
        int[] lengthOf = prompts.lengths();
        long[] cells = new long[prompts.tokens() * heads];
        int at = 0;
        for (int s = 0; s < into.length; s++) {
            if (lengthOf[s] > capacity) {
                throw new IllegalArgumentException(lengthOf[s] + " tokens, capacity " + capacity);
            }
            for (int i = 0; i < lengthOf[s]; i++) {
                for (int h = 0; h < heads; h++) {
                    cells[at++] = cell(into[s], h, i);
                }
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
                put(keys.get(layer), index, k);
                put(values.get(layer), index, v);
                return prompts.attend(layer, q, k, v, scale, dropout, p);
            }
        };
    }

    /// One further token for each of the first slots, in slot order.
    ///
    /// @param slots how many, each with a sequence in it
    public Attend next(int slots) {
        long[] cells = new long[slots * heads];
        long[] position = new long[slots];
        int longest = 0;
        boolean ragged = false;
        for (int s = 0; s < slots; s++) {
            if (lengths[s] == 0 || lengths[s] == capacity) {
                throw new IllegalStateException("slot " + s + " holds " + lengths[s] + " of " + capacity + " tokens");
            }
            position[s] = lengths[s];
            for (int h = 0; h < heads; h++) {
                cells[s * heads + h] = cell(s, h, lengths[s]);
            }
            lengths[s]++;
            longest = Math.max(longest, lengths[s]);
            ragged |= lengths[s] != lengths[0];
        }
        int seen = longest;
        Tensor index = Tensor.of(cells);
        Tensor positions = Tensor.of(position);
        // Additive mask [slots, 1, 1, seen]: what lies behind a slot's own length is not seen.
        Tensor mask = ragged
                ? Tensor.zeros(DType.F32, slots, 1, 1, seen)
                        .maskedFill_(
                                positions
                                        .view(slots, 1, 1, 1)
                                        .lt(Tensor.arange(0, seen).view(1, 1, 1, seen)),
                                Double.NEGATIVE_INFINITY)
                : null;
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
                put(keys.get(layer), index, k);
                put(values.get(layer), index, v);
                long queries = q.size(1);
                long headDim = q.size(2);
                // Query heads that share keys are several queries of one head: nothing is repeated.
                return q.view(slots, heads, queries / heads, headDim)
                        .attention(seen(keys.get(layer)), seen(values.get(layer)), mask, false, scale)
                        .reshape(slots, queries, headDim);
            }

            private Tensor seen(Tensor cache) {
                return cache.narrow(0, 0, slots).narrow(2, 0, seen);
            }
        };
    }

    private long cell(int slot, int head, int position) {
        return ((long) slot * heads + head) * capacity + position;
    }

    /// @param index cell of each token's heads, [N * heads]
    /// @param rows [N, heads, D]
    private static void put(Tensor cache, Tensor index, Tensor rows) {
        long headDim = rows.size(2);
        cache.view(-1, headDim).indexCopy_(0, index, rows.reshape(-1, headDim));
    }

    @Override
    public void close() {
        keys.forEach(Tensor::close);
        values.forEach(Tensor::close);
    }
}
