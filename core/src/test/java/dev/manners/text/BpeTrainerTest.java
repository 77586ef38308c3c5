package dev.manners.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.manners.files.Json;
import dev.manners.testing.Tiny;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/// Vocabularies learned here against the definition, counted anew for every merge, and against the library that uses
/// them.
class BpeTrainerTest {

    private static final Pattern WORDS = Pattern.compile(
            "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
            Pattern.UNICODE_CHARACTER_CLASS);

    private static List<List<String>> merges(JsonNode json) {
        return json.path("model")
                .path("merges")
                .valueStream()
                .map(m -> List.of(m.path(0).stringValue(), m.path(1).stringValue()))
                .toList();
    }

    private static Map<String, Integer> vocab(JsonNode json) {
        Map<String, Integer> vocab = new LinkedHashMap<>();
        json.path("model")
                .path("vocab")
                .properties()
                .forEach(e -> vocab.put(e.getKey(), e.getValue().intValue()));
        return vocab;
    }

    /// GPT-2's letters for a word's bytes, one by one.
    private static List<String> letters(String word) {
        List<String> letters = new ArrayList<>();
        for (byte signed : word.getBytes(StandardCharsets.UTF_8)) {
            int b = signed & 0xFF;
            int before = (int) IntStream.range(0, b)
                    .filter(i -> !(i >= 33 && i <= 126 || i >= 161 && i <= 172 || i >= 174))
                    .count();
            boolean printable = b >= 33 && b <= 126 || b >= 161 && b <= 172 || b >= 174;
            letters.add(String.valueOf((char) (printable ? b : 256 + before)));
        }
        return letters;
    }

    private static List<String> apply(List<String> word, List<String> pair) {
        List<String> merged = new ArrayList<>();
        for (int i = 0; i < word.size(); i++) {
            if (i + 1 < word.size()
                    && word.get(i).equals(pair.get(0))
                    && word.get(i + 1).equals(pair.get(1))) {
                merged.add(pair.get(0) + pair.get(1));
                i++;
            } else {
                merged.add(word.get(i));
            }
        }
        return merged;
    }

    @Test
    void learnsTheMostFrequentPairEveryTime() {
        List<String> texts = Tiny.corpus(3);
        JsonNode json = BpeTrainer.train(texts, 380, Tiny.SPECIAL);
        Map<String, Integer> idOf = vocab(json);
        List<List<String>> learned = merges(json);
        Map<List<String>, Integer> words = new LinkedHashMap<>();
        for (String text : texts) {
            Matcher matcher = WORDS.matcher(text);
            while (matcher.find()) {
                words.merge(letters(matcher.group()), 1, Integer::sum);
            }
        }
        for (List<String> merge : learned) {
            Map<List<String>, Integer> counts = new HashMap<>();
            words.forEach((word, count) -> {
                for (int i = 0; i + 1 < word.size(); i++) {
                    counts.merge(List.of(word.get(i), word.get(i + 1)), count, Integer::sum);
                }
            });
            int most = Collections.max(counts.values());
            List<String> expected = counts.entrySet().stream()
                    .filter(e -> e.getValue() == most)
                    .map(Map.Entry::getKey)
                    .min(Comparator.comparingInt((List<String> pair) -> idOf.getOrDefault(pair.get(0), -1))
                            .thenComparingInt(pair -> idOf.getOrDefault(pair.get(1), -1)))
                    .orElseThrow();
            assertThat(merge).isEqualTo(expected);
            Map<List<String>, Integer> next = new LinkedHashMap<>();
            words.forEach((word, count) -> next.merge(apply(word, merge), count, Integer::sum));
            words.clear();
            words.putAll(next);
        }
        assertThat(learned.size()).isGreaterThan(100);
    }

    @Test
    void isDeterministicAndDoesNotDependOnTheOrderOfTexts() {
        List<String> texts = new ArrayList<>(Tiny.corpus(4));
        String once = Json.pretty(BpeTrainer.train(texts, 400, Tiny.SPECIAL));
        Collections.shuffle(texts, new Random(5));
        assertThat(Json.pretty(BpeTrainer.train(texts, 400, Tiny.SPECIAL))).isEqualTo(once);
    }

