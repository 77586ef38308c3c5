package dev.manners.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.config.Options;
import dev.manners.data.DatasetFile;
import dev.manners.data.Encoder;
import dev.manners.data.ModelEncoder;
import dev.manners.data.Sampler;
import dev.manners.files.Json;
import dev.manners.model.Decoder;
import dev.manners.model.ModelDirectory;
import dev.manners.tensor.DType;
import dev.manners.testing.Shared;
import dev.manners.text.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/// The preference trainers make the steps that TRL's make.
class GoldenPreferenceTest {

    @ParameterizedTest
    @ValueSource(
            strings = {
                "sigmoid",
                "hinge",
                "ipo",
                "exo_pair",
                "nca_pair",
                "robust",
                "bco_pair",
                "sppo_hard",
                "aot",
                "aot_unpaired",
                "apo_zero",
                "apo_down",
                "discopop",
                "sft",
                "sigmoid_norm"
            })
    void dpoAgreesWithTrlStepByStep(String loss) {
        Path directory = Shared.path("goldens/dpo/" + loss);
        ObjectNode expected = Json.readObject(directory.resolve("expected.json"));
        DpoConfig config = config(DpoConfig.class, expected.get("config"));
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        Path model = Shared.path("goldens/dpo/policy");
        try (Decoder policy = ModelDirectory.load(model, DType.F32, false);
                Decoder reference = ModelDirectory.load(Shared.path("goldens/dpo/reference"), DType.F32, false);
                Tokenizer tokenizer = Tokenizer.load(model);
                DatasetFile file =
                        DatasetFile.open(directory.resolve("data.jsonl").toString())) {
            Encoder encoder = new ModelEncoder(tokenizer);
            List<Pair> pairs = new ArrayList<>();
            for (int i = 0; i < file.size(); i++) {
                JsonNode row = file.row(i).fields();
                int[] prompt = prompt(encoder, row);
                pairs.add(new Pair(
                        prompt,
                        completion(encoder, row, "chosen", prompt, config.maxLength()),
                        completion(encoder, row, "rejected", prompt, config.maxLength())));
            }
            new DpoTrainer(
                            policy,
                            new Reference(policy, reference),
                            new PairObjective.Dpo(config.loss()),
                            config.learningRate(),
                            config.training(),
                            Sampler.Order.SEQUENTIAL,
                            new DpoTrainer.Following(0, 0),
                            pairs,
                            List.of(),
                            null,
                            true,
                            told,
                            null,
                            Map.of(),
                            () -> false,
                            step -> {})
                    .train();
            check(told, expected, policy, 2);
        }
    }

    @Test
    void ktoAgreesWithTrlStepByStep() {
        Path directory = Shared.path("goldens/kto");
        ObjectNode expected = Json.readObject(directory.resolve("expected.json"));
        KtoConfig config = config(KtoConfig.class, expected.get("config"));
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        try (Decoder policy = ModelDirectory.load(directory.resolve("model"), DType.F32, false);
                Decoder reference = ModelDirectory.load(directory.resolve("reference"), DType.F32, false);
                Tokenizer tokenizer = Tokenizer.load(directory.resolve("model"));
                DatasetFile file =
                        DatasetFile.open(directory.resolve("data.jsonl").toString())) {
            Encoder encoder = new ModelEncoder(tokenizer);
            List<Judged> rows = new ArrayList<>();
            for (int i = 0; i < file.size(); i++) {
                JsonNode row = file.row(i).fields();
                int[] prompt = prompt(encoder, row);
                rows.add(new Judged(
                        prompt,
                        completion(encoder, row, "completion", prompt, Integer.MAX_VALUE),
                        row.get("label").booleanValue()));
            }
            new KtoTrainer(
                            policy,
                            reference,
                            config,
                            rows,
                            List.of(),
                            true,
                            told,
                            null,
                            Map.of(),
                            () -> false,
                            step -> {})
                    .train();
            check(told, expected, policy, 4);
        }
    }

    private static int[] prompt(Encoder encoder, JsonNode row) {
        return encoder.chat((ArrayNode) row.get("prompt"), null, true).ids();
    }

    private static int[] completion(Encoder encoder, JsonNode row, String column, int[] prompt, int maxLength) {
        ArrayNode all = ((ArrayNode) row.get("prompt")).deepCopy();
        all.addAll((ArrayNode) row.get(column));
        int[] ids = encoder.chat(all, null, false).ids();
        assertThat(Arrays.copyOf(ids, prompt.length)).isEqualTo(prompt);
        return Arrays.copyOfRange(ids, prompt.length, Math.min(ids.length, maxLength));
    }

    private static void check(SftTrainerTest.Told told, ObjectNode expected, Decoder policy, int steps) {
        List<String> wrong = new ArrayList<>();
        assertThat(told.metrics).hasSize(steps);
        for (int i = 0; i < steps; i++) {
            Map<String, Double> found = told.metrics.get(i);
            JsonNode log = expected.get("log").get(i);
            for (Map.Entry<String, JsonNode> e : log.properties()) {
                String key = e.getKey();
                if (key.equals("step")) {
                    continue;
                }
                double wanted = e.getValue().doubleValue();
                double got = found.getOrDefault(key, Double.NaN);
                // Ours are means over all tokens of the update, TRL's means of the micro-batches' means.
                boolean ofTokens = key.startsWith("logits/") || key.equals("mean_token_accuracy");
                double relative = ofTokens ? 2e-2 : key.equals("grad_norm") ? 1e-3 : 1e-4;
                if (!(Math.abs(got - wanted) <= relative * Math.max(Math.abs(wanted), 0.1))) {
                    wrong.add(key + " of step " + (i + 1) + " is " + got + ", expected " + wanted);
                }
            }
        }
        GoldenSftTest.checkParameters(wrong, policy, expected.get("final_params"));
        assertThat(wrong).isEmpty();
    }

    private static <T extends Record> T config(Class<T> type, JsonNode given) {
        Map<String, Object> options = new LinkedHashMap<>();
        Options.describe(type).forEach(doc -> {
            JsonNode value = given.path(doc.key());
            if (value.isArray()) {
                options.put(
                        doc.key(), value.valueStream().map(JsonNode::asString).toList());
            } else if (!value.isMissingNode()) {
                options.put(doc.key(), value.asString());
            }
        });
        options.put("bf16", false);
        options.put("logging_steps", 1);
        options.put("save_steps", 0);
        return Options.with(type, options);
    }
}
