package dev.manners.data;

import dev.manners.BadInput;
import dev.manners.files.Json;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.zip.GZIPInputStream;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/// Random access to the rows of a dataset file larger than memory: `.jsonl` (one object a line) or `.json` (an array of
/// objects, or lines), plain or gzipped.
///
/// Opening reads the file once, for its hash and for where its rows are: 16 bytes of memory a row. A row is parsed,
/// strictly, each time it is asked for. A gzipped file is unpacked into a temporary file that goes away on close.
/// Safe for use by several threads.
///
/// **Limitation:** Parquet and CSV are not read.
public final class DatasetFile implements AutoCloseable {

    /// Text does not shrink to less than a two-hundredth; a file that does is made to fill a disk.
    private static final long MAX_GZIP_RATIO = 200;

    private static final long GZIP_RATIO_MATTERS_FROM = 64L << 20;
    private static final int BUFFER = 1 << 20;

    private final Path path;
    private final long bytes;
    private final FileTime modified;
    private final String sha256;
    private final FileChannel content;
    private final RowIndex index;
    private final DatasetSlice.Range rows;

    /// Opens a file, or a part of one: `train.jsonl`, `train.json[:1000]`; see [DatasetSlice].
    ///
    /// @throws BadInput if it is not there, of no known format, cut short, or larger unpacked than it may be
    public static DatasetFile open(String fileOrSlice) {
        return open(DatasetSlice.parse(fileOrSlice));
    }

    /// Opens a whole file.
    public static DatasetFile open(Path file) {
        return open(new DatasetSlice(file, null, null));
    }

    /// Opens what a slice selects. Rows are numbered from 0 within it; lines are those of the file.
    public static DatasetFile open(DatasetSlice slice) {
        Path file = slice.file();
        if (!Files.exists(file)) {
            throw new BadInput(file + ": no such file");
        }
        if (!Files.isRegularFile(file)) {
            throw new BadInput(file + ": not a regular file");
        }
        try {
            return new DatasetFile(slice);
        } catch (IOException e) {
            throw new BadInput(file + ": cannot be read: " + e, e);
        }
    }

    private DatasetFile(DatasetSlice slice) throws IOException {
        path = slice.file();
        bytes = Files.size(path);
        modified = Files.getLastModifiedTime(path);
        String name = String.valueOf(path.getFileName()).toLowerCase(Locale.ROOT);
        boolean gzip = name.endsWith(".gz");
        String plain = gzip ? name.substring(0, name.length() - ".gz".length()) : name;
        RowIndex.Layout layout;
        if (plain.endsWith(".jsonl") || plain.endsWith(".ndjson")) {
            layout = RowIndex.Layout.LINES;
        } else if (plain.endsWith(".json")) {
            layout = RowIndex.Layout.LOOK;
        } else {
            throw new BadInput(path + ": not a known kind of dataset file. Expected .jsonl (one JSON object a line) or"
                    + " .json (an array of objects), plain or with .gz; convert other formats to JSONL first.");
        }
        index = new RowIndex(path.toString(), layout);
        MessageDigest digest = newSha256();
        content = gzip ? unpack(digest) : FileChannel.open(path, StandardOpenOption.READ);
        try {
            try (InputStream in = new Positional(content)) {
                scan(in, gzip ? null : digest);
            }
            sha256 = HexFormat.of().formatHex(digest.digest());
            rows = slice.of(index.size());
            if (!index.array() && size() > 0 && index.length(0) == 1 && rowBytes(0)[0] == '{') {
                throw new BadInput(
                        path + ": one JSON object over several lines. Expected an array of rows, or one row a"
                                + " line; if the rows stand under a key, write that array to a file of its own.");
            }
        } catch (IOException | RuntimeException e) {
            content.close();
            throw e;
        }
    }

    /// The file, as it was named.
    public Path path() {
        return path;
    }

    /// SHA-256 of the file's bytes as they lie on disk, in hexadecimal; of the whole file, whatever the slice.
    public String sha256() {
        return sha256;
    }

    /// Number of rows, bad ones included.
    public int size() {
        return rows.to() - rows.from();
    }

    /// The rows of the file that this is, numbered from the file's first.
    public DatasetSlice.Range range() {
        return rows;
    }

