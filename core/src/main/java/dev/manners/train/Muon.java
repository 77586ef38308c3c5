package dev.manners.train;

import dev.manners.tensor.NoGrad;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;

/// One step of Muon for one matrix: the momentum's singular values are all brought near 1, so that directions seldom
/// seen move as far as common ones (Jordan et al. 2024, kellerjordan.github.io/posts/muon; the rate as in Liu et al.
/// 2025, arXiv:2502.16982, section 2.2).
///
/// The arithmetic is PyTorch's `Muon(adjust_lr_fn="match_rms_adamw")`, but for the iteration's numbers, which are F32
/// here and bf16 there.
final class Muon {

    static final double MOMENTUM = 0.95;

    private static final int STEPS = 5;
    private static final double A = 3.4445;
    private static final double B = -4.7750;
    private static final double C = 2.0315;

    private Muon() {}

    /// Updates a matrix and its momentum in place.
    ///
    /// @param matrix [m, n], F32
    /// @param gradient [m, n]
    /// @param momentum [m, n]
    /// @param learningRate a rate that fits AdamW: the update's root mean square is near 0.2 times it
    static void step(Tensor matrix, Tensor gradient, Tensor momentum, double learningRate, double weightDecay) {
        try (Scope scope = Scope.open();
                NoGrad off = NoGrad.on()) {
            momentum.mul_(MOMENTUM).add_(gradient, 1 - MOMENTUM);
            // Nesterov's: the momentum as the next gradient like this one would make it.
            Tensor update = momentum.mul(MOMENTUM).add_(gradient, 1 - MOMENTUM);
            double scale = 0.2 * Math.sqrt((double) Math.max(matrix.size(0), matrix.size(1)));
            matrix.mul_(1 - learningRate * weightDecay);
            matrix.add_(orthogonal(update), -learningRate * scale);
        }
    }

    /// U Vᵀ of g = U S Vᵀ, nearly: singular values come to lie between about 0.7 and 1.2, but for those that are 0 or
    /// little beside the largest. Newton's and Schulz's iteration, with a polynomial that is steep at 0 rather than
    /// exact at 1.
    ///
    /// @param g [m, n]
    static Tensor orthogonal(Tensor g) {
        boolean tall = g.size(0) > g.size(1);
        Tensor x = tall ? g.transpose(0, 1).contiguous() : g;
        x = x.div(x.normAll().add(1e-7));
        for (int i = 0; i < STEPS; i++) {
            // A large matrix' products are not to lie about until the last.
            try (Scope scope = Scope.open()) {
                Tensor gram = x.matmul(x.transpose(0, 1));
                // x ← (A + B gram + C gram²) x
                x.copy_(x.addProduct(A, gram.addProduct(B, gram, gram, C), x, 1));
            }
        }
        return tall ? x.transpose(0, 1) : x;
    }
}
