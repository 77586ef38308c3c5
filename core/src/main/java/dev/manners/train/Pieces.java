package dev.manners.train;

import dev.manners.model.DecoderConfig;
import dev.manners.tensor.Workers;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;

/// Parts of a micro-batch that go forward and backward together. Losses and gradients add up to the same however it is
/// cut; what is kept for the backward pass is bounded by the part.
final class Pieces {

    private Pieces() {}

    /// Tokens that go together: enough for matrix products to run at full speed, and few enough that what is kept for
    /// the backward pass, which grows with layers and width, stays small beside the weights.
    private static int tokensAtOnce(DecoderConfig config) {
        long perToken = (long) config.layers() * config.hiddenSize();
        return Math.clamp(9_000_000 / perToken, 256, 1024);
    }

    /// What a row adds to a piece.
    interface Tokens {

        /// @param begins whether it is the piece's first: one that is not may share its prompt with the one before
        int of(int row, boolean begins);
    }

    /// Rows in order, as many together as have no more than [#tokensAtOnce] tokens, at least one; where
    /// several workers share them, as many pieces for each, and about as many tokens in each piece.
    ///
    /// @param tokens of a row
    static List<int[]> of(DecoderConfig config, int[] rows, IntUnaryOperator tokens) {
        return of(config, rows, (row, begins) -> tokens.applyAsInt(row));
    }

    static List<int[]> of(DecoderConfig config, int[] rows, Tokens tokens) {
        List<int[]> pieces = filled(tokensAtOnce(config), rows, tokens);
        int workers = config.workers();
        int even = Math.ceilDiv(pieces.size(), workers) * workers;
        return workers == 1 ? pieces : equal(Math.min(even, rows.length), rows, tokens);
    }

    private static List<int[]> filled(int most, int[] rows, Tokens tokens) {
        List<int[]> pieces = new ArrayList<>();
        int begin = 0;
        int sum = 0;
        for (int i = 0; i < rows.length; i++) {
            int more = tokens.of(rows[i], i == begin);
            if (i > begin && sum + more > most) {
                pieces.add(Arrays.copyOfRange(rows, begin, i));
                begin = i;
                sum = 0;
                more = tokens.of(rows[i], true);
            }
            sum += more;
        }
        if (begin < rows.length) {
            pieces.add(Arrays.copyOfRange(rows, begin, rows.length));
        }
        return pieces;
    }

    /// So many pieces with about as many tokens each.
    private static List<int[]> equal(int count, int[] rows, Tokens tokens) {
        long[] before = new long[rows.length + 1];
        for (int i = 0; i < rows.length; i++) {
            before[i + 1] = before[i] + tokens.of(rows[i], i == 0);
        }
        List<int[]> pieces = new ArrayList<>();
        int begin = 0;
        for (int p = 1; p <= count; p++) {
            // The row that the p-th part of all tokens ends in is on the side where most of it is.
            int end = begin + 1;
            while (end < rows.length - (count - p)
                    && (before[end] + before[end + 1]) * count <= 2L * p * before[rows.length]) {
                end++;
            }
            pieces.add(Arrays.copyOfRange(rows, begin, p == count ? rows.length : end));
            begin = end;
        }
        return pieces;
    }

    /// What is done with a piece.
    interface Work<T, R> {

        /// @param number of the piece, from 0
        R with(T piece, int number);
    }

    static <T, R> List<R> map(DecoderConfig config, List<T> pieces, Work<T, R> work) {
        return Workers.map(
                config.workers(),
                IntStream.range(0, pieces.size()).boxed().toList(),
                number -> work.with(pieces.get(number), number));
    }

    /// Does something with every piece, side by side where the model is small.
    ///
    /// @return the results, in order
    static <T, R> List<R> map(DecoderConfig config, List<T> pieces, Function<T, R> work) {
        return Workers.map(config.workers(), pieces, work);
    }
}
