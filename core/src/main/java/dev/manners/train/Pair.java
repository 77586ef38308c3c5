package dev.manners.train;

/// A prompt with a completion that was preferred and one that was not, as tokens.
public record Pair(int[] prompt, int[] chosen, int[] rejected) {

    int length() {
        return prompt.length + chosen.length + rejected.length;
    }
}
