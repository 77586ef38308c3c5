package dev.manners.model;

import dev.manners.BadInput;
import dev.manners.model.DecoderConfig.Activation;
import dev.manners.model.DecoderConfig.DropoutRates;
import dev.manners.model.DecoderConfig.NormKind;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/// The families of decoders that Manners reads and writes: what each calls its options and its tensors.
///
/// A new family is a constant here: how its config.json maps to a [DecoderConfig] and which [Names] its tensors carry.
enum Family {
    LLAMA("llama", Names.LLAMA) {
        @Override
        DecoderConfig config(ConfigJson c) {
            return llamaLike(c, false);
        }
    },
    /// Mistral without a sliding window is Llama under another name.
    MISTRAL("mistral", Names.LLAMA) {
        @Override
        DecoderConfig config(ConfigJson c) {
            int window = c.integer("sliding_window", Integer.MAX_VALUE);
            c.require(
                    window >= c.integer("max_position_embeddings", 4096 * 32),
                    "sliding_window " + window + " is shorter than the context: sliding-window attention is not"
                            + " supported yet");
            return llamaLike(c, false);
        }
    },
    QWEN2("qwen2", Names.LLAMA) {
        @Override
        DecoderConfig config(ConfigJson c) {
            c.require(!c.flag("use_sliding_window", false), "use_sliding_window is not supported yet");
            return llamaLike(c, false);
        }
    },
    QWEN3("qwen3", Names.LLAMA) {
        @Override
        DecoderConfig config(ConfigJson c) {
            c.require(!c.flag("use_sliding_window", false), "use_sliding_window is not supported yet");
            return llamaLike(c, true);
        }
    },
    GPT2("gpt2", Names.GPT2) {
        @Override
        DecoderConfig config(ConfigJson c) {
            int hidden = c.requiredInt("n_embd");
            int heads = c.requiredInt("n_head");
            c.fits(hidden % heads == 0, "n_head " + heads + " does not divide n_embd " + hidden, "n_head", "n_embd");
            c.require(c.flag("scale_attn_weights", true), "scale_attn_weights false is not supported");
            c.require(
                    !c.flag("scale_attn_by_inverse_layer_idx", false),
                    "scale_attn_by_inverse_layer_idx is not supported");
            return new DecoderConfig(
                    "gpt2",
                    c.requiredInt("vocab_size"),
                    hidden,
                    c.requiredInt("n_layer"),
                    heads,
                    heads,
                    hidden / heads,
                    c.integer("n_inner", 4 * hidden),
                    c.requiredInt("n_positions"),
                    NormKind.LAYER,
                    c.number("layer_norm_epsilon", 1e-5),
                    false,
                    null,
                    true,
                    activation(c, "activation_function", "gelu_new"),
                    false,
                    false,
                    c.flag("tie_word_embeddings", true),
                    new DropoutRates(
                            c.number("embd_pdrop", 0.1), c.number("resid_pdrop", 0.1), c.number("attn_pdrop", 0.1)));
        }
    },
    GPT_NEOX("gpt_neox", Names.GPT_NEOX) {
        @Override
        DecoderConfig config(ConfigJson c) {
            int hidden = c.requiredInt("hidden_size");
            int heads = c.requiredInt("num_attention_heads");
            c.fits(
                    hidden % heads == 0,
                    "num_attention_heads " + heads + " does not divide hidden_size " + hidden,
                    "num_attention_heads",
                    "hidden_size");
            int headDim = hidden / heads;
            return new DecoderConfig(
                    "gpt_neox",
                    c.requiredInt("vocab_size"),
                    hidden,
                    c.requiredInt("num_hidden_layers"),
                    heads,
                    heads,
                    headDim,
                    c.requiredInt("intermediate_size"),
                    c.requiredInt("max_position_embeddings"),
                    NormKind.LAYER,
                    c.number("layer_norm_eps", 1e-5),
                    c.flag("use_parallel_residual", true),
                    rotary(c, headDim, c.number("rotary_pct", 0.25)),
                    false,
                    activation(c, "hidden_act", "gelu"),
                    false,
                    false,
                    c.flag("tie_word_embeddings", false),
                    new DropoutRates(
                            c.number("hidden_dropout", 0),
                            c.number("hidden_dropout", 0),
                            c.number("attention_dropout", 0)));
        }
    };

