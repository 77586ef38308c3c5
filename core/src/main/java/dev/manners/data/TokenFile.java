package dev.manners.data;

import dev.manners.files.Json;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import java.util.zip.CRC32C;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.node.ObjectNode;

/// Examples on disk, mapped into memory. Little-endian:
///
///     magic "MNTOKENS"   long rows n   long tokens T   long length of the notes   long CRC-32C of all that follows
///     int[T]             ids, the sign bit set where the token carries loss
///     long[n + 1]        where each row's tokens begin
///     int[n]             index of the row in its file
///     int[n]             tokens of the row before truncation
///     notes              JSON, UTF-8
///
/// A file is complete or absent: it is written under another name, forced to disk, and then renamed.
final class TokenFile implements AutoCloseable {

    private static final long MAGIC = ByteBuffer.wrap("MNTOKENS".getBytes(StandardCharsets.US_ASCII))
            .order(ByteOrder.LITTLE_ENDIAN)
            .getLong();
    private static final int HEADER = 40;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Arena arena;
    private final MemorySegment map;
    private final int rows;
    private final long tokens;
    private final ObjectNode notes;

    /// Opens a file; empty if there is none, or if what is there is not a whole file of this kind.
    @SuppressWarnings("MustBeClosedChecker") // the arena is closed with the file
    static Optional<TokenFile> open(Path file) throws IOException {
        if (!Files.isRegularFile(file)) {
            return Optional.empty();
        }
        Arena arena = Arena.ofShared();
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            return Optional.of(
                    new TokenFile(arena, channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena)));
        } catch (Damaged | JacksonException e) {
            arena.close();
            return Optional.empty();
        } catch (IOException | RuntimeException e) {
            arena.close();
            throw e;
        }
    }

    private TokenFile(Arena arena, MemorySegment map) throws Damaged {
        this.arena = arena;
        this.map = map;
        if (map.byteSize() < HEADER || map.get(LONG, 0) != MAGIC) {
            throw new Damaged();
        }
        long n = map.get(LONG, 8);
        tokens = map.get(LONG, 16);
        long notesLength = map.get(LONG, 24);
        long size = map.byteSize();
        if (n < 0
                || n > size / 16
                || n > Integer.MAX_VALUE
                || tokens < 0
                || tokens > size / 4
                || notesLength < 0
                || notesLength > Integer.MAX_VALUE
                || HEADER + 4 * tokens + 16 * n + 8 + notesLength != size) {
            throw new Damaged();
        }
        if (map.get(LONG, 32) != checksum(map)) {
            throw new Damaged();
        }
        rows = (int) n;
        for (int i = 0; i < rows; i++) {
            if (begin(i) > begin(i + 1) || begin(i + 1) - begin(i) > Integer.MAX_VALUE) {
                throw new Damaged();
            }
        }
        if (begin(0) != 0 || begin(rows) != tokens) {
            throw new Damaged();
        }
        byte[] text = map.asSlice(size - notesLength).toArray(ValueLayout.JAVA_BYTE);
        notes = (ObjectNode) Json.MAPPER.readTree(text);
    }

    int rows() {
        return rows;
    }

    long tokens() {
        return tokens;
    }

    ObjectNode notes() {
        return notes;
    }

    int length(int row) {
        return (int) (begin(row + 1) - begin(row));
    }

    int rowInFile(int row) {
        return map.get(INT, tables() + 8L * (rows + 1) + 4L * row);
    }

    int fullLength(int row) {
        return map.get(INT, tables() + 8L * (rows + 1) + 4L * rows + 4L * row);
    }

    /// Copies `length` tokens of a row, from `from` on, into arrays.
    void copy(int row, int from, int length, int[] ids, boolean[] trained, int at) {
        if (from < 0 || length < 0 || from + length > length(row)) {
            throw new IndexOutOfBoundsException("tokens %d..%d of %d".formatted(from, from + length, length(row)));
        }
        long address = HEADER + 4 * (begin(row) + from);
        for (int i = 0; i < length; i++) {
            int token = map.get(INT, address + 4L * i);
            ids[at + i] = token & Integer.MAX_VALUE;
            trained[at + i] = token < 0;
        }
    }

    @Override
    public void close() {
        arena.close();
    }

    private static long checksum(MemorySegment map) {
        CRC32C crc = new CRC32C();
        for (long at = HEADER; at < map.byteSize(); at += 1 << 30) {
            crc.update(map.asSlice(at, Math.min(1 << 30, map.byteSize() - at)).asByteBuffer());
        }
        return crc.getValue();
    }

    private long tables() {
        return HEADER + 4 * tokens;
    }

    private long begin(int row) {
        return map.get(LONG, tables() + 8L * row);
    }

    /// Not a whole token file: it is written anew.
    private static final class Damaged extends Exception {
        private static final long serialVersionUID = 1L;
    }

    /// Writes a file, row after row.
    static final class Writer implements AutoCloseable {
        private final Path file;
        private final Path temporary;
        private final FileChannel channel;
        private final ByteBuffer buffer = ByteBuffer.allocate(1 << 20).order(ByteOrder.LITTLE_ENDIAN);
        private final Ints lengths = new Ints();
        private final Ints rowsInFile = new Ints();
        private final Ints fullLengths = new Ints();
        private final CRC32C crc = new CRC32C();
        private long tokens;

        Writer(Path file) throws IOException {
            this.file = file;
            Path folder = file.toAbsolutePath().getParent();
            Files.createDirectories(folder);
            temporary = Files.createTempFile(folder, file.getFileName() + ".", ".part");
            channel = FileChannel.open(temporary, StandardOpenOption.WRITE);
            channel.position(HEADER);
        }

        void add(int rowInFile, RowEncoder.Encoded row) throws IOException {
            for (int i = 0; i < row.ids().length; i++) {
                putInt(row.trained()[i] ? row.ids()[i] | Integer.MIN_VALUE : row.ids()[i]);
            }
            tokens += row.ids().length;
            lengths.add(row.ids().length);
            rowsInFile.add(rowInFile);
            fullLengths.add(row.fullLength());
        }

        /// Ends the file and gives it its name.
        void finish(ObjectNode notes) throws IOException {
            long begin = 0;
            putLong(begin);
            for (int length : lengths.toArray()) {
                begin += length;
                putLong(begin);
            }
            for (int row : rowsInFile.toArray()) {
                putInt(row);
            }
            for (int length : fullLengths.toArray()) {
                putInt(length);
            }
            flush();
            byte[] text = Json.MAPPER.writeValueAsBytes(notes);
            crc.update(text);
            writeAll(ByteBuffer.wrap(text), channel.position());
            ByteBuffer header = ByteBuffer.allocate(HEADER).order(ByteOrder.LITTLE_ENDIAN);
            header.putLong(MAGIC)
                    .putLong(lengths.size())
                    .putLong(tokens)
                    .putLong(text.length)
                    .putLong(crc.getValue())
                    .flip();
            writeAll(header, 0);
            channel.force(true);
            channel.close();
            Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        }

        /// Leaves nothing behind unless [#finish] was reached.
        @Override
        public void close() throws IOException {
            channel.close();
            Files.deleteIfExists(temporary);
        }

        private void putInt(int value) throws IOException {
            if (buffer.remaining() < Integer.BYTES) {
                flush();
            }
            buffer.putInt(value);
        }

        private void putLong(long value) throws IOException {
            if (buffer.remaining() < Long.BYTES) {
                flush();
            }
            buffer.putLong(value);
        }

        private void flush() throws IOException {
            buffer.flip();
            crc.update(buffer.duplicate());
            while (buffer.hasRemaining()) {
                channel.write(buffer);
            }
            buffer.clear();
        }

        private void writeAll(ByteBuffer bytes, long position) throws IOException {
            long at = position;
            while (bytes.hasRemaining()) {
                at += channel.write(bytes, at);
            }
        }
    }
}
