package dev.manners.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.manners.BadInput;
import dev.manners.files.Json;
import dev.manners.testing.Tiny;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/// Damaged tokenizer.json files, each one edit away from a sound one.
class TokenizerJsonTest {

    @TempDir
    Path folder;

    private static ObjectNode sound() {
        return (ObjectNode) Tiny.tokenizerJson();
    }

    private Tokenizer load(String text) throws Exception {
        Files.writeString(folder.resolve("tokenizer.json"), text);
        return Tokenizer.load(folder);
    }

    private void assertRefused(Consumer<ObjectNode> damage, String... said) throws Exception {
        ObjectNode json = sound();
        damage.accept(json);
        assertThatThrownBy(() -> load(Json.pretty(json)))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining(folder.resolve("tokenizer.json").toString())
                .hasMessageContainingAll(said);
    }

    private static ObjectNode vocab(ObjectNode json) {
        return (ObjectNode) json.path("model").path("vocab");
    }

    @Test
    void theSoundOneLoads() throws Exception {
        try (Tokenizer tokenizer = load(Json.pretty(sound()))) {
            assertThat(tokenizer.vocabSize()).isEqualTo(420);
            assertThat(tokenizer.decode(tokenizer.encode("there, naïve 世界"), false))
                    .isEqualTo("there, naïve 世界");
        }
    }

    /// Line and column of where the text stops making sense.
    @ParameterizedTest
    @CsvSource(
            delimiter = '#',
            quoteCharacter = '`',
            value = {
                "`{\"model\":` # :1:10: not valid JSON",
                "`{\"model\": {},\n \"model\": {}}` # :2:",
                "`{} x` # :1:",
                "`[1]` # expected a JSON object",
                "`` # expected a JSON object"
            })
    void tk01_badJson(String text, String said) {
        assertThatThrownBy(() -> load(text))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("tokenizer.json:")
                .hasMessageContaining(said);
    }

    @Test
    void tk01_cutShortAtEveryLength() throws Exception {
        String whole = Json.MAPPER.writeValueAsString(sound());
        for (int length = 0; length < whole.length(); length += 97) {
            String cut = whole.substring(0, length);
            assertThatThrownBy(() -> load(cut)).as("%d characters", length).isInstanceOf(BadInput.class);
        }
    }

    @Test
    void tk01_duplicateIdsAreCounted() throws Exception {
        // 300 and 301 taken twice: by the entries that had 310 and 311.
        assertRefused(
                json -> {
                    TokenizerJson names = TokenizerJson.check(Json.MAPPER.writeValueAsBytes(json), "test");
                    vocab(json).put(names.spelling(310), 300).put(names.spelling(311), 301);
                },
                "id 300 belongs to",
                "2 ids are taken twice");
    }

    @Test
    void tk01_negativeAndFractionalAndHugeIdsAreCounted() throws Exception {
        assertRefused(
                json -> vocab(json)
                        .put("x-negative", -1)
                        .put("x-fraction", 7.5)
                        .put("x-huge", 1L << 40)
                        .put("x-text", "7"),
                "\"x-negative\" has id -1, expected a whole number, 0 or more",
                "4 invalid ids in all");
    }

    @Test
    void tk01_aVocabularyOfHolesIsRefusedWithCounts() throws Exception {
        assertRefused(json -> vocab(json).put("far", 100_000), "421 entries", "99580 ids have no entry");
        // Unused ids at the end of the range are common in real ones: padding to a round size.
        ObjectNode padded = sound();
        vocab(padded).put("near", 500);
        try (Tokenizer tokenizer = load(Json.pretty(padded))) {
            assertThat(tokenizer.vocabSize()).isEqualTo(501);
            assertThat(tokenizer.tokenText(450)).isEqualTo("<id 450>");
        }
    }

    @Test
    void tk01_addedTokensThatContradictTheVocabulary() throws Exception {
        assertRefused(
                json -> ((ObjectNode) json.path("added_tokens").path(1)).put("id", 9),
                "added_tokens: id 9 of \"<|endoftext|>\" belongs to",
                "\"<|endoftext|>\" has id 9, the vocabulary gives it 1");
        assertRefused(
                json -> ((ArrayNode) json.path("added_tokens"))
                        .addObject()
                        .put("content", "<x>")
                        .put("id", -3),
                "expected a content and an id, 0 or more");
        assertRefused(json -> json.remove("model"), "model is missing", "model.vocab is missing or empty");
        assertRefused(json -> ((ObjectNode) json.path("model")).putObject("vocab"), "vocab is missing or empty");
    }

