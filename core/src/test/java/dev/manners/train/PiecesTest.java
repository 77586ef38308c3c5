package dev.manners.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.model.Decoder;
import dev.manners.model.DecoderConfig;
import dev.manners.tensor.LibTorch;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class PiecesTest {

    private static final long SEED = Long.getLong("tests.seed", 42);

    private final int threads = LibTorch.threads();

    @AfterEach
    void asBefore() {
        LibTorch.setThreads(threads);
    }

    private static DecoderConfig tiny() {
        try (Decoder decoder = SftTrainerTest.tiny()) {
            return decoder.config();
        }
    }

    private static int[] rows(int n) {
        return IntStream.range(0, n).toArray();
    }

    private static List<int[]> pieces(int threads, int... tokens) {
        LibTorch.setThreads(threads);
        return Pieces.of(tiny(), rows(tokens.length), i -> tokens[i]);
    }

    @Test
    void oneWorkerFillsItsPieces() {
        assertThat(pieces(1, 500, 500, 500, 100, 2000, 10, 10))
                .containsExactly(new int[] {0, 1}, new int[] {2, 3}, new int[] {4}, new int[] {5, 6});
    }

    @Test
    void everyWorkerHasAPieceOfAboutTheSameSize() {
        assertThat(pieces(2, 40, 40, 40, 40)).containsExactly(new int[] {0, 1}, new int[] {2, 3});
        assertThat(pieces(2, 10, 10, 10, 90)).containsExactly(new int[] {0, 1, 2}, new int[] {3});
        assertThat(pieces(2, 90, 10, 10, 10)).containsExactly(new int[] {0}, new int[] {1, 2, 3});
        assertThat(pieces(3, 40, 40, 40)).containsExactly(new int[] {0}, new int[] {1}, new int[] {2});
        // Three pieces would be full.
        assertThat(pieces(2, 600, 600, 600, 600, 600, 600)).hasSize(6);
        assertThat(pieces(2, 700, 300, 700, 300, 700, 300)).hasSize(4);
        // Two would be full and almost empty.
        assertThat(pieces(2, 300, 300, 300, 300)).containsExactly(new int[] {0, 1}, new int[] {2, 3});
    }

    @Test
    void thereAreNoMorePiecesThanRows() {
        assertThat(pieces(3, 40, 40)).containsExactly(new int[] {0}, new int[] {1});
        assertThat(pieces(3, 40)).containsExactly(new int[] {0});
        assertThat(pieces(3)).isEmpty();
    }

    @Test
    void aPromptThatIsSharedCountsOnce() {
        LibTorch.setThreads(2);
        // A prompt of 900 tokens and four completions of 20 each.
        assertThat(Pieces.of(tiny(), rows(4), (row, begins) -> 20 + (begins ? 900 : 0)))
                .hasSize(2)
                .allSatisfy(piece -> assertThat(piece).isNotEmpty());
    }

    @Test
    void everyRowIsInOnePieceInOrder() {
        Random random = new Random(SEED);
        for (int trial = 0; trial < 500; trial++) {
            int workers = 1 + random.nextInt(4);
            int[] tokens = random.ints(1 + random.nextInt(40), 1, 700).toArray();
            List<int[]> pieces = pieces(workers, tokens);
            assertThat(pieces.stream().flatMapToInt(Arrays::stream).toArray()).isEqualTo(rows(tokens.length));
            assertThat(pieces).allSatisfy(piece -> assertThat(piece).isNotEmpty());
            if (pieces.size() < tokens.length) {
                assertThat(pieces.size() % workers)
                        .as("pieces of %d workers", workers)
                        .isZero();
            }
            // A piece may be half a row larger than the largest.
            assertThat(pieces)
                    .allSatisfy(piece -> assertThat(piece.length == 1
                                    || Arrays.stream(piece).map(i -> tokens[i]).sum() <= 1024 + 350)
                            .isTrue());
        }
    }
}
