package dev.manners.text;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.files.Json;
import dev.manners.testing.Shared;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/// Token ids are those of the Rust library, on every reference text.
class GoldenTokenizersTest {

    @Test
    void goldenTokenizerParsesSpecialTokens() throws IOException {
        Path directory = Shared.path("goldens/tokenizer");
        JsonNode cases = Json.MAPPER.readTree(Files.readAllBytes(directory.resolve("expected.json")));
        try (Tokenizer tokenizer = Tokenizer.load(directory)) {
            for (JsonNode one : cases) {
                String text = one.get("text").stringValue();
                assertThat(tokenizer.encodeParsed(text)).as(text).isEqualTo(ints(one.get("ids")));
            }
            assertThat(cases.size()).isPositive();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"gpt2", "gpt_neox"})
    void realTokenizers(String name) throws IOException {
        Path directory = Shared.path("data/tokenizers/" + name);
        List<String> wrong = new ArrayList<>();
        int count = 0;
        try (Tokenizer tokenizer = Tokenizer.load(directory)) {
            for (String line : Files.readAllLines(directory.resolve("expected.jsonl"))) {
                JsonNode one = Json.MAPPER.readTree(line);
                String text = one.get("text").stringValue();
                int[] wanted = ints(one.get("ids"));
                count++;
                if (!Arrays.equals(tokenizer.encodeParsed(text), wanted)) {
                    wrong.add("parsed: " + text);
                }
                boolean control = Arrays.stream(wanted)
                        .anyMatch(id -> tokenizer.controlIds().contains(id)
                                && !tokenizer.tokenText(id).isBlank());
                if (!control && !Arrays.equals(tokenizer.encode(text), wanted)) {
                    wrong.add("content: " + text);
                }
                if (control) {
                    assertThat(tokenizer.decode(tokenizer.encode(text), true)).isEqualTo(text);
                }
            }
        }
        assertThat(wrong).isEmpty();
        assertThat(count).isEqualTo(290);
    }

    @Test
    void stories260K() throws IOException {
        Path directory = Shared.path("data/models/stories260K");
        List<String> wrong = new ArrayList<>();
        try (Tokenizer tokenizer = Tokenizer.load(directory)) {
            for (String line : Files.readAllLines(directory.resolve("tokenizer_expected.jsonl"))) {
                JsonNode one = Json.MAPPER.readTree(line);
                String text = one.get("text").stringValue();
                if (!Arrays.equals(tokenizer.encodeParsed(text), ints(one.get("ids")))) {
                    wrong.add("parsed: " + text);
                }
                if (text.contains("<unk>")) {
                    // The reference parses it; content never becomes a control token.
                    assertThat(tokenizer.encode(text)).isNotEqualTo(ints(one.get("ids")));
                    continue;
                }
                if (!Arrays.equals(tokenizer.encode(text), ints(one.get("ids")))) {
                    wrong.add("content: " + text);
                }
                if (!Arrays.equals(tokenizer.encodeWithSpecial(text), ints(one.get("ids_with_special")))) {
                    wrong.add("with special: " + text);
                }
                if (!Arrays.equals(tokenizer.encodeContentWithSpecial(text), ints(one.get("ids_with_special")))) {
                    wrong.add("content with special: " + text);
                }
            }
        }
        assertThat(wrong).isEmpty();
    }

    private static int[] ints(JsonNode array) {
        int[] values = new int[array.size()];
        for (int i = 0; i < values.length; i++) {
            values[i] = array.get(i).intValue();
        }
        return values;
    }
}
