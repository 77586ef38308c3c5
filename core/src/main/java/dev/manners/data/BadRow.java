package dev.manners.data;

import dev.manners.BadInput;

/// A row that cannot be used, and what to do about it. Collected over a file, so that one run names them all.
final class BadRow extends BadInput {

    private static final long serialVersionUID = 1L;

    private final String source;
    private final String reason;
    private final String advice;

    /// @param source `file:line`, or `file:line:column`
    /// @param reason what is wrong, without a full stop
    /// @param advice what to do, an imperative clause with a capital and without a full stop
    BadRow(String source, String reason, String advice) {
        super(source + ": " + reason + ". " + advice + ".");
        this.source = source;
        this.reason = reason;
        this.advice = advice;
    }

    String source() {
        return source;
    }

    String reason() {
        return reason;
    }

    String advice() {
        return advice;
    }
}
