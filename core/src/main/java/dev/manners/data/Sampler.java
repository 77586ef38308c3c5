package dev.manners.data;

import java.util.ArrayList;
import java.util.List;

/// Which sequences make up which optimizer step: a pure function of (seed, step), so that a run resumes at any step
/// without having kept anything.
///
/// An epoch's order is dealt out in micro-batches, micro-batches to ranks in turn, and every `accumulation` rounds of
/// dealing are one step. The last micro-batch and the last step of an epoch may be smaller (`drop_last` is false);
/// steps never span two epochs. As Hugging Face's `Trainer` counts.
public final class Sampler {

    /// In what order an epoch goes through the data; TRL's `train_sampling_strategy`.
    public enum Order {
        SEQUENTIAL,
        RANDOM
    }

    private final int size;
    private final int batchSize;
    private final int accumulation;
    private final int world;
    private final Order order;
    private final long seed;
    private long epochKept = -1;
    private int[] orderKept = {};

    /// @param size sequences in an epoch, at least 1
    /// @param batchSize sequences in a micro-batch on one rank
    /// @param accumulation micro-batches a rank goes through in one step
    /// @param world number of ranks
    public Sampler(int size, int batchSize, int accumulation, int world, Order order, long seed) {
        if (size < 1 || batchSize < 1 || accumulation < 1 || world < 1) {
            throw new IllegalArgumentException("size %d, batch %d, accumulation %d, world %d, each must be at least 1"
                    .formatted(size, batchSize, accumulation, world));
        }
        this.size = size;
        this.batchSize = batchSize;
        this.accumulation = accumulation;
        this.world = world;
        this.order = order;
        this.seed = seed;
    }

    /// The order of `n` sequences in an epoch: the identity, or a shuffle that depends on nothing but seed, epoch and
    /// `n` (Fisher and Yates, from a counter-based generator).
    public static int[] order(Order order, long seed, long epoch, int n) {
        int[] permutation = new int[n];
        for (int i = 0; i < n; i++) {
            permutation[i] = i;
        }
        if (order == Order.SEQUENTIAL) {
            return permutation;
        }
        long key = mix(mix(seed) + epoch);
        for (int i = n - 1; i > 0; i--) {
            // The high half of a 64-bit product: uniform on 0..i to within 2^-33.
            int j = (int) Math.unsignedMultiplyHigh(mix(key + i), i + 1L);
            int swapped = permutation[i];
            permutation[i] = permutation[j];
            permutation[j] = swapped;
        }
        return permutation;
    }

    /// Rounds of dealing in an epoch: micro-batches that each rank goes through, the last maybe smaller or empty.
    public int roundsPerEpoch() {
        return Math.ceilDiv(Math.ceilDiv(size, batchSize), world);
    }

    /// Optimizer steps in an epoch.
    public int stepsPerEpoch() {
        return Math.ceilDiv(roundsPerEpoch(), accumulation);
    }

    /// Where a step begins.
    ///
    /// @param epoch from 0
    /// @param index position in the epoch's order, from 0
    public record Position(long epoch, int index) {}

    /// Where step `step` (from 0) begins.
    public Position position(long step) {
        int round = Math.toIntExact(step % stepsPerEpoch()) * accumulation;
        return new Position(step / stepsPerEpoch(), Math.toIntExact((long) round * world * batchSize));
    }

    /// Epochs gone through when `steps` steps are done, as `Trainer` logs it.
    public double epoch(long steps) {
        long round = Math.min((steps % stepsPerEpoch()) * accumulation, roundsPerEpoch());
        long whole = steps / stepsPerEpoch();
        return whole + (double) round / roundsPerEpoch();
    }

    /// The micro-batches of step `step` (from 0) on one rank: indices of sequences. Every rank gets as many
    /// micro-batches as the others, so that they meet; at an epoch's end one may be empty.
    public synchronized List<int[]> step(long step, int rank) {
        Position start = position(step);
        if (epochKept != start.epoch()) {
            orderKept = order(order, seed, start.epoch(), size);
            epochKept = start.epoch();
        }
        int firstRound = Math.toIntExact(step % stepsPerEpoch()) * accumulation;
        List<int[]> batches = new ArrayList<>(accumulation);
        for (int round = firstRound; round < Math.min(firstRound + accumulation, roundsPerEpoch()); round++) {
            long from = Math.min(((long) round * world + rank) * batchSize, size);
            int to = (int) Math.min(from + batchSize, size);
            batches.add(java.util.Arrays.copyOfRange(orderKept, (int) from, to));
        }
        return batches;
    }

    /// SplitMix64's output function (Steele, Lea and Flood 2014): every bit of the result depends on every bit given.
    private static long mix(long x) {
        long z = x * 0x9e3779b97f4a7c15L + 0x9e3779b97f4a7c15L;
        z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
        z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
        return z ^ (z >>> 31);
    }
}
