package dev.manners.text;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.files.Json;
import dev.manners.testing.Shared;
import dev.manners.testing.Tiny;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/// Streamed text is made of whole characters, whichever way tokens cut their bytes.
class StreamingDecoderTest {

    private static final long SEED = Long.getLong("tests.seed", 42);

    private static final String TEXT = "é🙂🙃世a👩‍👧ü 𝔘.";

    /// A byte-level tokenizer whose tokens are exactly these strings of bytes, after the 256 single ones.
    private static Tokenizer ofPieces(List<byte[]> pieces, Map<String, Integer> ids) {
        ObjectNode json = (ObjectNode) BpeTrainer.train(List.of(), 257, List.of("<|end|>"));
        ObjectNode vocab = (ObjectNode) json.path("model").path("vocab");
        vocab.properties().forEach(e -> ids.put(e.getKey(), e.getValue().intValue()));
        ArrayNode merges = (ArrayNode) json.path("model").path("merges");
        for (byte[] piece : pieces) {
            String spelled = "";
            for (byte b : piece) {
                String letter = letter(b & 0xFF);
                if (!spelled.isEmpty()) {
                    if (!ids.containsKey(spelled + letter)) {
                        merges.addArray().add(spelled).add(letter);
                    }
                }
                spelled += letter;
                if (!ids.containsKey(spelled)) {
                    vocab.put(spelled, ids.size());
                    ids.put(spelled, ids.size());
                }
            }
        }
        return Tokenizer.of(json, Json.MAPPER.createObjectNode(), null);
    }

    /// GPT-2's letter for a byte.
    private static String letter(int b) {
        int shifted = 0;
        for (int i = 0; i <= b; i++) {
            boolean printable = i >= 33 && i <= 126 || i >= 161 && i <= 172 || i >= 174;
            if (i == b) {
                return String.valueOf((char) (printable ? b : 256 + shifted));
            }
            shifted += printable ? 0 : 1;
        }
        throw new IllegalArgumentException("byte " + b);
    }

    private static String spelled(byte[] bytes) {
        StringBuilder text = new StringBuilder();
        for (byte b : bytes) {
            text.append(letter(b & 0xFF));
        }
        return text.toString();
    }

    /// What the decoder gives for each token, and at the end.
    private static List<String> stream(Tokenizer tokenizer, int[] ids) {
        StreamingDecoder decoder = tokenizer.streamingDecoder(true);
        List<String> given = new ArrayList<>();
        for (int id : ids) {
            given.add(decoder.next(id));
        }
        given.add(decoder.finish());
        return given;
    }

    /// 400 ways to cut the bytes into tokens of 1 to 7: a token may end one character and begin the next, so that no
    /// border of tokens is a border of characters for long.
    @Test
    void tk07_everySplitOfMultiByteText() {
        Random random = new Random(SEED);
        byte[] bytes = TEXT.repeat(3).getBytes(StandardCharsets.UTF_8);
        for (int round = 0; round < 400; round++) {
            int most = 1 + round % 7;
            List<byte[]> pieces = new ArrayList<>();
            for (int at = 0; at < bytes.length; ) {
                int end = Math.min(bytes.length, at + 1 + random.nextInt(most));
                pieces.add(Arrays.copyOfRange(bytes, at, end));
                at = end;
            }
            Map<String, Integer> ids = new HashMap<>();
            try (Tokenizer tokenizer = ofPieces(pieces, ids)) {
                int[] tokens = pieces.stream()
                        .mapToInt(p -> ids.getOrDefault(spelled(p), -1))
                        .toArray();
                List<String> given = stream(tokenizer, tokens);
                assertThat(String.join("", given)).as("round %d", round).isEqualTo(TEXT.repeat(3));
                assertThat(given).noneMatch(s -> s.contains("\uFFFD"));
                // And at once: after each token all of its complete characters are out.
                int count = 0;
                int told = 0;
                for (int i = 0; i < tokens.length; i++) {
                    count += pieces.get(i).length;
                    told += given.get(i).length();
                    assertThat(told).isEqualTo(wholeCharacters(bytes, count));
                }
            }
        }
    }

    /// UTF-16 length of the complete characters among the first bytes.
    private static int wholeCharacters(byte[] bytes, int count) {
        int end = count;
        while (end < bytes.length && end > 0 && (bytes[end] & 0xC0) == 0x80) {
            end--;
        }
        return new String(bytes, 0, end, StandardCharsets.UTF_8).length();
    }

    /// Bytes that never become a character, and characters that are U+FFFD themselves, come out in the end as the whole
    /// decodes: nothing is lost behind them.
    @Test
    void tk07_brokenBytesLoseNothing() {
        Random random = new Random(SEED);
        try (Tokenizer tokenizer = Tiny.tokenizer(null)) {
            int[] broken = tokenizer.encode("ok 🙂\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD");
            assertThat(String.join("", stream(tokenizer, broken)))
                    .isEqualTo("ok 🙂\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD");
            for (int round = 0; round < 300; round++) {
                int[] ids = random.ints(1 + random.nextInt(25), 4, 420).toArray();
                assertThat(String.join("", stream(tokenizer, ids)))
                        .as("seed %d, round %d", SEED, round)
                        .isEqualTo(tokenizer.decode(ids, true));
            }
        }
    }

    /// Bytes as tokens of their own (`<0xF0>`), and a leading space that only the first token loses.
    @Test
    void tk07_byteFallback() {
        try (Tokenizer tokenizer = Tokenizer.load(Shared.path("data/models/stories260K"))) {
            String text = "Once upon 🙂🙃 a é世界 time  x";
            int[] ids = tokenizer.encode(text);
            List<String> given = stream(tokenizer, ids);
            assertThat(String.join("", given)).isEqualTo(text);
            assertThat(given).noneMatch(s -> s.contains("\uFFFD"));
            // A byte is missing: the good text on both sides of it stays.
            int[] holed = Arrays.stream(ids)
                    .filter(id -> !tokenizer.tokenText(id).equals("<0x99>"))
                    .toArray();
            assertThat(holed).hasSizeLessThan(ids.length);
            assertThat(String.join("", stream(tokenizer, holed)))
                    .startsWith("Once upon")
                    .contains("\uFFFD")
                    .endsWith(" a é世界 time  x");
        }
    }
}
