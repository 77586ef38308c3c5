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
            case RMS -> x.rmsNorm(weight.get(), eps);
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