    private final String modelType;
    private final Names names;

    Family(String modelType, Names names) {
        this.modelType = modelType;
        this.names = names;
    }

    abstract DecoderConfig config(ConfigJson c);

    Names names() {
        return names;
    }

    /// Whether the linear layers of attention and MLP carry biases, which config.json says differently per family.
    Biases biases(ConfigJson c) {
        return switch (this) {
            case LLAMA, MISTRAL, QWEN3 ->
                new Biases(c.flag("attention_bias", false), c.flag("attention_bias", false), c.flag("mlp_bias", false));
            case QWEN2 -> new Biases(true, false, false);
            case GPT2 -> new Biases(true, true, true);
            case GPT_NEOX -> new Biases(c.flag("attention_bias", true), c.flag("attention_bias", true), true);
        };
    }

    /// What the names of transformers' classes for this family begin with.
    String className() {
        return switch (this) {
            case LLAMA -> "Llama";
            case MISTRAL -> "Mistral";
            case QWEN2 -> "Qwen2";
            case QWEN3 -> "Qwen3";
            case GPT2 -> "GPT2";
            case GPT_NEOX -> "GPTNeoX";
        };
    }

    record Biases(boolean queryKeyValue, boolean output, boolean mlp) {}

    static Family of(ObjectNode json, String source) {
        String type = json.path("model_type").asString("");
        return Arrays.stream(values())
                .filter(family -> family.modelType.equals(type))
                .findFirst()
                .orElseThrow(() -> new BadInput(source + ": model_type is \"" + type + "\"; supported are "
                        + Arrays.stream(values())
                                .map(family -> family.modelType)
                                .collect(Collectors.joining(", "))));
    }

    private static DecoderConfig llamaLike(ConfigJson c, boolean queryKeyNorm) {
        int hidden = c.requiredInt("hidden_size");
        int heads = c.requiredInt("num_attention_heads");
        int keyValueHeads = c.integer("num_key_value_heads", heads);
        int headDim = c.integer("head_dim", queryKeyNorm ? 128 : Math.max(1, hidden / heads));
        c.fits(
                heads % keyValueHeads == 0,
                "num_key_value_heads " + keyValueHeads + " does not divide num_attention_heads " + heads,
                "num_key_value_heads",
                "num_attention_heads");
        c.fits(
                hidden % heads == 0 || c.integer("head_dim", 1) > 1,
                "num_attention_heads " + heads + " does not divide hidden_size " + hidden + " and there is no head_dim",
                "num_attention_heads",
                "hidden_size",
                "head_dim");
        return new DecoderConfig(
                c.text("model_type", "llama"),
                c.requiredInt("vocab_size"),
                hidden,
                c.requiredInt("num_hidden_layers"),
                heads,
                keyValueHeads,
                headDim,
                c.requiredInt("intermediate_size"),
                c.requiredInt("max_position_embeddings"),
                NormKind.RMS,
                c.number("rms_norm_eps", 1e-6),
                false,
                rotary(c, headDim, 1),
                false,
                activation(c, "hidden_act", "silu"),
                true,
                queryKeyNorm,
                c.flag("tie_word_embeddings", false),
                new DropoutRates(0, 0, c.number("attention_dropout", 0)));
    }

    private static Activation activation(ConfigJson c, String key, String byDefault) {
        String name = c.text(key, byDefault);
        return switch (name) {
            case "silu", "swish" -> Activation.SILU;
            case "gelu" -> Activation.GELU;
            case "gelu_new", "gelu_pytorch_tanh", "gelu_fast" -> Activation.GELU_TANH;
            case "relu" -> Activation.RELU;
            default -> {
                c.problem(key + " is \"" + name + "\"; supported are silu, gelu, gelu_new, gelu_pytorch_tanh, relu");
                yield Activation.SILU;
            }
        };
    }

