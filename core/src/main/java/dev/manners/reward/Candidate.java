package dev.manners.reward;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/// A completion to be scored, and all that is known of it.
///
/// @param prompt the row's `prompt` as it stands in the dataset: a string, or a list of `role`/`content` messages
/// @param promptIds tokens of the prompt as the policy saw it
/// @param completion text without special tokens
/// @param completionIds tokens as sampled, the stop token included if there was one
/// @param finished whether it ended by itself; false: it was cut off
/// @param columns every other column of the row
public record Candidate(
        JsonNode prompt,
        int[] promptIds,
        String completion,
        int[] completionIds,
        boolean finished,
        ObjectNode columns) {}
