package dev.manners.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.manners.BadInput;
import dev.manners.files.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import tools.jackson.databind.node.ObjectNode;

/// Adapters on every family: the layouts differ (fused, per head, transposed), the arithmetic may not.
class AdapterFilesTest {

    private static final Lora LORA = new Lora(4, 12, 0, true, List.of("all-linear"));

    @TempDir
    Path folder;

    private static Map<String, Long> addresses(Decoder decoder) {
        return decoder.parameters().stream()
                .collect(Collectors.toMap(
                        Parameter::name, p -> p.value().detach().memory().address()));
    }

    @ParameterizedTest
    @EnumSource(Family.class)
    void adaptersShareTheirBaseAndLeaveItAsItWas(Family family) {
        try (Decoder decoder = ModelDirectoryTest.random(ModelDirectoryTest.config(family), 5)) {
            float[] base = ModelDirectoryTest.logits(decoder);
            Map<String, Long> before = addresses(decoder);
            decoder.attach(LORA, 1);
            // B is zero at first: nothing has changed yet.
            assertThat(ModelDirectoryTest.logits(decoder)).isEqualTo(base);
            ModelDirectoryTest.randomise(decoder, List.copyOf(decoder.adapterParameters()), 9);
            float[] adapted = ModelDirectoryTest.logits(decoder);
            assertThat(adapted).isNotEqualTo(base);
            // One copy of the base serves the policy and its reference.
            assertThat(addresses(decoder)).isEqualTo(before);
            try (Decoder.AdaptersOff off = decoder.withoutAdapters()) {
                assertThat(ModelDirectoryTest.logits(decoder)).isEqualTo(base);
                try (Decoder.AdaptersOff twice = decoder.withoutAdapters()) {
                    assertThat(ModelDirectoryTest.logits(decoder)).isEqualTo(base);
                }
                assertThat(ModelDirectoryTest.logits(decoder)).isEqualTo(base);
            }
            assertThat(ModelDirectoryTest.logits(decoder)).isEqualTo(adapted);

            decoder.merge();
            GoldenFamiliesTest.assertClose("merged", ModelDirectoryTest.logits(decoder), adapted, 1e-5);
            assertThat(decoder.adapterParameters()).isEmpty();
            assertThat(decoder.lora()).isNull();
            assertThat(decoder.trainable()).hasSameSizeAs(decoder.parameters());
        }
    }

    @ParameterizedTest
    @EnumSource(Family.class)
    void aPeftDirectoryComesBackAsItWas(Family family) throws IOException {
        ObjectNode config = ModelDirectoryTest.config(family);
        float[] adapted;
        try (Decoder decoder = ModelDirectoryTest.random(config, 5)) {
            decoder.attach(LORA, 1);
            ModelDirectoryTest.randomise(decoder, List.copyOf(decoder.adapterParameters()), 9);
            adapted = ModelDirectoryTest.logits(decoder);
            AdapterFiles.save(decoder, folder, "base");
        }
        byte[] weights = Files.readAllBytes(folder.resolve("adapter_model.safetensors"));
        byte[] options = Files.readAllBytes(folder.resolve("adapter_config.json"));
        try (Decoder decoder = ModelDirectoryTest.random(config, 5)) {
            AdapterFiles.load(decoder, folder);
            assertThat(ModelDirectoryTest.logits(decoder)).isEqualTo(adapted);
            AdapterFiles.save(decoder, folder, "base");
        }
        assertThat(folder.resolve("adapter_model.safetensors")).hasBinaryContent(weights);
        assertThat(folder.resolve("adapter_config.json")).hasBinaryContent(options);
    }

