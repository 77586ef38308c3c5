package dev.manners.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.config.Options;
import dev.manners.data.DatasetFile;
import dev.manners.data.ModelEncoder;
import dev.manners.data.Tokenised;
import dev.manners.files.Json;
import dev.manners.model.Decoder;
import dev.manners.model.ModelDirectory;
import dev.manners.tensor.DType;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import dev.manners.testing.Shared;
import dev.manners.text.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/// The trainer makes the steps that TRL's SFTTrainer makes.
class GoldenSftTest {

    @TempDir
    Path folder;

    @ParameterizedTest
    @ValueSource(
            strings = {"completion_only", "full_sequence", "assistant_only_multiturn", "packed_bfd", "packed_wrapped"})
    void agreesWithTrlStepByStep(String name) {
        Path directory = Shared.path("goldens/sft/" + name);
        ObjectNode expected = Json.readObject(directory.resolve("expected.json"));
        JsonNode options = expected.get("config");
        SftConfig config = config(options);
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        try (Decoder model = ModelDirectory.load(directory.resolve("model"), DType.F32, false);
                Tokenizer tokenizer = Tokenizer.load(directory.resolve("model"));
                DatasetFile file = DatasetFile.open(directory.resolve("data.jsonl"));
                Tokenised data = Tokenised.of(
                        file, new ModelEncoder(tokenizer), config.tokenisation(false), folder, done -> {})) {
            new SftTrainer(model, config, Rows.of(data), null, told, null, Map.of(), () -> false, step -> {}).train();
            List<String> wrong = new ArrayList<>();
            for (int i = 0; i < told.metrics.size(); i++) {
                JsonNode log = expected.get("log").get(i);
                compare(wrong, i, "loss", told.metrics.get(i), log, 1e-4);
                compare(wrong, i, "grad_norm", told.metrics.get(i), log, 1e-3);
                compare(wrong, i, "entropy", told.metrics.get(i), log, 1e-4);
                compare(wrong, i, "mean_token_accuracy", told.metrics.get(i), log, 1e-6);
                compare(wrong, i, "num_tokens", told.metrics.get(i), log, 0);
                compare(wrong, i, "learning_rate", told.metrics.get(i), log, 1e-9);
                compare(wrong, i, "epoch", told.metrics.get(i), log, 1e-9);
            }
            assertThat(told.metrics).hasSize(4);
            checkParameters(wrong, model, expected.get("final_params"));
            assertThat(wrong).isEmpty();
        }
    }

    /// Norm and first three values of every parameter after the last step.
    static void checkParameters(List<String> wrong, Decoder model, JsonNode expected) {
        expected.properties().forEach(e -> {
            Tensor value = model.parameter(e.getKey()).value();
            try (Scope scope = Scope.open()) {
                close(
                        wrong,
                        e.getKey() + " norm",
                        value.normAll().item(),
                        e.getValue().get(0).doubleValue(),
                        1e-3);
                float[] first = value.detach().reshape(-1).narrow(0, 0, 3).toFloats();
                for (int i = 0; i < 3; i++) {
                    double wanted = e.getValue().get(1).get(i).doubleValue();
                    if (Math.abs(first[i] - wanted) > 1e-3 * Math.max(0.1, Math.abs(wanted))) {
                        wrong.add(e.getKey() + "[" + i + "] " + first[i] + ", expected " + wanted);
                    }
                }
            }
        });
    }

    private static void compare(
            List<String> wrong, int step, String key, Map<String, Double> found, JsonNode log, double relative) {
        close(
                wrong,
                key + " of step " + (step + 1),
                found.getOrDefault(key, Double.NaN),
                log.get(key).doubleValue(),
                relative);
    }

    private static void close(List<String> wrong, String what, double found, double wanted, double relative) {
        if (!(Math.abs(found - wanted) <= relative * Math.abs(wanted) + 1e-12)) {
            wrong.add(what + " is " + found + ", expected " + wanted);
        }
    }

    private static SftConfig config(JsonNode given) {
        Map<String, Object> options = new LinkedHashMap<>();
        Options.describe(SftConfig.class).forEach(doc -> {
            if (given.has(doc.key())) {
                options.put(doc.key(), given.get(doc.key()).asString());
            }
        });
        options.put("bf16", false);
        options.put("train_sampling_strategy", "sequential");
        options.put("logging_steps", 1);
        options.put("save_steps", 0);
        return Options.with(SftConfig.class, options);
    }
}
