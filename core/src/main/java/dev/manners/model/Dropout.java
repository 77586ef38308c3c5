package dev.manners.model;

import dev.manners.tensor.Philox;
import dev.manners.tensor.Tensor;
import java.util.Objects;

/// Dropout masks as a pure function of (seed, step, site, element): nothing to save, nothing to restore.
///
/// `step` numbers the forward passes of a run; sites are numbered in the order of the forward pass.
public final class Dropout {

    /// No dropout: evaluation, generation, reward models, preference training.
    public static final Dropout NONE = new Dropout(0, -1);

    /// Most parts of a forward pass.
    private static final int PARTS = 1 << 12;

    private final long seed;
    private final long step;
    private int site;

    private Dropout(long seed, long step) {
        this.seed = seed;
        this.step = step;
    }

    /// Dropout of one training forward pass.
    ///
    /// @param step number of this forward pass in the run, from 0
    public static Dropout training(long seed, long step) {
        return new Dropout(seed, step);
    }

    /// That of a part of this forward pass, which is computed by itself.
    ///
    /// @param number of the part, from 0
    public Dropout part(int number) {
        return active() ? new Dropout(seed, step * PARTS + Objects.checkIndex(number, PARTS)) : this;
    }

    boolean active() {
        return step >= 0;
    }

    /// x with each element zeroed with probability p and the others divided by 1 - p.
    Tensor apply(Tensor x, double p) {
        if (!active() || p == 0) {
            return x;
        }
        long where = (long) site++ << 32;
        int n = Math.toIntExact(x.numel());
        float[] mask = new float[n];
        float kept = (float) (1 / (1 - p));
        long threshold = (long) (p * 0x1.0p32);
        for (int i = 0; i < n; i += 2) {
            long bits = Philox.bits(seed, Philox.Stream.DROPOUT, step, where + i / 2);
            mask[i] = (bits >>> 32) < threshold ? 0 : kept;
            if (i + 1 < n) {
                mask[i + 1] = (bits & 0xFFFFFFFFL) < threshold ? 0 : kept;
            }
        }
        return x.mul(Tensor.of(mask, x.shape()).to(x.dtype()));
    }
}
