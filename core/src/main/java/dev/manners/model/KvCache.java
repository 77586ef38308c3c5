package dev.manners.model;

import dev.manners.tensor.KeyValues;
import dev.manners.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// Keys and values of what a batch of sequences has seen so far: one preallocated place (slot) per sequence, which the
/// next sequence takes over when one has finished.
public final class KvCache implements AutoCloseable {

    private final int capacity;
    private final int[] lengths;
    private final List<KeyValues> layers = new ArrayList<>();

    /// @param slots sequences at a time
    /// @param capacity longest sequence, prompt and completion together
    public KvCache(DecoderConfig config, int slots, int capacity) {
        this.capacity = capacity;
        this.lengths = new int[slots];
        for (int layer = 0; layer < config.layers(); layer++) {
            layers.add(new KeyValues(slots, config.keyValueHeads(), capacity, config.headDim()));
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
        layers.forEach(layer -> layer.copy(from, to, length));
        lengths[to] = length;
    }

    /// Whole prompts, each into a slot of its own, whatever was there.
    public Attend prefill(Sequences prompts, int... into) {
        int[] lengthOf = prompts.lengths();
        int[] slots = new int[prompts.tokens()];
        int[] positions = new int[slots.length];
        int at = 0;
        for (int s = 0; s < into.length; s++) {
            if (lengthOf[s] > capacity) {
                throw new IllegalArgumentException(lengthOf[s] + " tokens, capacity " + capacity);
            }
            for (int i = 0; i < lengthOf[s]; i++, at++) {
                slots[at] = into[s];
                positions[at] = i;
            }
            lengths[into[s]] = lengthOf[s];
        }
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
                layers.get(layer).put(k, v, slots, positions);
                return prompts.attend(layer, q, k, v, scale, dropout, p);
            }
        };
    }

    /// One further token for each of the first slots, in slot order.
    ///
    /// @param count how many, each with a sequence in it
    public Attend next(int count) {
        int[] slots = new int[count];
        int[] position = new int[count];
        int[] seen = new int[count];
        for (int s = 0; s < count; s++) {
            if (lengths[s] == 0 || lengths[s] == capacity) {
                throw new IllegalStateException("slot " + s + " holds " + lengths[s] + " of " + capacity + " tokens");
            }
            slots[s] = s;
            position[s] = lengths[s]++;
            seen[s] = lengths[s];
        }
        int longest = Arrays.stream(seen).max().orElse(0);
        Tensor positions = Tensor.of(position);
        return new Attend() {
            @Override
            public Tensor positions() {
                return positions;
            }

            @Override
            public int maxPosition() {
                return longest;
            }

            @Override
            public Tensor attend(int layer, Tensor q, Tensor k, Tensor v, double scale, Dropout dropout, double p) {
                layers.get(layer).put(k, v, slots, position);
                return layers.get(layer).attend(q, seen, scale);
            }
        };
    }

    @Override
    public void close() {
        layers.forEach(KeyValues::close);
    }
}
