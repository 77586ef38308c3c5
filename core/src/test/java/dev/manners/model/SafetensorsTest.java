package dev.manners.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.manners.BadInput;
import dev.manners.files.Json;
import dev.manners.model.SafetensorsWriter.Source;
import dev.manners.tensor.DType;
import dev.manners.testing.Shared;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/// Directories, shards, writing, and what the reference implementation wrote.
class SafetensorsTest {

    @TempDir
    Path temp;

    private static Path fixture() {
        return Path.of("src/test/resources/safetensors/reference.safetensors").toAbsolutePath();
    }

    private static Source floats(String name, float... values) {
        return Source.of(name, DType.F32, new long[] {values.length}, MemorySegment.ofArray(values));
    }

    private Path write(String name, Source... sources) {
        Path file = temp.resolve(name);
        SafetensorsWriter.write(file, SafetensorsWriter.PT, List.of(sources));
        return file;
    }

    private void index(Map<String, String> weightMap) throws IOException {
        Files.writeString(
                temp.resolve(Safetensors.INDEX),
                Json.pretty(Map.of("metadata", Map.of("total_size", 8), "weight_map", weightMap)));
    }

    private void refused(String... reasons) {
        assertThatThrownBy(() -> Safetensors.open(temp).close())
                .isInstanceOf(BadInput.class)
                .hasMessageContainingAll(reasons);
    }

    /// Everything of a file again, from the mapped original.
    private static void rewrite(Path from, Path to) {
        try (SafetensorsFile file = SafetensorsFile.open(from)) {
            List<Source> sources = new ArrayList<>();
            for (SafetensorsFile.Entry entry : file.entries().reversed()) {
                sources.add(Source.of(entry.name(), entry.dtype(), entry.shape(), file.data(entry)));
            }
            SafetensorsWriter.write(to, file.metadata(), sources);
        }
    }

    @Test
    void tr19_savedAgainIsWhatTheReferenceWrote() throws IOException {
        Path copy = temp.resolve("copy.safetensors");
        rewrite(fixture(), copy);
        assertThat(copy).hasSameBinaryContentAs(fixture());
        rewrite(copy, temp.resolve("again.safetensors"));
        assertThat(temp.resolve("again.safetensors")).hasSameBinaryContentAs(copy);
    }

