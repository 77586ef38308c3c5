package dev.manners.testing;

import dev.manners.files.AtomicDirectory;
import dev.manners.files.Json;
import dev.manners.model.Decoder;
import dev.manners.model.ScalarModel;
import dev.manners.parrot.ParrotWorld;
import dev.manners.run.LoadedModel;
import dev.manners.tensor.DType;
import dev.manners.text.BpeTrainer;
import dev.manners.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import tools.jackson.databind.node.ObjectNode;

/// A complete model directory of some ten thousand parameters with a tokenizer and a chat template of its
/// own, and rows to train it on: everything that a user's first command needs.
public final class TinyModel {

    public static final String END = "<|endoftext|>";
    private static final List<String> SPECIAL = List.of(END, "<|im_start|>", "<|im_end|>", "<|pad|>");

    private TinyModel() {}

    /// Writes a Llama with random weights.
    public static Path write(Path target) {
        try (LoadedModel model = make(7)) {
            model.save(target, DType.F32, "", Map.of());
        }
        return target;
    }

    /// Writes the same model with a head that gives scores, as a reward model has; it has learned nothing.
    public static Path writeScored(Path target, long seed) {
        try (LoadedModel model = make(7);
                ScalarModel scored = ScalarModel.of(model.decoder(), seed);
                AtomicDirectory made = AtomicDirectory.create(target)) {
            scored.save(made.path(), DType.F32, OptionalInt.empty());
            model.tokenizer().save(made.path());
            made.commit(Map.of());
        }
        return target;
    }

    /// The same in memory; another seed gives other weights.
    public static LoadedModel make(long seed) {
        return make(seed, DType.F32);
    }

    /// @param dtype that it computes in; the master weights are F32
    public static LoadedModel make(long seed, DType dtype) {
        List<String> texts = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
            texts.add(prompt(i) + completion(i));
        }
        ObjectNode tokenizerConfig = Json.MAPPER
                .createObjectNode()
                .put("tokenizer_class", "PreTrainedTokenizerFast")
                .put("eos_token", END)
                .put("pad_token", "<|pad|>");
        Tokenizer tokenizer =
                Tokenizer.of(BpeTrainer.train(texts, 300, SPECIAL), tokenizerConfig, ParrotWorld.chatTemplate());
        ObjectNode config = Json.MAPPER.createObjectNode();
        config.putArray("architectures").add("LlamaForCausalLM");
        config.put("model_type", "llama")
                .put("vocab_size", tokenizer.vocabSize())
                .put("hidden_size", 16)
                .put("intermediate_size", 32)
                .put("num_hidden_layers", 2)
                .put("num_attention_heads", 2)
                .put("num_key_value_heads", 1)
                .put("max_position_embeddings", 128)
                .put("tie_word_embeddings", true)
                .put("initializer_range", 0.1)
                .put("eos_token_id", 0);
        ObjectNode generation = Json.MAPPER.createObjectNode();
        generation.putArray("eos_token_id").add(0).add(2);
        return LoadedModel.of(Decoder.initialise(config, seed, dtype), tokenizer, generation);
    }

    /// Writes rows with a prompt and a completion.
    public static Path rows(Path file, int count) throws IOException {
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < count; i++) {
            lines.append(Json.MAPPER.writeValueAsString(Map.of("prompt", prompt(i), "completion", completion(i))))
                    .append('\n');
        }
        Files.writeString(file, lines);
        return file;
    }

    private static String prompt(int i) {
        return "What is " + i % 13 + " + " + i % 7 + "?";
    }

    private static String completion(int i) {
        return " It is " + (i % 13 + i % 7) + ".";
    }
}
