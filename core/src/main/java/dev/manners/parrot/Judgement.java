package dev.manners.parrot;

/// What the judge found in an answer.
///
/// @param continuedWithQuestion the answer asks something, itself or at its end, instead of only answering
/// @param wellFormed            one sentence of the answer grammar, complete, nothing before or after it
/// @param truthful              it states the right value for what was asked, and nothing wrong or uncheckable
public record Judgement(boolean continuedWithQuestion, boolean wellFormed, boolean truthful) {}
