package dev.manners.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.manners.files.Json;
import dev.manners.tensor.DType;
import dev.manners.tensor.LibTorch;
import dev.manners.tensor.NoGrad;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import dev.manners.tensor.Workers;
import dev.manners.testing.NativeMemory;
import dev.manners.testing.Shared;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// One model, several workers: what they compute at the same time is what one would have computed by itself.
class SideBySideTest {

    private static final long SEED = Long.getLong("tests.seed", 42);

    /// Lengths of the sequences of each part.
    private static final List<int[]> PARTS =
            List.of(new int[] {20, 9}, new int[] {31}, new int[] {3, 1, 12}, new int[] {20}, new int[] {8, 8});

    private final int threads = LibTorch.threads();

    @BeforeEach
    void three() {
        LibTorch.setThreads(3);
    }

    @AfterEach
    void asBefore() {
        LibTorch.setThreads(threads);
    }

    private static Decoder decoder(DType dtype) {
        return Decoder.initialise(
                Json.MAPPER
                        .createObjectNode()
                        .put("model_type", "llama")
                        .put("vocab_size", 50)
                        .put("hidden_size", 32)
                        .put("intermediate_size", 64)
                        .put("num_hidden_layers", 2)
                        .put("num_attention_heads", 4)
                        .put("num_key_value_heads", 2)
                        .put("max_position_embeddings", 128)
                        .put("tie_word_embeddings", true)
                        .put("initializer_range", 0.1),
                SEED,
                dtype);
    }

    /// Hidden states of a part; its gradient goes to the parameters.
    private static float[] part(Decoder decoder, int... lengths) {
        try (Scope scope = Scope.open()) {
            Sequences batch = new Sequences(lengths);
            int[] ids = new Random(SEED)
                    .ints(batch.tokens(), 0, decoder.config().vocabSize())
                    .toArray();
            Tensor hidden = decoder.hidden(Tensor.of(ids), batch, Dropout.NONE);
            if (hidden.requiresGrad()) { // not so of a base model whose adapters are off
                hidden.backward(Decoder.normal(hidden.shape(), 1, SEED, 7).to(decoder.dtype()));
                decoder.collectGradients();
            }
            return hidden.toFloats();
        }
    }

    /// Hidden states of every part and the gradients of all together.
    private static List<float[]> pass(Decoder decoder, int workers) {
        List<float[]> numbers = new ArrayList<>(Workers.map(workers, PARTS, part -> part(decoder, part)));
        for (Parameter p : decoder.trainable()) {
            Tensor grad = p.grad();
            numbers.add(grad == null ? new float[0] : grad.toFloats());
            p.clearGrad();
        }
        return numbers;
    }

    private static void same(Decoder decoder, double tolerance) {
        List<float[]> found = pass(decoder, 3);
        List<float[]> wanted = pass(decoder, 1);
        assertThat(found).hasSameSizeAs(wanted);
        for (int t = 0; t < wanted.size(); t++) {
            assertThat(found.get(t)).hasSameSizeAs(wanted.get(t));
            double largest = 0;
            for (float value : wanted.get(t)) {
                largest = Math.max(largest, Math.abs(value));
            }
            for (int i = 0; i < wanted.get(t).length; i++) {
                assertThat((double) found.get(t)[i]).isCloseTo(wanted.get(t)[i], within(tolerance * largest));
            }
        }
    }

    @Test
    void statesAndGradientsAreThoseOfOneAlone() {
        try (Decoder decoder = decoder(DType.F32)) {
            same(decoder, 2e-5);
        }
    }

    @Test
    void inBf16() {
        try (Decoder decoder = decoder(DType.BF16)) {
            same(decoder, 2e-2);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"gpt2", "gpt_neox", "qwen3"})
    void ofEveryFamily(String family) {
        try (Decoder decoder = ModelDirectory.load(Shared.path("goldens/families/" + family), DType.F32, false)) {
            same(decoder, 2e-5);
        }
    }

    /// Sums over parts are made in one order.
    @Test
    void repeatedTheSameBits() {
        try (Decoder decoder = decoder(DType.F32)) {
            List<float[]> first = pass(decoder, 3);
            for (int again = 0; again < 20; again++) {
                List<float[]> next = pass(decoder, 3);
                for (int t = 0; t < first.size(); t++) {
                    assertThat(next.get(t)).isEqualTo(first.get(t));
                }
            }
        }
    }

    @Test
    void workersSeeWhatAnUpdateChanged() {
        try (Decoder decoder = decoder(DType.F32);
                Scope scope = Scope.open()) {
            pass(decoder, 3);
            try (NoGrad off = NoGrad.on()) {
                decoder.parameters().forEach(p -> p.value().detach().mul_(1.1));
            }
            decoder.refresh();
            same(decoder, 2e-5);
        }
    }

    /// The reference is the policy without its adapters: one worker may ask it while another asks the policy.
    @Test
    void adaptersAreOffForTheWorkerThatSwitchedThemOff() {
        Path directory = Shared.path("goldens/lora/lora");
        try (Decoder decoder = ModelDirectory.load(directory.resolve("base"), DType.F32, false)) {
            float[] base = part(decoder, 12);
            AdapterFiles.load(decoder, directory.resolve("adapter"));
            same(decoder, 2e-5);
            float[] adapted = part(decoder, 12);
            assertThat(adapted).isNotEqualTo(base);
            for (int again = 0; again < 20; again++) {
                List<float[]> found = Workers.map(3, List.of(true, false, true), off -> {
                    if (!off) {
                        return part(decoder, 12);
                    }
                    try (Decoder.AdaptersOff reference = decoder.withoutAdapters()) {
                        return part(decoder, 12);
                    }
                });
                assertClose(found.get(0), base);
                assertClose(found.get(1), adapted);
                assertClose(found.get(2), base);
            }
        }
    }

    private static void assertClose(float[] found, float[] wanted) {
        for (int i = 0; i < wanted.length; i++) {
            assertThat((double) found[i]).isCloseTo(wanted[i], within(1e-5));
        }
    }

    @Test
    void tr08_workersLeaveNoMemoryBehind() {
        assumeThat(NativeMemory.inUse()).as("glibc's mallinfo2").isPresent();
        assertThat(growth(() -> {})).as("bytes kept by a pass, median").isLessThan(64);
        assertThat(NativeMemory.withALeak(SideBySideTest::growth)).isGreaterThanOrEqualTo(64);
    }

    private static long growth(Runnable each) {
        List<Long> inUse = new ArrayList<>();
        try (Decoder decoder = decoder(DType.F32)) {
            for (int i = 0; i < 900; i++) {
                pass(decoder, 3);
                decoder.refresh();
                each.run();
                inUse.add(NativeMemory.inUse().orElseThrow());
            }
        }
        return NativeMemory.medianGrowth(inUse, 600, 890);
    }
}
