package dev.manners.model;

import dev.manners.files.AtomicFile;
import dev.manners.files.CannotWrite;
import dev.manners.files.Json;
import dev.manners.tensor.DType;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;
import tools.jackson.core.json.JsonWriteFeature;
import tools.jackson.databind.ObjectWriter;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/// Writes a safetensors file, one tensor after the other: byte for byte what the reference implementation writes
/// (tensors by falling alignment of their dtype, then by name), and complete or absent.
public final class SafetensorsWriter {

    /// What transformers puts in, and asks for when it loads.
    public static final Map<String, String> PT = Map.of("format", "pt");

    /// The reference's order of dtypes, the last first.
    private static final List<DType> ORDER =
            List.of(DType.I64, DType.F32, DType.I32, DType.BF16, DType.F16, DType.U8, DType.BOOL);

    private static final ObjectWriter HEADER = Json.MAPPER.writer().without(JsonWriteFeature.ESCAPE_FORWARD_SLASHES);
    private static final int CHUNK = 8 << 20;

    private SafetensorsWriter() {}

    /// A tensor to be written.
    ///
    /// @param content called once, when this tensor's turn comes; gives the bytes, little-endian and contiguous, in
    ///     one or several pieces, and may free each as soon as the consumer returns: so at most one tensor need be
    ///     in memory
    @SuppressWarnings("ArrayRecordComponent")
    public record Source(String name, DType dtype, long[] shape, Consumer<Consumer<MemorySegment>> content) {

        /// A tensor that is in memory already.
        public static Source of(String name, DType dtype, long[] shape, MemorySegment data) {
            return new Source(name, dtype, shape, out -> out.accept(data));
        }

        long bytes() {
            return SafetensorsHeader.bytes(dtype, shape);
        }
    }

    /// Writes or replaces a file. Its folder must exist. A source may read from the very file that is replaced.
    ///
    /// @param metadata goes under `__metadata__`, sorted; see [#PT]
    /// @throws CannotWrite then the file is as it was
    public static void write(Path file, Map<String, String> metadata, List<Source> tensors) {
        List<Source> sorted = tensors.stream()
                .sorted(Comparator.comparingInt((Source source) -> ORDER.indexOf(source.dtype()))
                        .thenComparing(
                                source -> source.name().getBytes(StandardCharsets.UTF_8), Arrays::compareUnsigned))
                .toList();
        byte[] header = header(metadata, sorted);
        AtomicFile.write(file, out -> {
            try {
                ByteBuffer start = ByteBuffer.allocate(8 + header.length).order(ByteOrder.LITTLE_ENDIAN);
                writeAll(out, start.putLong(header.length).put(header).flip());
                for (Source source : sorted) {
                    writeTensor(out, source);
                }
            } catch (UncheckedIOException e) {
                throw e.getCause();
            }
        });
    }

    /// The JSON, padded with spaces so that the data begins at a multiple of 8.
    private static byte[] header(Map<String, String> metadata, List<Source> sorted) {
        ObjectNode header = Json.MAPPER.createObjectNode();
        if (!metadata.isEmpty()) {
            ObjectNode node = header.putObject(SafetensorsHeader.METADATA);
            new TreeMap<>(metadata).forEach(node::put);
        }
        Set<String> names = new HashSet<>(Set.of(SafetensorsHeader.METADATA));
        long end = 0;
        for (Source source : sorted) {
            if (!names.add(source.name())) {
                throw new IllegalArgumentException("tensor name " + source.name() + " is taken");
            }
            ObjectNode tensor = header.putObject(source.name());
            tensor.put("dtype", source.dtype().name());
            ArrayNode shape = tensor.putArray("shape");
            Arrays.stream(source.shape()).forEach(shape::add);
            long begin = end;
            end = Math.addExact(begin, source.bytes());
            tensor.putArray("data_offsets").add(begin).add(end);
        }
        byte[] json = HEADER.writeValueAsBytes(header);
        byte[] padded = Arrays.copyOf(json, (json.length + 7) / 8 * 8);
        Arrays.fill(padded, json.length, padded.length, (byte) ' ');
        if (padded.length > SafetensorsHeader.MAX_HEADER) {
            throw new IllegalArgumentException(
                    "too many tensors for one file: the header has " + padded.length + " bytes");
        }
        return padded;
    }

    private static void writeTensor(FileChannel out, Source source) throws IOException {
        long start = out.position();
        source.content().accept(piece -> {
            try {
                write(out, piece);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
        long written = out.position() - start;
        if (written != source.bytes()) {
            throw new IllegalArgumentException("tensor " + source.name() + " of " + source.dtype() + " "
                    + Arrays.toString(source.shape()) + " needs " + source.bytes() + " bytes, was given " + written);
        }
    }

    /// In pieces, because a buffer ends at 2 GiB, and a heap buffer is copied whole before it is written.
    private static void write(FileChannel out, MemorySegment data) throws IOException {
        byte[] between = data.isNative() ? new byte[0] : new byte[(int) Math.min(1 << 20, data.byteSize())];
        int chunk = data.isNative() ? CHUNK : between.length;
        for (long done = 0; done < data.byteSize(); done += chunk) {
            int n = (int) Math.min(chunk, data.byteSize() - done);
            MemorySegment piece = data.asSlice(done, n);
            if (data.isNative()) {
                writeAll(out, piece.asByteBuffer());
            } else {
                MemorySegment.copy(piece, 0, MemorySegment.ofArray(between), 0, n);
                writeAll(out, ByteBuffer.wrap(between, 0, n));
            }
        }
    }

    private static void writeAll(FileChannel out, ByteBuffer buffer) throws IOException {
        while (buffer.hasRemaining()) {
            out.write(buffer);
        }
    }
}
