package dev.manners.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.files.Json;
import dev.manners.loss.CrossEntropy;
import dev.manners.tensor.DType;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import dev.manners.testing.Shared;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/// Every family computes what transformers computes: logits, greedy continuations, loss, every gradient.
class GoldenFamiliesTest {

    @ParameterizedTest
    @ValueSource(strings = {"llama", "llama3_rope", "qwen2", "qwen3", "gpt2", "gpt_neox"})
    void agreesWithTransformers(String family) {
        Path directory = Shared.path("goldens/families/" + family);
        ObjectNode expected = Json.readObject(directory.resolve("expected.json"));
        try (Decoder decoder = ModelDirectory.load(directory, DType.F32, false);
                Safetensors tensors = Safetensors.open(directory.resolve("expected.safetensors"))) {
            for (int i = 0; i < expected.get("input_ids").size(); i++) {
                int[] ids = ints(expected.get("input_ids").get(i));
                try (Scope scope = Scope.open()) {
                    float[] wanted =
                            ModelDirectory.tensor(tensors, "logits." + i).toFloats();
                    float[] logits = logits(decoder, ids).toFloats();
                    assertClose("logits of sequence " + i, logits, wanted, 1e-4);
                    assertThat(greedy(decoder, ids, 24))
                            .as("greedy continuation of sequence " + i)
                            .isEqualTo(ints(expected.get("greedy").get(i)));
                }
            }
            checkGradients(decoder, ints(expected.get("input_ids").get(0)), expected);
        }
    }

    private static void checkGradients(Decoder decoder, int[] ids, ObjectNode expected) {
        try (Scope scope = Scope.open()) {
            Tensor all = Tensor.of(ids);
            Tensor hidden = decoder.hidden(all, new Sequences(ids.length), Dropout.NONE);
            int n = ids.length - 1;
            CrossEntropy.Result result = CrossEntropy.of(
                    hidden.detach().narrow(0, 0, n), decoder.headWeight(), all.narrow(0, 1, n), 1.0 / n);
            assertThat(result.loss() / n)
                    .isCloseTo(
                            expected.get("lm_loss").doubleValue(),
                            org.assertj.core.data.Percentage.withPercentage(1e-3));
            hidden.narrow(0, 0, n).backward(Objects.requireNonNull(result.hiddenGrad()));
            decoder.collectGradients();
        }
        List<String> wrong = new ArrayList<>();
        expected.get("grad_norm").properties().forEach(e -> {
            // transformers calls GPT-NeoX's output layer lm_head in memory and embed_out on disk.
            String name = decoder.config().modelType().equals("gpt_neox")
                    ? e.getKey().replace("lm_head", "embed_out")
                    : e.getKey();
            Tensor grad = decoder.parameter(name).grad();
            double norm = grad == null ? Double.NaN : norm(grad);
            double wanted = e.getValue().doubleValue();
            if (!(Math.abs(norm - wanted) <= 1e-3 * Math.max(wanted, 1e-6))) {
                wrong.add(e.getKey() + ": " + norm + ", expected " + wanted);
            }
        });
        assertThat(wrong).isEmpty();
        assertThat(expected.get("grad_norm").size())
                .isEqualTo(decoder.parameters().size());
    }

    static double norm(Tensor tensor) {
        try (Scope scope = Scope.open()) {
            return tensor.normAll().item();
        }
    }

    static Tensor logits(Decoder decoder, int[] ids) {
        return decoder.logits(decoder.hidden(Tensor.of(ids), new Sequences(ids.length), Dropout.NONE));
    }

    static int[] greedy(Decoder decoder, int[] prompt, int tokens) {
        int[] ids = prompt;
        int[] made = new int[tokens];
        for (int t = 0; t < tokens; t++) {
            try (Scope scope = Scope.open()) {
                made[t] = (int)
                        logits(decoder, ids).select(0, ids.length - 1).argmax(0).item();
                ids = java.util.Arrays.copyOf(ids, ids.length + 1);
                ids[ids.length - 1] = made[t];
            }
        }
        return made;
    }

    static void assertClose(String what, float[] found, float[] wanted, double relative) {
        assertThat(found.length).as(what).isEqualTo(wanted.length);
        double largest = 0;
        double off = 0;
        for (int i = 0; i < wanted.length; i++) {
            largest = Math.max(largest, Math.abs(wanted[i]));
            off = Math.max(off, Math.abs(found[i] - wanted[i]));
        }
        assertThat(off / largest).as(what).isLessThan(relative);
    }

    static int[] ints(JsonNode array) {
        int[] values = new int[array.size()];
        for (int i = 0; i < values.length; i++) {
            values[i] = array.get(i).intValue();
        }
        return values;
    }
}
