package dev.manners.stats;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/// Best-of-n: of n samples the one that a proxy likes best is given. What that earns, for every n up to the N samples
/// there are, without drawing again: the mean over all subsets of n of the N.
///
///     E_n[g] = Σ_i C(i - 1, n - 1) / C(N, n) · g_(i),   g_(i) of the sample with the i-th lowest proxy score
///
/// Unbiased, with far less variance than one draw of n. Where proxies are equal their golds are averaged: any of them
/// may be the one that is given.
///
/// Source: Nakano et al. 2021, "WebGPT", arXiv:2112.09332, appendix I; used on overoptimisation by Gao et al. 2022,
/// arXiv:2210.10760.
public final class BestOfN {

    private static final int RESAMPLES = 2000;
    private static final long SEED = 42;

    private BestOfN() {}

    /// A prompt's samples.
    ///
    /// @param proxy what chooses
    /// @param gold what is earned; the proxy itself again, to see what the proxy promises
    public record Scored(List<Double> proxy, List<Double> gold) {

        public Scored {
            if (proxy.isEmpty() || proxy.size() != gold.size()) {
                throw new IllegalArgumentException(proxy.size() + " proxy and " + gold.size() + " gold scores");
            }
            proxy = finite(proxy);
            gold = finite(gold);
        }

        private static List<Double> finite(List<Double> scores) {
            scores.forEach(s -> {
                if (!Double.isFinite(s)) {
                    throw new IllegalArgumentException("a score of " + s);
                }
            });
            return List.copyOf(scores);
        }
    }

    /// Of one prompt, for n = 1 to N.
    ///
    /// @return [N]
    public static double[] expected(Scored samples) {
        int most = samples.proxy().size();
        Integer[] order = new Integer[most];
        Arrays.setAll(order, i -> i);
        Arrays.sort(order, Comparator.comparing(i -> samples.proxy().get(i)));
        double[] gold = new double[most]; // ascending by proxy, ties averaged
        for (int begin = 0; begin < most; ) {
            int end = begin;
            double sum = 0;
            while (end < most
                    && samples.proxy().get(order[end]).equals(samples.proxy().get(order[begin]))) {
                sum += samples.gold().get(order[end++]);
            }
            Arrays.fill(gold, begin, end, sum / (end - begin));
            begin = end;
        }
        double[] expected = new double[most];
        for (int n = 1; n <= most; n++) {
            // C(i - 1, n - 1) / C(N, n), from i = N down: n / N, then times (i - n) / (i - 1) for the next lower i.
            double weight = (double) n / most;
            for (int i = most; i >= n; i--) {
                expected[n - 1] += weight * gold[i - 1];
                weight *= i == 1 ? 0 : (double) (i - n) / (i - 1);
            }
        }
        return expected;
    }

    /// The mean over prompts, for n = 1 to the fewest samples that a prompt has, with an interval over prompts: they,
    /// not samples, are what is drawn.
    public static List<Interval> expected(List<Scored> prompts) {
        int most = prompts.stream().mapToInt(p -> p.proxy().size()).min().orElse(0);
        List<double[]> curves = prompts.stream().map(BestOfN::expected).toList();
        List<Interval> means = new ArrayList<>();
        for (int n = 0; n < most; n++) {
            int at = n;
            means.add(Intervals.bootstrapMean(
                    curves.stream().mapToDouble(c -> c[at]).toArray(), RESAMPLES, SEED));
        }
        return means;
    }

    /// How far the choice moves away from the policy: KL(best of n ‖ policy) = log n - (n - 1) / n, nats; an upper
    /// limit
    /// where samples may be alike (Beirami et al. 2024, arXiv:2401.01879).
    public static double kl(int n) {
        if (n < 1) {
            throw new IllegalArgumentException("best of " + n);
        }
        return Math.log(n) - (n - 1.0) / n;
    }
}
