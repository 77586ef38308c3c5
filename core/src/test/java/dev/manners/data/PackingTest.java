package dev.manners.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import tools.jackson.databind.JsonNode;

class PackingTest {

    /// The fixture holds what TRL 1.13's `pack_dataset` made of rows of these lengths: of each pack, the pieces as
    /// (row, first token, tokens); of a wrapped pack, where in the stream it begins and how many tokens it has.
    @TestFactory
    Stream<DynamicTest> packsAreTrls() throws IOException {
        return TrlParityTest.resource("trl-packing.json")
                .valueStream()
                .flatMap(test -> Stream.of(Packing.Strategy.BFD, Packing.Strategy.BFD_SPLIT, Packing.Strategy.WRAPPED)
                        .filter(strategy -> test.has(name(strategy)))
                        .map(strategy -> DynamicTest.dynamicTest(
                                test.path("name").asString() + ", " + strategy, () -> same(test, strategy))));
    }

    private static String name(Packing.Strategy strategy) {
        return strategy.name().toLowerCase(Locale.ROOT);
    }

    private static void same(JsonNode test, Packing.Strategy strategy) {
        int[] lengths = TrlParityTest.ints(test.path("lengths"));
        Packing packing = Packing.of(strategy, lengths, test.path("capacity").asInt());
        JsonNode packs = test.path(name(strategy));
        assertThat(packing.size()).isEqualTo(packs.size());
        long stream = 0;
        for (int i = 0; i < packs.size(); i++) {
            int[] expected = TrlParityTest.ints(packs.get(i));
            if (strategy == Packing.Strategy.WRAPPED) {
                assertThat(expected[0]).isEqualTo((int) stream);
                assertThat(packing.length(i)).isEqualTo(expected[1]);
                stream += expected[1];
            } else {
                int[] found = packing.pieces(i).stream()
                        .flatMapToInt(p -> Arrays.stream(new int[] {p.example(), p.from(), p.length()}))
                        .toArray();
                assertThat(found).isEqualTo(expected);
            }
        }
    }

    @Test
    void wrappedIsOneStreamInOrder() {
        Packing packing = Packing.wrapped(new int[] {5, 2, 0, 3, 1}, 4);
        assertThat(packing.size()).isEqualTo(3);
        assertThat(packing.pieces(0)).containsExactly(new Packing.Piece(0, 0, 4));
        assertThat(packing.pieces(1))
                .containsExactly(new Packing.Piece(0, 4, 1), new Packing.Piece(1, 0, 2), new Packing.Piece(3, 0, 1));
        assertThat(packing.pieces(2)).containsExactly(new Packing.Piece(3, 1, 2), new Packing.Piece(4, 0, 1));
    }

    /// TRL 1.13 gives the first 1,000 rows twice here.
    @Test
    void wrappedGoesOnBehindTheThousandthRow() {
        int[] lengths = new int[2500];
        Arrays.fill(lengths, 1);
        Packing packing = Packing.wrapped(lengths, 300);
        assertThat(packing.size()).isEqualTo(9);
        assertThat(packing.length(8)).isEqualTo(100);
        assertThat(packing.pieces(3).get(100)).isEqualTo(new Packing.Piece(1000, 0, 1));
    }

    @Test
    void positionsBeginAgainAndNothingPredictsTheFirstTokenOfADocument() {
        Packed packed =
                Packed.of(new int[] {7, 8, 9, 7, 8}, new boolean[] {true, true, true, true, true}, new int[] {3, 2});
        assertThat(packed.positions()).containsExactly(0, 1, 2, 0, 1);
        assertThat(packed.trained()).containsExactly(false, true, true, false, true);
        assertThat(packed.trainedTokens()).isEqualTo(3);
    }

    @Test
    void aPackThatContradictsItselfIsOurMistake() {
        assertThatThrownBy(() -> new Packed(new int[] {1, 2}, new boolean[2], new int[] {1}))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new Packed(new int[] {1, 2}, new boolean[] {true, true}, new int[] {2}))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> Packing.bfd(new int[] {1}, 0)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void capacityOfOneAndNoRowsAtAll() {
        assertThat(Packing.bfd(new int[] {3, 0, 1}, 1).size()).isEqualTo(2);
        for (Packing.Strategy strategy : List.of(Packing.Strategy.values())) {
            assertThat(Packing.of(strategy, new int[0], 8).size()).isZero();
        }
    }
}
