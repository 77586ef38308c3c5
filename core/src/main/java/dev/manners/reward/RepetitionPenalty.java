package dev.manners.reward;

import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/// Punishes repeated n-grams of tokens (after Yeo et al. 2025, arXiv:2502.03373, appendix; in open-r1's form, which
/// counts
/// words): `penalty` · (1 - different n-grams / n-grams). 0 where nothing comes twice, and for fewer than n tokens.
///
/// @param n length of the n-grams in tokens, ≥ 1
/// @param penalty what endless repetition approaches, ≤ 0
public record RepetitionPenalty(int n, double penalty) implements Reward {

    public RepetitionPenalty {
        if (n < 1 || !(penalty <= 0) || Double.isInfinite(penalty)) {
            throw new IllegalArgumentException("n " + n + " must be at least 1, penalty " + penalty + " at most 0");
        }
    }

    @Override
    public String name() {
        return "repetition_penalty";
    }

    @Override
    public List<Score> score(List<Candidate> candidates) {
        return candidates.stream().map(this::score).toList();
    }

    private Score score(Candidate candidate) {
        int[] ids = candidate.completionIds();
        int total = Math.max(0, ids.length - n + 1);
        Set<Gram> different = HashSet.newHashSet(total);
        for (int start = 0; start < total; start++) {
            different.add(new Gram(ids, start, n));
        }
        double repeated = total == 0 ? 0 : 1 - (double) different.size() / total;
        String reason = String.format(Locale.ROOT, "%d of %d %d-grams are repeats", total - different.size(), total, n);
        return Score.of(name(), repeated == 0 ? 0 : penalty * repeated, reason);
    }

    /// `ids[start .. start + n)`, compared by what is in it.
    private record Gram(int[] ids, int start, int n) {

        @Override
        public boolean equals(Object other) {
            return other instanceof Gram gram
                    && Arrays.equals(ids, start, start + n, gram.ids, gram.start, gram.start + n);
        }

        @Override
        public int hashCode() {
            int hash = 1;
            for (int at = start; at < start + n; at++) {
                hash = 31 * hash + ids[at];
            }
            return hash;
        }
    }
}
