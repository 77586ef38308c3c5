package dev.manners.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.manners.BadInput;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.Arrays;
import java.util.Random;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

class DatasetFileTest {

    @TempDir
    Path folder;

    @Test
    void ds01_blankLinesCrlfByteOrderMarkAndNoLastLineBreak() {
        Path path =
                write("rows.jsonl", "\uFEFF{\"text\":\"a\"}\r\n\r\n   \n\t{\"text\":\"b\\nb\"}  \n{\"text\":\"c\"}");
        try (DatasetFile file = DatasetFile.open(path)) {
            assertThat(file.size()).isEqualTo(3);
            assertThat(texts(file)).containsExactly("a", "b\nb", "c");
            assertThat(file.source(1)).isEqualTo(path + ":4");
            assertThat(file.row(2).source()).isEqualTo(path + ":5");
        }
    }

    @Test
    void ds01_allBadRowsAreCountedAndNamedByLineAndColumn() {
        Path path = write(
                "rows.jsonl",
                "{\"text\":\"a\"}\n{\"text\":}\n[1,2]\n\n  {\"text\":\"x\" \"y\"}\n7\n{\"a\":1,\"a\":2}\n{} {}\n");
        try (DatasetFile file = DatasetFile.open(path)) {
            assertThat(file.size()).isEqualTo(7);
            DatasetFile.Problems problems = file.problems(10);
            assertThat(problems.count()).isEqualTo(6);
            assertThat(problems.messages()).hasSize(6);
            assertThat(problems.messages().get(0)).startsWith(path + ":2:9: not valid JSON");
            assertThat(problems.messages().get(1)).startsWith(path + ":3: the row is not a JSON object but array");
            assertThat(problems.messages().get(2)).startsWith(path + ":5:15: not valid JSON");
            assertThat(problems.messages().get(3)).startsWith(path + ":6: the row is not a JSON object but number");
            assertThat(problems.messages().get(4)).startsWith(path + ":7:").contains("Duplicate");
            assertThat(problems.messages().get(5)).startsWith(path + ":8:");
            assertThat(file.problems(2).messages()).hasSize(2);
            assertThat(file.problems(2).count()).isEqualTo(6);
        }
    }

    @Test
    void ds01_anArrayOfRowsOverManyLines() {
        Path path = write(
                "rows.json",
                " \n[\n  {\"text\": \"a ] , \\\" {\"},\n\n  {\n    \"text\": \"b\"\n  }, {\"text\": 7 7}\n]\n");
        try (DatasetFile file = DatasetFile.open(path)) {
            assertThat(file.size()).isEqualTo(3);
            assertThat(file.row(0).fields().path("text").asString()).isEqualTo("a ] , \" {");
            assertThat(file.source(1)).isEqualTo(path + ":5");
            assertThat(file.problems(5).messages())
                    .singleElement()
                    .asString()
                    .startsWith(path + ":7:17: not valid JSON");
        }
    }

    @Test
    void ds01_anArrayIsFoundAsAParserFindsIt() {
        Random random = new Random(42);
        for (int round = 0; round < 50; round++) {
            var array = JsonNodeFactory.instance.arrayNode();
            for (int i = random.nextInt(20); i >= 0; i--) {
                ObjectNode row = array.addObject();
                row.put(
                        "text",
                        random.ints(random.nextInt(30), 1, 0x250)
                                .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
                                .toString());
                row.putArray("list").addObject().put("[{\"\\", "]}\\\"");
            }
            String json = random.nextBoolean() ? array.toPrettyString() : array.toString();
            try (DatasetFile file = DatasetFile.open(write("rows" + round + ".json", json))) {
                assertThat(file.size()).as("seed 42, round %d", round).isEqualTo(array.size());
                for (int i = 0; i < file.size(); i++) {
                    assertThat(file.row(i).fields()).isEqualTo(array.get(i));
                }
            }
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "[{\"text\":\"a\"}",
                "[{\"text\":\"a\"},",
                "[{\"text\":\"a",
                "[",
                "[{\"a\":1},,{\"a\":1}]",
                "[{\"a\":1},]",
                "[] x"
            })
    void ds01_anArrayThatDoesNotEndOrIsNoneIsRefused(String json) {
        Path path = write("rows.json", json);
        assertThatThrownBy(() -> open(path)).isInstanceOf(BadInput.class).hasMessageStartingWith(path + ":1:");
    }

    @Test
    void ds01_oneObjectOverSeveralLinesSaysWhatToDo() {
        Path path = write("rows.json", "{\n \"train\": [\n  {\"text\": \"a\"}\n ]\n}\n");
        assertThatThrownBy(() -> open(path))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("Expected an array of rows");
    }

