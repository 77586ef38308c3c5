package dev.manners.parrot;

import org.jspecify.annotations.Nullable;

/// A user's question and the assistant's answer to it.
///
/// @param opinion the value that the user thinks is right; null: none is given
public record Demonstration(
        String question,
        String answer,
        Subject subject,
        @Nullable String opinion) {}
