package dev.manners.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.manners.files.Json;
import dev.manners.tensor.DType;
import dev.manners.tensor.LibTorch;
import dev.manners.tensor.MatrixProduct;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// Rows that are computed for the sake of a round number change nothing: two threads, which want them, beside one.
class PaddedTest {

    private static final long SEED = Long.getLong("tests.seed", 42);
    private static final int TOKENS = 150;

    private final int threads = LibTorch.threads();

    @AfterEach
    void asBefore() {
        LibTorch.setThreads(threads);
    }

    private static Decoder decoder() {
        return Decoder.initialise(
                Json.MAPPER
                        .createObjectNode()
                        .put("model_type", "llama")
                        .put("vocab_size", 50)
                        .put("hidden_size", 256)
                        .put("intermediate_size", 128)
                        .put("num_hidden_layers", 2)
                        .put("num_attention_heads", 4)
                        .put("num_key_value_heads", 2)
                        .put("max_position_embeddings", 128)
                        .put("attention_dropout", 0.2)
                        .put("tie_word_embeddings", true)
                        .put("initializer_range", 0.1),
                SEED,
                DType.F32);
    }

    /// Hidden states and all gradients.
    private static List<float[]> pass(int threads, Sequences sequences, Dropout dropout) {
        LibTorch.setThreads(threads);
        assertThat(MatrixProduct.roundRows(TOKENS, 256, DType.F32)).isEqualTo(threads == 1 ? TOKENS : 192);
        int[] ids = new Random(SEED).ints(TOKENS, 0, 50).toArray();
        List<float[]> numbers = new ArrayList<>();
        try (Decoder decoder = decoder();
                Scope scope = Scope.open()) {
            Tensor hidden = decoder.hidden(Tensor.of(ids), sequences, dropout);
            assertThat(hidden.shape()).containsExactly(TOKENS, 256);
            numbers.add(hidden.toFloats());
            hidden.backward(Decoder.normal(hidden.shape(), 1, SEED, 7));
            decoder.collectGradients();
            decoder.parameters()
                    .forEach(p -> numbers.add(Objects.requireNonNull(p.grad()).toFloats()));
        }
        return numbers;
    }

    private static void same(Sequences sequences, Dropout one, Dropout two) {
        List<float[]> wanted = pass(1, sequences, one);
        List<float[]> found = pass(2, sequences, two);
        for (int t = 0; t < wanted.size(); t++) {
            double largest = 0;
            for (float value : wanted.get(t)) {
                largest = Math.max(largest, Math.abs(value));
            }
            assertThat(largest).isPositive();
            for (int i = 0; i < wanted.get(t).length; i++) {
                assertThat((double) found.get(t)[i]).isCloseTo(wanted.get(t)[i], within(2e-5 * largest));
            }
        }
    }

    @Test
    void equalLengths() {
        same(new Sequences(50, 50, 50), Dropout.NONE, Dropout.NONE);
    }

    @Test
    void differentLengths() {
        same(new Sequences(20, 100, 30), Dropout.NONE, Dropout.NONE);
    }

    @Test
    void sharedPrompts() {
        same(
                Sequences.sharing(List.of(new Sequences.Group(30, 20, 40), new Sequences.Group(50, 10))),
                Dropout.NONE,
                Dropout.NONE);
    }

    /// Masks are of places in the batch: what is behind its end does not move them.
    @Test
    void dropout() {
        same(new Sequences(20, 100, 30), Dropout.training(SEED, 3), Dropout.training(SEED, 3));
    }
}
