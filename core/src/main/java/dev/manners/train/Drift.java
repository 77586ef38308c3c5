package dev.manners.train;

import dev.manners.model.Decoder;
import dev.manners.rollout.Completion;
import dev.manners.tensor.Scope;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// How far a policy has gone from a reference, on completions that it sampled itself:
///
///     KL(π ‖ π_ref) ≈ mean over completions of Σ_t log π(y_t) - log π_ref(y_t)
///
/// The mean is unbiased (Schulman's k1), in nats for a whole completion.
public final class Drift {

    private Drift() {}

    /// @param prompts tokens, by [Completion#prompt()]
    /// @param sampled from the policy, with its log-probabilities at this temperature
    /// @return of each completion, in order
    public static double[] of(Decoder reference, List<int[]> prompts, List<Completion> sampled, double temperature) {
        double[] kl = new double[sampled.size()];
        int[] all = new int[sampled.size()];
        Arrays.setAll(all, i -> i);
        List<int[]> pieces = Pieces.of(
                reference.config(),
                all,
                i -> prompts.get(sampled.get(i).prompt()).length
                        + sampled.get(i).ids().length);
        List<float[]> logps = Pieces.map(reference.config(), pieces, piece -> {
            try (Scope scope = Scope.open()) {
                List<Completions.Group> groups = new ArrayList<>();
                for (int i : piece) {
                    Completion c = sampled.get(i);
                    groups.add(new Completions.Group(prompts.get(c.prompt()), List.of(c.ids())));
                }
                return Completions.of(groups)
                        .logProbs(reference, temperature)
                        .logps()
                        .toFloats();
            }
        });
        for (int p = 0; p < pieces.size(); p++) {
            int at = 0;
            for (int i : pieces.get(p)) {
                for (float own : sampled.get(i).logps()) {
                    kl[i] += (double) own - logps.get(p)[at++];
                }
            }
        }
        return kl;
    }
}
