package dev.manners.run;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The event file read back by the specification: TFRecord frames with their checksums, protobuf fields by
/// number.
class TensorBoardEventsTest {

    @TempDir
    Path folder;

    /// @param fields of tensorflow.Event by number: bytes, or numbers as their raw bits
    private record Event(Map<Integer, Object> fields) {
        Object get(int field) {
            return Objects.requireNonNull(fields.get(field), () -> "no field " + field);
        }
    }

    private static int masked(byte[] bytes, int from, int length) {
        CRC32C crc = new CRC32C();
        crc.update(bytes, from, length);
        int value = (int) crc.getValue();
        return Integer.rotateRight(value, 15) + 0xa282ead8;
    }

    private List<byte[]> records() throws IOException {
        byte[] bytes;
        try (Stream<Path> files = Files.list(folder)) {
            Path file = files.reduce((a, b) -> {
                        throw new AssertionError("two files: " + a + ", " + b);
                    })
                    .orElseThrow();
            // TensorBoard looks for this in the name.
            assertThat(file.getFileName().toString()).contains("tfevents");
            bytes = Files.readAllBytes(file);
        }
        ByteBuffer in = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        List<byte[]> records = new ArrayList<>();
        while (in.hasRemaining()) {
            int start = in.position();
            int length = Math.toIntExact(in.getLong());
            assertThat(in.getInt()).as("checksum of the length").isEqualTo(masked(bytes, start, 8));
            byte[] data = new byte[length];
            in.get(data);
            assertThat(in.getInt()).as("checksum of the data").isEqualTo(masked(bytes, start + 12, length));
            records.add(data);
        }
        return records;
    }

    private static long varint(ByteBuffer in) {
        long value = 0;
        for (int shift = 0; ; shift += 7) {
            byte b = in.get();
            value |= (long) (b & 0x7F) << shift;
            if (b >= 0) {
                return value;
            }
        }
    }

    /// Fields in their order; a number may come several times.
    private static List<Map.Entry<Integer, Object>> message(byte[] bytes) {
        ByteBuffer in = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        List<Map.Entry<Integer, Object>> fields = new ArrayList<>();
        while (in.hasRemaining()) {
            long key = varint(in);
            Object value = switch ((int) (key & 7)) {
                case 0 -> varint(in);
                case 1 -> in.getDouble();
                case 2 -> {
                    byte[] content = new byte[Math.toIntExact(varint(in))];
                    in.get(content);
                    yield content;
                }
                case 5 -> in.getFloat();
                default -> throw new AssertionError("wire type " + (key & 7));
            };
            fields.add(Map.entry((int) (key >>> 3), value));
        }
        return fields;
    }

    private static Event event(byte[] record) {
        Map<Integer, Object> fields = new LinkedHashMap<>();
        message(record).forEach(f -> fields.put(f.getKey(), f.getValue()));
        return new Event(fields);
    }

    @Test
    void everyScalarIsReadBack() throws IOException {
        double before = System.currentTimeMillis() / 1e3;
        TensorBoardEvents events = new TensorBoardEvents(folder, "sft/");
        Map<String, Double> first = new LinkedHashMap<>();
        first.put("loss", 2.5);
        first.put("grad_norm", Double.NaN);
        events.metrics(1, first);
        // 300 takes two bytes as a varint, 2^40 six.
        events.metrics(300, Map.of("loss", -1e-3));
        events.metrics(1L << 40, Map.of("loss", Double.POSITIVE_INFINITY));
        double after = System.currentTimeMillis() / 1e3;

        List<byte[]> records = records();
        assertThat(records).hasSize(4);
        assertThat(new String((byte[]) event(records.getFirst()).get(3), StandardCharsets.UTF_8))
                .isEqualTo("brain.Event:2");
        List<String> read = new ArrayList<>();
        for (byte[] record : records.subList(1, 4)) {
            Event event = event(record);
            assertThat((double) event.get(1)).isBetween(before, after);
            for (Map.Entry<Integer, Object> value : message((byte[]) event.get(5))) {
                assertThat(value.getKey()).isEqualTo(1);
                Event scalar = event((byte[]) value.getValue());
                read.add(event.get(2) + " "
                        + new String((byte[]) scalar.get(1), StandardCharsets.UTF_8) + " "
                        + scalar.get(2));
            }
        }
        assertThat(read)
                .containsExactly(
                        "1 sft/loss 2.5",
                        "1 sft/grad_norm NaN",
                        "300 sft/loss -0.001",
                        "1099511627776 sft/loss Infinity");
    }

    /// The checksum that TensorFlow publishes for "123456789" is CRC-32C's check value 0xe3069283, masked.
    @Test
    void theChecksumIsMaskedAsTensorFlowDoes() {
        int crc = 0xe3069283;
        assertThat(TensorBoardEvents.maskedCrc("123456789".getBytes(StandardCharsets.US_ASCII)))
                .isEqualTo((crc >>> 15 | crc << 17) + 0xa282ead8);
    }
}
