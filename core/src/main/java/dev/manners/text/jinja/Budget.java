package dev.manners.text.jinja;

/// What one rendering may use. A template is a program that came with a download; these bounds are far above what any
/// real one needs and keep the worst one below about two seconds and a few hundred megabytes.
///
/// Work is counted, not timed, so that the same template on the same input always ends the same way.
final class Budget {

    /// Evaluated nodes, plus work done on long values.
    static final long STEPS = 10_000_000;
    /// UTF-16 units in all strings ever made, dropped ones too: a bound on the memory alive at any time.
    static final long ALLOCATED = 128L << 20;
    /// UTF-16 units in one string, the output included.
    static final int STRING = 16 << 20;
    /// Nested nodes, macro calls, or values inside values. Low enough for a thread with half a megabyte of stack.
    static final int DEPTH = 400;
    /// As Jinja's sandbox has it.
    static final int RANGE = 100_000;
    /// Bits of one integer.
    static final int INTEGER_BITS = 4096;

    private long steps;
    private long allocated;
    private int depth;

    void steps(long count) {
        steps += count;
        if (steps > STEPS || count < 0) {
            throw exceeded("more than " + STEPS + " steps (an endless loop?)");
        }
    }

    /// Looking through a string of `length`.
    void scan(long length) {
        steps(1 + (length >> 5));
    }

    /// Looking up what each character of `length` is, which takes many times longer.
    void examine(long length) {
        scan(8 * length);
    }

    /// About to make a string of `length`.
    void allocate(long length) {
        if (length > STRING) {
            throw exceeded("a string of more than " + STRING + " characters");
        }
        allocated += length;
        if (allocated > ALLOCATED) {
            throw exceeded("strings of more than " + ALLOCATED + " characters in all");
        }
        steps(length >> 5);
    }

    /// About to make a list or mapping of `size`.
    void elements(long size) {
        if (size > STEPS) {
            throw exceeded("a list of more than " + STEPS + " elements");
        }
        steps(1 + 2 * size);
    }

    void enter() {
        steps(1);
        if (++depth > DEPTH) {
            throw exceeded("nesting deeper than " + DEPTH + " (an endless recursion?)");
        }
    }

    void leave() {
        depth--;
    }

    static Fault exceeded(String what) {
        return Fault.of("Budget", "the template needs " + what + ", which is more than a chat template may use");
    }
}
