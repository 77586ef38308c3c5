package dev.manners.tensor;

/// Random numbers that are a pure function of (seed, stream, step, index): Philox4x32-10 of Salmon et al. 2011,
/// "Parallel random numbers: as easy as 1, 2, 3". There is no state, so nothing has to be saved to resume a run, and
/// a sample does not depend on what was drawn before it.
///
/// Key: the seed. Counter: stream (32 bits), step (48 bits), index (48 bits).
public final class Philox {

    /// What a stream of numbers is for; its own stream each, so that no two uses share numbers.
    public enum Stream {
        INITIALISATION(1),
        SHUFFLE(2),
        DROPOUT(3),
        SAMPLING(4),
        WORLD(5),
        BOOTSTRAP(6);

        private final int number;

        Stream(int number) {
            this.number = number;
        }
    }

    private static final long M0 = 0xD2511F53L;
    private static final long M1 = 0xCD9E8D57L;
    private static final int W0 = 0x9E3779B9;
    private static final int W1 = 0xBB67AE85;
    private static final long MAX = 1L << 48;

    private Philox() {}

    /// 64 uniform bits.
    public static long bits(long seed, Stream stream, long step, long index) {
        if (step < 0 || step >= MAX || index < 0 || index >= MAX) {
            throw new IllegalArgumentException("step and index must be in [0, 2^48): " + step + ", " + index);
        }
        return block((int) index, (int) (index >>> 32) | (int) (step >>> 32) << 16, (int) step, stream.number, seed);
    }

    /// Uniform in [0, 1), 53 bits.
    public static double uniform(long seed, Stream stream, long step, long index) {
        return (bits(seed, stream, step, index) >>> 11) * 0x1.0p-53;
    }

    /// Standard normal, by Box and Muller from two 32-bit halves of one block.
    public static double normal(long seed, Stream stream, long step, long index) {
        long bits = bits(seed, stream, step, index);
        double u = ((bits >>> 32) + 1) * 0x1.0p-32;
        double v = (bits & 0xFFFFFFFFL) * 0x1.0p-32;
        return StrictMath.sqrt(-2 * StrictMath.log(u)) * StrictMath.cos(2 * Math.PI * v);
    }

    /// Uniform integer in [0, bound).
    public static int below(int bound, long seed, Stream stream, long step, long index) {
        // The bias of multiply-shift on 64 bits is below 2^-32 for any int bound.
        return (int) Math.unsignedMultiplyHigh(bits(seed, stream, step, index), bound);
    }

    /// The first 64 of the 128 bits of one block.
    static long block(int c0, int c1, int c2, int c3, long seed) {
        int k0 = (int) seed;
        int k1 = (int) (seed >>> 32);
        for (int round = 0; round < 10; round++) {
            long p0 = M0 * (c0 & 0xFFFFFFFFL);
            long p1 = M1 * (c2 & 0xFFFFFFFFL);
            int n0 = (int) (p1 >>> 32) ^ c1 ^ k0;
            int n2 = (int) (p0 >>> 32) ^ c3 ^ k1;
            c1 = (int) p1;
            c3 = (int) p0;
            c0 = n0;
            c2 = n2;
            k0 += W0;
            k1 += W1;
        }
        return (c0 & 0xFFFFFFFFL) << 32 | (c1 & 0xFFFFFFFFL);
    }
}
