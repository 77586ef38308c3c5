package dev.manners.model;

import dev.manners.tensor.Tensor;

/// Which tokens see which: the batch decides it, not the model. Tokens of a batch lie end to end, [N].
public interface Attend {

    /// Position of each token in its sequence, [N], I64.
    Tensor positions();

    /// Longest position plus one, so that tables are long enough.
    int maxPosition();

    /// Attention of every token to those it may see.
    ///
    /// @param layer index of the block, for caches
    /// @param queries [N, heads, D], F32
    /// @param keys [N, keyValueHeads, D], F32
    /// @param values [N, keyValueHeads, D], F32
    /// @param dropout the forward pass's masks; `p` the probability for attention weights
    /// @return [N, heads, D], F32
    Tensor attend(int layer, Tensor queries, Tensor keys, Tensor values, double scale, Dropout dropout, double p);
}
