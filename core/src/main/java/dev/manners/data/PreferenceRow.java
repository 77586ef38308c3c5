package dev.manners.data;

import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/// A row for learning from preferences or from rewards, as tokens.
@SuppressWarnings("ArrayRecordComponent") // compared by nobody; lists would box
public sealed interface PreferenceRow {

    /// Tokens that stand before every completion of the row.
    int[] prompt();

    /// `file:line`.
    String source();

    /// Completions of one prompt that were compared.
    ///
    /// @param completions two or more, the best first, none empty
    /// @param ranks of each, ascending; the same number is a tie
    /// @param margin by how much the first of two is better at least, or null where the row says nothing of it,
    /// which counts as 0; rankings of more than two have no use for one
    record Ranking(
            int[] prompt,
            List<int[]> completions,
            int[] ranks,
            @Nullable Double margin,
            String source) implements PreferenceRow {

        public Ranking {
            completions = List.copyOf(completions);
        }

        /// Whether it says of two completions which is better.
        public boolean isPair() {
            return ranks.length == 2 && ranks[0] < ranks[1];
        }

        /// Pairs in which one is better; ties are none.
        public int comparisons() {
            int pairs = 0;
            for (int i = 0; i < ranks.length; i++) {
                for (int j = i + 1; j < ranks.length; j++) {
                    pairs += ranks[i] < ranks[j] ? 1 : 0;
                }
            }
            return pairs;
        }
    }

    /// A completion that was liked or not.
    record Labelled(int[] prompt, int[] completion, boolean label, String source) implements PreferenceRow {}

    /// A prompt to be completed.
    ///
    /// @param prompt tokens, the opening of the assistant's turn included
    /// @param written the column `prompt`: a string, or messages
    /// @param columns all others, for rewards
    record Prompt(int[] prompt, JsonNode written, ObjectNode columns, String source) implements PreferenceRow {}
}