    @Test
    void ds05_anEmptyFileHasNoRows() {
        for (String text : new String[] {"", "\n\n", "\uFEFF"}) {
            try (DatasetFile file = DatasetFile.open(write("rows.jsonl", text))) {
                assertThat(file.size()).isZero();
                assertThatThrownBy(() -> RowKind.detect(file, "text"))
                        .isInstanceOf(BadInput.class)
                        .hasMessage(file.path() + ": holds no row");
            }
        }
        try (DatasetFile file = DatasetFile.open(write("rows.json", "[]"))) {
            assertThat(file.size()).isZero();
        }
    }

    @Test
    void ds06_aRowOfFiftyMegabytes() throws IOException {
        Path path = folder.resolve("rows.jsonl");
        byte[] megabyte = new byte[1 << 20];
        Arrays.fill(megabyte, (byte) 'x');
        try (OutputStream out = Files.newOutputStream(path)) {
            out.write("{\"text\":\"small\"}\n{\"text\":\"".getBytes(StandardCharsets.UTF_8));
            for (int i = 0; i < 50; i++) {
                out.write(megabyte);
            }
            out.write("\"}\n{\"text\":\"last\"}\n".getBytes(StandardCharsets.UTF_8));
        }
        try (DatasetFile file = DatasetFile.open(path)) {
            assertThat(file.size()).isEqualTo(3);
            assertThat(file.row(1).fields().path("text").asString()).hasSize(50 << 20);
            assertThat(file.row(2).fields().path("text").asString()).isEqualTo("last");
        }
    }

    @Test
    void ds08_invalidUtf8NamesTheLineAndTheByte() throws IOException {
        Path path = folder.resolve("rows.jsonl");
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        bytes.writeBytes("{\"text\":\"ok é\"}\n{\"text\":\"é".getBytes(StandardCharsets.UTF_8));
        bytes.write(0xe9); // é in Latin-1
        bytes.writeBytes("\"}\n{\"text\":\"".getBytes(StandardCharsets.UTF_8));
        bytes.writeBytes(new byte[] {(byte) 0xc0, (byte) 0x80}); // an overlong NUL
        bytes.writeBytes("\"}\n{\"text\":\"\0\"}\n{\"text\":\"cut ".getBytes(StandardCharsets.UTF_8));
        bytes.write(0xc3);
        Files.write(path, bytes.toByteArray());
        try (DatasetFile file = DatasetFile.open(path)) {
            DatasetFile.Problems problems = file.problems(10);
            assertThat(problems.messages()).hasSize(4);
            assertThat(problems.messages().get(0)).isEqualTo(path + ":2:11: not valid UTF-8: byte 0xe9");
            assertThat(problems.messages().get(1)).isEqualTo(path + ":3:10: not valid UTF-8: byte 0xc0");
            assertThat(problems.messages().get(2)).startsWith(path + ":4:");
            assertThat(problems.messages().get(3)).isEqualTo(path + ":5:14: not valid UTF-8: byte 0xc3");
        }
    }

    @Test
    void ds08_utf16AndGzipUnderAnotherName() throws IOException {
        Path utf16 = folder.resolve("rows.jsonl");
        Files.write(utf16, "{\"text\":\"a\"}".getBytes(StandardCharsets.UTF_16));
        assertThatThrownBy(() -> open(utf16)).hasMessageContaining("is UTF-16");
        Path gzip = folder.resolve("packed.jsonl");
        Files.write(gzip, gzip("{}"));
        assertThatThrownBy(() -> open(gzip)).hasMessageContaining("is gzipped");
    }

    @Test
    void ds09_aFileThatChangedIsNamedAndRefused() throws IOException {
        Path path = write("rows.jsonl", "{\"text\":\"a\"}\n{\"text\":\"b\"}\n");
        String recorded;
        try (DatasetFile file = DatasetFile.open(path)) {
            recorded = file.sha256();
            file.requireSha256(recorded);
            file.requireUnchanged();
            Files.writeString(path, "{\"text\":\"a\"}\n");
            Files.setLastModifiedTime(path, FileTime.fromMillis(1));
            assertThatThrownBy(file::requireUnchanged)
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("was changed");
            assertThatThrownBy(() -> file.row(1)).isInstanceOf(BadInput.class).hasMessageContaining("became shorter");
        }
        try (DatasetFile file = DatasetFile.open(path)) {
            assertThatThrownBy(() -> file.requireSha256(recorded))
                    .isInstanceOf(BadInput.class)
                    .hasMessageStartingWith(path + ": not the file this run was started with")
                    .hasMessageContaining(recorded);
        }
    }

