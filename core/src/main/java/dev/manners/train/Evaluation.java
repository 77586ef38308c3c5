package dev.manners.train;

import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Something to measure of the policy at a step. What it finds goes to the log and nowhere else.
public interface Evaluation {

    /// @return metrics; empty if there are none; null if it was asked to stop before the end
    @Nullable
    Map<String, Double> at(long step);
}
