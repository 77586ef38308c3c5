package dev.manners.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.manners.BadInput;
import dev.manners.tensor.DType;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// What the format forbids and what it allows.
class SafetensorsFileTest {

    @TempDir
    Path temp;

    private Path file(byte[] bytes) {
        try {
            return Files.write(temp.resolve("model.safetensors"), bytes);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private Path file(byte[] header, int dataBytes) {
        return file(ByteBuffer.allocate(8 + header.length + dataBytes)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(header.length)
                .put(header)
                .array());
    }

    private Path file(String header, int dataBytes) {
        return file(header.getBytes(StandardCharsets.UTF_8), dataBytes);
    }

    /// Opens, expecting refusal, within two seconds.
    private static void refused(Path file, String... reasons) {
        Assertions.assertTimeoutPreemptively(
                Duration.ofSeconds(2),
                () -> assertThatThrownBy(() -> SafetensorsFile.open(file).close())
                        .isInstanceOf(BadInput.class)
                        .hasMessageContaining(file.getFileName().toString())
                        .hasMessageContainingAll(reasons)
                        .satisfies(
                                e -> assertThat(String.valueOf(e.getMessage())).hasSizeLessThan(20_000)));
    }

    private static String tensor(String name, String dtype, String shape, String offsets) {
        return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets
                + "}";
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 7})
    void mf01_tooSmall(int bytes) {
        refused(file(new byte[bytes]), "too small", bytes + " bytes");
    }

    @ParameterizedTest
    @ValueSource(longs = {Long.MAX_VALUE, -1, Long.MIN_VALUE, 93, 1L << 40, 0, 1})
    void mf02_headerLengthThatCannotBe(long length) {
        Path file = file(ByteBuffer.allocate(100)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(length)
                .array());
        refused(file, Long.toUnsignedString(length));
    }

    @Test
    void mf02_nothingIsAllocatedForARefusedHeader() throws IOException {
        Path file = temp.resolve("huge.safetensors");
        // Sparse: 300 MB that cost nothing.
        try (RandomAccessFile out = new RandomAccessFile(file.toFile(), "rw")) {
            out.setLength(300L << 20);
            out.write(ByteBuffer.allocate(8)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putLong(200L << 20)
                    .array());
        }
        refused(file, "more than the 100000000 that are allowed");
        var threads = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
        long before = threads.getCurrentThreadAllocatedBytes();
        assertThatThrownBy(() -> SafetensorsFile.open(file).close()).isInstanceOf(BadInput.class);
        assertThat(threads.getCurrentThreadAllocatedBytes() - before).isLessThan(1 << 20);
    }

    @Test
    void mf03_headerThatIsNotJson() {
        refused(file("[]", 0), "must start with '{'");
        refused(file(" {}", 0), "must start with '{'");
        refused(file("{]", 0), "not what safetensors allows", "1:2");
        refused(file("{\"a\":", 0), "not what safetensors allows");
        refused(file("{}{}", 0), "text after");
        refused(file("{}   x", 0), "not what safetensors allows");
        refused(file("{}\0\0", 0), "not what safetensors allows");
        refused(file(new byte[] {'{', '"', (byte) 0xff, (byte) 0xfe, '"', ':', '1', '}'}, 0), "not what safetensors");
        refused(file("{}".getBytes(StandardCharsets.UTF_16LE), 0), "not what safetensors allows");
        refused(
                file("version https://git-lfs.github.com/spec/v1\noid sha256:0".getBytes(StandardCharsets.UTF_8)),
                "git lfs pull");
    }

    @Test
    void mf03_spacesAfterTheHeaderAreFine() {
        try (SafetensorsFile file = SafetensorsFile.open(file("{}      ", 0))) {
            assertThat(file.entries()).isEmpty();
        }
    }

    @Test
    void mf04_deepLongAndLarge() {
        refused(file("{\"a\":" + "[".repeat(100_000), 0), "nesting");
        refused(file("{\"a\":" + "{\"a\":".repeat(100_000), 0), "model.safetensors");
        refused(file("{\"" + "k".repeat(10_000_000) + "\":1}", 0), "length");
        refused(file("{" + tensor("a", "U8", "[" + "1".repeat(1_000_000) + "]", "[0,1]") + "}", 1), "length");
        refused(file("{" + tensor("a", "U8", "[1e999]", "[0,1]") + "}", 1), "whole numbers", "1e999");
        refused(file("{" + tensor("a", "U8", "[NaN]", "[0,1]") + "}", 1), "NaN");
        refused(file("{" + tensor("a", "x".repeat(1_000_000), "[1]", "[0,1]") + "}", 1), "unsupported dtype");
        refused(file("{\"__metadata__\":{\"a\":\"" + "x".repeat(17 << 20) + "\"}}", 0), "length");
    }

    @Test
    void mf05_duplicates() {
        String a = tensor("a", "U8", "[1]", "[0,1]");
        refused(file("{" + a + "," + a + "}", 1), "uplicate", "a");
        refused(
                file("{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1),
                "uplicate");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "[-1,3]",
                "[0,-4]",
                "[4,0]",
                "[0,5]",
                "[4,8]",
                "[0.0,4]",
                "[0,4.5]",
                "[0,9007199254740993]",
                "[0,18446744073709551616]",
                "[9223372036854775807,3]",
                "[0]",
                "[]",
                "[0,4,8]",
                "4",
                "[null,4]",
                "[\"0\",4]",
                "[[0],4]",
                "{\"a\":0}",
                "[true,4]"
            })
    void mf06_offsets(String offsets) {
        refused(file("{" + tensor("w", "F32", "[1]", offsets) + "}", 4), "\"w\"", "data_offsets");
    }

    @Test
    void mf07_overlap() {
        refused(
                file("{" + tensor("a", "U8", "[4]", "[0,4]") + "," + tensor("b", "U8", "[4]", "[2,6]") + "}", 6),
                "\"b\" overlaps tensor \"a\"");
        refused(
                file("{" + tensor("a", "U8", "[4]", "[0,4]") + "," + tensor("b", "U8", "[4]", "[0,4]") + "}", 4),
                "overlaps");
    }

    @Test
    void mf08_holesAndWhatNobodyOwns() {
        refused(file("{" + tensor("a", "U8", "[4]", "[2,6]") + "}", 6), "a hole of 2 bytes between the header and");
        refused(
                file("{" + tensor("a", "U8", "[1]", "[0,1]") + "," + tensor("b", "U8", "[1]", "[3,4]") + "}", 4),
                "a hole of 2 bytes between tensor \"a\" and tensor \"b\"");
        refused(file("{" + tensor("a", "U8", "[4]", "[0,4]") + "}", 9), "5 bytes after tensor \"a\"");
        refused(file("{}", 1), "1 bytes after the header");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "[2]                      | needs 8 bytes, data_offsets [0, 4] hold 4",
                "[0]                      | needs 0 bytes",
                "[9007199254740992,4096]  | overflows",
                "[4294967296,4294967296]  | overflows",
                "[2147483648,2147483648,4]| overflows",
                "[-1]                     | whole numbers",
                "[1.0]                    | whole numbers",
                "[18446744073709551617]   | whole numbers",
            })
    void mf09_shapeThatDoesNotFit(String shape, String reason) {
        refused(file("{" + tensor("w", "F32", shape, "[0,4]") + "}", 4), "\"w\"", reason);
    }

