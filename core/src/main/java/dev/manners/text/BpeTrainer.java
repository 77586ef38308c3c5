package dev.manners.text;

import dev.manners.files.Json;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/// Learns a byte-level BPE vocabulary (Sennrich et al. 2016, arXiv:1508.07909; bytes as in GPT-2): again and again the
/// most frequent pair of neighbours becomes one token. Deterministic: of equally frequent pairs the one of the older
/// tokens comes first.
public final class BpeTrainer {

    /// Words as GPT-2 cuts them; merges never cross a word's border.
    private static final Pattern WORDS = Pattern.compile(
            "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
            Pattern.UNICODE_CHARACTER_CLASS);

    private final List<String> spelling = new ArrayList<>();
    private final List<int[]> words = new ArrayList<>();
    private final List<Long> counts = new ArrayList<>();
    private final Map<Pair, Long> pairCounts = new HashMap<>();
    private final Map<Pair, Set<Integer>> pairWords = new HashMap<>();

    private record Pair(int left, int right) {}

    private record Candidate(Pair pair, long count) {}

    private BpeTrainer() {}

    /// @param vocabSize entries in all, special tokens and the 256 bytes among them
    /// @param specialTokens get the ids from 0 on
    /// @return content of tokenizer.json
    public static JsonNode train(Iterable<String> texts, int vocabSize, List<String> specialTokens) {
        int least = specialTokens.size() + 256;
        if (vocabSize < least) {
            throw new IllegalArgumentException("vocabSize must be at least " + least + ", not " + vocabSize);
        }
        if (new HashSet<>(specialTokens).size() < specialTokens.size()
                || specialTokens.stream().anyMatch(token -> token.length() < 2)) {
            throw new IllegalArgumentException(
                    "special tokens must differ and have two characters or more: " + specialTokens);
        }
        return new BpeTrainer().learn(texts, vocabSize, specialTokens);
    }

    private JsonNode learn(Iterable<String> texts, int vocabSize, List<String> specialTokens) {
        spelling.addAll(specialTokens);
        char[] letters = letters();
        List<Integer> bytes = new ArrayList<>();
        for (int b = 0; b < 256; b++) {
            bytes.add(b);
        }
        bytes.sort(Comparator.comparingInt(b -> letters[b]));
        int[] idOfByte = new int[256];
        for (int b : bytes) {
            idOfByte[b] = spelling.size();
            spelling.add(String.valueOf(letters[b]));
        }
        countWords(texts, idOfByte);
        List<Pair> merges = new ArrayList<>();
        PriorityQueue<Candidate> queue = new PriorityQueue<>(Comparator.comparingLong((Candidate c) -> -c.count)
                .thenComparingInt(c -> c.pair.left)
                .thenComparingInt(c -> c.pair.right));
        pairCounts.forEach((pair, count) -> queue.add(new Candidate(pair, count)));
        while (spelling.size() < vocabSize && !queue.isEmpty()) {
            Candidate best = queue.poll();
            long now = pairCounts.getOrDefault(best.pair, 0L);
            if (now != best.count) {
                if (now > 0) {
                    queue.add(new Candidate(best.pair, now));
                }
                continue;
            }
            if (now < 2) {
                break;
            }
            String text = spelling.get(best.pair.left) + spelling.get(best.pair.right);
            if (specialTokens.contains(text)) {
                continue; // Text that spells a special token stays in pieces.
            }
            int made = spelling.size();
            spelling.add(text);
            merges.add(best.pair);
            Set<Pair> touched = new HashSet<>();
            for (int word : List.copyOf(pairWords.getOrDefault(best.pair, Set.of()))) {
                merge(word, best.pair, made, touched);
            }
            touched.forEach(pair -> {
                long count = pairCounts.getOrDefault(pair, 0L);
                if (count > 0) {
                    queue.add(new Candidate(pair, count));
                }
            });
        }
        return json(specialTokens, merges);
    }

