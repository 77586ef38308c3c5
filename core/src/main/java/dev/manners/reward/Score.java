package dev.manners.reward;

import java.util.List;
import org.jspecify.annotations.Nullable;

/// What a reward gave a completion, and why: a tree whose parts say which of them gave what.
///
/// @param name of what gave it
/// @param value the reward; null: it could not be scored, and is left out of every mean. Never NaN or infinite
/// @param reason in a few words: "wrong: 41, expected 42"
/// @param parts what it was made from; empty for a leaf
public record Score(String name, @Nullable Double value, String reason, List<Score> parts) {

    public Score {
        if (value != null && !Double.isFinite(value)) {
            throw new IllegalArgumentException(name + ": " + value + " is no reward");
        }
        parts = List.copyOf(parts);
    }

    public static Score of(String name, double value, String reason) {
        return new Score(name, value, reason, List.of());
    }

    /// One that could not be given.
    public static Score none(String name, String reason) {
        return new Score(name, null, reason, List.of());
    }
}
