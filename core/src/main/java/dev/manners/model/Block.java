package dev.manners.model;

import dev.manners.tensor.DType;
import dev.manners.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// One layer of a decoder: attention and MLP, each added to the residual stream.
///
/// @param queryNorm norm of each head's queries, or null; `keyNorm` likewise
record Block(
        int index,
        DecoderConfig config,
        Norm attentionNorm,
        Projection queryKeyValue,
        @Nullable Norm queryNorm,
        @Nullable Norm keyNorm,
        Projection output,
        Norm mlpNorm,
        Projection up,
        Projection down) {

    /// @param x residual stream, [N, H]
    /// @param rotation cosine and sine per token, [N, 1, pairs, 2], or null
    /// @return residual stream, [N, H]
    Tensor forward(Tensor x, @Nullable Tensor rotation, Attend attend, Dropout dropout) {
        double p = config.dropout().residual();
        Tensor attention = dropout.apply(attention(attentionNorm.forward(x), rotation, attend, dropout), p);
        if (config.parallelResidual()) {
            return x.add(attention).add(dropout.apply(mlp(mlpNorm.forward(x), dropout), p));
        }
        Tensor middle = x.add(attention);
        return middle.add(dropout.apply(mlp(mlpNorm.forward(middle), dropout), p));
    }

    private Tensor attention(Tensor x, @Nullable Tensor rotation, Attend attend, Dropout dropout) {
        int heads = config.heads();
        int keyValueHeads = config.keyValueHeads();
        int headDim = config.headDim();
        long n = x.size(0);
        Tensor qkv = queryKeyValue.forward(x, dropout).view(n, heads + 2L * keyValueHeads, headDim);
        // 1. Queries and keys in F32: positions are turned exactly, and attention is faster so than in BF16.
        Tensor q = qkv.narrow(1, 0, heads); // [N, heads, D]
        Tensor k = qkv.narrow(1, heads, keyValueHeads); // [N, keyValueHeads, D]
        Tensor v = qkv.narrow(1, (long) heads + keyValueHeads, keyValueHeads).to(DType.F32);
        if (queryNorm != null && keyNorm != null) {
            q = queryNorm.forward(q);
            k = keyNorm.forward(k);
        }
        q = q.to(DType.F32);
        k = k.to(DType.F32);
        // 2. Positions.
        if (rotation != null) {
            q = rotate(q, rotation);
            k = rotate(k, rotation);
        }
        // 3. Who sees whom is the batch's matter.
        Tensor mixed = attend.attend(
                index,
                q,
                k,
                v,
                1 / Math.sqrt(headDim),
                dropout,
                config.dropout().attention());
        return output.forward(mixed.reshape(n, (long) heads * headDim).to(x.dtype()), dropout);
    }

    private static Tensor rotate(Tensor heads, Tensor rotation) {
        long rotated = 2 * rotation.size(2);
        long headDim = heads.size(2);
        if (rotated == headDim) {
            return heads.rotate(rotation);
        }
        return Tensor.cat(
                2,
                java.util.List.of(
                        heads.narrow(2, 0, rotated).contiguous().rotate(rotation),
                        heads.narrow(2, rotated, headDim - rotated)));
    }

    private Tensor mlp(Tensor x, Dropout dropout) {
        Tensor wide = up.forward(x, dropout);
        if (config.gatedMlp()) {
            long half = wide.size(1) / 2;
            wide = activate(wide.narrow(1, 0, half)).mul(wide.narrow(1, half, half));
        } else {
            wide = activate(wide);
        }
        return down.forward(wide, dropout);
    }

    private Tensor activate(Tensor x) {
        return switch (config.activation()) {
            case SILU -> x.silu();
            case GELU -> x.gelu(false);
            case GELU_TANH -> x.gelu(true);
            case RELU -> x.relu();
        };
    }
}
