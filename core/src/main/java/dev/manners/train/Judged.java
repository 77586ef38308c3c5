package dev.manners.train;

import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// A prompt with a completion that somebody found good or bad, as tokens.
public record Judged(int[] prompt, int[] completion, boolean desirable) {

    /// Whether a token of the completion is left of a row that is cut.
    ///
    /// @param maxLength tokens of the whole; 0 for no limit
    public boolean leavesRoom(int maxLength) {
        return maxLength == 0 || prompt.length < maxLength;
    }

    /// Pairs taken apart, the chosen good and the rejected bad, in turn. Those of one prompt are dealt apart, as an
    /// update should hold several prompts: KTO's KL term takes completions of others ([Neighbours]).
    public static List<Judged> unpaired(List<Pair> pairs) {
        List<Pair> dealt = dealt(pairs);
        List<Judged> rows = new ArrayList<>();
        for (int round = 0; round < 2; round++) {
            for (int i = 0; i < dealt.size(); i++) {
                Pair pair = dealt.get(i);
                boolean good = (i + round) % 2 == 0;
                rows.add(new Judged(pair.prompt(), good ? pair.chosen() : pair.rejected(), good));
            }
        }
        return rows;
    }

    /// The first pair of each prompt, then the second of each that has one, and so on.
    private static List<Pair> dealt(List<Pair> pairs) {
        Map<IntBuffer, Integer> seen = new HashMap<>();
        List<List<Pair>> rounds = new ArrayList<>();
        for (Pair pair : pairs) {
            int round = seen.merge(IntBuffer.wrap(pair.prompt()), 1, Integer::sum) - 1;
            if (round == rounds.size()) {
                rounds.add(new ArrayList<>());
            }
            rounds.get(round).add(pair);
        }
        return rounds.stream().flatMap(List::stream).toList();
    }
}