    /// The library would number them anew without a word, and every id in the dataset would be another token's.
    @Test
    void tk01_addedTokensBehindAGapAreRefusedWithCounts() throws Exception {
        ObjectNode json = sound();
        ArrayNode added = (ArrayNode) json.path("added_tokens");
        for (int id : new int[] {430, 431, 432}) {
            ObjectNode token = (ObjectNode) added.get(0).deepCopy();
            added.add(token.put("id", id).put("content", "<x" + id + ">"));
        }
        assertThatThrownBy(() -> load(Json.pretty(json)))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("3 of 7 added_tokens leave a gap behind the vocabulary")
                .hasMessageContaining("\"<x430>\" has id 430, the tokenizer library makes it 420");
        // Listed in the vocabulary they are what the file says, gap or not.
        for (int id : new int[] {430, 431, 432}) {
            vocab(json).put("<x" + id + ">", id);
        }
        try (Tokenizer tokenizer = load(Json.pretty(json))) {
            assertThat(tokenizer.encodeParsed("a<x431>")).endsWith(431);
        }
    }

    /// Runs of spaces as added tokens are text, and keep their ids when the control tokens beside them are taken out.
    @Test
    void tk01_blankAddedTokensKeepTheirIdsInContent() throws Exception {
        ObjectNode json = sound();
        ArrayNode added = (ArrayNode) json.path("added_tokens");
        int id = 420;
        for (String content : List.of("<tool>", "   ", "    ", "     ")) {
            ObjectNode token = (ObjectNode) added.get(0).deepCopy();
            added.add(token.put("id", id++).put("content", content).put("special", false));
        }
        try (Tokenizer tokenizer = load(Json.pretty(json))) {
            for (String text : List.of("a   b", "a    b", "a     b", "x     ")) {
                assertThat(tokenizer.encode(text)).isEqualTo(tokenizer.encodeParsed(text));
                assertThat(tokenizer.decode(tokenizer.encode(text), false)).isEqualTo(text);
            }
            assertThat(tokenizer.encode("a    b")).contains(422);
        }
    }

    @Test
    void tk02_mergesOfAbsentTokensAreCounted() throws Exception {
        assertRefused(
                json -> {
                    ArrayNode merges = (ArrayNode) json.path("model").path("merges");
                    merges.addArray().add("zz").add("q");
                    merges.add("t qqq");
                },
                "\"zz\", \"q\" and \"zzq\" must all be in the vocabulary",
                "2 of ");
    }

    /// Old files spell a pair as one text; the ids are the same.
    @Test
    void tk02_bothSpellingsOfMergesGiveTheSameIds() throws Exception {
        ObjectNode old = sound();
        ArrayNode merges = (ArrayNode) old.path("model").path("merges");
        List<String> spelled = merges.valueStream()
                .map(pair -> pair.path(0).stringValue() + " " + pair.path(1).stringValue())
                .toList();
        merges.removeAll();
        spelled.forEach(merges::add);
        try (Tokenizer pairs = Tiny.tokenizer(null);
                Tokenizer texts = load(Json.pretty(old))) {
            for (String text : Tiny.corpus(9)) {
                assertThat(texts.encode(text)).isEqualTo(pairs.encode(text));
            }
        }
    }

    @ParameterizedTest
    @CsvSource({
        "normalizer, normalizers",
        "pre_tokenizer, pretokenizers",
        "post_processor, processors",
        "decoder, decoders",
        "model, "
    })
    void tk03_unknownComponentsAreNamed(String part, String list) throws Exception {
        Map<String, String> unknown = Map.of("type", "Quantum");
        if (!part.equals("model")) {
            assertRefused(
                    json -> json.putPOJO(part, unknown), part + ": unsupported component \"Quantum\"; supported are");
            assertRefused(
                    json -> json.putPOJO(
                            part,
                            Map.of(
                                    "type",
                                    "Sequence",
                                    list,
                                    List.of(Map.of("type", "Sequence", list, List.of(unknown, unknown))))),
                    part + "." + list + "[0]." + list + "[1]: unsupported component \"Quantum\"");
            // A component without a type is unknown too.
            assertRefused(json -> json.putObject(part).put("typ", "NFC"), part + ": unsupported component \"\"");
        } else {
            assertRefused(
                    json -> ((ObjectNode) json.path("model")).put("type", "Quantum"),
                    "model: unsupported component \"Quantum\"; supported are [BPE, Unigram, WordLevel, WordPiece]");
        }
    }

    /// What this project's list lets through and the library does not know is the library's to refuse: a pattern, say.
    @Test
    void tk03_whatTheLibraryDoesNotKnowIsRefusedToo() throws Exception {
        ObjectNode json = sound();
        json.putObject("normalizer").put("type", "Replace").put("pattern", 3);
        assertThatThrownBy(() -> load(Json.pretty(json)))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("tokenizer.json: the tokenizer library refuses it");
    }
}
