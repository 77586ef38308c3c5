package dev.manners.train;

import jdk.jfr.Category;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/// A part of a training step, for Flight Recorder: where the time goes.
///
///     jfr print --events manners.Phase recording.jfr
///
/// Times are nowhere else: metrics hold no clock, so that two equal runs write equal bytes.
@Name("manners.Phase")
@Label("Training phase")
@Category("Manners")
@StackTrace(false)
final class Phase extends Event implements AutoCloseable {

    @Label("Phase")
    private final String phase;

    @Label("Step")
    private final long step;

    private Phase(String phase, long step) {
        this.phase = phase;
        this.step = step;
    }

    /// Begins a part of a step: `rollout`, `reward`, `old_logps`, `reference`, `kl`, `forward_backward`, `update`.
    ///
    /// @param step steps made before
    static Phase of(String phase, long step) {
        Phase begun = new Phase(phase, step);
        begun.begin();
        return begun;
    }

    @Override
    public void close() {
        commit();
    }

    @Override
    public String toString() {
        return phase + " of step " + step;
    }
}