    @Test
    void anAdapterThatDoesNotFitIsRefusedWithBothLists() throws IOException {
        try (Decoder decoder = ModelDirectoryTest.random(ModelDirectoryTest.config(Family.LLAMA), 5)) {
            decoder.attach(new Lora(4, 8, 0, false, List.of("q_proj", "down_proj")), 1);
            AdapterFiles.save(decoder, folder, "base");
        }
        ObjectNode json = Json.readObject(folder.resolve("adapter_config.json"));
        json.putArray("target_modules").add("q_proj").add("up_proj");
        Files.writeString(folder.resolve("adapter_config.json"), Json.pretty(json));
        try (Decoder decoder = ModelDirectoryTest.random(ModelDirectoryTest.config(Family.LLAMA), 5)) {
            assertThatThrownBy(() -> AdapterFiles.load(decoder, folder))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("8 problems")
                    .hasMessageContaining(
                            "missing or misshapen: base_model.model.model.layers.0.mlp.up_proj.lora_A.weight[4, 16]")
                    .hasMessageContaining(
                            "unexpected: base_model.model.model.layers.1.mlp.down_proj.lora_B.weight[16, 4]");
            assertThat(decoder.adapterParameters()).isEmpty();
        }
    }

    @Test
    void whatIsNoLoraIsRefusedInOneMessage() throws IOException {
        Files.writeString(folder.resolve("adapter_config.json"), """
                {"peft_type": "IA3", "use_dora": true, "bias": "all", "r": 0, "lora_alpha": 8,
                 "modules_to_save": ["lm_head"], "target_modules": ["q_proj"]}""");
        try (Decoder decoder = ModelDirectoryTest.random(ModelDirectoryTest.config(Family.LLAMA), 5)) {
            assertThatThrownBy(() -> AdapterFiles.load(decoder, folder))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContainingAll("5 problems", "IA3", "use_dora", "bias is", "modules_to_save", "r is 0");
        }
    }

    /// The key-value heads have 8 rows: a product of rank 9 would be larger than what it changes.
    @Test
    void cf04_aRankAboveADimensionIsRefused() {
        try (Decoder decoder = ModelDirectoryTest.random(ModelDirectoryTest.config(Family.LLAMA), 5)) {
            assertThatThrownBy(() -> decoder.attach(new Lora(17, 8, 0, false, List.of("all-linear")), 1))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContainingAll(
                            "4 problems",
                            "lora_r is 17, more than a dimension of model.layers.0.self_attn.k_proj [8, 16]",
                            "model.layers.0.self_attn.q_proj [16, 16]",
                            "model.layers.0.mlp.gate_proj [24, 16]",
                            "model.layers.0.mlp.down_proj [16, 24]");
            assertThat(decoder.adapterParameters()).isEmpty();
            // What is not a target does not count, and what is equal is allowed.
            decoder.attach(new Lora(16, 8, 0, false, List.of("q_proj", "down_proj")), 1);
            assertThat(decoder.adapterParameters()).hasSize(8);
        }
    }

    @Test
    void aModuleThatIsNoneIsRefusedWithTheOnesThereAre() {
        try (Decoder decoder = ModelDirectoryTest.random(ModelDirectoryTest.config(Family.GPT2), 5)) {
            assertThatThrownBy(() -> decoder.attach(new Lora(4, 8, 0, false, List.of("q_proj")), 1))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("[q_proj] names no linear layer of this model; its layers end in [c_attn");
        }
    }

    @Test
    void mf13_anAdapterWithNanIsRefused() throws IOException {
        try (Decoder decoder = ModelDirectoryTest.random(ModelDirectoryTest.config(Family.LLAMA), 5)) {
            decoder.attach(new Lora(2, 8, 0, false, List.of("q_proj")), 1);
            AdapterFiles.save(decoder, folder, "base");
        }
        Path file = folder.resolve("adapter_model.safetensors");
        byte[] bytes = Files.readAllBytes(file);
        // The last four bytes are the last value of the last tensor; an infinity.
        java.nio.ByteBuffer.wrap(bytes)
                .order(java.nio.ByteOrder.LITTLE_ENDIAN)
                .putFloat(bytes.length - 4, Float.POSITIVE_INFINITY);
        Files.write(file, bytes);
        try (Decoder decoder = ModelDirectoryTest.random(ModelDirectoryTest.config(Family.LLAMA), 5)) {
            assertThatThrownBy(() -> AdapterFiles.load(decoder, folder))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("lora_B.weight: 1 of 32 values are NaN or infinite");
            assertThat(decoder.adapterParameters()).isEmpty();
        }
    }
}
