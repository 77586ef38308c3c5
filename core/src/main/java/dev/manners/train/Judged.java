package dev.manners.train;

import java.util.ArrayList;
import java.util.List;

/// A prompt with a completion that somebody found good or bad, as tokens.
public record Judged(int[] prompt, int[] completion, boolean desirable) {

    /// Whether a token of the completion is left of a row that is cut.
    ///
    /// @param maxLength tokens of the whole; 0 for no limit
    public boolean leavesRoom(int maxLength) {
        return maxLength == 0 || prompt.length < maxLength;
    }

    /// Pairs taken apart, the chosen good and the rejected bad. Neighbours are of different prompts, good and
    /// bad in turn: KTO's KL term takes the neighbour's completion, which must not belong to the prompt.
    public static List<Judged> unpaired(List<Pair> pairs) {
        List<Judged> rows = new ArrayList<>();
        for (int round = 0; round < 2; round++) {
            for (int i = 0; i < pairs.size(); i++) {
                Pair pair = pairs.get(i);
                boolean good = (i + round) % 2 == 0;
                rows.add(new Judged(pair.prompt(), good ? pair.chosen() : pair.rejected(), good));
            }
        }
        return rows;
    }
}