    /// Line of the file on which row `i` begins, from 1.
    public int line(int i) {
        return index.line(rows.from() + i);
    }

    /// `file:line` of row `i`.
    public String source(int i) {
        return path + ":" + line(i);
    }

    /// Bytes of row `i`, as unpacked.
    public int bytes(int i) {
        return index.length(rows.from() + i);
    }

    /// Parses row `i`.
    ///
    /// @throws BadInput naming file, line and column, if it is not UTF-8, not JSON or not an object
    public Row row(int i) {
        String text = decode(i);
        try {
            JsonNode node = Json.MAPPER.readTree(text);
            if (node instanceof ObjectNode fields) {
                return new Row(source(i), fields);
            }
            throw new BadRow(
                    source(i),
                    "the row is not a JSON object but "
                            + node.getNodeType().name().toLowerCase(Locale.ROOT),
                    node.isArray() && !index.array()
                            ? "Write one object a line; a JSON array of rows belongs in a file named .json"
                            : "Write every row as an object of columns");
        } catch (JacksonException e) {
            int line = e.getLocation() == null ? 1 : Math.max(1, e.getLocation().getLineNr());
            int column =
                    e.getLocation() == null ? 1 : Math.max(1, e.getLocation().getColumnNr());
            throw new BadRow(place(i, line, column), "not valid JSON: " + e.getOriginalMessage(), "Correct the line");
        }
    }

    /// The text of row `i`, for showing what was left out; bytes that are not UTF-8 come as U+FFFD.
    public String text(int i) {
        return new String(rowBytes(i), StandardCharsets.UTF_8);
    }

    /// Parses every row and tells what is wrong with those that cannot be: one message each, naming file and line. The
    /// first `limit` are worded, all are counted.
    public Problems problems(int limit) {
        List<String> messages = new ArrayList<>();
        int count = 0;
        for (int i = 0; i < size(); i++) {
            try {
                row(i);
            } catch (BadRow e) {
                count++;
                if (messages.size() < limit) {
                    messages.add(e.source() + ": " + e.reason());
                }
            }
        }
        return new Problems(count, List.copyOf(messages));
    }

    /// What [#problems] found.
    ///
    /// @param count of all bad rows
    /// @param messages the first of them, worded
    public record Problems(int count, List<String> messages) {}

    /// Refuses to go on with a file other than the one a run was started with.
    ///
    /// @param recorded SHA-256 kept with the run
    public void requireSha256(String recorded) {
        if (!sha256.equals(recorded)) {
            throw new BadInput(
                    "%s: not the file this run was started with: SHA-256 is %s, recorded is %s. Put the file back"
                                    .formatted(path, sha256, recorded)
                            + " as it was to resume, or start a new run.");
        }
    }

    /// Refuses to go on if the file on disk was written to since it was opened.
    public void requireUnchanged() {
        try {
            if (Files.size(path) == bytes && Files.getLastModifiedTime(path).equals(modified)) {
                return;
            }
        } catch (IOException e) {
            throw new BadInput(path + ": has gone while it was being read: " + e, e);
        }
        throw new BadInput(path + ": was changed while it was being read. Start again when nothing writes to it.");
    }

