package dev.manners.testing;

import dev.manners.tensor.LibTorch;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/// For tests of tiny models that compare bytes: one thread, and afterwards as many as before.
public final class OneThread implements BeforeEachCallback, AfterEachCallback {

    private int threads;

    @Override
    public void beforeEach(ExtensionContext context) {
        threads = LibTorch.threads();
        LibTorch.setThreads(1);
    }

    @Override
    public void afterEach(ExtensionContext context) {
        LibTorch.setThreads(threads);
    }
}
