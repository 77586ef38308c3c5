package dev.manners.model;

import dev.manners.tensor.DType;
import dev.manners.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// Normalisation over the last dimension, computed in F32, given in the weight's dtype: that of the computation.
record Norm(
        DecoderConfig.NormKind kind,
        Weight weight,
        @Nullable Weight bias,
        double eps) {

    Tensor forward(Tensor x) {
        return switch (kind) {
            // Zhang and Sennrich 2019, arXiv:1910.07467
            case RMS -> {
                Tensor wide = x.to(DType.F32);
                Tensor scale = wide.square().mean(-1, true).add(eps).rsqrt();
                yield wide.mul(scale).to(weight.get().dtype()).mul(weight.get());
            }
            case LAYER ->
                x.to(DType.F32)
                        .layerNorm(
                                weight.get().to(DType.F32),
                                bias == null ? null : bias.get().to(DType.F32),
                                eps)
                        .to(weight.get().dtype());
        };
    }
}
