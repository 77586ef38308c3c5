package dev.manners.loss;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.manners.tensor.DType;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.util.Objects;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LogProbsTest {

    private static final long SEED = Long.getLong("tests.seed", 42);

    private static Tensor random(Random random, long... shape) {
        int n = 1;
        for (long size : shape) {
            n *= (int) size;
        }
        float[] values = new float[n];
        for (int i = 0; i < n; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return Tensor.of(values, shape);
    }

    /// 2,000 rows of 1,024 logits take two pieces, and 20,000 of them are more than is kept for the way back.
    @ParameterizedTest
    @ValueSource(ints = {3, 2_000, 20_000})
    void valuesAndGradientsAreThoseOfAutograd(int rows) {
        Random random = new Random(SEED);
        int vocabulary = rows == 3 ? 7 : 1024;
        double temperature = 0.7;
        try (Scope scope = Scope.open()) {
            Tensor hidden = random(random, rows, 8).setRequiresGrad(true);
            Tensor weight = random(random, vocabulary, 8).setRequiresGrad(true);
            Tensor targets = Tensor.of(random.ints(rows, 0, vocabulary).toArray());
            Tensor logpGrad = random(random, rows);
            Tensor entropyGrad = random(random, rows);

            Tensor logp = hidden.linear(weight, null).mul(1 / temperature).logSoftmax(-1);
            Tensor mine = logp.gather(1, targets.unsqueeze(1)).squeeze(1);
            Tensor entropy = logp.exp().mul(logp).sum(-1, false).neg();
            mine.mul(logpGrad).add(entropy.mul(entropyGrad)).sum().backward();

            Tensor apart = weight.detach().clone().setRequiresGrad(true);
            LogProbs made = LogProbs.of(hidden.detach(), apart, targets, temperature);
            Tensor hiddenGrad = made.backward(logpGrad, entropyGrad);

            assertThat(far(made.logps(), mine)).isLessThan(1e-4);
            assertThat(far(made.entropies(), entropy)).isLessThan(1e-4);
            assertThat(far(hiddenGrad, hidden.grad())).isLessThan(1e-3);
            assertThat(far(apart.grad(), weight.grad()) / Math.sqrt(rows)).isLessThan(1e-3);
        }
    }

    @Test
    void withoutAnEntropyTermOnlyTheTargetsPull() {
        try (Scope scope = Scope.open()) {
            Tensor hidden = random(new Random(SEED), 5, 4).setRequiresGrad(true);
            Tensor weight = random(new Random(SEED + 1), 6, 4);
            Tensor targets = Tensor.of(new long[] {0, 1, 2, 3, 5});
            Tensor g = Tensor.of(new float[] {1, -2, 0, 0.5f, 3});
            Tensor logp = hidden.linear(weight, null).logSoftmax(-1);
            logp.gather(1, targets.unsqueeze(1)).squeeze(1).mul(g).sum().backward();
            Tensor grad = LogProbs.of(hidden.detach(), weight, targets, 1).backward(g, null);
            assertThat(far(grad, hidden.grad())).isLessThan(1e-5);
            assertThat(grad.select(0, 2).normAll().item()).isCloseTo(0, within(1e-12));
        }
    }

    @Test
    void inBf16ItIsNearTheSame() {
        try (Scope scope = Scope.open()) {
            Tensor hidden = random(new Random(SEED), 16, 32);
            Tensor weight = random(new Random(SEED + 1), 64, 32).mul(0.2);
            Tensor targets = Tensor.of(new Random(SEED).ints(16, 0, 64).toArray());
            Tensor exact = LogProbs.withoutGradient(hidden, weight, targets, 1).logps();
            Tensor rounded = LogProbs.withoutGradient(hidden.to(DType.BF16), weight.to(DType.BF16), targets, 1)
                    .logps();
            assertThat(far(rounded, exact)).isLessThan(0.1).isPositive();
        }
    }

    private static double far(@Nullable Tensor a, @Nullable Tensor b) {
        Tensor difference =
                Objects.requireNonNull(a).sub(Objects.requireNonNull(b).detach());
        return Math.sqrt(difference.square().reshape(-1).amax(0, false).item());
    }
}
