package dev.manners.train;

import org.jspecify.annotations.Nullable;

/// How a run ended.
///
/// @param steps steps made in all
/// @param interrupted whether it was asked to stop before the end
/// @param trainLoss mean of the steps' losses; NaN if there was none
/// @param evalLoss loss on held-out rows at the end, or null
/// @param verdict what its metrics say of the run, in plain words; null where it was interrupted, or nobody watched
public record Outcome(
        long steps,
        boolean interrupted,
        double trainLoss,
        @Nullable Double evalLoss,
        Health.@Nullable Verdict verdict) {}