    @Test
    void mf09_rankOfAMillion() {
        String shape = "[" + "1,".repeat(999_999) + "1]";
        refused(file("{" + tensor("w", "F32", shape, "[0,4]") + "}", 4), "more than 64 numbers");
    }

    @Test
    void mf10_emptyTensorsAndScalars() {
        Path path = file(
                "{" + tensor("empty", "F32", "[3,0]", "[0,0]") + "," + tensor("scalar", "I64", "[]", "[0,8]") + ","
                        + tensor("last", "U8", "[0]", "[8,8]") + "}",
                8);
        try (SafetensorsFile file = SafetensorsFile.open(path)) {
            assertThat(file.entries().stream().map(SafetensorsFile.Entry::name))
                    .containsExactly("empty", "scalar", "last");
            assertThat(file.data(file.entries().getFirst()).byteSize()).isZero();
            assertThat(file.entries().get(1).shape()).isEmpty();
            assertThat(file.data(file.entries().get(1)).byteSize()).isEqualTo(8);
            file.copyTo(file.entries().getFirst(), MemorySegment.ofArray(new byte[0]));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"F64", "F8_E4M3", "F4", "I16", "f32", "", "BOOL "})
    void mf11_unsupportedDtype(String dtype) {
        refused(
                file("{" + tensor("w", dtype, "[1]", "[0,1]") + "}", 1),
                "unsupported dtype \"" + dtype + "\" in tensor \"w\"",
                "BF16");
    }

