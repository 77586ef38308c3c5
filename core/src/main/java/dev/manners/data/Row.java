package dev.manners.data;

import tools.jackson.databind.node.ObjectNode;

/// One row of a dataset file, parsed and nothing more.
///
/// @param source where it stands, `file:line`, for messages
/// @param fields its columns
public record Row(String source, ObjectNode fields) {}
