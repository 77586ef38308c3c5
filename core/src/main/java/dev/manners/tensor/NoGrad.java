package dev.manners.tensor;

import org.bytedeco.pytorch.InferenceMode;
import org.bytedeco.pytorch.NoGradGuard;

/// No gradients are recorded by this thread until it closes.
public final class NoGrad implements AutoCloseable {

    static {
        LibTorch.load();
    }

    private final org.bytedeco.javacpp.Pointer guard;

    private NoGrad(org.bytedeco.javacpp.Pointer guard) {
        this.guard = guard;
    }

    public static NoGrad on() {
        return new NoGrad(new NoGradGuard());
    }

    /// Cheaper still: tensors made inside can never take part in a gradient.
    public static NoGrad inference() {
        return new NoGrad(new InferenceMode());
    }

    @Override
    public void close() {
        guard.close();
    }
}
