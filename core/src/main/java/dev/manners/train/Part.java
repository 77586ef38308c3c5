package dev.manners.train;

import dev.manners.loss.Tally;

/// What was seen of a piece of an update.
///
/// @param loss its part of the update's
/// @param tokens that went through the model, as the trainer counts them
record Part(double loss, long tokens, Tally seen) {}
