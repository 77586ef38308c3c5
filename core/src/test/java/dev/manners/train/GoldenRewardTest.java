package dev.manners.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.config.Options;
import dev.manners.data.DatasetFile;
import dev.manners.data.ModelEncoder;
import dev.manners.data.PreferenceData;
import dev.manners.data.PreferenceRow;
import dev.manners.files.Json;
import dev.manners.model.Parameter;
import dev.manners.model.ScalarModel;
import dev.manners.tensor.DType;
import dev.manners.tensor.Scope;
import dev.manners.testing.Shared;
import dev.manners.text.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/// The trainer makes the steps that TRL's RewardTrainer makes.
class GoldenRewardTest {

    @ParameterizedTest
    @ValueSource(strings = {"bradley_terry", "centered", "margin"})
    void agreesWithTrlStepByStep(String name) {
        Path directory = Shared.path("goldens/reward/" + name);
        ObjectNode expected = Json.readObject(directory.resolve("expected.json"));
        RewardConfig config = config(expected.get("config"));
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        try (ScalarModel model = ScalarModel.load(directory.resolve("model"), DType.F32, 0, false);
                Tokenizer tokenizer = Tokenizer.load(directory.resolve("model"));
                DatasetFile file = DatasetFile.open(directory.resolve("data.jsonl"))) {
            PreferenceData<PreferenceRow.Ranking> data =
                    PreferenceData.rankings(file, new ModelEncoder(tokenizer), config.maxLength(), false, done -> {});
            new RewardTrainer(model, config, data.rows(), List.of(), told, null, Map.of(), () -> false).train();
            assertThat(told.metrics).hasSize(4);
            List<String> wrong = new ArrayList<>();
            for (int i = 0; i < told.metrics.size(); i++) {
                JsonNode log = expected.get("log").get(i);
                Map<String, Double> line = told.metrics.get(i);
                compare(wrong, line, log, "loss", 1e-4);
                compare(wrong, line, log, "grad_norm", 1e-3);
                compare(wrong, line, log, "learning_rate", 1e-9);
                compare(wrong, line, log, "num_tokens", 0);
                compare(wrong, line, log, "min_reward", 1e-3);
                compare(wrong, line, log, "mean_reward", 1e-3);
                compare(wrong, line, log, "max_reward", 1e-3);
                compare(wrong, line, log, "accuracy", 1e-6);
                compare(wrong, line, log, "margin", 1e-3);
                compare(wrong, line, log, "epoch", 1e-9);
            }
            Map<String, Parameter> parameters = model.trainableByName();
            expected.get("final_params").properties().forEach(e -> {
                try (Scope scope = Scope.open()) {
                    var value = Objects.requireNonNull(parameters.get(e.getKey()), e.getKey())
                            .value();
                    close(
                            wrong,
                            e.getKey() + " norm",
                            value.normAll().item(),
                            e.getValue().get(0).doubleValue(),
                            1e-3,
                            0);
                    float[] first = value.detach().reshape(-1).narrow(0, 0, 3).toFloats();
                    for (int i = 0; i < 3; i++) {
                        close(
                                wrong,
                                e.getKey() + "[" + i + "]",
                                first[i],
                                e.getValue().get(1).get(i).doubleValue(),
                                1e-3,
                                1e-4);
                    }
                }
            });
            assertThat(wrong).isEmpty();
        }
    }

    private static void compare(
            List<String> wrong, Map<String, Double> line, JsonNode log, String key, double relative) {
        close(
                wrong,
                key + " of step " + log.get("step"),
                line.getOrDefault(key, Double.NaN),
                log.get(key).doubleValue(),
                relative,
                1e-5 * relative);
    }

    private static void close(
            List<String> wrong, String what, double found, double wanted, double relative, double absolute) {
        if (!(Math.abs(found - wanted) <= relative * Math.abs(wanted) + absolute)) {
            wrong.add(what + " is " + found + ", expected " + wanted);
        }
    }

    private static RewardConfig config(JsonNode given) {
        Map<String, Object> options = new LinkedHashMap<>();
        Options.describe(RewardConfig.class).forEach(doc -> {
            if (given.has(doc.key())) {
                options.put(doc.key(), given.get(doc.key()).asString());
            }
        });
        options.put("bf16", false);
        options.put("train_sampling_strategy", "sequential");
        options.put("logging_steps", 1);
        options.put("save_steps", 0);
        return Options.with(RewardConfig.class, options);
    }
}
