package dev.manners.model;

import dev.manners.tensor.Workers;
import org.jspecify.annotations.Nullable;

/// The shape of a decoder: what a family's config.json says, in one vocabulary for all families.
///
/// @param modelType the family's name in config.json
/// @param headDim width of one attention head, D
/// @param keyValueHeads heads of keys and values; each serves `heads / keyValueHeads` query heads
/// @param maxPositions longest context
/// @param parallelResidual attention and MLP read the same input and are added together (GPT-NeoX)
/// @param rotary rotary positions, or null
/// @param learnedPositions a table of position embeddings (GPT-2)
/// @param gatedMlp down(act(gate(x)) * up(x)), otherwise down(act(up(x)))
/// @param queryKeyNorm RMS norm of each head's queries and keys (Qwen 3)
/// @param tiedEmbeddings the output layer is the embedding table
/// @param dropout probabilities while training
public record DecoderConfig(
        String modelType,
        int vocabSize,
        int hiddenSize,
        int layers,
        int heads,
        int keyValueHeads,
        int headDim,
        int intermediateSize,
        int maxPositions,
        NormKind norm,
        double normEps,
        boolean parallelResidual,
        @Nullable Rotary rotary,
        boolean learnedPositions,
        Activation activation,
        boolean gatedMlp,
        boolean queryKeyNorm,
        boolean tiedEmbeddings,
        DropoutRates dropout) {

    /// Up to so many layers times hidden values the operations of a layer are so small that it is faster to share out
    /// a batch than every operation (docs/benchmarks.md).
    private static final long SMALL = 8192;

    /// Parts of a batch that are best computed side by side.
    public int workers() {
        return small() ? Workers.count() : 1;
    }

    /// Whether the operations of a layer are over before a second thread of libtorch has begun.
    public boolean small() {
        return (long) layers * hiddenSize <= SMALL;
    }

    /// How hidden states are normalised.
    public enum NormKind {
        RMS,
        LAYER
    }

    /// The MLP's non-linearity, by its name in config.json.
    public enum Activation {
        SILU,
        GELU,
        GELU_TANH,
        RELU
    }

    /// @param embedding on the embeddings
    /// @param residual on what attention and MLP add to the residual stream
    /// @param attention on the attention weights
    public record DropoutRates(double embedding, double residual, double attention) {
        public static final DropoutRates NONE = new DropoutRates(0, 0, 0);
    }

    /// The same with no tensor for the output layer.
    DecoderConfig withoutHead() {
        return new DecoderConfig(
                modelType,
                vocabSize,
                hiddenSize,
                layers,
                heads,
                keyValueHeads,
                headDim,
                intermediateSize,
                maxPositions,
                norm,
                normEps,
                parallelResidual,
                rotary,
                learnedPositions,
                activation,
                gatedMlp,
                queryKeyNorm,
                true,
                dropout);
    }
}