    @Override
    public void close() {
        try {
            content.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static MessageDigest newSha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e); // every JDK has it
        }
    }

    private FileChannel unpack(MessageDigest digest) throws IOException {
        Path spool = Files.createTempFile("manners-dataset-", ".jsonl");
        FileChannel channel = FileChannel.open(
                spool, StandardOpenOption.READ, StandardOpenOption.WRITE, StandardOpenOption.DELETE_ON_CLOSE);
        // The hash is of the packed bytes, the unused tail of the file included.
        try (DigestInputStream packed = new DigestInputStream(Files.newInputStream(path), digest);
                InputStream in = new GZIPInputStream(packed, BUFFER)) {
            byte[] buffer = new byte[BUFFER];
            long written = 0;
            for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                written += n;
                if (written > GZIP_RATIO_MATTERS_FROM && written / MAX_GZIP_RATIO > bytes) {
                    throw new BadInput("%s: unpacks to more than %d times its %,d bytes, as a decompression bomb does;"
                                    .formatted(path, MAX_GZIP_RATIO, bytes)
                            + " unpack it yourself if you trust it");
                }
                ByteBuffer chunk = ByteBuffer.wrap(buffer, 0, n);
                while (chunk.hasRemaining()) {
                    channel.write(chunk); // by the channel: where the system allows it the file has no name any more
                }
            }
            packed.transferTo(OutputStream.nullOutputStream());
            return channel;
        } catch (IOException e) {
            channel.close();
            throw new BadInput(path + ": not a whole gzip file: " + e.getMessage(), e);
        } catch (RuntimeException e) {
            channel.close();
            throw e;
        }
    }

    private void scan(InputStream in, @Nullable MessageDigest digest) throws IOException {
        byte[] buffer = new byte[BUFFER];
        boolean first = true;
        for (int n = in.readNBytes(buffer, 0, BUFFER); n > 0; n = in.readNBytes(buffer, 0, BUFFER)) {
            if (digest != null) {
                digest.update(buffer, 0, n);
            }
            int from = first ? byteOrderMark(buffer, n) : 0;
            index.skip(from);
            index.feed(buffer, from, n);
            first = false;
        }
        index.end();
    }

    private int byteOrderMark(byte[] head, int n) {
        int b0 = n > 0 ? head[0] & 0xff : 0;
        int b1 = n > 1 ? head[1] & 0xff : 0;
        if ((b0 == 0xfe && b1 == 0xff) || (b0 == 0xff && b1 == 0xfe)) {
            throw new BadInput(path + ": is UTF-16. Convert it to UTF-8.");
        }
        if (b0 == 0x1f && b1 == 0x8b) {
            throw new BadInput(path + ": is gzipped. Let its name end in .gz.");
        }
        return n > 2 && b0 == 0xef && b1 == 0xbb && (head[2] & 0xff) == 0xbf ? 3 : 0;
    }

    private String decode(int i) {
        ByteBuffer in = ByteBuffer.wrap(rowBytes(i));
        CharBuffer out = CharBuffer.allocate(in.remaining());
        CharsetDecoder decoder = StandardCharsets.UTF_8
                .newDecoder()
                .onMalformedInput(CodingErrorAction.REPORT)
                .onUnmappableCharacter(CodingErrorAction.REPORT);
        CoderResult result = decoder.decode(in, out, true);
        if (result.isError()) {
            String before = out.flip().toString();
            int line = 1 + (int) before.chars().filter(c -> c == '\n').count();
            int column = before.length() - before.lastIndexOf('\n');
            throw new BadRow(
                    place(i, line, column),
                    "not valid UTF-8: byte 0x%02x".formatted(in.get(in.position())),
                    "Convert the file to UTF-8");
        }
        return out.flip().toString();
    }

    private byte[] rowBytes(int i) {
        int row = rows.from() + i;
        return read(index.start(row), index.length(row));
    }

    private byte[] read(long from, int length) {
        ByteBuffer into = ByteBuffer.allocate(length);
        try {
            while (into.hasRemaining()) {
                if (content.read(into, from + into.position()) < 0) {
                    throw new BadInput(path
                            + ": became shorter while it was being read. Start again when nothing writes" + " to it.");
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(path + ": cannot be read", e);
        }
        return into.array();
    }

    /// `file:line:column` of a place given relative to the row's start.
    private String place(int i, int lineInRow, int columnInLine) {
        int column = columnInLine;
        if (lineInRow == 1) {
            // The row need not begin where its line does.
            long start = index.start(rows.from() + i);
            int back = Math.toIntExact(Math.min(start, 4096));
            byte[] before = read(start - back, back);
            for (int k = back - 1; k >= 0 && before[k] != '\n'; k--) {
                column++;
            }
        }
        return path + ":" + (line(i) + lineInRow - 1) + ":" + column;
    }

    /// The channel's bytes from its start, without moving its position or closing it.
    private static final class Positional extends InputStream {
        private final FileChannel channel;
        private long position;

        Positional(FileChannel channel) {
            this.channel = channel;
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(byte[] into, int offset, int length) throws IOException {
            int n = channel.read(ByteBuffer.wrap(into, offset, length), position);
            position += Math.max(0, n);
            return n;
        }
    }
}
