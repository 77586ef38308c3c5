package dev.manners.rollout;

import dev.manners.config.Key;
import java.util.List;

/// How tokens are chosen and when a completion ends. Names and meanings are transformers' `GenerationConfig`.
public record Sampling(
        @Key(value = "Most tokens a completion may have", byDefault = "256", min = 1)
        int maxNewTokens,

        @Key(value = "Draw tokens at random; off: always the most likely one", byDefault = "true")
        boolean doSample,

        @Key(
                value = "Logits are divided by it; below 1 sharper, above 1 flatter",
                byDefault = "1.0",
                min = 0,
                aboveMin = true,
                max = 100)
        double temperature,

        @Key(value = "Only the k most likely tokens; 0: all", byDefault = "0", min = 0)
        int topK,

        @Key(
                value = "Only the most likely tokens that together reach this probability",
                byDefault = "1.0",
                min = 0,
                aboveMin = true,
                max = 1)
        double topP,

        @Key(
                value = "Only tokens at least this fraction as likely as the most likely one",
                byDefault = "0.0",
                min = 0,
                max = 1)
        double minP,

        @Key(
                value = "Logits of tokens seen already are divided (negative: multiplied) by it",
                byDefault = "1.0",
                min = 0,
                aboveMin = true,
                max = 10)
        double repetitionPenalty,

        @Key(value = "Texts that end a completion; they are not part of it", byDefault = "[]")
        List<String> stop,

        @Key(value = "Seed of the draws", byDefault = "42", min = 0)
        long seed) {

    /// The most likely token, always.
    public static Sampling greedy(int maxNewTokens) {
        return new Sampling(maxNewTokens, false, 1, 0, 1, 0, 1, List.of(), 0);
    }

    /// Plain sampling at this temperature.
    public static Sampling at(double temperature, int maxNewTokens, long seed) {
        return new Sampling(maxNewTokens, true, temperature, 0, 1, 0, 1, List.of(), seed);
    }

    public Sampling withSeed(long seed) {
        return new Sampling(maxNewTokens, doSample, temperature, topK, topP, minP, repetitionPenalty, stop, seed);
    }
}
