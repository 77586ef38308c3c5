package dev.manners.loss;

import dev.manners.tensor.DType;
import dev.manners.tensor.NoGrad;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/// Cross-entropy of the next token, straight from hidden states, a piece of rows at a time.
///
/// L = Σ_i -log softmax(h_i Wᵀ) at y_i, times scale
///
/// Only rows that carry loss are given, and the logits of only one piece exist at any moment: whatever the vocabulary,
/// there is no [B, T, V] tensor. Gradients are written out by hand, since they are simple: dL/dz = (p - onehot(y)) ·
/// scale,
/// dL/dh = dL/dz W, dL/dW = Σ dL/dzᵀ h. The softmax that they need also gives the entropy.
///
/// log-softmax is in F32, whatever the computation's dtype.
public final class CrossEntropy {

    private CrossEntropy() {}

    /// Sums over the rows given.
    ///
    /// @param loss Σ -log p(y), unscaled
    /// @param entropy Σ_i -Σ_v p log p, nats
    /// @param correct rows whose most likely token is y
    /// @param hiddenGrad dL/dh [M, H], or null if no gradient was asked for
    public record Result(
            double loss,
            double entropy,
            long correct,
            @Nullable Tensor hiddenGrad) {}

    /// @param hidden [M, H], detached
    /// @param weight output layer [V, H]; if it requires a gradient, dL/dW is added to its `grad`
    /// @param targets [M], I64
    /// @param scale factor of the loss whose gradient is wanted; 0 for none
    public static Result of(Tensor hidden, Tensor weight, Tensor targets, double scale) {
        long rows = hidden.size(0);
        long piece = LogProbs.piece(weight.size(0));
        double loss = 0;
        double entropy = 0;
        long correct = 0;
        boolean gradient = scale != 0;
        try (NoGrad off = NoGrad.on();
                Scope outer = Scope.open()) {
            Tensor w = weight.detach();
            Tensor hiddenGrad = gradient ? Tensor.empty(hidden.dtype(), hidden.shape()) : null;
            for (long begin = 0; begin < rows; begin += piece) {
                try (Scope scope = Scope.open()) {
                    long length = Math.min(piece, rows - begin);
                    Tensor h = hidden.narrow(0, begin, length); // [m, H]
                    Tensor y = targets.narrow(0, begin, length).unsqueeze(1); // [m, 1]
                    Tensor logits = h.linear(w, null); // [m, V]
                    Tensor logp = logits.to(DType.F32).logSoftmax(-1); // [m, V]
                    Tensor mine = logp.gather(1, y); // [m, 1]
                    loss -= mine.sum().item();
                    correct += correct(logp, mine, y);
                    Tensor p = logp.exp();
                    entropy -= logp.mul_(p).sum().item();
                    if (hiddenGrad != null) {
                        // p - onehot(y), in place of p
                        Tensor dz = p.scatterAdd_(1, y, Tensor.full(-1, DType.F32, length, 1))
                                .mul_(scale)
                                .to(h.dtype()); // [m, V]
                        hiddenGrad.narrow(0, begin, length).copy_(h.linearBackward(weight, dz));
                    }
                }
            }
            return new Result(loss, entropy, correct, hiddenGrad == null ? null : outer.keep(hiddenGrad));
        }
    }

    /// Rows whose first largest entry is the target. The search for a position is slow, the maximum is not: only rows
    /// where the target reaches the maximum are searched.
    private static long correct(Tensor logp, Tensor mine, Tensor y) {
        long[] reached = mine.ge(logp.amax(-1, true)).to(DType.I64).toLongs();
        long[] rows = IntStream.range(0, reached.length)
                .filter(i -> reached[i] == 1)
                .asLongStream()
                .toArray();
        if (rows.length == 0) {
            return 0;
        }
        Tensor those = Tensor.of(rows);
        return (long) logp.indexSelect(0, those)
                .argmax(-1)
                .eq(y.squeeze(1).indexSelect(0, those))
                .sum()
                .item();
    }
}
