package dev.manners.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.model.Decoder;
import dev.manners.model.Dropout;
import dev.manners.model.Parameter;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

/// A prompt that goes through the model once gives each of its completions what it would have alone.
class CompletionsTest {

    private static final long SEED = Long.getLong("tests.seed", 42);

    private static List<Completions.Group> groups() {
        Random random = new Random(SEED);
        List<Completions.Group> groups = new ArrayList<>();
        for (int g = 0; g < 4; g++) {
            List<int[]> completions = new ArrayList<>();
            for (int c = 0; c <= g; c++) {
                completions.add(random.ints(1 + random.nextInt(30), 3, 96).toArray());
            }
            groups.add(new Completions.Group(
                    random.ints(1 + random.nextInt(20), 3, 96).toArray(), completions));
        }
        return groups;
    }

    @Test
    void sharedPromptsGiveTheSameLogProbsAndGradients() {
        List<Completions.Group> shared = groups();
        List<Completions.Group> apart = new ArrayList<>();
        for (Completions.Group g : shared) {
            g.completions().forEach(c -> apart.add(new Completions.Group(g.prompt(), List.of(c))));
        }
        try (Decoder model = SftTrainerTest.tiny();
                Scope scope = Scope.open()) {
            List<float[]> logps = new ArrayList<>();
            List<Map<String, float[]>> gradients = new ArrayList<>();
            List<Integer> tokens = new ArrayList<>();
            for (List<Completions.Group> groups : List.of(shared, apart)) {
                Completions batch = Completions.of(groups);
                tokens.add(batch.tokens());
                Completions.Forward forward = batch.forward(model, 1, Dropout.NONE);
                logps.add(forward.logProbs().logps().toFloats());
                assertThat(batch.logProbs(model, 1).logps().toFloats()).containsExactly(logps.getLast());
                float[] weights = new float[logps.getLast().length];
                Random random = new Random(SEED);
                for (int i = 0; i < weights.length; i++) {
                    weights[i] = (float) random.nextGaussian();
                }
                forward.backward(Tensor.of(weights), null);
                Map<String, float[]> grads = new LinkedHashMap<>();
                for (Parameter p : model.trainable()) {
                    grads.put(
                            p.name(), java.util.Objects.requireNonNull(p.grad()).toFloats());
                    p.clearGrad();
                }
                gradients.add(grads);
            }
            assertThat(tokens.get(0)).isLessThan(tokens.get(1));
            near(logps.get(0), logps.get(1), "log-probabilities");
            gradients
                    .get(0)
                    .forEach((name, grad) -> near(
                            grad,
                            java.util.Objects.requireNonNull(gradients.get(1).get(name)),
                            name));
        }
    }

    private static void near(float[] a, float[] b, String what) {
        double difference = 0;
        double size = 0;
        for (int i = 0; i < b.length; i++) {
            difference += Math.pow(a[i] - b[i], 2);
            size += b[i] * b[i];
        }
        assertThat(Math.sqrt(difference / size)).as(what).isLessThan(1e-5);
    }
}
