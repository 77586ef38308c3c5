package dev.manners.data;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.files.Json;
import dev.manners.testing.Shared;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;

/// Rows become the very ids and labels that TRL 1.13 made of them.
class TrlParityTest {

    @TempDir
    Path folder;

    /// Ids and labels of whole reference runs, and the token counts that their logs report.
    @ParameterizedTest
    @ValueSource(
            strings = {"assistant_only_multiturn", "completion_only", "full_sequence", "packed_bfd", "packed_wrapped"})
    void referenceRunsSeeTheSameTokens(String name) throws IOException {
        Path golden = Shared.path("goldens/sft/" + name);
        JsonNode expected = Json.readObject(golden.resolve("expected.json"));
        JsonNode trl = resource("trl-goldens.json").path(name);
        Tokenisation options = options(expected.path("config"));
        try (GoldenEncoder encoder = new GoldenEncoder(golden.resolve("model"));
                DatasetFile file = DatasetFile.open(golden.resolve("data.jsonl"));
                Tokenised rows = Tokenised.of(file, encoder, options, folder, done -> {})) {
            Packing packing = rows.packing();
            List<int[]> ids = new ArrayList<>();
            List<int[]> labels = new ArrayList<>();
            for (int i = 0; i < packing.size(); i++) {
                Labelled sequence = labelled(rows, packing, i);
                ids.add(sequence.ids());
                labels.add(sequence.labels());
            }
            assertThat(ids).hasSize(trl.path("rows").asInt());
            assertThat(digest(ids)).isEqualTo(trl.path("ids_sha256").asString());
            assertThat(digest(labels)).isEqualTo(trl.path("labels_sha256").asString());

            Sampler sampler = new Sampler(packing.size(), 4, 2, 1, Sampler.Order.SEQUENTIAL, 42);
            long numTokens = 0;
            for (JsonNode logged : expected.path("log")) {
                if (!logged.has("num_tokens")) {
                    continue;
                }
                int step = logged.path("step").asInt();
                for (int[] batch : sampler.step(step - 1, 0)) {
                    for (int sequence : batch) {
                        numTokens += packing.read(rows, sequence).length();
                    }
                }
                assertThat((double) numTokens)
                        .isEqualTo(logged.path("num_tokens").asDouble());
                assertThat(sampler.epoch(step)).isEqualTo(logged.path("epoch").asDouble());
            }
            assertThat(numTokens).isPositive();
        }
    }

    /// Every kind of row, both ends of truncation, both masks and every packing, on rows made for it.
    @TestFactory
    Stream<DynamicTest> everyKindOfRow() throws IOException {
        Path model = Shared.path("goldens/sft/full_sequence/model");
        return resource("trl-rows.json")
                .valueStream()
                .map(test -> DynamicTest.dynamicTest(test.path("name").asString(), () -> sameExamples(model, test)));
    }

    private void sameExamples(Path model, JsonNode test) throws IOException {
        Path data = Files.createTempFile(folder, "rows", ".jsonl");
        Files.writeString(
                data,
                String.join(
                        "\n",
                        test.path("rows").valueStream().map(JsonNode::toString).toList()));
        try (GoldenEncoder encoder = new GoldenEncoder(model);
                DatasetFile file = DatasetFile.open(data);
                Tokenised rows = Tokenised.of(file, encoder, options(test.path("config")), folder, done -> {})) {
            Packing packing = rows.packing();
            JsonNode examples = test.path("examples");
            assertThat(packing.size()).isEqualTo(examples.size());
            for (int i = 0; i < packing.size(); i++) {
                Labelled sequence = labelled(rows, packing, i);
                JsonNode example = examples.get(i);
                assertThat(sequence.ids()).isEqualTo(ints(example.path("ids")));
                assertThat(sequence.labels()).isEqualTo(ints(example.path("labels")));
                if (example.has("seq_lengths")) {
                    assertThat(packing.read(rows, i).lengths()).isEqualTo(ints(example.path("seq_lengths")));
                }
            }
        }
    }

    /// Ids and labels as TRL keeps them: the first token of a document has its label, though no loss.
    @SuppressWarnings("ArrayRecordComponent")
    private record Labelled(int[] ids, int[] labels) {}

    private static Labelled labelled(Tokenised rows, Packing packing, int i) {
        Packed packed = packing.read(rows, i);
        int[] labels = new int[packed.length()];
        int at = 0;
        for (Packing.Piece piece : packing.pieces(i)) {
            Example example = rows.get(piece.example());
            for (int k = 0; k < piece.length(); k++, at++) {
                int from = piece.from() + k;
                labels[at] = example.trained()[from] ? example.ids()[from] : -100;
                assertThat(packed.ids()[at]).isEqualTo(example.ids()[from]);
            }
        }
        return new Labelled(packed.ids(), labels);
    }

    static Tokenisation options(JsonNode config) {
        Packing.Strategy packing = config.path("packing").asBoolean(false)
                ? Packing.Strategy.valueOf(
                        config.path("packing_strategy").asString().toUpperCase(java.util.Locale.ROOT))
                : Packing.Strategy.NONE;
        return Tokenisation.DEFAULT
                .withMaxLength(config.path("max_length").asInt())
                .withTruncation(
                        config.path("truncation_mode").asString("keep_start").equals("keep_end")
                                ? Tokenisation.Truncation.KEEP_END
                                : Tokenisation.Truncation.KEEP_START)
                .withPacking(packing)
                .withCompletionOnlyLoss(
                        config.has("completion_only_loss")
                                ? config.path("completion_only_loss").asBoolean()
                                : null)
                .withAssistantOnlyLoss(config.path("assistant_only_loss").asBoolean(false));
    }

    static JsonNode resource(String name) throws IOException {
        try (var in = Objects.requireNonNull(TrlParityTest.class.getResourceAsStream(name), name)) {
            return Json.MAPPER.readTree(in.readAllBytes());
        }
    }

    static int[] ints(JsonNode array) {
        return ((ArrayNode) array).valueStream().mapToInt(JsonNode::asInt).toArray();
    }

    private static String digest(List<int[]> lists) {
        MessageDigest digest = DatasetFile.newSha256();
        for (int[] list : lists) {
            ByteBuffer bytes = ByteBuffer.allocate(4 + 4 * list.length).order(ByteOrder.LITTLE_ENDIAN);
            bytes.putInt(list.length);
            for (int value : list) {
                bytes.putInt(value);
            }
            digest.update(bytes.array());
        }
        return HexFormat.of().formatHex(digest.digest());
    }
}
