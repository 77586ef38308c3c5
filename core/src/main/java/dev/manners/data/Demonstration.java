package dev.manners.data;

import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;

/// What a row of one of the supervised kinds shows, whatever its columns were called.
public sealed interface Demonstration {

    /// Plain text, to be continued from its first token to its last.
    record Text(String text) implements Demonstration {}

    /// Plain text of which only the second part was written by the one to be imitated.
    record Completion(String prompt, String completion) implements Demonstration {}

    /// A conversation, or a prompt conversation and what answers it.
    ///
    /// @param prompt messages that are given; empty for a row of kind `messages`
    /// @param messages the rest
    /// @param tools tool schemas for the template, or null
    record Conversation(
            ArrayNode prompt, ArrayNode messages, @Nullable JsonNode tools) implements Demonstration {}
}
