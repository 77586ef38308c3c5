package dev.manners.model;

import dev.manners.tensor.DType;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.util.List;
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

    /// @param x residual stream, [N, H], F32 whatever the computation's dtype: what many layers add up does not fit
    /// into eight bits of mantissa
    /// @param rotation cosine and sine per token, [N, 1, pairs, 2], or null
    /// @return residual stream, [N, H]
    Tensor forward(Tensor x, @Nullable Tensor rotation, Attend attend, Dropout dropout) {
        double p = config.dropout().residual();
        // What the backward pass does not need is freed with this block, not with the whole micro-step.
        try (Scope scope = Scope.open()) {
            Tensor attention = dropout.apply(attention(attentionNorm.forward(x), rotation, attend, dropout), p);
            if (config.parallelResidual()) {
                Tensor mlp = dropout.apply(mlp(mlpNorm.forward(x), dropout), p);
                return scope.keep(x.add(attention).add(mlp));
            }
            Tensor middle = x.add(attention);
            return scope.keep(middle.add(dropout.apply(mlp(mlpNorm.forward(middle), dropout), p)));
        }
    }

    private Tensor attention(Tensor x, @Nullable Tensor rotation, Attend attend, Dropout dropout) {
        int heads = config.heads();
        int keyValueHeads = config.keyValueHeads();
        int headDim = config.headDim();
        long n = x.size(0);
        Tensor qkv = queryKeyValue.forward(x, dropout).view(n, heads + 2L * keyValueHeads, headDim);
        // 1. In F32: positions are turned exactly, and attention is faster so than in BF16.
        List<Tensor> parts = qkv.to(DType.F32).split(1, heads + (long) keyValueHeads, keyValueHeads);
        Tensor qk = parts.get(0); // [N, heads + keyValueHeads, D]
        Tensor v = parts.get(1); // [N, keyValueHeads, D]
        if (queryNorm != null && keyNorm != null) {
            List<Tensor> raw = qk.split(1, heads, keyValueHeads);
            qk = Tensor.cat(
                    1,
                    List.of(
                            queryNorm.forward(raw.get(0)).to(DType.F32),
                            keyNorm.forward(raw.get(1)).to(DType.F32)));
        }
        // 2. Positions.
        if (rotation != null) {
            qk = rotate(qk, rotation);
        }
        List<Tensor> turned = qk.split(1, heads, keyValueHeads);
        Tensor q = turned.get(0); // [N, heads, D]
        Tensor k = turned.get(1); // [N, keyValueHeads, D]
        // 3. Who sees whom is the batch's matter.
        Tensor mixed = attend.attend(
                index,
                q,
                k,
                v,
                1 / Math.sqrt(headDim),
                dropout,
                config.dropout().attention());
        return output.forward(mixed.reshape(n, (long) heads * headDim).to(x.dtype()), dropout); // [N, H]
    }

    private static Tensor rotate(Tensor heads, Tensor rotation) {
        long rotated = 2 * rotation.size(2);
        long headDim = heads.size(2);
        if (rotated == headDim) {
            return heads.rotate(rotation);
        }
        return Tensor.cat(
                2,
                List.of(
                        heads.narrow(2, 0, rotated).contiguous().rotate(rotation),
                        heads.narrow(2, rotated, headDim - rotated)));
    }

    private Tensor mlp(Tensor x, Dropout dropout) {
        Tensor wide = up.forward(x, dropout);
        if (config.gatedMlp() && config.activation() == DecoderConfig.Activation.SILU) {
            wide = wide.gatedSilu();
        } else if (config.gatedMlp()) {
            long half = wide.size(1) / 2;
            List<Tensor> gateAndUp = wide.split(1, half, half);
            wide = activate(gateAndUp.get(0)).mul(gateAndUp.get(1));
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