    /// Rotary options as transformers 5 writes them (`rope_parameters`) or as 4 did (`rope_theta`, `rope_scaling`).
    private static Rotary rotary(ConfigJson c, int headDim, double partialByDefault) {
        ObjectNode parameters = c.object("rope_parameters");
        ObjectNode scaling = parameters != null ? parameters : c.object("rope_scaling");
        double theta = c.number("rope_theta", c.number("rotary_emb_base", 10_000));
        double partial = c.number("partial_rotary_factor", partialByDefault);
        Rotary.Llama3Scaling llama3 = null;
        if (parameters != null) {
            theta = c.number(parameters, "rope_theta", theta);
            partial = c.number(parameters, "partial_rotary_factor", partial);
        }
        if (scaling != null) {
            String type =
                    scaling.path("rope_type").asString(scaling.path("type").asString("default"));
            switch (type) {
                case "default" -> {}
                case "llama3" ->
                    llama3 = new Rotary.Llama3Scaling(
                            c.number(scaling, "factor", 8),
                            c.number(scaling, "low_freq_factor", 1),
                            c.number(scaling, "high_freq_factor", 4),
                            c.number(scaling, "original_max_position_embeddings", 8192));
                default -> c.problem("rope_type \"" + type + "\" is not supported; supported are default, llama3");
            }
        }
        int rotated = (int) (headDim * partial);
        c.fits(
                rotated >= 1 && rotated + rotated % 2 <= headDim,
                "partial_rotary_factor " + partial + " of head_dim " + headDim + " leaves no pairs to rotate",
                "hidden_size",
                "num_attention_heads",
                "head_dim");
        return new Rotary(theta, Math.max(1, rotated), llama3);
    }

    /// Names of a family's tensors; `layer` takes the block's index.
    ///
    /// @param queryKeyValue modules that make q, k and v: three, or one fused
    /// @param fused how a single one is laid out
    /// @param transposed weights are stored [in, out] (Conv1D)
    /// @param ignored endings of stored buffers that are not weights
    record Names(
            String embedding,
            @Nullable String positions,
            String layer,
            String attentionNorm,
            List<String> queryKeyValue,
            Fused fused,
            String output,
            @Nullable String queryNorm,
            @Nullable String keyNorm,
            String mlpNorm,
            List<String> up,
            String down,
            String finalNorm,
            String head,
            boolean transposed,
            List<String> ignored) {

        enum Fused {
            NONE,
            /// All queries, then all keys, then all values.
            BY_KIND,
            /// Head by head, its query, key and value.
            BY_HEAD
        }

        static final Names LLAMA = new Names(
                "model.embed_tokens",
                null,
                "model.layers.%d.",
                "input_layernorm",
                List.of("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
                Fused.NONE,
                "self_attn.o_proj",
                "self_attn.q_norm",
                "self_attn.k_norm",
                "post_attention_layernorm",
                List.of("mlp.gate_proj", "mlp.up_proj"),
                "mlp.down_proj",
                "model.norm",
                "lm_head",
                false,
                List.of("rotary_emb.inv_freq"));

        static final Names GPT2 = new Names(
                "transformer.wte",
                "transformer.wpe",
                "transformer.h.%d.",
                "ln_1",
                List.of("attn.c_attn"),
                Fused.BY_KIND,
                "attn.c_proj",
                null,
                null,
                "ln_2",
                List.of("mlp.c_fc"),
                "mlp.c_proj",
                "transformer.ln_f",
                "lm_head",
                true,
                List.of("attn.bias", "attn.masked_bias"));

        static final Names GPT_NEOX = new Names(
                "gpt_neox.embed_in",
                null,
                "gpt_neox.layers.%d.",
                "input_layernorm",
                List.of("attention.query_key_value"),
                Fused.BY_HEAD,
                "attention.dense",
                null,
                null,
                "post_attention_layernorm",
                List.of("mlp.dense_h_to_4h"),
                "mlp.dense_4h_to_h",
                "gpt_neox.final_layer_norm",
                "embed_out",
                false,
                List.of("attention.bias", "attention.masked_bias", "rotary_emb.inv_freq"));
    }
}
