package dev.manners.tensor;

import java.util.List;
import org.jspecify.annotations.Nullable;

/// One fused step of AdamW over lists of tensors (Loshchilov and Hutter 2019, arXiv:1711.05101; the arithmetic is
/// PyTorch's `AdamW(fused=True)`).
public final class AdamW {

    private AdamW() {}

    /// Updates the parameters and both moments in place; all lists have the same order, all tensors are F32.
    ///
    /// @param steps one scalar each: the number of this update, from 1; the operator expects it incremented already
    /// @param gradScale gradients are divided by it first (clipping without a pass of its own), or null
    public static void step(
            List<Tensor> parameters,
            List<Tensor> gradients,
            List<Tensor> firstMoments,
            List<Tensor> secondMoments,
            List<Tensor> steps,
            double learningRate,
            double beta1,
            double beta2,
            double weightDecay,
            double epsilon,
            @Nullable Tensor gradScale) {
        try (NoGrad off = NoGrad.on()) {
            Dispatch.call(
                    "aten::_fused_adamw_",
                    "",
                    parameters,
                    gradients,
                    firstMoments,
                    secondMoments,
                    List.of(),
                    steps,
                    learningRate,
                    beta1,
                    beta2,
                    weightDecay,
                    epsilon,
                    false,
                    false,
                    gradScale,
                    null);
        }
    }
}
