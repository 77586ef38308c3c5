package dev.manners.testing;

import dev.manners.files.Json;
import dev.manners.model.Decoder;
import dev.manners.tensor.DType;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import dev.manners.text.BpeTrainer;
import dev.manners.text.Tokenizer;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/// Tokenizers and models small enough to be made anew in every test.
public final class Tiny {

    public static final String END = "<|endoftext|>";
    public static final String TURN_END = "<|im_end|>";
    public static final List<String> SPECIAL = List.of("<|pad|>", END, "<|im_start|>", TURN_END);

    /// A template as chat models have it; `{% generation %}` marks what the assistant said.
    public static final String CHATML = """
            {%- for message in messages %}
            {{- '<|im_start|>' + message.role + '\\n' }}
            {%- if message.role == 'assistant' %}
            {%- generation %}{{- message.content + '<|im_end|>' }}{%- endgeneration %}
            {%- else %}{{- message.content + '<|im_end|>' }}
            {%- endif %}
            {{- '\\n' }}
            {%- endfor %}
            {%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}""";

    private Tiny() {}

    /// Sentences of few words, so that merges have something to learn, in several scripts.
    public static List<String> corpus(long seed) {
        String[] words = {
            "the",
            "there",
            "then",
            "other",
            "mother",
            "bird",
            "birds",
            "singing",
            "sings",
            "in",
            "garden",
            "gardens",
            "été",
            "naïve",
            "Größe",
            "привет",
            "мир",
            "世界",
            "你好",
            "🙂🙃",
            "👩‍👩‍👧",
            "שלום",
            "e\u0301",
            "12",
            "2026",
            "it's",
            "flower",
            "river",
            "mountain",
            "morning",
            "evening",
            "quietly",
            "listening",
            "children",
            "winter",
            "summer"
        };
        Random random = new Random(seed);
        List<String> texts = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
            StringBuilder text = new StringBuilder();
            for (int n = 3 + random.nextInt(8); n > 0; n--) {
                text.append(words[random.nextInt(words.length)]).append(n > 1 ? " " : i % 9 == 0 ? ".\n\n" : ".");
            }
            texts.add(text.toString());
        }
        return texts;
    }

    public static JsonNode tokenizerJson() {
        return BpeTrainer.train(corpus(1), 420, SPECIAL);
    }

    /// A byte-level tokenizer whose EOS is the end of a turn.
    public static Tokenizer tokenizer(@Nullable String template) {
        return tokenizer(TURN_END, template);
    }

    public static Tokenizer tokenizer(String eos, @Nullable String template) {
        ObjectNode config = Json.MAPPER.createObjectNode().put("eos_token", eos).put("pad_token", "<|pad|>");
        return Tokenizer.of(tokenizerJson(), config, template);
    }

    /// Llama with grouped queries and random weights, large enough for the next token to matter.
    public static Decoder llama(int vocabSize, int context, long seed) {
        return llama(vocabSize, context, seed, DType.F32);
    }

    public static Decoder llama(int vocabSize, int context, long seed, DType dtype) {
        ObjectNode config = Json.MAPPER
                .createObjectNode()
                .put("model_type", "llama")
                .put("vocab_size", vocabSize)
                .put("hidden_size", 32)
                .put("intermediate_size", 64)
                .put("num_hidden_layers", 2)
                .put("num_attention_heads", 4)
                .put("num_key_value_heads", 2)
                .put("max_position_embeddings", context)
                .put("tie_word_embeddings", false)
                .put("initializer_range", 0.35);
        return Decoder.initialise(config, seed, dtype);
    }

    /// A model that says this and nothing else: whatever stands at position p, the next token is `script[p]`. Blocks
    /// that add nothing, one direction of the hidden space per position, and embeddings that point there.
    public static Decoder saying(int[] script, int vocabSize) {
        int width = script.length;
        ObjectNode config = Json.MAPPER
                .createObjectNode()
                .put("model_type", "gpt2")
                .put("vocab_size", vocabSize)
                .put("n_embd", width)
                .put("n_head", 1)
                .put("n_layer", 1)
                .put("n_positions", width)
                .put("tie_word_embeddings", true)
                .put("initializer_range", 0);
        Decoder decoder = Decoder.initialise(config, 0, DType.F32);
        float[] positions = new float[width * width];
        float[] tokens = new float[vocabSize * width];
        for (int p = 0; p < width; p++) {
            positions[p * width + p] = 100;
            tokens[script[p] * width + p] = 1;
        }
        try (Scope scope = Scope.open()) {
            decoder.parameter("transformer.wpe.weight").value().detach().copy_(Tensor.of(positions, width, width));
            decoder.parameter("transformer.wte.weight").value().detach().copy_(Tensor.of(tokens, vocabSize, width));
        }
        decoder.refresh();
        return decoder;
    }
}
