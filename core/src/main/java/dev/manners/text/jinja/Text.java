package dev.manners.text.jinja;

import java.util.Arrays;

/// A string under construction that keeps track of content, and of the budget.
final class Text {

    private final Budget budget;
    private final StringBuilder chars = new StringBuilder();
    private int[] runs = {};
    private int used;

    Text(Budget budget) {
        this.budget = budget;
    }

    int length() {
        return chars.length();
    }

    Text append(String text, boolean content) {
        grow(text.length());
        if (content) {
            mark(chars.length(), chars.length() + text.length());
        }
        chars.append(text);
        return this;
    }

    Text append(Str text) {
        return append(text, 0, text.text().length());
    }

    Text append(Str text, int begin, int end) {
        grow(end - begin);
        int shift = chars.length() - begin;
        int[] marks = text.runs();
        for (int r = text.firstRunPast(begin); r < marks.length && marks[r] < end; r += 2) {
            mark(Math.max(marks[r], begin) + shift, Math.min(marks[r + 1], end) + shift);
        }
        chars.append(text.text(), begin, end);
        return this;
    }

    /// `count` times one piece; the size is checked before any of it is made.
    Text repeat(Str piece, long count) {
        if (count > 0 && !piece.isEmpty()) {
            if (count > Budget.STRING) {
                throw Budget.exceeded("a string repeated " + count + " times");
            }
            budget.allocate(count * piece.text().length());
            for (long i = 0; i < count; i++) {
                append(piece);
            }
        }
        return this;
    }

    private void grow(int length) {
        if (chars.length() + (long) length > Budget.STRING) {
            throw Budget.exceeded("a string of more than " + Budget.STRING + " characters");
        }
        budget.allocate(length);
    }

    private void mark(int begin, int end) {
        if (begin >= end) {
            return;
        }
        if (used > 0 && runs[used - 1] == begin) {
            runs[used - 1] = end;
            return;
        }
        if (used == runs.length) {
            runs = Arrays.copyOf(runs, Math.max(4, used * 2));
        }
        runs[used++] = begin;
        runs[used++] = end;
    }

    Str toStr() {
        return new Str(chars.toString(), Arrays.copyOf(runs, used), false);
    }
}
