package dev.manners.loss;

import dev.manners.tensor.Tensor;

/// Estimates of KL(π ‖ π_ref) from one token sampled from π, with d = log π(token) - log π_ref(token).
///
/// Source: J. Schulman, "Approximating KL Divergence", joschu.net/blog/kl-approx; his log r is -d.
///
/// In a reward K1 is right. As a term of a loss the gradients differ from the values: that of K1 is 0 in the
/// mean, that of K2 is the divergence's own while the samples are π's, that of K3 is the forward divergence's
/// unless it is weighted by the importance ratio ("A Comedy of Estimators", arXiv:2512.21852).
public enum KlEstimator {
    /// d. Unbiased; may be negative, and varies much.
    K1,
    /// d² / 2. Biased, never negative.
    K2,
    /// exp(-d) - 1 + d. Unbiased, never negative.
    K3;

    public double of(double d) {
        return switch (this) {
            case K1 -> d;
            case K2 -> d * d / 2;
            case K3 -> Math.expm1(-d) + d;
        };
    }

    /// With gradient, any shape.
    public Tensor of(Tensor d) {
        return switch (this) {
            case K1 -> d;
            case K2 -> d.square().mul(0.5);
            case K3 -> d.neg().expm1().add(d);
        };
    }
}
