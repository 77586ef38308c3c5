package dev.manners.rollout;

import dev.manners.tensor.DType;
import dev.manners.tensor.Philox;
import dev.manners.tensor.Tensor;
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
    /// @param seeds seed of each row's sample
    /// @param step number of the token within each row's completion, from 0
    Choice choose(Tensor logits, int @Nullable [][] seen, long[] seeds, int[] step) {
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
        Tensor kept = truncate(logp);
        // Inverse of the cumulative distribution: a row's token depends on its own logits and its own number alone.
        Tensor cumulative = kept.cumsum(-1);
        float[] draws = new float[seeds.length];
        for (int i = 0; i < draws.length; i++) {
            draws[i] = (float) Philox.uniform(seeds[i], Philox.Stream.SAMPLING, step[i], 0);
        }
        long last = logits.size(1) - 1;
        Tensor total = cumulative.narrow(1, last, 1); // [B, 1]
        Tensor u = Tensor.of(draws, draws.length, 1).mul(total);
        // The first token whose cumulative probability exceeds u: one that has probability itself.
        Tensor ids = cumulative.le(u).to(DType.I64).sum(1, true); // [B, 1]
        ids = ids.minimum(lastKept(kept));
        return new Choice(ids.toLongs(), logp.gather(1, ids).toFloats());
    }

    /// Index of the last token with any probability, [B, 1]: rounding may not push a draw past it.
    private static Tensor lastKept(Tensor kept) {
        Tensor place = Tensor.arange(0, kept.size(1)).unsqueeze(0);
        return place.mul(kept.gt(0).to(DType.I64)).amax(1, true);
    }

    /// @param logp [B, V]
    /// @return probabilities, zero where the support was cut, not normalised again
    private Tensor truncate(Tensor logp) {
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
            drop = Tensor.cat(
                    1, java.util.List.of(drop.narrow(1, 0, v - 1), Tensor.zeros(DType.BOOL, logp.size(0), 1)));
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
            Tensor ids = Tensor.of(java.util.Arrays.stream(seen[row]).distinct().toArray());
            Tensor mine = changed.select(0, row);
            Tensor old = mine.indexSelect(0, ids);
            Tensor divided = old.mul(1 / sampling.repetitionPenalty());
            Tensor multiplied = old.mul(sampling.repetitionPenalty());
            mine.indexCopy_(0, ids, multiplied.where(old.lt(0), divided));
        }
        return changed;
    }
}
