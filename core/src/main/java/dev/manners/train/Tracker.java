package dev.manners.train;

import java.util.List;
import java.util.Map;

/// Hears what a trainer has to say: to write it down, draw it, show it.
public interface Tracker {

    /// One line of metrics; values may be NaN or infinite and are to be shown so.
    default void metrics(long step, Map<String, Double> values) {}

    /// A sample completion.
    default void sample(long step, String prompt, String completion, Map<String, ?> extra) {}

    /// Something that happened: `saved`, `resumed`, `non_finite`, `interrupted`.
    default void event(String name, Map<String, ?> details) {}

    /// After every update.
    ///
    /// @param shown what to show beside the progress: `loss`, `num_tokens`
    default void progress(long step, long total, Map<String, Double> shown) {}

    /// A tracker that hears nothing.
    static Tracker none() {
        return new Tracker() {};
    }

    /// One that tells all of these.
    static Tracker all(List<Tracker> trackers) {
        List<Tracker> several = List.copyOf(trackers);
        return new Tracker() {
            @Override
            public void metrics(long step, Map<String, Double> values) {
                several.forEach(t -> t.metrics(step, values));
            }

            @Override
            public void sample(long step, String prompt, String completion, Map<String, ?> extra) {
                several.forEach(t -> t.sample(step, prompt, completion, extra));
            }

            @Override
            public void event(String name, Map<String, ?> details) {
                several.forEach(t -> t.event(name, details));
            }

            @Override
            public void progress(long step, long total, Map<String, Double> shown) {
                several.forEach(t -> t.progress(step, total, shown));
            }
        };
    }
}