    @Test
    void mf11_missingAndUnexpectedKeys() {
        refused(file("{\"w\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1), "\"w\"", "needs");
        refused(
                file("{\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"code\":{\"a\":[1]}}}", 1),
                "\"code\"");
        refused(file("{\"w\":[1,[2]]}", 1), "\"w\"", "must be an object");
        refused(file("{\"w\":{\"dtype\":[\"U8\"],\"shape\":[1],\"data_offsets\":[0,1]}}", 1), "unsupported dtype");
    }

    @Test
    void mf12_metadata() {
        refused(file("{\"__metadata__\":{\"format\":1}}", 0), "\"format\"", "must be a string");
        refused(file("{\"__metadata__\":{\"format\":{\"a\":\"b\"}}}", 0), "must be a string");
        refused(file("{\"__metadata__\":[\"pt\"]}", 0), "must be an object");
        StringBuilder many = new StringBuilder("{\"__metadata__\":{\"0\":\"\"");
        for (int i = 1; i < 1_000_000; i++) {
            many.append(",\"").append(i).append("\":\"\"");
        }
        refused(file(many.append("}}").toString(), 0), "too large");
    }

    @Test
    void allProblemsAtOnceAndNoTerminalCodes() {
        refused(
                file(
                        "{" + tensor("a\\u001b[31m", "U9", "[1]", "[0,1]") + "," + tensor("b", "U8", "[2]", "[0,1]")
                                + "}",
                        1),
                "2 problems",
                "\"a\\u001b[31m\"",
                "\"b\": shape [2] of U8 needs 2 bytes");
        StringBuilder many = new StringBuilder("{");
        for (int i = 0; i < 10_000; i++) {
            many.append(i == 0 ? "" : ",").append(tensor("t" + i, "U9", "[1]", "[0,1]"));
        }
        refused(file(many.append("}").toString(), 1), "20 problems");
    }

    @Test
    void mf16_truncatedAfterItWasOpened() throws IOException {
        Path path = file("{" + tensor("a", "U8", "[100000]", "[0,100000]") + "}", 100_000);
        try (SafetensorsFile file = SafetensorsFile.open(path);
                Arena arena = Arena.ofConfined()) {
            try (FileChannel other = FileChannel.open(path, StandardOpenOption.WRITE)) {
                other.truncate(5000);
            }
            for (MemorySegment destination : List.of(arena.allocate(100_000), MemorySegment.ofArray(new int[25_000]))) {
                assertThatThrownBy(() -> file.copyTo(file.entries().getFirst(), destination))
                        .isInstanceOf(BadInput.class)
                        .hasMessageContaining("model.safetensors: ends at byte 5000, inside tensor \"a\"")
                        .hasMessageContaining("truncated after it was opened");
            }
        }
    }

    @Test
    void mf16_mappedReadOfATruncatedFileDoesNotEndTheProcess() throws Exception {
        Path path = file("{" + tensor("a", "U8", "[100000]", "[0,100000]") + "}", 100_000);
        Process child = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-XX:TieredStopAtLevel=1",
                        "-cp",
                        System.getProperty("java.class.path"),
                        MappedReader.class.getName(),
                        path.toString())
                .redirectErrorStream(true)
                .directory(temp.toFile())
                .start();
        String output = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(output).contains("survived");
        assertThat(child.waitFor()).isZero();
    }

    /// Truncates the file that it has mapped, and reads on.
    static final class MappedReader {
        private MappedReader() {}

        public static void main(String[] args) throws IOException {
            Path path = Path.of(args[0]);
            try (SafetensorsFile file = SafetensorsFile.open(path);
                    FileChannel other = FileChannel.open(path, StandardOpenOption.WRITE)) {
                MemorySegment data = file.data(file.entries().getFirst());
                other.truncate(100);
                try {
                    MemorySegment.copy(data, 0, MemorySegment.ofArray(new byte[100_000]), 0, 100_000);
                    System.out.println("read what is not there");
                } catch (InternalError e) {
                    System.out.println("survived");
                }
            }
        }
    }

