package dev.manners.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.manners.BadInput;
import dev.manners.files.CannotWrite;
import dev.manners.files.Json;
import dev.manners.files.Manifest;
import dev.manners.model.Parameter;
import dev.manners.tensor.DType;
import dev.manners.tensor.NoGrad;
import dev.manners.tensor.Scope;
import dev.manners.testing.TinyModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.node.ObjectNode;

/// A model with its tokenizer, to and from the disk.
class LoadedModelTest {

    @TempDir
    Path folder;

    private static LoadedModel open(Path directory) {
        return LoadedModel.open(directory, null, DType.F32, false);
    }

    private static float[] embedding(LoadedModel model) {
        return model.decoder().parameter("model.embed_tokens.weight").value().toFloats();
    }

    private static void doubleAll(LoadedModel model) {
        try (Scope scope = Scope.open();
                NoGrad off = NoGrad.on()) {
            for (Parameter p : model.decoder().parameters()) {
                p.value().detach().mul_(2);
            }
        }
    }

    /// What trains in place writes where it read from; the old files are open meanwhile.
    @Test
    void mf17_savedOverTheDirectoryItWasLoadedFrom() throws IOException {
        Path directory = TinyModel.write(folder.resolve("m"));
        float[] wanted;
        try (LoadedModel model = open(directory)) {
            doubleAll(model);
            wanted = embedding(model);
            model.save(directory, DType.F32, "card", Map.of("step", 2));
        }
        assertThat(Manifest.verify(directory).extra().path("step").asInt()).isEqualTo(2);
        try (LoadedModel model = open(directory)) {
            assertThat(embedding(model)).isEqualTo(wanted);
        }
        // Neither the old directory nor an unfinished one is left beside it.
        try (Stream<Path> beside = Files.list(folder)) {
            assertThat(beside).containsExactly(directory);
        }
    }

    @Test
    void mf17_aDirectoryThatIsNotOursIsNotReplaced() throws IOException {
        Path directory = TinyModel.write(folder.resolve("m"));
        Files.delete(directory.resolve(Manifest.FILE));
        Map<String, String> before = LoadedModel.hashes(directory);
        try (LoadedModel model = open(directory)) {
            doubleAll(model);
            assertThatThrownBy(() -> model.save(directory, DType.F32, "card", Map.of()))
                    .isInstanceOf(CannotWrite.class)
                    .hasMessageContaining("will not be replaced: it has no MANIFEST.json");
        }
        assertThat(LoadedModel.hashes(directory)).isEqualTo(before);
        try (Stream<Path> beside = Files.list(folder)) {
            assertThat(beside).containsExactly(directory);
        }
    }

    @Test
    void mf19_aTokenizerWithMoreTokensThanTheEmbeddingHasRows() throws IOException {
        Path small = TinyModel.write(folder.resolve("m"));
        ObjectNode tokenizer = Json.readObject(small.resolve("tokenizer.json"));
        int size;
        try (LoadedModel model = open(small)) {
            size = model.tokenizer().vocabSize();
        }
        tokenizer
                .withArray("added_tokens")
                .addObject()
                .put("id", size)
                .put("content", "<|tool|>")
                .put("single_word", false)
                .put("lstrip", false)
                .put("rstrip", false)
                .put("normalized", false)
                .put("special", true);
        Files.writeString(small.resolve("tokenizer.json"), Json.pretty(tokenizer));
        assertThatThrownBy(() -> open(small))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("the tokenizer has ids up to " + size + ", the embedding only " + size + " rows");
    }

    /// Generation must stop where the chat template's turns end, after a save as before.
    @Test
    void theTokensThatEndAnAnswerAreKept() {
        Path directory = TinyModel.write(folder.resolve("m"));
        try (LoadedModel model = open(directory)) {
            assertThat(model.stopIds()).isEqualTo(Set.of(0, 2));
            assertThat(model.chat()).isPresent();
            model.save(folder.resolve("again"), DType.F32, "", Map.of());
        }
        try (LoadedModel model = open(folder.resolve("again"))) {
            assertThat(model.stopIds()).isEqualTo(Set.of(0, 2));
        }
        assertThat(Json.readObject(folder.resolve("again/generation_config.json"))
                        .path("eos_token_id")
                        .toString())
                .isEqualTo("[0,2]");
    }
}
