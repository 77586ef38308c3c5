package dev.manners.data;

import dev.manners.BadInput;
import java.util.Arrays;

/// Where the rows of a file begin and end, found in one pass over its bytes without parsing them.
///
/// A row is a line that is not blank, or an element of the array that the whole file is. The latter needs only strings,
/// escapes and nesting to be followed; whether an element is good JSON is found out when it is parsed.
final class RowIndex {

    /// How rows are laid out in the file.
    enum Layout {
        /// One row a line.
        LINES,
        /// The file is one JSON array of rows.
        ARRAY,
        /// `ARRAY` if the first byte that is not white space is `[`, `LINES` otherwise.
        LOOK
    }

    private enum State {
        START,
        LINE,
        BEFORE_FIRST_ELEMENT,
        BEFORE_ELEMENT,
        ELEMENT,
        AFTER_ARRAY
    }

    /// A row is parsed as a whole in memory; a larger one is a broken file, not a demonstration.
    static final long MAX_ROW_BYTES = 256L << 20;

    private final String file;
    private final Layout layout;
    private long[] starts = new long[1024];
    private int[] lengths = new int[1024];
    private int[] lines = new int[1024];
    private int size;

    private State state = State.START;
    private long position;
    private int line = 1;
    private long rowStart = -1;
    private long rowEnd; // one past the row's last byte that is not white space
    private int rowLine;
    private int depth;
    private boolean inString;
    private boolean escaped;

    RowIndex(String file, Layout layout) {
        this.file = file;
        this.layout = layout;
    }

    int size() {
        return size;
    }

    long start(int row) {
        return starts[row];
    }

    int length(int row) {
        return lengths[row];
    }

    int line(int row) {
        return lines[row];
    }

    boolean array() {
        return state == State.AFTER_ARRAY;
    }

    /// Skips bytes that are no content: a byte order mark.
    void skip(int bytes) {
        position += bytes;
    }

    void feed(byte[] bytes, int from, int to) {
        for (int i = from; i < to; i++) {
            byte b = bytes[i];
            if (state == State.START && !isWhite(b)) {
                boolean array = layout == Layout.ARRAY || (layout == Layout.LOOK && b == '[');
                state = array ? State.BEFORE_FIRST_ELEMENT : State.LINE;
                if (array) {
                    position++;
                    continue;
                }
            }
            if (state == State.LINE) {
                inLine(b);
            } else if (state != State.START) {
                inArray(b);
            }
            if (b == '\n') {
                if (line == Integer.MAX_VALUE) {
                    throw new BadInput(file + ": more than " + Integer.MAX_VALUE + " lines; split the file");
                }
                line++;
            }
            position++;
        }
    }

    void end() {
        switch (state) {
            case START, AFTER_ARRAY -> {}
            case LINE -> endRow();
            case ELEMENT ->
                throw new BadInput(
                        "%s:%d: the array's element that begins here has no end: %s. The file may be cut short."
                                .formatted(
                                        file,
                                        rowLine,
                                        inString ? "a string is not closed" : "brackets are not closed"));
            case BEFORE_FIRST_ELEMENT, BEFORE_ELEMENT ->
                throw new BadInput("%s:%d: the array of rows is not closed by ]. The file may be cut short."
                        .formatted(file, line));
        }
        starts = Arrays.copyOf(starts, size);
        lengths = Arrays.copyOf(lengths, size);
        lines = Arrays.copyOf(lines, size);
    }

    private void inLine(byte b) {
        if (b == '\n') {
            endRow();
        } else if (!isWhite(b)) {
            beginRowIfNone();
            rowEnd = position + 1;
        }
    }

    private void inArray(byte b) {
        switch (state) {
            case BEFORE_FIRST_ELEMENT, BEFORE_ELEMENT -> {
                if (b == ']' && state == State.BEFORE_FIRST_ELEMENT) {
                    state = State.AFTER_ARRAY;
                } else if (b == ']' || b == ',') {
                    throw new BadInput(
                            "%s:%d: expected a row, found '%c' in the array of rows".formatted(file, line, (char) b));
                } else if (!isWhite(b)) {
                    beginRowIfNone();
                    state = State.ELEMENT;
                    inElement(b);
                }
            }
            case ELEMENT -> inElement(b);
            default -> {
                if (!isWhite(b)) {
                    throw new BadInput("%s:%d: text after the end of the array of rows".formatted(file, line));
                }
            }
        }
    }

    private void inElement(byte b) {
        if (inString) {
            if (escaped) {
                escaped = false;
            } else if (b == '\\') {
                escaped = true;
            } else if (b == '"') {
                inString = false;
            }
        } else if (depth == 0 && (b == ',' || b == ']')) {
            endRow();
            state = b == ',' ? State.BEFORE_ELEMENT : State.AFTER_ARRAY;
            return;
        } else if (b == '"') {
            inString = true;
        } else if (b == '{' || b == '[') {
            depth++;
        } else if (b == '}' || b == ']') {
            depth = Math.max(0, depth - 1);
        }
        if (!isWhite(b)) {
            rowEnd = position + 1;
        }
        if (position - rowStart > MAX_ROW_BYTES) {
            throw tooLarge();
        }
    }

    private void beginRowIfNone() {
        if (rowStart < 0) {
            rowStart = position;
            rowLine = line;
        }
    }

    private void endRow() {
        if (rowStart < 0) {
            return;
        }
        if (rowEnd - rowStart > MAX_ROW_BYTES) {
            throw tooLarge();
        }
        if (size == starts.length) {
            int capacity = Math.toIntExact(size * 2L);
            starts = Arrays.copyOf(starts, capacity);
            lengths = Arrays.copyOf(lengths, capacity);
            lines = Arrays.copyOf(lines, capacity);
        }
        starts[size] = rowStart;
        lengths[size] = Math.toIntExact(rowEnd - rowStart);
        lines[size] = rowLine;
        size++;
        rowStart = -1;
        depth = 0;
    }

    private BadInput tooLarge() {
        return new BadInput(
                "%s:%d: the row that begins here is larger than %d MiB. Expected one row a line, or a JSON array of rows."
                        .formatted(file, rowLine, MAX_ROW_BYTES >> 20));
    }

    private static boolean isWhite(byte b) {
        return b == ' ' || b == '\n' || b == '\r' || b == '\t';
    }
}
