package dev.manners;

/// A number that must be finite was not: work has stopped before it could do harm.
public final class NonFinite extends RuntimeException {

    private static final long serialVersionUID = 1L;

    private final String where;

    /// @param where what was not finite: `loss`, `grad_norm`, `weights`, `logits`
    public NonFinite(String where, String message) {
        super(where + ": " + message);
        this.where = where;
    }

    public String where() {
        return where;
    }
}
