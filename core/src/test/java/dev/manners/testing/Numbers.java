package dev.manners.testing;

import dev.manners.tensor.Philox;
import dev.manners.tensor.Tensor;

/// Tensors of numbers that look random and are the same in every run.
public final class Numbers {

    private Numbers() {}

    /// @param number which of many
    /// @return normally distributed, F32
    public static Tensor normal(int number, long... shape) {
        int n = 1;
        for (long size : shape) {
            n *= (int) size;
        }
        float[] values = new float[n];
        for (int i = 0; i < n; i++) {
            values[i] = (float) Philox.normal(42, Philox.Stream.INITIALISATION, number, i);
        }
        return Tensor.of(values, shape);
    }
}
