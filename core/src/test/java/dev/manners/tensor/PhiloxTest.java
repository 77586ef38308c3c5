package dev.manners.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// The generator is the published one, and its numbers are as uniform and as normal as they say.
class PhiloxTest {

    private static final Philox.Stream STREAM = Philox.Stream.WORLD;

    /// philox4x32-10 of Random123's kat_vectors: counter, key, and the first two of four words.
    @ParameterizedTest
    @CsvSource({
        "00000000 00000000 00000000 00000000, 00000000 00000000, 6627e8d5 e169c58d",
        "ffffffff ffffffff ffffffff ffffffff, ffffffff ffffffff, 408f276d 41c83b0e",
        "243f6a88 85a308d3 13198a2e 03707344, a4093822 299f31d0, d16cfe09 94fdcceb"
    })
    void publishedAnswers(String counter, String key, String answer) {
        int[] c = words(counter);
        int[] k = words(key);
        int[] a = words(answer);
        // The key's first word is the low half of the seed.
        long seed = (long) k[1] << 32 | k[0] & 0xFFFFFFFFL;
        assertThat(Philox.block(c[0], c[1], c[2], c[3], seed)).isEqualTo((long) a[0] << 32 | a[1] & 0xFFFFFFFFL);
    }

    private static int[] words(String hex) {
        String[] parts = hex.split(" ");
        int[] words = new int[parts.length];
        for (int i = 0; i < words.length; i++) {
            words[i] = Integer.parseUnsignedInt(parts[i], 16);
        }
        return words;
    }

    /// Where each argument goes in the counter: a change would silently change every run's numbers.
    @Test
    void argumentsHaveTheirPlaceInTheCounter() {
        long index = 0x1234_5678_9ABCL;
        long step = 0x0FED_CBA9_8765L;
        int middle = 0x0FED << 16 | 0x1234;
        assertThat(Philox.bits(-7, STREAM, step, index))
                .isEqualTo(Philox.block(0x5678_9ABC, middle, 0xCBA9_8765, 5, -7));
        for (long wrong : new long[] {-1, 1L << 48}) {
            assertThatThrownBy(() -> Philox.bits(1, STREAM, wrong, 0)).isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> Philox.bits(1, STREAM, 0, wrong)).isInstanceOf(IllegalArgumentException.class);
        }
    }

    /// Neighbours in every argument have nothing to do with each other.
    @Test
    void noTwoUsesShareNumbers() {
        Set<Long> seen = new HashSet<>();
        int n = 0;
        for (long seed = 0; seed < 10; seed++) {
            for (Philox.Stream stream : Philox.Stream.values()) {
                for (long step = 0; step < 30; step++) {
                    for (long index = 0; index < 30; index++) {
                        seen.add(Philox.bits(seed, stream, step, index));
                        n++;
                    }
                }
            }
        }
        assertThat(seen).hasSize(n);
    }

    private static final int N = 400_000;

    /// Means, variances and tails within five standard errors, along steps and along indices.
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void moments(boolean alongSteps) {
        double[] uniform = new double[3];
        double[] normal = new double[5];
        int[] bucket = new int[16];
        double lag = 0;
        double before = 0;
        for (int i = 0; i < N; i++) {
            long step = alongSteps ? i : 3;
            long index = alongSteps ? 3 : i;
            double u = Philox.uniform(42, STREAM, step, index);
            assertThat(u >= 0 && u < 1).isTrue();
            bucket[(int) (u * 16)]++;
            uniform[1] += u - 0.5;
            uniform[2] += (u - 0.5) * (u - 0.5);
            lag += (u - 0.5) * before;
            before = u - 0.5;
            double z = Philox.normal(42, STREAM, step, index);
            double power = 1;
            for (int k = 1; k <= 4; k++) {
                power *= z;
                normal[k] += power;
            }
        }
        double root = Math.sqrt(N);
        assertThat(uniform[1] / N).isCloseTo(0, within(5 * Math.sqrt(1 / 12.0) / root));
        assertThat(uniform[2] / N).isCloseTo(1 / 12.0, within(5 * Math.sqrt(1 / 180.0) / root));
        assertThat(lag / N).isCloseTo(0, within(5 / 12.0 / root));
        double chi = 0;
        for (int count : bucket) {
            chi += (count - N / 16.0) * (count - N / 16.0) / (N / 16.0);
        }
        assertThat(chi).as("chi squared of 15 degrees").isLessThan(44.3); // p = 1e-4
        assertThat(normal[1] / N).isCloseTo(0, within(5 / root));
        assertThat(normal[2] / N).isCloseTo(1, within(5 * Math.sqrt(2) / root));
        assertThat(normal[3] / N).isCloseTo(0, within(5 * Math.sqrt(15) / root));
        assertThat(normal[4] / N).isCloseTo(3, within(5 * Math.sqrt(96) / root));
    }

    @Test
    void belowIsUniformAndInside() {
        int[] count = new int[7];
        for (int i = 0; i < 70_000; i++) {
            count[Philox.below(7, 9, STREAM, i, 0)]++;
        }
        for (int c : count) {
            assertThat(c).isBetween(9_530, 10_470);
        }
        assertThat(Philox.below(1, 9, STREAM, 5, 5)).isZero();
        for (int i = 0; i < 1000; i++) {
            assertThat(Philox.below(Integer.MAX_VALUE, 9, STREAM, i, 1)).isNotNegative();
        }
    }
}
