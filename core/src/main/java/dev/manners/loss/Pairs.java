package dev.manners.loss;

import dev.manners.tensor.DType;
import dev.manners.tensor.Tensor;

/// A number of each chosen and each rejected completion, [P] each.
record Pairs(Tensor chosen, Tensor rejected) {

    /// @param completions chosen and rejected of the first pair, of the second, ..., [2P]
    static Pairs of(Tensor completions) {
        if (completions.dim() != 1 || completions.size(0) % 2 != 0) {
            throw new IllegalArgumentException(completions + " where pairs are expected");
        }
        Tensor pairs = completions.view(-1, 2);
        return new Pairs(pairs.select(1, 0), pairs.select(1, 1));
    }

    /// Metrics of these as log-ratios or scores, which times β are rewards.
    void rewards(Tally metrics, double beta) {
        Tensor margins = chosen.detach().sub(rejected.detach()).mul(beta);
        double n = chosen.numel();
        metrics.mean("rewards/chosen", chosen.detach().sum().item() * beta, n)
                .mean("rewards/rejected", rejected.detach().sum().item() * beta, n)
                .mean("rewards/accuracies", margins.gt(0).to(DType.F32).sum().item(), n)
                .mean("rewards/margins", margins.sum().item(), n);
    }

    /// Metrics of these as log-probabilities.
    void logps(Tally metrics) {
        double n = chosen.numel();
        metrics.mean("logps/chosen", chosen.detach().sum().item(), n)
                .mean("logps/rejected", rejected.detach().sum().item(), n);
    }
}
