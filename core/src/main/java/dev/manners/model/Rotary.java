package dev.manners.model;

import dev.manners.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// Rotary position embedding (Su et al. 2021, arXiv:2104.09864): pairs of each head's first `2 * pairs` dimensions are
/// turned by position * frequency.
///
/// Hugging Face pairs dimension i with i + pairs. Here a pair lies side by side, so that one complex product turns it:
/// the rows of the query and key projections are brought into that order ([#rows]) when weights are loaded.
///
/// @param dims rotated dimensions of a head, rounded up to pairs; the other dimensions stay (partial rotary)
public record Rotary(double theta, int dims, @Nullable Llama3Scaling scaling) {

    /// Rotated pairs of a head.
    public int pairs() {
        return (dims + 1) / 2;
    }

    /// Llama 3's stretching of the slow frequencies, as transformers' `rope_type: llama3`.
    public record Llama3Scaling(
            double factor, double lowFreqFactor, double highFreqFactor, double originalMaxPositions) {}

    /// Angle per position of pair i, radians.
    double frequency(int i) {
        // Computed in single precision, as the reference does.
        float frequency = (float) (1.0 / (float) Math.pow(theta, (float) (2 * i) / dims));
        if (scaling == null) {
            return frequency;
        }
        double wavelength = 2 * Math.PI / frequency;
        double lowWavelength = scaling.originalMaxPositions / scaling.lowFreqFactor;
        double highWavelength = scaling.originalMaxPositions / scaling.highFreqFactor;
        if (wavelength > lowWavelength) {
            return frequency / scaling.factor;
        }
        if (wavelength < highWavelength) {
            return frequency;
        }
        double smooth = (scaling.originalMaxPositions / wavelength - scaling.lowFreqFactor)
                / (scaling.highFreqFactor - scaling.lowFreqFactor);
        return (1 - smooth) * frequency / scaling.factor + smooth * frequency;
    }

    /// Cosines and sines for every position.
    ///
    /// @return [positions, pairs, 2], F32
    Tensor table(int positions) {
        int pairs = pairs();
        float[] values = new float[positions * pairs * 2];
        for (int i = 0; i < pairs; i++) {
            float frequency = (float) frequency(i);
            for (int p = 0; p < positions; p++) {
                float angle = p * frequency;
                values[(p * pairs + i) * 2] = (float) Math.cos(angle);
                values[(p * pairs + i) * 2 + 1] = (float) Math.sin(angle);
            }
        }
        return Tensor.of(values, positions, pairs, 2);
    }

    /// Order of one head's dimensions in the computation: entry i is the dimension that Hugging Face puts there.
    int[] dimensions(int headDim) {
        int pairs = pairs();
        int[] order = new int[headDim];
        for (int i = 0; i < headDim; i++) {
            order[i] = i;
        }
        for (int i = 0; i < pairs; i++) {
            order[2 * i] = i;
            order[2 * i + 1] = i + pairs;
        }
        return order;
    }
}