    @Test
    void ds10_gzipIsReadAndItsOwnBytesAreHashed() throws Exception {
        Path path = folder.resolve("rows.jsonl.gz");
        byte[] packed = gzip("{\"text\":\"a\"}\n{\"text\":\"b\"}\n");
        Files.write(path, packed);
        try (DatasetFile file = DatasetFile.open(path)) {
            assertThat(texts(file)).containsExactly("a", "b");
            assertThat(file.sha256())
                    .isEqualTo(java.util.HexFormat.of()
                            .formatHex(java.security.MessageDigest.getInstance("SHA-256")
                                    .digest(packed)));
        }
    }

    @Test
    void ds10_gzipThatIsCutOrIsNoneIsRefused() throws IOException {
        byte[] packed = gzip("{\"text\":\"" + "abc".repeat(1000) + "\"}\n");
        Path path = folder.resolve("rows.jsonl.gz");
        for (byte[] bad : new byte[][] {
            new byte[0],
            Arrays.copyOf(packed, packed.length / 2),
            Arrays.copyOf(packed, packed.length - 3),
            "{}".getBytes(StandardCharsets.UTF_8)
        }) {
            Files.write(path, bad);
            assertThatThrownBy(() -> open(path))
                    .isInstanceOf(BadInput.class)
                    .hasMessageStartingWith(path + ": not a whole gzip file");
        }
    }

    @Test
    void ds10_aDecompressionBombIsRefusedEarly() throws IOException {
        Path path = folder.resolve("rows.jsonl.gz");
        try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(path))) {
            byte[] zeros = new byte[1 << 20];
            for (int i = 0; i < 200; i++) {
                out.write(zeros);
            }
        }
        assertThatThrownBy(() -> open(path)).isInstanceOf(BadInput.class).hasMessageContaining("decompression bomb");
    }

    @Test
    void whatIsNoDatasetSaysSo() {
        assertThatThrownBy(() -> open(folder.resolve("none.jsonl"))).hasMessageEndingWith("no such file");
        assertThatThrownBy(() -> open(folder)).hasMessageEndingWith("not a regular file");
        assertThatThrownBy(() -> open(write("rows.parquet", "PAR1"))).hasMessageContaining("Expected .jsonl");
    }

    @Test
    void slicesAreHuggingFaces() {
        StringBuilder rows = new StringBuilder();
        for (int i = 0; i < 10; i++) {
            rows.append("{\"text\":\"").append(i).append("\"}\n");
        }
        Path path = write("rows.jsonl", rows.toString());
        assertThat(sliced(path + "")).hasSize(10);
        assertThat(sliced(path + "[:3]")).containsExactly("0", "1", "2");
        assertThat(sliced(path + "[-2:]")).containsExactly("8", "9");
        assertThat(sliced(path + "[4:6]")).containsExactly("4", "5");
        assertThat(sliced(path + "[:-8]")).containsExactly("0", "1");
        assertThat(sliced(path + "[80%:]")).containsExactly("8", "9");
        assertThat(sliced(path + "[-10%:]")).containsExactly("9");
        try (DatasetFile last = DatasetFile.open(path + "[-2:]")) {
            assertThat(last.source(0)).isEqualTo(path + ":9");
        }
        for (String bad : new String[] {"[:11]", "[-11:]", "[5:5]", "[6:2]", "[:0]", "[11:]"}) {
            assertThatThrownBy(() -> sliced(path + bad))
                    .as(bad)
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("slice");
        }
        assertThatThrownBy(() -> sliced(path + "[x:]")).hasMessageContaining("FILE[:1000]");
        assertThatCode(() -> open(write("odd[1:2].jsonl", "{}"))).doesNotThrowAnyException();
    }

    private static void open(Path path) {
        DatasetFile.open(path).close();
    }

    private static String[] sliced(String text) {
        try (DatasetFile file = DatasetFile.open(text)) {
            return texts(file);
        }
    }

    private static String[] texts(DatasetFile file) {
        String[] texts = new String[file.size()];
        for (int i = 0; i < texts.length; i++) {
            texts[i] = file.row(i).fields().path("text").asString();
        }
        return texts;
    }

    private static byte[] gzip(String text) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (OutputStream out = new GZIPOutputStream(bytes)) {
            out.write(text.getBytes(StandardCharsets.UTF_8));
        }
        return bytes.toByteArray();
    }

    private Path write(String name, String text) {
        try {
            return Files.writeString(folder.resolve(name), text);
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }
}
