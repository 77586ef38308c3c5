package dev.manners.train;

/// How the learning rate goes over a run, as transformers' schedulers of the same names.
public enum Schedule {
    LINEAR,
    COSINE,
    CONSTANT,
    CONSTANT_WITH_WARMUP;

    /// Factor of the learning rate for an update.
    ///
    /// @param step updates made before, from 0
    /// @param warmup steps over which the factor rises from 0; `constant` has none
    /// @param total updates of the whole run
    public double factor(long step, long warmup, long total) {
        if (this == CONSTANT) {
            return 1;
        }
        if (step < warmup) {
            return (double) step / Math.max(1, warmup);
        }
        double progress = (double) (step - warmup) / Math.max(1, total - warmup);
        return switch (this) {
            case LINEAR -> Math.max(0, 1 - progress);
            case COSINE -> Math.max(0, 0.5 * (1 + Math.cos(Math.PI * progress)));
            case CONSTANT, CONSTANT_WITH_WARMUP -> 1;
        };
    }
}
