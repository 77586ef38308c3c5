package dev.manners.parrot;

import java.util.ArrayList;
import java.util.List;

/// Random numbers as a pure function of (seed, stream, index, how many were drawn): the same on every platform, and any
/// document can be made without making those before it.
///
/// The generator is SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators"),
/// started at a hash of seed, stream and index. Integers only: no floating point, so nothing depends on the
/// processor.
final class Dice {

    /// What the numbers are for; two streams of one seed have nothing in common.
    enum Stream {
        PLACES(1),
        VALUES(2),
        UNSHOWN(3),
        CORPUS(4),
        DEMONSTRATIONS(5),
        HELD_OUT_SHOWN(6),
        HELD_OUT_UNSHOWN(7),
        HELD_OUT_SUMS(8);

        private final int number;

        Stream(int number) {
            this.number = number;
        }
    }

    private static final long GAMMA = 0x9E3779B97F4A7C15L; // 2^64 / golden ratio

    private long state;

    private Dice(long state) {
        this.state = state;
    }

    static Dice of(long seed, Stream stream, long index) {
        return new Dice(mix(mix(mix(seed + GAMMA) + stream.number * GAMMA) + index * GAMMA));
    }

    /// 0 to `bound` - 1; the bias is below bound / 2^64.
    int below(int bound) {
        state += GAMMA;
        return (int) Math.unsignedMultiplyHigh(mix(state), bound);
    }

    /// `low` to `high`, both included.
    int between(int low, int high) {
        return low + below(high - low + 1);
    }

    boolean percent(int chance) {
        return below(100) < chance;
    }

    <T> T pick(List<T> from) {
        return from.get(below(from.size()));
    }

    /// A new list in random order (Fisher-Yates).
    <T> List<T> shuffled(List<T> items) {
        List<T> order = new ArrayList<>(items);
        for (int i = order.size() - 1; i > 0; i--) {
            int j = below(i + 1);
            T moved = order.get(i);
            order.set(i, order.get(j));
            order.set(j, moved);
        }
        return order;
    }

    private static long mix(long z) {
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        return z ^ (z >>> 31);
    }
}
