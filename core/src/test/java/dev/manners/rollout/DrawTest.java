package dev.manners.rollout;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.HashSet;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

/// The random number of every token of every sample of every prompt.
class DrawTest {

    /// No two share their number: neighbours in every direction, also across seeds, and the far corners.
    @Test
    void rl07_allDistinct() {
        Set<Double> seen = new HashSet<>();
        int count = 0;
        for (long seed : new long[] {0, 1, 42, 43, Long.MAX_VALUE}) {
            for (long prompt : new long[] {0, 1, 2, 3, 255, 256, 1L << 24, (1L << 24) + 1, (1L << 48) - 1}) {
                for (int sample : new int[] {0, 1, 2, 7, 8, 255, 256, Draw.MOST - 1}) {
                    for (int token = 0; token < 300; token++) {
                        seen.add(Draw.uniform(seed, prompt, sample, token));
                        count++;
                    }
                    seen.add(Draw.uniform(seed, prompt, sample, Draw.MOST - 1));
                    count++;
                }
            }
        }
        // 108,360 numbers of 53 bits: by chance two of them are equal once in a million runs.
        assertThat(seen).hasSize(count);
    }

    /// The counters behind them, for random numbers of sample and token: one to one, so not even by chance.
    @Test
    void rl07_countersNeverCollide() {
        Random random = new Random(42);
        Set<Long> counters = new HashSet<>();
        Set<Long> pairs = new HashSet<>();
        for (int i = 0; i < 100_000; i++) {
            int sample = random.nextInt(random.nextBoolean() ? 16 : Draw.MOST);
            int token = random.nextInt(random.nextBoolean() ? 512 : Draw.MOST);
            counters.add(Draw.index(sample, token));
            pairs.add(sample * 1_000_000_000L + token);
        }
        assertThat(counters).hasSize(pairs.size()).allMatch(c -> c >= 0 && c < 1L << 48);
        assertThatThrownBy(() -> Draw.index(0, Draw.MOST)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> Draw.index(-1, 0)).isInstanceOf(IllegalArgumentException.class);
    }

    /// Uniform, and what a token draws says nothing about its neighbours: along tokens, samples and prompts.
    @Test
    void uniformAndUncorrelated() {
        int n = 20_000;
        for (int axis = 0; axis < 3; axis++) {
            double sum = 0;
            double product = 0;
            double before = 0.5;
            for (int i = 0; i < n; i++) {
                double u = Draw.uniform(42, axis == 0 ? i : 3, axis == 1 ? i : 3, axis == 2 ? i : 3);
                sum += u;
                product += (u - 0.5) * (before - 0.5);
                before = u;
            }
            // Five standard deviations.
            assertThat(sum / n).isBetween(0.5 - 5 * Math.sqrt(1 / 12.0 / n), 0.5 + 5 * Math.sqrt(1 / 12.0 / n));
            assertThat(Math.abs(product / n) * 12).isLessThan(5 / Math.sqrt(n));
        }
    }
}
