package dev.manners.feedback;

import dev.manners.files.Sha256;
import dev.manners.tensor.Philox;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// A task given to an annotator: to be answered with a verdict that names the same task, occasion and order.
///
/// @param occasion 0; 1 where a task is asked again, to see whether the annotator agrees with itself
/// @param shown indexes of the answers in the order to show them in
/// @param supersedes the verdict that the answer must name as superseded, where one was withdrawn; otherwise null
public record Assignment(
        String taskId,
        Task task,
        String annotator,
        int occasion,
        List<Integer> shown,
        @Nullable String supersedes) {

    /// The rules by which tasks are given out.
    ///
    /// @param overlap annotators that each task goes to, at least 1
    /// @param lease how long a place is kept for who does not answer
    /// @param repeats how many of an annotator's tasks are asked a second time, as a share: 0.05
    public record Terms(int overlap, Duration lease, double repeats) {
        public Terms {
            if (overlap < 1 || lease.isNegative() || lease.isZero() || !(repeats >= 0 && repeats <= 1)) {
                throw new IllegalArgumentException("overlap " + overlap + ", lease " + lease + ", repeats " + repeats);
            }
        }
    }

    /// The verdict that answers it.
    public Verdict verdict(String id, Ranking ranking, Verdict.Remarks remarks, Verdict.Circumstances circumstances) {
        return new Verdict(id, taskId, annotator, occasion, shown, ranking, remarks, circumstances, supersedes);
    }

    /// The order for the task's next annotator: random by task, and turned by one place for each annotator, so that
    /// every
    /// answer stands first equally often. It is a function of the task's id and can be made again.
    static List<Integer> order(String taskId, List<Integer> servable, int annotatorsBefore) {
        List<Integer> order = new ArrayList<>(servable);
        long seed = Long.parseUnsignedLong(Sha256.ofText("order " + taskId).substring(0, 16), 16);
        for (int i = order.size() - 1; i > 0; i--) {
            Collections.swap(order, i, Philox.below(i + 1, seed, Philox.Stream.SHUFFLE, 0, i));
        }
        Collections.rotate(order, -annotatorsBefore);
        return List.copyOf(order);
    }
}
