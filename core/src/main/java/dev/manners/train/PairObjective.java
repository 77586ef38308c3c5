package dev.manners.train;

import dev.manners.loss.CpoLoss;
import dev.manners.loss.Loss;
import dev.manners.loss.OrpoLoss;
import dev.manners.loss.PreferenceLoss;
import dev.manners.loss.Segments;
import dev.manners.loss.Window;
import dev.manners.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// What is made small over pairs of a chosen and a rejected completion.
sealed interface PairObjective {

    /// @param logps of the completions' tokens under the policy, [M], a leaf
    /// @param refLogps of whole completions under the reference, [2P]; empty without one
    /// @param logSumSquares [M], where [#weighs]
    Loss of(Tensor logps, Segments segments, @Nullable Tensor refLogps, @Nullable Tensor logSumSquares, Window window);

    /// Whether it is against a reference.
    default boolean hasReference() {
        return false;
    }

    /// Whether a micro-batch has to be given whole.
    default boolean couplesPairs() {
        return false;
    }

    default boolean weighs() {
        return false;
    }

    /// DPO and its relatives.
    record Dpo(PreferenceLoss.Options options) implements PairObjective {
        @Override
        public Loss of(
                Tensor logps,
                Segments segments,
                @Nullable Tensor refLogps,
                @Nullable Tensor logSumSquares,
                Window window) {
            return PreferenceLoss.of(
                    logps, segments, java.util.Objects.requireNonNull(refLogps), logSumSquares, window, options);
        }

        @Override
        public boolean hasReference() {
            return true;
        }

        @Override
        public boolean couplesPairs() {
            return options.couplesPairs();
        }

        @Override
        public boolean weighs() {
            return options.useWeighting();
        }
    }

    /// CPO, SimPO, AlphaPO.
    record Cpo(CpoLoss.Options options) implements PairObjective {
        @Override
        public Loss of(
                Tensor logps,
                Segments segments,
                @Nullable Tensor refLogps,
                @Nullable Tensor logSumSquares,
                Window window) {
            return CpoLoss.of(logps, segments, window, options);
        }
    }

    /// ORPO.
    record Orpo(double beta) implements PairObjective {
        @Override
        public Loss of(
                Tensor logps,
                Segments segments,
                @Nullable Tensor refLogps,
                @Nullable Tensor logSumSquares,
                Window window) {
            return OrpoLoss.of(logps, segments, window, beta);
        }
    }
}