    @Test
    void tr19_everyGoldenSavedAgainIsWhatTheReferenceWrote() throws IOException {
        Path copy = temp.resolve("copy.safetensors");
        try (Stream<Path> all = Files.walk(Shared.path("goldens"))) {
            List<Path> files =
                    all.filter(path -> path.toString().endsWith(".safetensors")).toList();
            assertThat(files).hasSizeGreaterThan(20);
            for (Path file : files) {
                rewrite(file, copy);
                assertThat(Files.mismatch(copy, file)).as(file.toString()).isEqualTo(-1);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama", "gpt2", "qwen3_moe"})
    void everyTensorIsWhereTheHeaderPutsIt(String family) throws IOException {
        Path directory = Shared.path("goldens/families/" + family);
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(directory.resolve("model.safetensors")))
                .order(ByteOrder.LITTLE_ENDIAN);
        int headerBytes = Math.toIntExact(bytes.getLong(0));
        ObjectNode header = Json.parseObject(Arrays.copyOfRange(bytes.array(), 8, 8 + headerBytes), family);
        header.remove("__metadata__");
        try (Safetensors model = Safetensors.open(directory)) {
            assertThat(model.names()).containsExactlyInAnyOrderElementsOf(header.propertyNames());
            assertThat(model.files()).containsExactly(directory.resolve("model.safetensors"));
            for (Map.Entry<String, JsonNode> expected : header.properties()) {
                String name = expected.getKey();
                SafetensorsFile.Entry entry = model.entry(name);
                assertThat(entry.dtype().name())
                        .isEqualTo(expected.getValue().path("dtype").asString());
                assertThat(Arrays.toString(entry.shape()).replace(" ", ""))
                        .isEqualTo(expected.getValue().path("shape").toString());
                float[] values = new float[Math.toIntExact(entry.bytes() / 4)];
                model.copyTo(name, MemorySegment.ofArray(values));
                int begin = 8
                        + headerBytes
                        + expected.getValue().path("data_offsets").path(0).intValue();
                float[] wanted = new float[values.length];
                for (int i = 0; i < wanted.length; i++) {
                    wanted[i] = bytes.getFloat(begin + 4 * i);
                }
                assertThat(values).isEqualTo(wanted);
                assertThat(model.data(name).toArray(ValueLayout.JAVA_FLOAT_UNALIGNED))
                        .isEqualTo(wanted);
                assertThat(Safetensors.nonFinite(MemorySegment.ofArray(values), DType.F32))
                        .isZero();
            }
        }
    }

    @Test
    void writesByAlignmentThenNameAndPadsTheHeader() throws IOException {
        Path file = temp.resolve("mixed.safetensors");
        SafetensorsWriter.write(
                file,
                Map.of("b", "2", "a", "1"),
                List.of(
                        Source.of("flag", DType.BOOL, new long[] {1}, MemorySegment.ofArray(new byte[] {1})),
                        Source.of("half", DType.F16, new long[] {1}, MemorySegment.ofArray(new short[] {2})),
                        Source.of("b/\u00fc\"", DType.F32, new long[] {1}, MemorySegment.ofArray(new float[] {3})),
                        Source.of("a", DType.F32, new long[] {1}, MemorySegment.ofArray(new float[] {4})),
                        Source.of("id", DType.I64, new long[] {}, MemorySegment.ofArray(new long[] {5}))));
        byte[] bytes = Files.readAllBytes(file);
        int header = (int) ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong();
        assertThat(header % 8).isZero();
        assertThat(new String(bytes, 8, header, StandardCharsets.UTF_8).stripTrailing())
                .isEqualTo("{\"__metadata__\":{\"a\":\"1\",\"b\":\"2\"},"
                        + "\"id\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
                        + "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]},"
                        + "\"b/\u00fc\\\"\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[12,16]},"
                        + "\"half\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[16,18]},"
                        + "\"flag\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[18,19]}}");
        assertThat(bytes).hasSize(8 + header + 19);
        try (SafetensorsFile again = SafetensorsFile.open(file)) {
            assertThat(again.metadata()).isEqualTo(Map.of("a", "1", "b", "2"));
            assertThat(again.data(again.entries().get(2)).get(ValueLayout.JAVA_FLOAT_UNALIGNED, 0))
                    .isEqualTo(3);
        }
    }

    @Test
    void aSourceThatGivesTheWrongBytesLeavesTheOldFile() throws IOException {
        Path file = write("model.safetensors", floats("a", 1));
        byte[] before = Files.readAllBytes(file);
        Source wrong = Source.of("a", DType.F32, new long[] {2}, MemorySegment.ofArray(new float[3]));
        assertThatThrownBy(() -> SafetensorsWriter.write(file, Map.of(), List.of(wrong)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("needs 8 bytes, was given 12");
        assertThatThrownBy(() -> SafetensorsWriter.write(file, Map.of(), List.of(floats("a", 1), floats("a", 1))))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("taken");
        assertThat(file).hasBinaryContent(before);
        assertThat(temp.toFile().list()).hasSize(1);
    }

    @Test
    void sourcesAreOpenedOneAtATime() {
        List<String> log = new ArrayList<>();
        List<Source> sources = new ArrayList<>();
        for (String name : List.of("b", "a")) {
            sources.add(new Source(name, DType.F32, new long[] {2}, out -> {
                log.add("open " + name);
                out.accept(MemorySegment.ofArray(new float[] {1}));
                out.accept(MemorySegment.ofArray(new float[] {2}));
                log.add("close " + name);
            }));
        }
        SafetensorsWriter.write(temp.resolve("model.safetensors"), Map.of(), sources);
        assertThat(log).containsExactly("open a", "close a", "open b", "close b");
        try (Safetensors model = Safetensors.open(temp)) {
            assertThat(model.data("b").toArray(ValueLayout.JAVA_FLOAT_UNALIGNED))
                    .containsExactly(1, 2);
        }
    }

    @Test
    void mf17_savedOverTheFileThatIsMapped() {
        Path file = write("model.safetensors", floats("a", 1, 2, 3), floats("b", 4, 5, 6));
        try (Safetensors old = Safetensors.open(file)) {
            SafetensorsWriter.write(
                    file,
                    SafetensorsWriter.PT,
                    List.of(
                            new Source("a", DType.F32, new long[] {3}, out -> out.accept(old.data("b"))),
                            new Source("b", DType.F32, new long[] {6}, out -> {
                                out.accept(old.data("a"));
                                out.accept(old.data("b"));
                            })));
            assertThat(old.data("a").toArray(ValueLayout.JAVA_FLOAT_UNALIGNED)).containsExactly(1, 2, 3);
            float[] b = new float[3];
            old.copyTo("b", MemorySegment.ofArray(b));
            assertThat(b).containsExactly(4, 5, 6);
        }
        try (Safetensors saved = Safetensors.open(file)) {
            assertThat(saved.data("a").toArray(ValueLayout.JAVA_FLOAT_UNALIGNED))
                    .containsExactly(4, 5, 6);
            assertThat(saved.data("b").toArray(ValueLayout.JAVA_FLOAT_UNALIGNED))
                    .containsExactly(1, 2, 3, 4, 5, 6);
        }
    }

    @Test
    void mf14_shardsThatAgreeWithTheIndex() throws IOException {
        write("model-00001-of-00002.safetensors", floats("a", 1));
        write("model-00002-of-00002.safetensors", floats("b", 2, 3));
        index(Map.of("a", "model-00001-of-00002.safetensors", "b", "model-00002-of-00002.safetensors"));
        try (Safetensors model = Safetensors.open(temp)) {
            assertThat(model.names()).containsExactly("a", "b");
            assertThat(model.files()).hasSize(2);
            assertThat(model.data("b").toArray(ValueLayout.JAVA_FLOAT_UNALIGNED))
                    .containsExactly(2, 3);
            assertThatThrownBy(() -> model.entry("c"))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("no tensor \"c\"");
        }
    }

    @Test
    void mf14_everyDisagreementAtOnce() throws IOException {
        write("one.safetensors", floats("a", 1), floats("both", 1), floats("extra", 1));
        write("two.safetensors", floats("both", 1));
        Files.writeString(temp.resolve("broken.safetensors"), "broken");
        Map<String, String> weightMap = new HashMap<>(Map.of(
                "a", "one.safetensors",
                "both", "one.safetensors",
                "gone", "two.safetensors",
                "far", "missing.safetensors",
                "passwd", "../../etc/passwd",
                "absolute", "/etc/x.safetensors",
                "up", "..\\x.safetensors",
                "bad", "broken.safetensors",
                "pickle", "model.bin"));
        index(weightMap);
        refused(
                "model.safetensors.index.json: 9 problems",
                "\"passwd\": the shard must be the name of a .safetensors file",
                "\"/etc/x.safetensors\"",
                "\"..\\x.safetensors\"",
                "\"model.bin\"",
                "missing.safetensors: no such file",
                "broken.safetensors: the header is too small",
                "\"both\" is in two shards: one.safetensors and two.safetensors",
                "\"extra\" is in one.safetensors, where the index does not put it",
                "\"gone\" is not in two.safetensors");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{}",
                "[]",
                "{\"weight_map\":{}}",
                "{\"weight_map\":[]}",
                "{\"weight_map\":{\"a\":1}}",
                "{\"weight_map\":{\"a\":null}}",
                "{\"weight_map\":{\"a\":\"x.safetensors\",\"a\":\"x.safetensors\"}}"
            })
    void mf14_indexThatIsNone(String json) throws IOException {
        Files.writeString(temp.resolve(Safetensors.INDEX), json);
        refused(Safetensors.INDEX);
    }

    @Test
    void mf21_picklesAreNotRead() throws IOException {
        refused("is it a model directory?");
        Files.writeString(temp.resolve("pytorch_model.bin"), "would run");
        refused("only pytorch_model.bin", "pickle", "safe_serialization=True");
        assertThatThrownBy(() ->
                        Safetensors.open(temp.resolve("pytorch_model.bin")).close())
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("pickle");
        write("adapter_model.safetensors", floats("a", 1));
        refused("adapter_model.safetensors: give the path");
    }

    @Test
    void aModelInTwoFormsIsNotGuessed() throws IOException {
        write("model.safetensors", floats("a", 1));
        index(Map.of("a", "model.safetensors"));
        refused("has both");
    }
}
