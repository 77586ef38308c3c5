package dev.manners.loss;

/// The factor of the KL penalty over a run. Its [#coefficient()] is all its state: a checkpoint keeps that
/// number.
public sealed interface KlController {

    double coefficient();

    /// The controller after a batch.
    ///
    /// @param kl mean over the batch's completions of their KL from the reference, summed over tokens, nats
    /// @param episodes completions of the batch
    KlController after(double kl, long episodes);

    /// The same with the coefficient that a checkpoint held.
    KlController with(double coefficient);

    private static void require(boolean holds, String what) {
        if (!holds) {
            throw new IllegalArgumentException(what);
        }
    }

    /// The same factor always.
    record Fixed(double coefficient) implements KlController {

        public Fixed {
            require(coefficient >= 0 && Double.isFinite(coefficient), "a KL coefficient of " + coefficient);
        }

        @Override
        public KlController after(double kl, long episodes) {
            return this;
        }

        @Override
        public KlController with(double other) {
            return new Fixed(other);
        }
    }

    /// Proportional control of log β:
    ///
    ///     e = clip((KL - target) / target, -0.2, 0.2),   β ← β (1 + e · episodes / horizon)
    ///
    /// Source: Ziegler et al. 2019, "Fine-Tuning Language Models from Human Preferences", arXiv:1909.08593,
    /// section 2.2, with the horizon of its code (10,000 episodes there).
    ///
    /// @param target KL to hold, nats for a whole completion
    /// @param horizon episodes over which an error of 100 % that was not clipped would double β
    record Adaptive(double coefficient, double target, double horizon) implements KlController {

        public Adaptive {
            require(coefficient > 0 && Double.isFinite(coefficient), "a KL coefficient of " + coefficient);
            require(target > 0 && Double.isFinite(target), "a KL target of " + target);
            require(horizon > 0 && Double.isFinite(horizon), "a KL horizon of " + horizon);
        }

        @Override
        public KlController after(double kl, long episodes) {
            require(Double.isFinite(kl), "a KL of " + kl);
            // More episodes than the horizon may not turn the sign of β.
            require(episodes >= 0 && episodes < 5 * horizon, episodes + " episodes at a horizon of " + horizon);
            double error = Math.clamp((kl - target) / target, -0.2, 0.2);
            return with(coefficient * (1 + error * episodes / horizon));
        }

        @Override
        public KlController with(double other) {
            return new Adaptive(other, target, horizon);
        }
    }
}
