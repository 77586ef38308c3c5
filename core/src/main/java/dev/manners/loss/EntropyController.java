package dev.manners.loss;

/// The factor of the entropy bonus over a run. [#coefficient()] and [#entropy()] are all its state: a checkpoint keeps
/// these two numbers.
public sealed interface EntropyController {

    double coefficient();

    /// Of the last update, mean over the tokens that carry loss, nats; infinite before the first.
    double entropy();

    /// The factor of the next update's bonus.
    double applied();

    /// The controller after an update.
    ///
    /// @param entropy mean over the update's tokens that carry loss, nats
    EntropyController after(double entropy);

    /// The same with what a checkpoint held.
    EntropyController with(double coefficient, double entropy);

    /// The same factor always.
    record Fixed(double coefficient) implements EntropyController {

        @Override
        public double entropy() {
            return Double.POSITIVE_INFINITY;
        }

        @Override
        public double applied() {
            return coefficient;
        }

        @Override
        public EntropyController after(double entropy) {
            return this;
        }

        @Override
        public EntropyController with(double other, double entropy) {
            return new Fixed(other);
        }
    }

    /// Steps up while the entropy is at or below its target, and down while it is above; the bonus is given only where
    /// the last update's entropy was at or below:
    ///
    ///     c ← min(c + δ, max) if H ≤ target, else max(c - δ, min),   applied: c if H ≤ target, else 0
    ///
    /// Source: He et al. 2025, "Skywork Open Reasoner 1", arXiv:2505.22312; TRL's `use_adaptive_entropy`.
    ///
    /// @param delta a step, above 0
    /// @param target nats a token
    record Adaptive(double coefficient, double entropy, double min, double max, double delta, double target)
            implements EntropyController {

        public Adaptive {
            if (!(min <= coefficient && coefficient <= max && delta > 0 && !Double.isNaN(entropy))) {
                throw new IllegalArgumentException("an entropy coefficient of " + coefficient + " between " + min
                        + " and " + max + ", in steps of " + delta + ", at an entropy of " + entropy);
            }
        }

        @Override
        public double applied() {
            return entropy <= target ? coefficient : 0;
        }

        @Override
        public EntropyController after(double now) {
            return with(now <= target ? Math.min(coefficient + delta, max) : Math.max(coefficient - delta, min), now);
        }

        @Override
        public EntropyController with(double other, double now) {
            return new Adaptive(other, now, min, max, delta, target);
        }
    }
}
