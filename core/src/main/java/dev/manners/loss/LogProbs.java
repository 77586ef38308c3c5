package dev.manners.loss;

import dev.manners.tensor.DType;
import dev.manners.tensor.NoGrad;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/// Log-probabilities of given tokens, straight from hidden states, a piece of rows at a time.
///
///     z_i = h_i Wᵀ / T,   logp_i = log softmax(z_i) at y_i,   H_i = -Σ_v p_v log p_v
///
/// What every loss on sequences needs of the model: losses are functions of `logps` (and entropies), give dL/dlogp, and
/// [#backward] takes that to the hidden states and the output layer. Only rows that carry loss are given; there is no
/// [B, T, V] tensor. Gradients are written out by hand: with g = dL/dlogp and e = dL/dH,
///
///     dL/dz_v = g (1[v = y] - p_v) - e p_v (log p_v + H)
///
/// log-softmax is in F32, whatever the computation's dtype.
public final class LogProbs {

    /// Elements of the logits of one piece: 4 MB in F32.
    private static final long PIECE = 1L << 20;

    /// Rows of one piece are a multiple of this, however large the vocabulary: with few rows, reading the output layer
    /// takes as long as multiplying with it.
    private static final long ROWS = 64;

    /// Elements that are kept for the way back, 64 MB; more are computed anew.
    private static final long KEPT = 1L << 24;

    private final Tensor hidden;
    private final Tensor weight;
    private final Tensor targets;
    private final double temperature;
    private final boolean differentiable;
    private final List<Tensor> pieces = new ArrayList<>();
    private final Tensor logps;
    private final Tensor entropies;

    /// Keeps what [#backward] needs, in the scope that is open.
    ///
    /// @param hidden [M, H], detached
    /// @param weight output layer [V, H]
    /// @param targets tokens whose log-probability is wanted, [M], I64
    /// @param temperature T; logits are divided by it, as in sampling
    public static LogProbs of(Tensor hidden, Tensor weight, Tensor targets, double temperature) {
        return new LogProbs(hidden, weight, targets, temperature, true);
    }

    /// The same without a way back.
    public static LogProbs withoutGradient(Tensor hidden, Tensor weight, Tensor targets, double temperature) {
        return new LogProbs(hidden, weight, targets, temperature, false);
    }

    private LogProbs(Tensor hidden, Tensor weight, Tensor targets, double temperature, boolean keep) {
        this.hidden = hidden;
        this.weight = weight;
        this.targets = targets;
        this.temperature = temperature;
        long rows = hidden.size(0);
        this.differentiable = keep;
        boolean kept = keep && rows * weight.size(0) <= KEPT;
        try (NoGrad off = NoGrad.on();
                Scope outer = Scope.open()) {
            logps = Tensor.empty(DType.F32, rows);
            entropies = Tensor.empty(DType.F32, rows);
            for (long begin = 0; begin < rows; begin += piece()) {
                try (Scope scope = Scope.open()) {
                    long length = Math.min(piece(), rows - begin);
                    Tensor y = targets.narrow(0, begin, length).unsqueeze(1); // [m, 1]
                    Tensor logp = logSoftmax(begin, length);
                    logps.narrow(0, begin, length).copy_(logp.gather(1, y).squeeze(1));
                    entropies
                            .narrow(0, begin, length)
                            .copy_(logp.exp().mul_(logp).sum(-1, false).neg());
                    if (kept) {
                        pieces.add(scope.keep(logp));
                    }
                }
            }
            outer.keep(logps);
            outer.keep(entropies);
            pieces.forEach(outer::keep);
        }
    }

    /// Of `length` rows, [m, V].
    private Tensor logSoftmax(long begin, long length) {
        Tensor logits =
                hidden.narrow(0, begin, length).linear(weight.detach(), null).to(DType.F32);
        return (temperature == 1 ? logits : logits.mul(1 / temperature)).logSoftmax(-1);
    }

    /// What was kept of these rows, or the same anew.
    private Tensor logp(long begin, long length) {
        return pieces.isEmpty() ? logSoftmax(begin, length) : pieces.get((int) (begin / piece()));
    }

