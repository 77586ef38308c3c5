package dev.manners.parrot;

import java.util.ArrayList;
import java.util.List;

/// Random numbers as a pure function of (seed, stream, index, how many were drawn): the same on every platform, and any
/// document can be made without making those before it.
///
/// The generator is SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators"),
/// started at a hash of seed, stream and index. The world is made of integers only; [#uniform()] is exact as well.
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
        HELD_OUT_SUMS(8),
        OPINION_DEMONSTRATIONS(9),
        HELD_OUT_OPINIONS(10),
        FEEDBACK(11),
        TASTES(12),
        CHECKS(13),
        WHIMS(14),
        CHAINS(15);

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

    /// Uniform in (0, 1): the middle of one of 2^52 equal steps, so never 0 or 1.
    double uniform() {
        state += GAMMA;
        return ((mix(state) >>> 12) + 0.5) * 0x1.0p-52;
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

    /// A number for a text, for use as an index.
    static long hash(String text) {
        long hash = text.length();
        for (int i = 0; i < text.length(); i++) {
            hash = mix((hash + GAMMA) ^ text.charAt(i));
        }
        return hash;
    }

    /// A number for two numbers, for use as an index.
    static long hash(long first, long second) {
        return mix(mix(first + GAMMA) + second * GAMMA);
    }

    private static long mix(long z) {
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        return z ^ (z >>> 31);
    }
}
