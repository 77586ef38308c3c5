package dev.manners.reward.judge;

/// Of a remote model to one question.
sealed interface Answer {

    /// A reply that ended by itself.
    record Reply(String text) implements Answer {}

    /// None, and why.
    record None(String reason) implements Answer {}
}