    private long piece() {
        return piece(weight.size(0));
    }

    /// Rows whose logits are in memory at a time.
    static long piece(long vocabulary) {
        return Math.max(1, PIECE / vocabulary / ROWS) * ROWS;
    }

    /// Log-probabilities, [M], F32, without gradient.
    public Tensor logps() {
        return logps;
    }

    /// Entropies of the distributions the tokens are from, nats, [M], F32, without gradient.
    public Tensor entropies() {
        return entropies;
    }

    /// log Σ_v p_v² of the distributions, [M], without gradient: the expected log-probability of a token drawn from
    /// them,
    /// up to Jensen's inequality. Of WPO.
    public Tensor logSumSquares() {
        return ofEach(logp -> logp.mul(2).logsumexp(-1));
    }

    /// Mean logit over the vocabulary, before the temperature, [M], without gradient.
    public Tensor meanLogits() {
        try (NoGrad off = NoGrad.on();
                Scope scope = Scope.open()) {
            // The mean of h Wᵀ is h times the mean of W's rows.
            Tensor mean = weight.detach().to(DType.F32).mean(0, false).unsqueeze(1); // [H, 1]
            return scope.keep(hidden.to(DType.F32).matmul(mean).squeeze(1));
        }
    }

    /// 1 where no token was likelier than the target, otherwise 0, [M].
    public Tensor hits() {
        try (Scope scope = Scope.open()) {
            return scope.keep(logps.ge(ofEach(logp -> logp.amax(-1, false))).to(DType.F32));
        }
    }

    /// @param of a number of each row of [m, V]
    private Tensor ofEach(UnaryOperator<Tensor> of) {
        long rows = hidden.size(0);
        try (NoGrad off = NoGrad.on();
                Scope outer = Scope.open()) {
            Tensor all = Tensor.empty(DType.F32, rows);
            for (long begin = 0; begin < rows; begin += piece()) {
                try (Scope scope = Scope.open()) {
                    long length = Math.min(piece(), rows - begin);
                    all.narrow(0, begin, length).copy_(of.apply(logp(begin, length)));
                }
            }
            return outer.keep(all);
        }
    }

    /// Takes a loss's gradient back.
    ///
    /// @param logpGrad dL/dlogp, [M]
    /// @param entropyGrad dL/dH, [M], or null
    /// @return dL/dhidden [M, H]; dL/dweight is added to the weight's `grad` if it requires one
    public Tensor backward(Tensor logpGrad, @Nullable Tensor entropyGrad) {
        if (!differentiable) {
            throw new IllegalStateException("made without gradient");
        }
        try (NoGrad off = NoGrad.on();
                Scope outer = Scope.open()) {
            Tensor hiddenGrad = Tensor.empty(hidden.dtype(), hidden.shape());
            long rows = hidden.size(0);
            for (long begin = 0; begin < rows; begin += piece()) {
                try (Scope scope = Scope.open()) {
                    long length = Math.min(piece(), rows - begin);
                    Tensor logp = logp(begin, length);
                    Tensor y = targets.narrow(0, begin, length).unsqueeze(1); // [m, 1]
                    Tensor g = logpGrad.narrow(0, begin, length).unsqueeze(1); // [m, 1]
                    Tensor dz = logp.exp(); // p
                    if (entropyGrad == null) {
                        dz.mul_(g.neg());
                    } else {
                        Tensor e = entropyGrad.narrow(0, begin, length).unsqueeze(1);
                        Tensor entropy = entropies.narrow(0, begin, length).unsqueeze(1);
                        dz.mul_(logp.add(entropy).mul_(e).add_(g).neg());
                    }
                    dz.scatterAdd_(1, y, g);
                    if (temperature != 1) {
                        dz.mul_(1 / temperature);
                    }
                    dz = dz.to(hidden.dtype()); // [m, V]
                    Tensor h = hidden.narrow(0, begin, length);
                    hiddenGrad.narrow(0, begin, length).copy_(h.linearBackward(weight, dz));
                }
            }
            return outer.keep(hiddenGrad);
        }
    }
}
