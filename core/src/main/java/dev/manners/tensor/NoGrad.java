package dev.manners.tensor;

import org.bytedeco.pytorch.NoGradGuard;

/// No gradients are recorded by this thread until it closes.
public final class NoGrad implements AutoCloseable {

    static {
        LibTorch.load();
    }

    private final NoGradGuard guard;

    private NoGrad(NoGradGuard guard) {
        this.guard = guard;
    }

    public static NoGrad on() {
        return new NoGrad(new NoGradGuard());
    }

    @Override
    public void close() {
        guard.close();
    }
}
