package dev.manners.text.jinja;

import java.util.BitSet;
import java.util.function.UnaryOperator;

/// A string that knows which of its characters come from content.
final class Str implements Value {

    private static final int[] NOTHING = {};

    static final Str EMPTY = literal("");

    private final String text;
    private final int[] runs;
    private final boolean safe;

    /// @param runs UTF-16 positions of content as begin, end, begin, end, ...: ascending, disjoint, not touching
    /// @param safe marked with `|safe` or `|escape`: as in Jinja, `+` then HTML-escapes the other side
    Str(String text, int[] runs, boolean safe) {
        this.text = text;
        this.runs = runs;
        this.safe = safe;
    }

    static Str literal(String text) {
        return new Str(text, NOTHING, false);
    }

    static Str content(String text) {
        return of(text, true);
    }

    static Str of(String text, boolean content) {
        return new Str(text, content && !text.isEmpty() ? new int[] {0, text.length()} : NOTHING, false);
    }

    @Override
    public String type() {
        return safe ? "Markup" : "str";
    }

    /// Whether any character is content.
    @Override
    public boolean content() {
        return runs.length > 0;
    }

    String text() {
        return text;
    }

    int[] runs() {
        return runs;
    }

    boolean safe() {
        return safe;
    }

    BitSet contentPositions() {
        BitSet positions = new BitSet(text.length());
        for (int r = 0; r < runs.length; r += 2) {
            positions.set(runs[r], runs[r + 1]);
        }
        return positions;
    }

    boolean isEmpty() {
        return text.isEmpty();
    }

    /// By UTF-16 positions.
    Str slice(int begin, int end) {
        if (begin == 0 && end == text.length()) {
            return this;
        }
        return new Str(text.substring(begin, end), sliceRuns(begin, end), safe);
    }

    private int[] sliceRuns(int begin, int end) {
        if (runs.length == 0 || begin == end) {
            return NOTHING;
        }
        int first = firstRunPast(begin);
        int last = first;
        while (last < runs.length && runs[last] < end) {
            last += 2;
        }
        int[] cut = new int[last - first];
        for (int i = 0; i < cut.length; i++) {
            cut[i] = Math.clamp(runs[first + i], begin, end) - begin;
        }
        return cut;
    }

    /// Index in [#runs()] of the first run that ends past a position.
    int firstRunPast(int position) {
        int low = 0;
        int high = runs.length / 2;
        while (low < high) {
            int middle = (low + high) >>> 1;
            if (runs[2 * middle + 1] > position) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        return 2 * low;
    }

    /// Applies a change of characters (case, escaping) run by run, so that what became of content stays content.
    Str map(Budget budget, UnaryOperator<String> change) {
        budget.scan(text.length());
        if (runs.length == 0) {
            return new Str(change.apply(text), NOTHING, safe);
        }
        Text result = new Text(budget);
        int at = 0;
        for (int r = 0; r < runs.length; r += 2) {
            result.append(change.apply(text.substring(at, runs[r])), false);
            result.append(change.apply(text.substring(runs[r], runs[r + 1])), true);
            at = runs[r + 1];
        }
        result.append(change.apply(text.substring(at)), false);
        return result.toStr().safe(safe);
    }

    Str safe(boolean marked) {
        return marked == safe ? this : new Str(text, runs, marked);
    }

    /// Python's length: code points.
    int length() {
        return text.codePointCount(0, text.length());
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Str s && s.text.equals(text);
    }

    @Override
    public int hashCode() {
        return text.hashCode();
    }
}
