package dev.manners.reward;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.manners.files.Json;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.node.StringNode;

class PrefixMatchTest {

    private static Score score(String expected, String completion, boolean finished, boolean end) {
        return new PrefixMatch("answer", end)
                .score(List.of(new Candidate(
                        StringNode.valueOf("?"),
                        new int[] {1},
                        completion,
                        new int[] {2},
                        finished,
                        Json.MAPPER.createObjectNode().put("answer", expected))))
                .getFirst();
    }

    @ParameterizedTest
    @CsvSource({
        "'11,12', '11,12', true, 6",
        "'11,12', '11,12', false, 5",
        "'11,12', '11,12,13', true, 5",
        "'11,12', '11,x2', true, 3",
        "'11,12', 'x1,12', true, 0",
        "'11,12', '', true, 0",
        "'', '', true, 6",
        "'', '7', true, 0"
    })
    void everyRightCharacterCountsUpToTheFirstWrongOne(
            String expected, String completion, boolean finished, double sixths) {
        assertThat(score(expected, completion, finished, true).value()).isCloseTo(sixths / 6, within(1e-12));
    }

    /// verl's reward: at most 5/6 for "11,12", and nothing to be had where nothing is asked for.
    @ParameterizedTest
    @CsvSource({
        "'11,12', '11,12', true, 5",
        "'11,12', '11,12', false, 5",
        "'11,12', '11,12,13', true, 5",
        "'11,12', '11', true, 2",
        "'', '', true, 0"
    })
    void withoutTheShareOfTheEnd(String expected, String completion, boolean finished, double sixths) {
        assertThat(score(expected, completion, finished, false).value()).isCloseTo(sixths / 6, within(1e-12));
    }

    @Test
    void aRowWithoutTheColumnIsUnscorable() {
        Candidate bare = new Candidate(
                StringNode.valueOf("?"), new int[] {1}, "11", new int[] {2}, true, Json.MAPPER.createObjectNode());
        assertThat(new PrefixMatch("answer", true)
                        .score(List.of(bare))
                        .getFirst()
                        .value())
                .isNull();
    }
}
