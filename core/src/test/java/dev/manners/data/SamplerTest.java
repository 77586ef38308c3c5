package dev.manners.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class SamplerTest {

    @Test
    void anEpochVisitsEveryRowOnceWhateverTheBatch() {
        for (int world : new int[] {1, 3}) {
            for (int batch : new int[] {1, 4, 64}) {
                Sampler sampler = new Sampler(30, batch, 2, world, Sampler.Order.RANDOM, 42);
                for (int epoch = 0; epoch < 2; epoch++) {
                    List<Integer> seen = new ArrayList<>();
                    for (int step = 0; step < sampler.stepsPerEpoch(); step++) {
                        long global = (long) epoch * sampler.stepsPerEpoch() + step;
                        int microBatches = sampler.step(global, 0).size();
                        for (int rank = 0; rank < world; rank++) {
                            List<int[]> batches = sampler.step(global, rank);
                            assertThat(batches).hasSize(microBatches);
                            batches.forEach(b -> Arrays.stream(b).forEach(seen::add));
                        }
                    }
                    assertThat(seen)
                            .containsExactlyInAnyOrderElementsOf(
                                    IntStream.range(0, 30).boxed().toList());
                }
            }
        }
    }

    /// The order is part of what a run's manifest promises: the numbers may not change from one version to the next.
    @Test
    void theShuffleIsAPureFunctionOfSeedAndEpoch() {
        assertThat(Sampler.order(Sampler.Order.RANDOM, 42, 0, 10)).containsExactly(KNOWN);
        assertThat(Sampler.order(Sampler.Order.RANDOM, 42, 0, 10))
                .isEqualTo(Sampler.order(Sampler.Order.RANDOM, 42, 0, 10));
        assertThat(Sampler.order(Sampler.Order.RANDOM, 42, 1, 10))
                .isNotEqualTo(Sampler.order(Sampler.Order.RANDOM, 42, 0, 10));
        assertThat(Sampler.order(Sampler.Order.RANDOM, 43, 0, 10))
                .isNotEqualTo(Sampler.order(Sampler.Order.RANDOM, 42, 0, 10));
    }

    private static final int[] KNOWN = {5, 3, 2, 4, 0, 6, 7, 9, 1, 8};

    @Test
    void theShuffleIsFair() {
        int[][] counts = new int[5][5];
        for (int epoch = 0; epoch < 20_000; epoch++) {
            int[] order = Sampler.order(Sampler.Order.RANDOM, 42, epoch, 5);
            for (int i = 0; i < 5; i++) {
                counts[order[i]][i]++;
            }
        }
        for (int[] row : counts) {
            for (int count : row) {
                assertThat(count).isBetween(3800, 4200); // 4,000 expected, standard deviation 57
            }
        }
    }

    @Test
    void aStepKnowsItsPlaceWithoutTheStepsBefore() {
        Sampler one = new Sampler(23, 4, 2, 1, Sampler.Order.RANDOM, 42);
        List<int[]> walked = new ArrayList<>();
        for (int step = 0; step <= 7; step++) {
            walked = one.step(step, 0);
        }
        List<int[]> jumped = new Sampler(23, 4, 2, 1, Sampler.Order.RANDOM, 42).step(7, 0);
        assertThat(jumped).usingRecursiveComparison().isEqualTo(walked);
        assertThat(one.position(7)).isEqualTo(new Sampler.Position(2, 8));
        assertThat(one.stepsPerEpoch()).isEqualTo(3);
        assertThat(one.epoch(3)).isEqualTo(1.0);
        assertThat(one.epoch(4)).isEqualTo(1 + 2 / 6.0);
    }

    @Test
    void ds05_fewerRowsThanABatchAndALastPartialBatch() {
        Sampler one = new Sampler(1, 8, 4, 1, Sampler.Order.RANDOM, 42);
        assertThat(one.stepsPerEpoch()).isEqualTo(1);
        assertThat(one.step(5, 0)).singleElement().isEqualTo(new int[] {0});

        Sampler ten = new Sampler(10, 4, 1, 1, Sampler.Order.SEQUENTIAL, 42);
        assertThat(ten.stepsPerEpoch()).isEqualTo(3);
        assertThat(ten.step(2, 0)).singleElement().isEqualTo(new int[] {8, 9});

        // Two ranks, three rows in batches of two: the second rank's batch is the smaller one.
        Sampler two = new Sampler(3, 2, 1, 2, Sampler.Order.SEQUENTIAL, 42);
        assertThat(two.step(0, 0)).singleElement().isEqualTo(new int[] {0, 1});
        assertThat(two.step(0, 1)).singleElement().isEqualTo(new int[] {2});
        // Five rows: in the second step it has nothing, and knows it.
        Sampler five = new Sampler(5, 2, 1, 2, Sampler.Order.SEQUENTIAL, 42);
        assertThat(five.step(1, 0)).singleElement().isEqualTo(new int[] {4});
        assertThat(five.step(1, 1)).singleElement().isEqualTo(new int[] {});
    }
}
