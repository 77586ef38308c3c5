package dev.manners.reward;

import dev.manners.model.Dropout;
import dev.manners.model.ScalarModel;
import dev.manners.model.Sequences;
import dev.manners.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// Prompts and their completions laid end to end for a reward model, each completion to be scored at its last token.
/// What completions of a prompt begin with in common goes through the model once.
///
/// @param ids [N]
/// @param last place of each completion's last token, in order, [C]
/// @param sequenceTokens tokens of all sequences, a shared beginning counted in each
public record ScoringBatch(Tensor ids, Sequences sequences, Tensor last, long sequenceTokens) {

    /// A prompt, which may be empty, and what completes it, each at least one token.
    public record Group(int[] prompt, List<int[]> completions) {

        /// Tokens that go through the model.
        public int tokens() {
            int shared = shared();
            return shared
                    + completions.stream()
                            .mapToInt(c -> prompt.length + c.length - shared)
                            .sum();
        }

        /// Tokens that all sequences of the group begin with; each has one more at least.
        private int shared() {
            int[] first = completions.getFirst();
            int same = first.length - 1;
            for (int[] other : completions) {
                int mismatch = Arrays.mismatch(first, other);
                same = Math.min(same, Math.min(other.length - 1, mismatch < 0 ? same : mismatch));
            }
            return prompt.length + same;
        }
    }

    public static ScoringBatch of(List<Group> groups) {
        // Sequences without a common token, such as answers to no prompt, are laid out whole.
        boolean sharing = groups.stream().allMatch(g -> g.shared() > 0);
        List<Sequences.Group> shapes = new ArrayList<>();
        List<int[]> parts = new ArrayList<>();
        List<Integer> whole = new ArrayList<>();
        List<Long> last = new ArrayList<>();
        int at = 0;
        long sequenceTokens = 0;
        for (Group g : groups) {
            int shared = sharing ? g.shared() : 0;
            if (sharing) {
                parts.add(Arrays.copyOf(sequence(g.prompt, g.completions.getFirst()), shared));
                at += shared;
            }
            int[] rests = new int[g.completions.size()];
            for (int c = 0; c < rests.length; c++) {
                int[] sequence = sequence(g.prompt, g.completions.get(c));
                int[] rest = Arrays.copyOfRange(sequence, shared, sequence.length);
                parts.add(rest);
                rests[c] = rest.length;
                whole.add(sequence.length);
                at += rest.length;
                last.add((long) at - 1);
                sequenceTokens += sequence.length;
            }
            shapes.add(new Sequences.Group(shared, rests));
        }
        int[] ids = parts.stream().flatMapToInt(Arrays::stream).toArray();
        return new ScoringBatch(
                Tensor.of(ids),
                sharing
                        ? Sequences.sharing(shapes)
                        : new Sequences(whole.stream().mapToInt(n -> n).toArray()),
                Tensor.of(last.stream().mapToLong(n -> n).toArray()),
                sequenceTokens);
    }

    private static int[] sequence(int[] prompt, int[] completion) {
        int[] sequence = Arrays.copyOf(prompt, prompt.length + completion.length);
        System.arraycopy(completion, 0, sequence, prompt.length, completion.length);
        return sequence;
    }

    /// The completions' scores, [C], F32, with their way back unless gradients are off.
    public Tensor scores(ScalarModel model, Dropout dropout) {
        return model.values(ids, sequences, last, dropout);
    }
}
