package dev.manners.run;

import dev.manners.train.Tracker;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.function.Consumer;
import java.util.zip.CRC32C;

/// Scalars as TensorBoard's event file: TFRecord framing (length, masked CRC-32C, data, masked CRC-32C) around the six
/// fields of tensorflow.Event and tensorflow.Summary that a scalar needs. No maintained Java library writes it.
public final class TensorBoardEvents implements Tracker {

    private final Path file;
    private final String prefix;

    /// @param prefix in front of every tag, `train/`
    public TensorBoardEvents(Path folder, String prefix) {
        this.prefix = prefix;
        try {
            Files.createDirectories(folder);
            this.file = folder.resolve("events.out.tfevents." + System.currentTimeMillis() / 1000 + ".manners."
                    + ProcessHandle.current().pid() + "." + prefix.replaceAll("\\W", ""));
            ByteArrayOutputStream event = new ByteArrayOutputStream();
            wallTime(event);
            text(event, 3, "brain.Event:2");
            write(event.toByteArray());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void metrics(long step, Map<String, Double> values) {
        ByteArrayOutputStream summary = new ByteArrayOutputStream();
        values.forEach((tag, number) -> {
            ByteArrayOutputStream value = new ByteArrayOutputStream();
            text(value, 1, prefix + tag);
            key(value, 2, 5);
            value.writeBytes(little(4, b -> b.putFloat(number.floatValue())));
            bytes(summary, 1, value.toByteArray());
        });
        ByteArrayOutputStream event = new ByteArrayOutputStream();
        wallTime(event);
        key(event, 2, 0);
        varint(event, step);
        bytes(event, 5, summary.toByteArray());
        try {
            write(event.toByteArray());
        } catch (IOException e) {
            System.err.println("manners: " + file + ": " + e.getMessage());
        }
    }

    private static void wallTime(ByteArrayOutputStream event) {
        key(event, 1, 1);
        event.writeBytes(little(8, b -> b.putDouble(System.currentTimeMillis() / 1e3)));
    }

    private static void text(ByteArrayOutputStream out, int field, String text) {
        bytes(out, field, text.getBytes(StandardCharsets.UTF_8));
    }

    private static void bytes(ByteArrayOutputStream out, int field, byte[] bytes) {
        key(out, field, 2);
        varint(out, bytes.length);
        out.writeBytes(bytes);
    }

    private static void key(ByteArrayOutputStream out, int field, int wireType) {
        varint(out, (long) field << 3 | wireType);
    }

    private static void varint(ByteArrayOutputStream out, long value) {
        long rest = value;
        while ((rest & ~0x7FL) != 0) {
            out.write((int) (rest & 0x7F | 0x80));
            rest >>>= 7;
        }
        out.write((int) rest);
    }

    private static byte[] little(int size, Consumer<ByteBuffer> content) {
        byte[] bytes = new byte[size];
        content.accept(ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN));
        return bytes;
    }

    private void write(byte[] data) throws IOException {
        byte[] length = little(8, b -> b.putLong(data.length));
        byte[] framed = little(
                16 + data.length,
                b -> b.put(length).putInt(maskedCrc(length)).put(data).putInt(maskedCrc(data)));
        Files.write(file, framed, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }

    static int maskedCrc(byte[] data) {
        CRC32C crc = new CRC32C();
        crc.update(data);
        int value = (int) crc.getValue();
        return (value >>> 15 | value << 17) + 0xa282ead8;
    }
}
