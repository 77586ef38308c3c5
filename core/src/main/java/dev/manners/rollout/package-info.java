/// Generation: batches of completions from a decoder, with the log-probabilities they were sampled with.
@NullMarked
package dev.manners.rollout;

import org.jspecify.annotations.NullMarked;
