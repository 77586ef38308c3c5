package dev.manners.run;

import java.util.List;
import java.util.stream.IntStream;

/// Gold along what the proxy promises: of the best of n for n = 1, 2, ..., or of a policy from evaluation to
/// evaluation.
///
/// @param gold what it is worth; `proxy` what the reward models say of it
record Curve(List<Double> gold, List<Double> proxy) {

    /// Of a policy that is optimised, the proxy as what it has gained.
    static Curve of(List<Taste> tastes) {
        double start = tastes.getFirst().proxy().estimate();
        return new Curve(
                tastes.stream().map(t -> t.gold().estimate()).toList(),
                tastes.stream().map(t -> t.proxy().estimate() - start).toList());
    }

    /// Gold where the proxy first is at this, in proportion between neighbours; the last where it never is.
    double goldAt(double wanted) {
        if (proxy.getFirst() >= wanted) {
            return gold.getFirst();
        }
        for (int i = 1; i < proxy.size(); i++) {
            double here = proxy.get(i);
            double before = proxy.get(i - 1);
            if (here >= wanted) {
                double share = (wanted - before) / (here - before);
                return gold.get(i - 1) + share * (gold.get(i) - gold.get(i - 1));
            }
        }
        return gold.getLast();
    }

    /// The mean of [#goldAt] over proxies from 0 to this.
    double goldUpTo(double end) {
        int parts = 100;
        return IntStream.rangeClosed(0, parts)
                .mapToDouble(i -> goldAt(end * i / parts))
                .average()
                .orElseThrow();
    }

    /// The highest proxy that it reaches.
    double reaches() {
        return proxy.stream().mapToDouble(p -> p).max().orElseThrow();
    }
}
