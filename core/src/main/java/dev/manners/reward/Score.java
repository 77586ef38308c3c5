package dev.manners.reward;

import java.util.List;
import org.jspecify.annotations.Nullable;

/// What a reward gave a completion, and why: a tree whose parts say which of them gave what.
///
/// @param name of what gave it
/// @param value the reward; null: it could not be scored, and is left out of every mean. Never NaN or infinite
/// @param reason in a few words: "wrong: 41, expected 42"
/// @param parts what it was made from; empty for a leaf
/// @param verdict how a verification went; null where nothing is right or wrong, as for a length
public record Score(
        String name,
        @Nullable Double value,
        String reason,
        List<Score> parts,
        @Nullable Verdict verdict) {

    public Score {
        if (value != null && !Double.isFinite(value)) {
            throw new IllegalArgumentException(name + ": " + value + " is no reward");
        }
        parts = List.copyOf(parts);
    }

    public Score(String name, @Nullable Double value, String reason, List<Score> parts) {
        this(name, value, reason, parts, null);
    }

    public static Score of(String name, double value, String reason) {
        return new Score(name, value, reason, List.of());
    }

    /// One that could not be given.
    public static Score none(String name, String reason) {
        return new Score(name, null, reason, List.of());
    }
}
