package dev.manners.train;

import dev.manners.data.PreferenceRow.Ranking;
import dev.manners.data.Tokenisation.Truncation;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// A prompt with a completion that was preferred and one that was not, as tokens.
public record Pair(int[] prompt, int[] chosen, int[] rejected) {

    int length() {
        return prompt.length + chosen.length + rejected.length;
    }

    /// Pairs as they are trained on, and what became of the rest.
    ///
    /// @param cut pairs that were cut to `max_length`
    /// @param noRoom pairs left out, because nothing of prompt or completion would be left of them
    /// @param same pairs left out, because what is left of the two completions is the same
    /// @param ties comparisons of equal rank, of which neither is chosen
    public record Fitted(List<Pair> pairs, int cut, int noRoom, int same, int ties) {

        public Fitted {
            pairs = List.copyOf(pairs);
        }

        /// What the user should know; empty if nothing was changed.
        public List<String> notes(int maxLength) {
            List<String> notes = new ArrayList<>();
            if (cut > 0) {
                notes.add("%,d of %,d pairs cut to max_length %,d".formatted(cut, pairs.size(), maxLength));
            }
            if (noRoom > 0) {
                notes.add("%,d pairs left out: max_length %,d leaves nothing of them".formatted(noRoom, maxLength));
            }
            if (same > 0) {
                notes.add("%,d pairs left out: cut to max_length %,d their completions are the same"
                        .formatted(same, maxLength));
            }
            if (ties > 0) {
                notes.add("%,d comparisons are ties and make no pair".formatted(ties));
            }
            return notes;
        }
    }

    /// Every two completions of a row of which one is better, cut to a length.
    ///
    /// `keep_start` keeps the prompt and cuts the ends of the completions, as TRL does. `keep_end` keeps the
    /// completions and takes from the prompt's beginning what is too much for the longer of the two: both
    /// are completions of the same prompt. TRL cuts the two apart, so that they are not.
    ///
    /// @param maxLength prompt and one completion together, in tokens; 0 for no limit
    public static Fitted fitted(List<Ranking> rows, int maxLength, Truncation mode) {
        List<Pair> pairs = new ArrayList<>();
        int cut = 0;
        int noRoom = 0;
        int same = 0;
        int ties = 0;
        for (Ranking row : rows) {
            List<int[]> completions = row.completions();
            for (int i = 0; i < completions.size(); i++) {
                for (int j = i + 1; j < completions.size(); j++) {
                    Pair whole = new Pair(row.prompt(), completions.get(i), completions.get(j));
                    if (row.ranks()[i] == row.ranks()[j]) {
                        ties++;
                        continue;
                    }
                    boolean fits = maxLength == 0 || whole.longest() <= maxLength;
                    Pair kept = fits ? whole : whole.cut(maxLength, mode);
                    if (kept.prompt.length == 0 || kept.chosen.length == 0 || kept.rejected.length == 0) {
                        noRoom++;
                    } else if (Arrays.equals(kept.chosen, kept.rejected)) {
                        same++;
                    } else {
                        cut += fits ? 0 : 1;
                        pairs.add(kept);
                    }
                }
            }
        }
        return new Fitted(pairs, cut, noRoom, same, ties);
    }

    private int longest() {
        return prompt.length + Math.max(chosen.length, rejected.length);
    }

    private Pair cut(int maxLength, Truncation mode) {
        return switch (mode) {
            case KEEP_START -> {
                int room = Math.max(0, maxLength - prompt.length);
                yield new Pair(
                        prompt,
                        Arrays.copyOf(chosen, Math.min(room, chosen.length)),
                        Arrays.copyOf(rejected, Math.min(room, rejected.length)));
            }
            case KEEP_END -> {
                int from = Math.min(longest() - maxLength, prompt.length);
                yield new Pair(Arrays.copyOfRange(prompt, from, prompt.length), chosen, rejected);
            }
        };
    }
}
