package dev.manners.loss;

import dev.manners.tensor.Tensor;

/// A loss, this part's share of its update's.
///
/// Losses are functions of log-probabilities (or scores, values, entropies) that the caller made leaves with
/// [Tensor#setRequiresGrad]. After `value().backward()` their `grad()` is dL/dlogp, for [LogProbs#backward].
///
/// @param value scalar, F32
/// @param metrics what was seen on the way, without gradient
public record Loss(Tensor value, Tally metrics) {}
