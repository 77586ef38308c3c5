package dev.manners.data;

import dev.manners.BadInput;
import dev.manners.config.Options;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/// Part of a dataset file, written as Hugging Face writes it: `train.json[:1000]`, `train.json[-100:]`,
/// `train.json[10:20]`, `train.json[:90%]`. Rows are counted in file order, from 0.
///
/// @param file the file
/// @param from first row: a number, negative from the end, or a percentage; null for the first
/// @param to one past the last row, in the same way; null for the end
public record DatasetSlice(
        Path file, @Nullable String from, @Nullable String to) {

    private static final Pattern SLICE = Pattern.compile("(.*)\\[(-?\\d{1,9}%?)?:(-?\\d{1,9}%?)?]", Pattern.DOTALL);

    /// Rows `from` (inclusive) to `to` (exclusive).
    public record Range(int from, int to) {}

    /// Reads `FILE` or `FILE[from:to]`. A file whose name ends in brackets is taken as it is if it exists;
    /// `~/` is the home folder, as for every path among the options.
    public static DatasetSlice parse(String text) {
        Matcher slice = SLICE.matcher(text);
        if (!slice.matches() || Files.exists(Options.path(text))) {
            if (text.endsWith("]") && !Files.exists(Options.path(text))) {
                throw new BadInput(text
                        + ": no such file, and not FILE[from:to] either; a slice looks like FILE[:1000], FILE[-100:],"
                        + " FILE[10:20] or FILE[:90%]");
            }
            return new DatasetSlice(Options.path(text), null, null);
        }
        return new DatasetSlice(Options.path(slice.group(1)), slice.group(2), slice.group(3));
    }

    /// The rows this selects out of `rows`.
    ///
    /// @throws BadInput if it reaches outside the file or selects nothing
    public Range of(int rows) {
        int first = from == null ? 0 : boundary(from, rows);
        int end = to == null ? rows : boundary(to, rows);
        if (first < 0 || end > rows || first > rows) {
            throw new BadInput("%s: the slice [%s] is not within the file's %,d rows".formatted(file, text(), rows));
        }
        if (first >= end && (from != null || to != null)) {
            throw new BadInput("%s: the slice [%s] selects no row of %,d".formatted(file, text(), rows));
        }
        return new Range(first, end);
    }

    private String text() {
        return (from == null ? "" : from) + ":" + (to == null ? "" : to);
    }

    private static int boundary(String text, int rows) {
        boolean percent = text.endsWith("%");
        long number = Long.parseLong(percent ? text.substring(0, text.length() - 1) : text);
        long row = percent ? Math.round(rows * (number / 100.0)) : number;
        return Math.toIntExact(row < 0 || (text.startsWith("-") && row == 0) ? rows + row : row);
    }
}
