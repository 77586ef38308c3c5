package dev.manners.rollout;

import dev.manners.tensor.DType;
import dev.manners.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Chooses the next token of every row: the processors in transformers' order, then one uniform number per row.
final class Chooser {

    private final Sampling sampling;

    Chooser(Sampling sampling) {
        this.sampling = sampling;
    }

    /// @param ids chosen tokens; `logps` under softmax(logits / temperature)
    record Choice(long[] ids, float[] logps) {}

    /// @param logits [B, V]
    /// @param seen tokens so far per row, for the repetition penalty, or null where there is none
    /// @param draws a uniform number in [0, 1) per row; not looked at when greedy
    Choice choose(Tensor logits, int @Nullable [][] seen, double[] draws) {
        Tensor scores = logits.to(DType.F32); // [B, V]
        if (sampling.repetitionPenalty() != 1 && seen != null) {
            scores = penalise(scores, seen);
        }
        if (!sampling.doSample()) {
            Tensor best = scores.argmax(-1); // [B]
            Tensor logps = scores.logSoftmax(-1).gather(1, best.unsqueeze(1));
            return new Choice(best.toLongs(), logps.toFloats());
        }
        if (sampling.temperature() != 1) {
            scores = scores.mul(1 / sampling.temperature());
        }
        Tensor logp = scores.logSoftmax(-1);
        // Inverse of the cumulative distribution: a row's token depends on its own logits and its own number alone.
        Tensor.Floats cumulative = truncate(logp).cumsum(-1).floats();
        Tensor.Floats logps = logp.floats();
        int vocabulary = (int) logits.size(1);
        long[] ids = new long[draws.length];
        float[] chosen = new float[draws.length];
        for (int row = 0; row < draws.length; row++) {
            long begin = (long) row * vocabulary;
            ids[row] = drawn(cumulative, begin, vocabulary, draws[row]);
            chosen[row] = logps.get(begin + ids[row]);
        }
        return new Choice(ids, chosen);
    }

    /// The first token whose cumulative probability exceeds the draw's share of the whole: one that has probability
    /// itself.
    private static int drawn(Tensor.Floats cumulative, long begin, int vocabulary, double draw) {
        double whole = cumulative.get(begin + vocabulary - 1);
        double wanted = Math.min(draw * whole, Math.nextDown(whole));
        int low = 0;
        int high = vocabulary - 1;
        while (low < high) {
            int middle = (low + high) >>> 1;
            if (cumulative.get(begin + middle) > wanted) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        return low;
    }

    /// @param logp [B, V]
    /// @return probabilities, zero where the support was cut, not normalised again
    private Tensor truncate(Tensor logp) {
        if (sampling.topK() == 0 && sampling.topP() == 1 && sampling.minP() == 0) {
            return logp.exp();
        }
        Tensor scores = logp;
        double none = Double.NEGATIVE_INFINITY;
        if (sampling.topK() > 0 && sampling.topK() < logp.size(1)) {
            Tensor least = scores.topk(sampling.topK())[0].narrow(1, sampling.topK() - 1, 1);
            scores = scores.maskedFill(scores.lt(least), none);
        }
        if (sampling.topP() < 1) {
            // As transformers: ascending, drop while the cumulative probability is at most 1 - p, keep at least one.
            Tensor[] ascending = scores.sort(false);
            Tensor cumulative = ascending[0].softmax(-1).cumsum(-1);
            Tensor drop = cumulative.le(1 - sampling.topP());
            long v = logp.size(1);
            drop = Tensor.cat(1, List.of(drop.narrow(1, 0, v - 1), Tensor.zeros(DType.BOOL, logp.size(0), 1)));
            scores = scores.maskedFill(drop.scatter(1, ascending[1], drop), none);
        }
        Tensor p = scores.softmax(-1);
        if (sampling.minP() > 0) {
            p = p.maskedFill(p.lt(p.amax(-1, true).mul(sampling.minP())), 0);
        }
        return p;
    }

    private Tensor penalise(Tensor scores, int[][] seen) {
        Tensor changed = scores.clone();
        for (int row = 0; row < seen.length; row++) {
            Tensor ids = Tensor.of(Arrays.stream(seen[row]).distinct().toArray());
            Tensor mine = changed.select(0, row);
            Tensor old = mine.indexSelect(0, ids);
            Tensor divided = old.mul(1 / sampling.repetitionPenalty());
            Tensor multiplied = old.mul(sampling.repetitionPenalty());
            mine.indexCopy_(0, ids, multiplied.where(old.lt(0), divided));
        }
        return changed;
    }
}
