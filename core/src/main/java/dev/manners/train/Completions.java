package dev.manners.train;

import dev.manners.loss.LogProbs;
import dev.manners.model.Decoder;
import dev.manners.model.Dropout;
import dev.manners.model.Sequences;
import dev.manners.tensor.NoGrad;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Prompts and their completions laid end to end for the model. A prompt goes through it once, however many complete
/// it,
/// and logits are made only for the completions' tokens.
///
/// @param ids prompt, completion, completion, ..., prompt, ..., [N]
/// @param rows positions whose next token is a completion's, completion by completion, [M]; the last of a prompt is in
/// it once for each completion
/// @param targets those next tokens, [M]
/// @param last position of each completion's last token, [B]
/// @param lengths tokens of each completion, summing up to M
record Completions(Tensor ids, Sequences sequences, Tensor rows, Tensor targets, Tensor last, int... lengths) {

    /// A prompt and what completes it, each at least one token.
    record Group(int[] prompt, List<int[]> completions) {}

    static Completions of(List<Group> groups) {
        List<Sequences.Group> shapes = new ArrayList<>();
        int n = 0;
        int m = 0;
        for (Group g : groups) {
            int[] rests = g.completions.stream().mapToInt(c -> c.length).toArray();
            shapes.add(new Sequences.Group(g.prompt.length, rests));
            int completed = Arrays.stream(rests).sum();
            n += g.prompt.length + completed;
            m += completed;
        }
        int[] ids = new int[n];
        long[] rows = new long[m];
        long[] targets = new long[m];
        List<Integer> lengths = new ArrayList<>();
        List<Integer> last = new ArrayList<>();
        int at = 0;
        int row = 0;
        for (Group g : groups) {
            System.arraycopy(g.prompt, 0, ids, at, g.prompt.length);
            at += g.prompt.length;
            int promptEnd = at - 1;
            for (int[] completion : g.completions) {
                for (int i = 0; i < completion.length; i++) {
                    rows[row] = i == 0 ? promptEnd : (long) at + i - 1;
                    targets[row++] = completion[i];
                }
                System.arraycopy(completion, 0, ids, at, completion.length);
                at += completion.length;
                lengths.add(completion.length);
                last.add(at - 1);
            }
        }
        return new Completions(
                Tensor.of(ids),
                Sequences.sharing(shapes),
                Tensor.of(rows),
                Tensor.of(targets),
                Tensor.of(last.stream().mapToInt(i -> i).toArray()),
                lengths.stream().mapToInt(i -> i).toArray());
    }

    /// Tokens that go through the model.
    int tokens() {
        return (int) ids.numel();
    }

    /// Of each completion's token, which completion it is of, [M].
    Tensor owners() {
        long[] owners = new long[(int) rows.numel()];
        int at = 0;
        for (int c = 0; c < lengths.length; c++) {
            Arrays.fill(owners, at, at + lengths[c], c);
            at += lengths[c];
        }
        return Tensor.of(owners);
    }

    /// Log-probabilities under softmax(logits / temperature), with the way back.
    Forward forward(Decoder policy, double temperature, Dropout dropout) {
        Tensor hidden = policy.hidden(ids, sequences, dropout); // [N, H]
        return new Forward(
                policy,
                hidden,
                rows,
                LogProbs.of(hidden.detach().indexSelect(0, rows), policy.headWeight(), targets, temperature));
    }

    /// The same numbers without a way back: of a reference, or of the policy before it changes.
    LogProbs logProbs(Decoder policy, double temperature) {
        try (NoGrad off = NoGrad.on()) {
            Tensor hidden = policy.hidden(ids, sequences, Dropout.NONE);
            return LogProbs.withoutGradient(hidden.indexSelect(0, rows), policy.headWeight(), targets, temperature);
        }
    }

    /// A forward pass whose log-probabilities a loss may be made of.
    record Forward(Decoder policy, Tensor hidden, Tensor rows, LogProbs logProbs) {

        /// Adds a loss's gradient to the parameters.
        ///
        /// @param logpGrad dL/dlogp, [M]
        /// @param entropyGrad dL/dentropy, [M], or null
        void backward(Tensor logpGrad, @Nullable Tensor entropyGrad) {
            try (Scope scope = Scope.open()) {
                Tensor grad = Tensor.zeros(hidden.dtype(), hidden.shape());
                hidden.backward(grad.indexAdd_(0, rows, logProbs.backward(logpGrad, entropyGrad)));
                policy.collectGradients();
            }
        }
    }
}
