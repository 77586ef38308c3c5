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
import tools.jackson.databind.node.ObjectNode;

/// Adapters compute what PEFT computes; switched off, the base remains; merged, nothing changes.
class GoldenAdaptersTest {

    @ParameterizedTest
    @ValueSource(strings = {"lora", "rslora_mlp"})
    void agreesWithPeft(String name) {
        Path directory = Shared.path("goldens/lora/" + name);
        ObjectNode expected = Json.readObject(directory.resolve("expected.json"));
        int[] ids = GoldenFamiliesTest.ints(expected.get("input_ids"));
        try (Decoder decoder = ModelDirectory.load(directory.resolve("base"), DType.F32, false);
                Safetensors tensors = Safetensors.open(directory.resolve("expected.safetensors"));
                Scope scope = Scope.open()) {
            float[] base = GoldenFamiliesTest.logits(decoder, ids).toFloats();
            AdapterFiles.load(decoder, directory.resolve("adapter"));
            String key = tensors.names().iterator().next();
            float[] wanted = ModelDirectory.tensor(tensors, key).toFloats();
            GoldenFamiliesTest.assertClose(
                    "logits", GoldenFamiliesTest.logits(decoder, ids).toFloats(), wanted, 1e-4);

            try (Decoder.AdaptersOff off = decoder.withoutAdapters()) {
                assertThat(GoldenFamiliesTest.logits(decoder, ids).toFloats()).isEqualTo(base);
            }
            checkGradients(decoder, ids, expected);

            decoder.merge();
            GoldenFamiliesTest.assertClose(
                    "merged logits", GoldenFamiliesTest.logits(decoder, ids).toFloats(), wanted, 1e-4);
        }
    }

    private static void checkGradients(Decoder decoder, int[] ids, ObjectNode expected) {
        Tensor all = Tensor.of(ids);
        Tensor hidden = decoder.hidden(all, new Sequences(ids.length), Dropout.NONE);
        int n = ids.length - 1;
        CrossEntropy.Result result =
                CrossEntropy.of(hidden.detach().narrow(0, 0, n), decoder.headWeight(), all.narrow(0, 1, n), 1.0 / n);
        assertThat(result.loss() / n)
                .isCloseTo(
                        expected.get("lm_loss").doubleValue(), org.assertj.core.data.Percentage.withPercentage(1e-3));
        hidden.narrow(0, 0, n).backward(Objects.requireNonNull(result.hiddenGrad()));
        decoder.collectGradients();
        List<String> wrong = new ArrayList<>();
        expected.get("grad_norm").properties().forEach(e -> {
            Tensor grad =
                    decoder.parameter(e.getKey().replace(".default.", ".")).grad();
            double norm = grad == null ? Double.NaN : GoldenFamiliesTest.norm(grad);
            double wanted = e.getValue().doubleValue();
            if (!(Math.abs(norm - wanted) <= 1e-3 * Math.max(wanted, 1e-6))) {
                wrong.add(e.getKey() + ": " + norm + ", expected " + wanted);
            }
        });
        assertThat(wrong).isEmpty();
        assertThat(decoder.parameters()).allSatisfy(p -> assertThat(p.grad()).isNull());
    }
}