    private void countWords(Iterable<String> texts, int[] idOfByte) {
        Map<String, Long> seen = new LinkedHashMap<>();
        for (String text : texts) {
            Matcher matcher = WORDS.matcher(text);
            while (matcher.find()) {
                seen.merge(matcher.group(), 1L, Long::sum);
            }
        }
        seen.forEach((word, count) -> {
            byte[] utf8 = word.getBytes(StandardCharsets.UTF_8);
            int[] ids = new int[utf8.length];
            for (int i = 0; i < ids.length; i++) {
                ids[i] = idOfByte[utf8[i] & 0xFF];
            }
            words.add(ids);
            counts.add(count);
            add(words.size() - 1, ids, count);
        });
    }

    private void add(int word, int[] ids, long count) {
        for (int i = 0; i + 1 < ids.length; i++) {
            Pair pair = new Pair(ids[i], ids[i + 1]);
            pairCounts.merge(pair, count, Long::sum);
            pairWords.computeIfAbsent(pair, p -> new HashSet<>()).add(word);
        }
    }

    private void merge(int word, Pair pair, int made, Set<Pair> touched) {
        int[] ids = words.get(word);
        long count = counts.get(word);
        for (int i = 0; i + 1 < ids.length; i++) {
            Pair old = new Pair(ids[i], ids[i + 1]);
            pairCounts.merge(old, -count, Long::sum);
            pairWords.getOrDefault(old, new HashSet<>()).remove(word);
            touched.add(old);
        }
        int[] merged = new int[ids.length];
        int n = 0;
        for (int i = 0; i < ids.length; i++) {
            if (i + 1 < ids.length && ids[i] == pair.left && ids[i + 1] == pair.right) {
                merged[n++] = made;
                i++;
            } else {
                merged[n++] = ids[i];
            }
        }
        int[] shorter = java.util.Arrays.copyOf(merged, n);
        words.set(word, shorter);
        add(word, shorter, count);
        for (int i = 0; i + 1 < n; i++) {
            touched.add(new Pair(shorter[i], shorter[i + 1]));
        }
    }

    /// The printable letter that stands for each byte, as GPT-2 chose them.
    private static char[] letters() {
        char[] letters = new char[256];
        int next = 256;
        for (int b = 0; b < 256; b++) {
            boolean printable = b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE;
            letters[b] = (char) (printable ? b : next++);
        }
        return letters;
    }

    private JsonNode json(List<String> specialTokens, List<Pair> merges) {
        ObjectNode root = Json.MAPPER.createObjectNode();
        root.put("version", "1.0");
        root.putNull("truncation");
        root.putNull("padding");
        ArrayNode added = root.putArray("added_tokens");
        for (int i = 0; i < specialTokens.size(); i++) {
            added.addObject()
                    .put("id", i)
                    .put("content", specialTokens.get(i))
                    .put("single_word", false)
                    .put("lstrip", false)
                    .put("rstrip", false)
                    .put("normalized", false)
                    .put("special", true);
        }
        root.putNull("normalizer");
        ObjectNode byteLevel = Json.MAPPER.createObjectNode();
        byteLevel
                .put("type", "ByteLevel")
                .put("add_prefix_space", false)
                .put("trim_offsets", true)
                .put("use_regex", true);
        root.set("pre_tokenizer", byteLevel);
        root.putNull("post_processor");
        root.set("decoder", byteLevel.deepCopy());
        ObjectNode model = root.putObject("model");
        model.put("type", "BPE");
        model.putNull("dropout");
        model.putNull("unk_token");
        model.putNull("continuing_subword_prefix");
        model.putNull("end_of_word_suffix");
        model.put("fuse_unk", false).put("byte_fallback", false).put("ignore_merges", false);
        ObjectNode vocab = model.putObject("vocab");
        for (int id = 0; id < spelling.size(); id++) {
            vocab.put(spelling.get(id), id);
        }
        ArrayNode pairs = model.putArray("merges");
        merges.forEach(m -> pairs.addArray().add(spelling.get(m.left)).add(spelling.get(m.right)));
        return root;
    }
}