    @Test
    void vocabularySizeIsHonoured() {
        for (int size : new int[] {260, 261, 300, 420}) {
            JsonNode json = BpeTrainer.train(Tiny.corpus(1), size, Tiny.SPECIAL);
            assertThat(vocab(json)).hasSize(size);
            assertThat(merges(json)).hasSize(size - 260);
            assertThat(new TreeSet<>(vocab(json).values()).last()).isEqualTo(size - 1);
        }
        // Texts that repeat nothing teach nothing.
        assertThat(vocab(BpeTrainer.train(List.of("abc"), 300, Tiny.SPECIAL))).hasSize(260);
        assertThatThrownBy(() -> BpeTrainer.train(List.of(), 259, Tiny.SPECIAL))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("at least 260");
        assertThatThrownBy(() -> BpeTrainer.train(List.of(), 300, List.of("<s>", "<s>")))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("must differ");
    }

    /// A corpus full of a special token's name does not teach that name: content would become control.
    @Test
    void tk08_neverLearnsASpecialTokensSpelling() {
        List<String> special = List.of("EOS", "<|im_end|>");
        JsonNode json = BpeTrainer.train(List.of("EOS EOS xEOS EOSy <|im_end|> ".repeat(50)), 400, special);
        try (Tokenizer tokenizer = Tokenizer.of(json, Json.MAPPER.createObjectNode(), null)) {
            assertThat(tokenizer.id("EOS")).hasValue(0);
            for (String text : List.of("EOS", " EOS", "xEOSy", "<|im_end|>")) {
                assertThat(tokenizer.encode(text)).doesNotContain(0, 1);
                assertThat(tokenizer.decode(tokenizer.encode(text), true)).isEqualTo(text);
            }
        }
    }

    @Test
    void theLibraryEncodesAsTheMergesSay() {
        List<String> texts = new ArrayList<>(Tiny.corpus(7));
        texts.addAll(Tiny.corpus(8).stream()
                .map(t -> t.replace('e', 'x').replace(" ", "  "))
                .toList());
        assertEncodesAsTheMergesSay(Tiny.tokenizerJson(), texts);
        // Words of three letters, in which every pair overlaps others.
        List<String> dense = new ArrayList<>();
        Random random = new Random(6);
        for (int i = 0; i < 1000; i++) {
            StringBuilder word = new StringBuilder();
            for (int n = 2 + random.nextInt(8); n > 0; n--) {
                word.append("abc".charAt(random.nextInt(3)));
            }
            dense.add(word.toString());
        }
        assertEncodesAsTheMergesSay(BpeTrainer.train(dense, 500, List.of()), dense.subList(0, 300));
    }

    private static void assertEncodesAsTheMergesSay(JsonNode json, List<String> texts) {
        Map<String, Integer> vocab = vocab(json);
        List<List<String>> merges = merges(json);
        try (Tokenizer tokenizer = Tokenizer.of(json, Json.MAPPER.createObjectNode(), null)) {
            for (String text : texts) {
                List<Integer> expected = new ArrayList<>();
                Matcher matcher = WORDS.matcher(text);
                while (matcher.find()) {
                    List<String> word = letters(matcher.group());
                    // The earliest learned pair that occurs, until none does.
                    for (int m = 0; m < merges.size(); ) {
                        List<String> merged = apply(word, merges.get(m));
                        m = merged.size() < word.size() ? 0 : m + 1;
                        word = merged;
                    }
                    word.forEach(piece -> expected.add(vocab.getOrDefault(piece, -1)));
                }
                assertThat(tokenizer.encode(text))
                        .as(text)
                        .isEqualTo(expected.stream().mapToInt(i -> i).toArray());
                assertThat(tokenizer.decode(tokenizer.encode(text), false)).isEqualTo(text);
            }
        }
    }
}
