package dev.manners.loss;

/// What the losses of one update are divided by: counted over all its micro-batches, so that loss and gradient
/// are the same however the update is split.
///
/// @param rows pairs, rankings or completions of the update
/// @param tokens tokens of the update whose mean the loss takes: those of all completions, or of the chosen ones
/// where only they are imitated; 0 where no loss over tokens is asked for
public record Window(double rows, double tokens) {

    public Window {
        if (!(rows > 0 && Double.isFinite(rows) && tokens >= 0 && Double.isFinite(tokens))) {
            throw new IllegalArgumentException(rows + " rows and " + tokens + " tokens make no update");
        }
    }

    /// For losses over rows alone.
    public static Window ofRows(double rows) {
        return new Window(rows, 0);
    }

    /// A micro-batch's own mean, averaged over so many micro-batches: what `bnpo` is, and what TRL does with the
    /// `sft` term of preference losses. It depends on how the update is split.
    public static Window ofMicroBatch(double rows, double tokens, int microBatches) {
        return new Window(rows * microBatches, tokens * microBatches);
    }

    /// @throws IllegalStateException if there are none: a mean over no tokens is not 0
    @Override
    public double tokens() {
        if (tokens == 0) {
            throw new IllegalStateException("the update has no token whose loss could be averaged");
        }
        return tokens;
    }
}
