package dev.manners.rollout;

import dev.manners.tensor.Philox;

/// The random number behind each sampled token: a pure function of (seed, prompt, sample, token), so that a sample
/// does not depend on what else is generated, when, or in which place.
///
/// The three numbers fill Philox's counter side by side, and Philox maps counters one to one: two tokens never share
/// a block of random bits, whatever their prompt, sample and place.
final class Draw {

    private static final int BITS = 24;

    /// Samples of a prompt, and tokens of a sample, are fewer.
    static final int MOST = 1 << BITS;

    private Draw() {}

    /// Uniform in [0, 1).
    ///
    /// @param prompt number of the prompt, in [0, 2^48)
    /// @param sample number of the sample of this prompt, from 0; `token` within the completion likewise
    static double uniform(long seed, long prompt, int sample, int token) {
        return Philox.uniform(seed, Philox.Stream.SAMPLING, prompt, index(sample, token));
    }

    static long index(int sample, int token) {
        if (sample < 0 || sample >= MOST || token < 0 || token >= MOST) {
            throw new IllegalArgumentException(
                    "sample and token must be in [0, 2^" + BITS + "): " + sample + ", " + token);
        }
        return (long) sample << BITS | token;
    }
}