    @Test
    void mf18_whatIsNotARegularFile() throws Exception {
        Path loop = Files.createSymbolicLink(temp.resolve("loop"), Path.of("loop"));
        Path pipe = temp.resolve("pipe");
        assertThat(new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor())
                .isZero();
        refused(loop, "not a regular file");
        refused(pipe, "not a regular file", "pipe");
        refused(temp, "not a regular file", "folder");
        refused(Path.of("/dev/zero"), "not a regular file", "device");
        refused(temp.resolve("absent"), "no such file");
        refused(Files.createSymbolicLink(temp.resolve("dangling"), Path.of("nowhere")), "no such file");
        Files.createSymbolicLink(temp.resolve("link"), file("{}", 0));
        SafetensorsFile.open(temp.resolve("link")).close();
    }

    @Test
    void copiesUnalignedDataToHeapAndNative() {
        byte[] header = ("{" + tensor("a", "U8", "[1]", "[0,1]") + "," + tensor("w", "F32", "[2]", "[1,9]") + "}")
                .getBytes(StandardCharsets.UTF_8);
        Path path = file(ByteBuffer.allocate(8 + header.length + 9)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(header.length)
                .put(header)
                .put((byte) 1)
                .putFloat(1.5f)
                .putFloat(-2)
                .array());
        try (SafetensorsFile file = SafetensorsFile.open(path);
                Arena arena = Arena.ofConfined()) {
            SafetensorsFile.Entry w = file.entries().get(1);
            float[] heap = new float[2];
            file.copyTo(w, MemorySegment.ofArray(heap));
            assertThat(heap).containsExactly(1.5f, -2);
            MemorySegment off = arena.allocate(8);
            file.copyTo(w, off);
            assertThat(off.toArray(ValueLayout.JAVA_FLOAT)).containsExactly(1.5f, -2);
            assertThat(file.data(w).toArray(ValueLayout.JAVA_FLOAT_UNALIGNED)).containsExactly(1.5f, -2);
            assertThat(file.data(w).isReadOnly()).isTrue();
            assertThatThrownBy(() -> file.copyTo(w, arena.allocate(9))).isInstanceOf(IllegalArgumentException.class);
        }
    }

    @Test
    void countsNonFiniteNumbersOfEveryFloat() {
        float[] numbers = new float[10_001];
        for (int i = 0; i < numbers.length; i++) {
            numbers[i] = i % 2 == 0 ? Float.MAX_VALUE : -Float.MIN_VALUE;
        }
        numbers[0] = Float.NaN;
        numbers[4096] = Float.POSITIVE_INFINITY;
        numbers[10_000] = Float.NEGATIVE_INFINITY;
        assertThat(Safetensors.nonFinite(MemorySegment.ofArray(numbers), DType.F32))
                .isEqualTo(3);
        assertThat(Safetensors.nonFinite(MemorySegment.ofArray(new float[0]), DType.F32))
                .isZero();

        for (int length : new int[] {1, 2, 3, 9000, 9001}) {
            short[] halves = new short[length];
            short[] brains = new short[length];
            long expectedHalves = 0;
            long expectedBrains = 0;
            for (int i = 0; i < length; i++) {
                // A stride that meets all 65,536 patterns spread out.
                halves[i] = (short) (i * 40_503 + 0x7c00);
                brains[i] = (short) (i * 40_503 + 0x7f80);
                expectedHalves += Float.isFinite(Float.float16ToFloat(halves[i])) ? 0 : 1;
                expectedBrains += Float.isFinite(Float.intBitsToFloat(brains[i] << 16)) ? 0 : 1;
            }
            assertThat(Safetensors.nonFinite(MemorySegment.ofArray(halves), DType.F16))
                    .isEqualTo(expectedHalves);
            assertThat(Safetensors.nonFinite(MemorySegment.ofArray(brains), DType.BF16))
                    .isEqualTo(expectedBrains);
            assertThat(expectedHalves).isPositive();
        }
        assertThat(Safetensors.nonFinite(MemorySegment.ofArray(new int[] {-1}), DType.I32))
                .isZero();
    }
}
