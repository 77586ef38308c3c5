package dev.manners.rollout;

/// What a model answered.
///
/// @param prompt index of its prompt in the request
/// @param sample number among the samples of its prompt, from 0
/// @param ids tokens, the stop token included if there was one
/// @param logps log-probability of each token under softmax(logits / temperature), before any truncation of the support
/// @param text decoded without special tokens and without a stop string
/// @param finish why it ended
public record Completion(int prompt, int sample, int[] ids, float[] logps, String text, Finish finish) {

    /// Why a completion ended.
    public enum Finish {
        /// A stop token or a stop string.
        STOP,
        /// `max_new_tokens` or the end of the context.
        LENGTH
    }
}
