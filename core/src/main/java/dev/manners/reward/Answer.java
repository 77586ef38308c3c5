package dev.manners.reward;

/// What was found where a completion's answer should stand.
public sealed interface Answer {

    /// Exactly one answer, without surrounding white space; never empty.
    record Found(String text) implements Answer {}

    /// None, or one that is not where it must be.
    ///
    /// @param why for the explanation: "no <answer> tag"
    record Missing(String why) implements Answer {}

    /// More than one: whoever may guess often enough is right once.
    record Several(int count) implements Answer {}

    /// Only inside the thinking, which is not the answer.
    record InsideThinking() implements Answer {}
}
