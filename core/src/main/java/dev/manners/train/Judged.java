package dev.manners.train;

/// A prompt with a completion that somebody found good or bad, as tokens.
public record Judged(int[] prompt, int[] completion, boolean desirable) {}
