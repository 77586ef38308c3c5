package dev.manners.train;

import dev.manners.model.DecoderConfig;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntUnaryOperator;

/// Parts of a micro-batch that go forward and backward together. Losses and gradients add up to the same however it is
/// cut; what is kept for the backward pass is bounded by the part.
final class Pieces {

    private Pieces() {}

    /// Tokens that go together: enough for matrix products to run at full speed, and few enough that what is kept for
    /// the backward pass, which grows with layers and width, stays small beside the weights.
    static int tokensAtOnce(DecoderConfig config) {
        long perToken = (long) config.layers() * config.hiddenSize();
        return Math.clamp(9_000_000 / perToken, 256, 1024);
    }

    /// Rows in order, as many together as have no more than [#tokensAtOnce] tokens, at least one.
    ///
    /// @param tokens of a row
    static List<int[]> of(DecoderConfig config, int[] rows, IntUnaryOperator tokens) {
        int most = tokensAtOnce(config);
        List<int[]> pieces = new ArrayList<>();
        int begin = 0;
        int sum = 0;
        for (int i = 0; i < rows.length; i++) {
            int more = tokens.applyAsInt(rows[i]);
            if (i > begin && sum + more > most) {
                pieces.add(Arrays.copyOfRange(rows, begin, i));
                begin = i;
                sum = 0;
            }
            sum += more;
        }
        if (begin < rows.length) {
            pieces.add(Arrays.copyOfRange(rows, begin, rows.length));
        }
        return pieces;
    }
}
