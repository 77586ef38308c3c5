package dev.manners.reward;

import dev.manners.files.Json;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.IntStream;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.node.StringNode;

/// Candidates as tests write them down.
final class Candidates {

    private Candidates() {}

    /// @param columns as JSON, single quotes for double ones
    static Candidate of(String completion, String columns) {
        return of("", completion, columns);
    }

    static Candidate of(String prompt, String completion, String columns) {
        ObjectNode row = Json.parseObject(columns.replace('\'', '"').getBytes(StandardCharsets.UTF_8), "test");
        return new Candidate(StringNode.valueOf(prompt), new int[0], completion, new int[0], true, row);
    }

    /// One of `length` different tokens.
    static Candidate ofLength(int length, boolean finished) {
        int[] ids = IntStream.range(0, length).toArray();
        return tokens(ids, finished);
    }

    static Candidate tokens(int[] ids, boolean finished) {
        return new Candidate(StringNode.valueOf(""), new int[0], "", ids, finished, Json.MAPPER.createObjectNode());
    }

    static Score score(Reward reward, Candidate candidate) {
        return reward.score(List.of(candidate)).getFirst();
    }
}
