package dev.manners.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.manners.BadInput;
import dev.manners.files.Json;
import dev.manners.tensor.DType;
import dev.manners.testing.Tiny;
import dev.manners.text.Tokenizer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/// Model directories: what is refused, and when a model that was saved stops talking.
class StopTokensTest {

    @TempDir
    Path folder;

    private static LoadedModel model(int vocabSize, String eos, @Nullable String template, ObjectNode generation) {
        return LoadedModel.of(Tiny.llama(vocabSize, 64, 1), Tiny.tokenizer(eos, template), generation);
    }

    private static ObjectNode generation() {
        return Json.MAPPER.createObjectNode();
    }

    private JsonNode savedEos(LoadedModel model) {
        Path target = folder.resolve("saved");
        model.save(target, DType.F32, "card", Map.of());
        return Json.readObject(target.resolve("generation_config.json")).path("eos_token_id");
    }

    /// Embedding rows beyond the tokenizer are common (padding to a round size); ids beyond the embedding are damage.
    @Test
    void tk01_idsBeyondTheEmbeddingAreRefusedWithCounts() {
        try (LoadedModel model = model(420, Tiny.TURN_END, null, generation())) {
            model.save(folder.resolve("fits"), DType.F32, "card", Map.of());
        }
        try (LoadedModel wide = model(448, Tiny.TURN_END, null, generation())) {
            wide.save(folder.resolve("wide"), DType.F32, "card", Map.of());
        }
        try (LoadedModel narrow = model(400, Tiny.TURN_END, null, generation())) {
            narrow.save(folder.resolve("narrow"), DType.F32, "card", Map.of());
        }
        LoadedModel.open(folder.resolve("fits"), null, DType.F32, false).close();
        LoadedModel.open(folder.resolve("wide"), null, DType.F32, false).close();
        assertThatThrownBy(() -> LoadedModel.open(folder.resolve("narrow"), null, DType.F32, false))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("narrow: the tokenizer has ids up to 419, the embedding only 400 rows");
    }

    /// LlamaFactory#7454: the base model's file names the document's end, the template ends turns with another token.
    /// Whoever loads the saved model with other software has to find both.
    @Test
    void tk11_theSavedModelStopsWhereItsTemplateEndsATurn() {
        try (LoadedModel model = model(420, Tiny.END, Tiny.CHATML, generation().put("eos_token_id", 1))) {
            assertThat(model.stopIds()).containsExactlyInAnyOrder(1, 3);
            assertThat(savedEos(model).toString()).isEqualTo("[1,3]");
        }
        try (LoadedModel again = LoadedModel.open(folder.resolve("saved"), null, DType.F32, false)) {
            assertThat(again.stopIds()).containsExactlyInAnyOrder(1, 3);
        }
    }

    @Test
    void tk11_withoutATemplateNothingIsAdded() {
        ObjectNode given = generation().put("eos_token_id", 1).put("temperature", 0.5);
        try (LoadedModel model = model(420, Tiny.END, null, given)) {
            assertThat(savedEos(model).toString()).isEqualTo("1");
        }
        JsonNode saved = Json.readObject(folder.resolve("saved").resolve("generation_config.json"));
        assertThat(saved.path("temperature").doubleValue()).isEqualTo(0.5);
    }

    /// A template that cannot be read is an error where a conversation is to be written, not where a model is loaded.
    @Test
    void tk11_aTemplateThatCannotBeReadKeepsPlainTextUsable() throws Exception {
        try (LoadedModel model = model(420, Tiny.END, "{% if %}", generation())) {
            assertThat(model.stopIds()).containsExactly(1);
            assertThatThrownBy(model::chat).isInstanceOf(BadInput.class);
            model.save(folder.resolve("saved"), DType.F32, "card", Map.of());
        }
        assertThat(Files.readString(folder.resolve("saved").resolve("chat_template.jinja")))
                .isEqualTo("{% if %}");
        try (Tokenizer tokenizer = Tokenizer.load(folder.resolve("saved"))) {
            assertThat(tokenizer.chatTemplateSource()).hasValue("{% if %}");
        }
    }
}
