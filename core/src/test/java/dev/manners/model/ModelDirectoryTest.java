package dev.manners.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.manners.BadInput;
import dev.manners.files.Json;
import dev.manners.tensor.DType;
import dev.manners.tensor.NoGrad;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.node.ObjectNode;

/// Model directories of every family, and what is said of those that do not fit together.
class ModelDirectoryTest {

    static final int[] IDS = {1, 5, 9, 2, 7, 23};

    @TempDir
    Path folder;

    static ObjectNode config(Family family) {
        String llama = """
                "vocab_size": 24, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
                "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 32""";
        String json = switch (family) {
            case LLAMA -> "\"model_type\": \"llama\", \"attention_bias\": true, \"mlp_bias\": true, " + llama;
            case MISTRAL -> "\"model_type\": \"mistral\", \"sliding_window\": null, " + llama;
            case QWEN2 -> "\"model_type\": \"qwen2\", \"tie_word_embeddings\": true, " + llama;
            case QWEN3 -> "\"model_type\": \"qwen3\", \"head_dim\": 6, \"tie_word_embeddings\": true, " + llama;
            case GPT2 -> """
                    "model_type": "gpt2", "vocab_size": 24, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32""";
            case GPT_NEOX -> """
                    "model_type": "gpt_neox", "vocab_size": 24, "hidden_size": 16, "intermediate_size": 24,
                    "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 32,
                    "rotary_pct": 0.25""";
        };
        return Json.parseObject(("{" + json + "}").getBytes(StandardCharsets.UTF_8), "test");
    }

    /// Every value random, biases and norms too: what a mistake exchanges must differ.
    static Decoder random(ObjectNode config, long seed) {
        Decoder decoder = Decoder.initialise(config, seed, DType.F32);
        randomise(decoder, List.copyOf(decoder.parameters()), seed);
        return decoder;
    }

    static void randomise(Decoder decoder, List<Parameter> parameters, long seed) {
        for (int i = 0; i < parameters.size(); i++) {
            Tensor value = parameters.get(i).value();
            set(parameters.get(i), Decoder.normal(value.shape(), 0.3, seed, 1000 + i));
        }
        decoder.refresh();
    }

    private static void set(Parameter parameter, Tensor value) {
        try (Scope scope = Scope.open();
                NoGrad off = NoGrad.on()) {
            parameter.value().detach().copy_(value);
        }
    }

    static float[] logits(Decoder decoder) {
        try (Scope scope = Scope.open();
                NoGrad off = NoGrad.on()) {
            return GoldenFamiliesTest.logits(decoder, IDS).toFloats();
        }
    }

    static Map<String, float[]> values(Decoder decoder) {
        Map<String, float[]> values = new TreeMap<>();
        decoder.parameters().forEach(p -> values.put(p.name(), p.value().toFloats()));
        return values;
    }

    private Path save(Decoder decoder, String name, DType dtype) throws IOException {
        Path directory = Files.createDirectory(folder.resolve(name));
        ModelDirectory.save(decoder, directory, dtype, Json.MAPPER.createObjectNode());
        return directory;
    }

    private Path save(ObjectNode config) throws IOException {
        try (Decoder decoder = random(config, 3)) {
            return save(decoder, "model", DType.F32);
        }
    }

