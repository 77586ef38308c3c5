package dev.manners.loss;

import dev.manners.tensor.DType;
import dev.manners.tensor.Tensor;
import java.util.Arrays;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;

/// Completions of a batch, their tokens laid end to end: M tokens in B segments. There is no padding.
///
/// Tokens may be masked: they are in every tensor of [M], and in no sum, mean or count (a tool's answer within a
/// completion). They are left out before anything is computed, so whatever stands there, NaN included, does not
/// matter.
public final class Segments {

    private final int[] lengths; // [B], masked tokens included
    private final int[] counts; // [B], without them
    private final long @Nullable [] kept; // [K] positions that count, of 0 to M - 1; null: all
    private final long[] owners; // [K] which segment they are of
    private final int all;

    private Segments(int[] lengths, boolean @Nullable [] mask) {
        this.lengths = lengths.clone();
        this.all = Arrays.stream(lengths).sum();
        if (mask != null && mask.length != all) {
            throw new IllegalArgumentException("a mask of " + mask.length + " for " + all + " tokens");
        }
        counts = new int[lengths.length];
        long[] positions = new long[all];
        long[] of = new long[all];
        int k = 0;
        int at = 0;
        for (int s = 0; s < lengths.length; s++) {
            for (int i = 0; i < lengths[s]; i++, at++) {
                if (mask == null || mask[at]) {
                    positions[k] = at;
                    of[k++] = s;
                    counts[s]++;
                }
            }
        }
        kept = k == all ? null : Arrays.copyOf(positions, k);
        owners = Arrays.copyOf(of, k);
    }

    /// @param lengths tokens of each segment
    public static Segments of(int... lengths) {
        return new Segments(lengths, null);
    }

    /// @param mask which of the M tokens count
    public static Segments of(int[] lengths, boolean[] mask) {
        return new Segments(lengths, mask);
    }

    /// The same tokens, of which only those of some segments count.
    Segments where(IntPredicate counts) {
        boolean[] mask = new boolean[all];
        for (int k = 0; k < owners.length; k++) {
            mask[place(k)] = counts.test(owner(k));
        }
        return new Segments(lengths, mask);
    }

    /// B.
    public int count() {
        return lengths.length;
    }

    /// Tokens that count, K.
    public int tokens() {
        return owners.length;
    }

    /// Tokens of a segment that count.
    public int tokens(int segment) {
        return counts[segment];
    }

    /// M.
    int all() {
        return all;
    }

    /// Of the tokens that count, which place of 0 to M - 1 they have.
    int place(int k) {
        return kept == null ? k : (int) kept[k];
    }

    /// Of the tokens that count, which segment they are of.
    int owner(int k) {
        return (int) owners[k];
    }

    /// Sum over the tokens of each segment that count.
    ///
    /// @param perToken [M]
    /// @return [B]
    public Tensor sums(Tensor perToken) {
        return sum(kept(perToken));
    }

    /// Those that count of a value per token.
    ///
    /// @param perToken [M]
    /// @return [K]
    Tensor kept(Tensor perToken) {
        if (perToken.dim() != 1 || perToken.size(0) != all) {
            throw new IllegalArgumentException(perToken + " where " + all + " tokens are expected");
        }
        return kept == null ? perToken : perToken.indexSelect(0, Tensor.of(kept));
    }

    /// @param x [K]
    /// @return [B]
    Tensor sum(Tensor x) {
        return Tensor.zeros(DType.F32, lengths.length).indexAdd_(0, Tensor.of(owners), x);
    }

    /// Mean over the tokens of each segment; 0 where it has none, as it takes no part in anything.
    ///
    /// @param x [K]
    /// @return [B]
    Tensor mean(Tensor x) {
        return sum(x).div(lengths());
    }

    /// Tokens of each segment that count, at least 1 so that one may divide by it, [B].
    Tensor lengths() {
        float[] values = new float[counts.length];
        for (int s = 0; s < values.length; s++) {
            values[s] = Math.max(1, counts[s]);
        }
        return Tensor.of(values);
    }

    /// A segment's value for each of its tokens.
    ///
    /// @param perSegment [B]
    /// @return [K]
    Tensor each(Tensor perSegment) {
        if (perSegment.dim() != 1 || perSegment.size(0) != lengths.length) {
            throw new IllegalArgumentException(perSegment + " where " + lengths.length + " segments are expected");
        }
        return perSegment.indexSelect(0, Tensor.of(owners));
    }
}