    /// Spreads the tensors over three shards with an index.
    private static void shard(Path directory) throws IOException {
        Path single = directory.resolve(Safetensors.SINGLE);
        Map<String, String> weightMap = new TreeMap<>();
        try (Safetensors stored = Safetensors.open(single)) {
            List<List<SafetensorsWriter.Source>> shards =
                    List.of(new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
            int i = 0;
            for (String name : stored.names()) {
                SafetensorsFile.Entry entry = stored.entry(name);
                shards.get(i % 3)
                        .add(SafetensorsWriter.Source.of(name, entry.dtype(), entry.shape(), stored.data(name)));
                weightMap.put(name, "model-0000" + (i++ % 3 + 1) + "-of-00003.safetensors");
            }
            for (int s = 0; s < 3; s++) {
                Path file = directory.resolve("model-0000" + (s + 1) + "-of-00003.safetensors");
                SafetensorsWriter.write(file, SafetensorsWriter.PT, shards.get(s));
            }
        }
        Files.delete(single);
        Files.writeString(directory.resolve(Safetensors.INDEX), Json.pretty(Map.of("weight_map", weightMap)));
    }

    private static void edit(Path directory, Consumer<ObjectNode> change) throws IOException {
        Path file = directory.resolve("config.json");
        ObjectNode json = Json.readObject(file);
        change.accept(json);
        Files.writeString(file, Json.pretty(json));
    }

    private static BadInput refusal(Path directory) {
        BadInput refusal = catchThrowableOfType(
                BadInput.class,
                () -> ModelDirectory.load(directory, DType.F32, false).close());
        assertThat(refusal).isNotNull();
        return refusal;
    }

    static Stream<Arguments> familiesAndDtypes() {
        return Stream.of(Family.values())
                .flatMap(f -> Stream.of(DType.F32, DType.BF16, DType.F16).map(d -> Arguments.of(f, d)));
    }

    @ParameterizedTest
    @MethodSource("familiesAndDtypes")
    void whatIsSavedIsLoadedFromOneFileOrSeveral(Family family, DType dtype) throws IOException {
        try (Decoder decoder = random(config(family), 5)) {
            Path directory = save(decoder, "a", dtype);
            byte[] written = Files.readAllBytes(directory.resolve(Safetensors.SINGLE));
            // What the narrower dtype keeps of each value is what must come back, to the bit.
            decoder.parameters().forEach(p -> {
                try (Scope scope = Scope.open()) {
                    set(p, p.value().detach().to(dtype).to(DType.F32));
                }
            });
            decoder.refresh();
            for (boolean sharded : new boolean[] {false, true}) {
                if (sharded) {
                    shard(directory);
                }
                try (Decoder loaded = ModelDirectory.load(directory, DType.F32, false)) {
                    assertThat(values(loaded)).usingRecursiveComparison().isEqualTo(values(decoder));
                    assertThat(logits(loaded)).isEqualTo(logits(decoder));
                    Path again = save(loaded, sharded ? "c" : "b", dtype);
                    assertThat(again.resolve(Safetensors.SINGLE)).hasBinaryContent(written);
                    assertThat(Json.readObject(again.resolve("config.json"))
                                    .path("dtype")
                                    .asString())
                            .isEqualTo(Map.of(DType.F32, "float32", DType.BF16, "bfloat16", DType.F16, "float16")
                                    .get(dtype));
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = DType.class,
            names = {"F32", "BF16", "F16"})
    void mf13_weightsThatAreNotFiniteAreNamedAndCounted(DType dtype) throws IOException {
        Path directory;
        try (Decoder decoder = random(config(Family.LLAMA), 5)) {
            try (Scope scope = Scope.open();
                    NoGrad off = NoGrad.on()) {
                Tensor norm = decoder.parameter("model.norm.weight").value().detach();
                norm.narrow(0, 3, 2).copy_(Tensor.full(Double.NaN, DType.F32, 2));
                Tensor down = decoder.parameter("model.layers.1.mlp.down_proj.bias")
                        .value()
                        .detach();
                down.narrow(0, 0, 1).copy_(Tensor.full(Double.NEGATIVE_INFINITY, DType.F32, 1));
            }
            directory = save(decoder, "a", dtype);
        }
        assertThat(refusal(directory))
                .hasMessageContaining("2 problems")
                .hasMessageContaining("tensor model.norm.weight: 2 of 16 values are NaN or infinite")
                .hasMessageContaining("tensor model.layers.1.mlp.down_proj.bias: 1 of 16 values")
                .hasMessageContaining("--allow-nonfinite");
        try (Decoder loaded = ModelDirectory.load(directory, DType.F32, true)) {
            assertThat(values(loaded).get("model.norm.weight"))
                    .contains(Float.NaN, org.assertj.core.data.Index.atIndex(3));
        }
    }

    @Test
    void mf19_allThatIsWrongWithTheOptionsAtOnce() throws IOException {
        Path directory = save(config(Family.LLAMA));
        edit(
                directory,
                json -> json.put("num_attention_heads", 6)
                        .put("num_key_value_heads", 4)
                        .put("hidden_act", "tanh")
                        .put("tie_word_embeddings", "yes")
                        .put("rms_norm_eps", -1)
                        .remove("vocab_size"));
        assertThat(refusal(directory).problems())
                .containsExactlyInAnyOrder(
                        "num_key_value_heads 4 does not divide num_attention_heads 6",
                        "num_attention_heads 6 does not divide hidden_size 16 and there is no head_dim",
                        "hidden_act is \"tanh\"; supported are silu, gelu, gelu_new, gelu_pytorch_tanh, relu",
                        "tie_word_embeddings is \"yes\", expected true or false",
                        "rms_norm_eps is -1, expected a finite number, 0 or more",
                        "key vocab_size is missing");
    }

    /// The stand-in for a missing number must not be blamed for not fitting the others.
    @ParameterizedTest
    @EnumSource(Family.class)
    void mf19_aMissingKeyIsTheOnlyProblem(Family family) throws IOException {
        Path directory = save(config(family));
        String key = family == Family.GPT2 ? "n_embd" : "hidden_size";
        edit(directory, json -> json.remove(key));
        assertThat(refusal(directory).problems()).containsExactly("key " + key + " is missing");
        edit(directory, json -> json.put(key, "16"));
        assertThat(refusal(directory).problems())
                .singleElement()
                .asString()
                .startsWith(key + " is \"16\", expected a whole number");
    }

    @Test
    void mf19_tensorsOfOtherShapesAreListedAndNeverResized() throws IOException {
        Path directory = save(config(Family.LLAMA));
        edit(directory, json -> json.put("vocab_size", 25).put("intermediate_size", 32));
        assertThat(refusal(directory))
                .hasMessageContaining("misshapen: model.embed_tokens.weight is [24, 16], config.json makes it [25, 16]")
                .hasMessageContaining("misshapen: lm_head.weight is [24, 16]")
                .hasMessageContaining("misshapen: model.layers.1.mlp.up_proj.bias is [24]")
                .hasMessageContaining("12 problems");
    }

    @Test
    void mf19_theTieFlagIsBelievedOnlyIfItIsTrue() throws IOException {
        Path directory = save(config(Family.LLAMA));
        edit(directory, json -> json.put("tie_word_embeddings", true));
        assertThat(refusal(directory))
                .hasMessageContaining("config.json says tie_word_embeddings true, but lm_head.weight differs from"
                        + " model.embed_tokens.weight");
        Path tied = folder.resolve("tied");
        try (Decoder decoder = random(config(Family.QWEN2), 3)) {
            save(decoder, "tied", DType.F32);
        }
        edit(tied, json -> json.put("tie_word_embeddings", false));
        assertThat(refusal(tied).problems()).containsExactly("missing: lm_head.weight [24, 16]");
    }

    @Test
    void mf20_missingAndUnexpectedTensorsAreBothListed() throws IOException {
        Path directory = save(config(Family.LLAMA));
        edit(
                directory,
                json -> json.put("num_hidden_layers", 3)
                        .put("attention_bias", false)
                        .put("mlp_bias", false));
        BadInput refusal = refusal(directory);
        assertThat(refusal)
                .hasMessageContaining("the weights do not fit config.json")
                .hasMessageContaining("missing: model.layers.2.self_attn.q_proj.weight [16, 16]")
                .hasMessageContaining("unexpected: model.layers.0.self_attn.q_proj.bias [16]");
        assertThat(refusal.problems().stream().filter(p -> p.startsWith("missing")))
                .hasSize(9);
        assertThat(refusal.problems().stream().filter(p -> p.startsWith("unexpected")))
                .hasSize(14);
    }

    /// A number in config.json may not make us build a list of two billion tensors first.
    @Test
    void mf19_aBillionLayersAreRefusedAndNotCounted() throws IOException {
        Path directory = save(config(Family.LLAMA));
        edit(directory, json -> json.put("num_hidden_layers", Integer.MAX_VALUE));
        assertThat(refusal(directory)).hasMessageContaining("num_hidden_layers");
    }

    @Test
    void mf26_aDirectoryThatIsNone() throws IOException {
        assertThat(refusal(folder.resolve("none"))).hasMessageContaining("not a model directory");
        Path file = Files.writeString(folder.resolve("file"), "");
        assertThat(refusal(file)).hasMessageContaining("not a model directory");
        assertThat(refusal(folder)).hasMessageContaining("config.json: no such file");
        Path odd = Files.createDirectories(folder.resolve("with space/f\u00fcr \ud83e\udd9c"));
        try (Decoder decoder = random(config(Family.LLAMA), 3)) {
            ModelDirectory.save(decoder, odd, DType.F32, Json.MAPPER.createObjectNode());
            try (Decoder loaded = ModelDirectory.load(odd, DType.F32, false)) {
                assertThat(logits(loaded)).isEqualTo(logits(decoder));
            }
        }
        assertThatThrownBy(() -> ModelDirectory.load(folder.resolve("none"), DType.F32, true))
                .isInstanceOf(BadInput.class);
    }
}
