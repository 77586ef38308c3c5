package dev.manners.text;

import dev.manners.BadInput;
import dev.manners.files.Json;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/// What tokenizer.json says, checked before the library sees it.
///
/// @param idOf vocabulary and added tokens; `added` only the latter
record TokenizerJson(
        ObjectNode root,
        Map<String, Integer> idOf,
        Map<Integer, String> spellingOf,
        List<AddedToken> added,
        int highestId) {

    private static final Map<String, Set<String>> COMPONENTS = Map.of(
            "model", Set.of("BPE", "WordPiece", "WordLevel", "Unigram"),
            "normalizer",
                    Set.of(
                            "BertNormalizer",
                            "Strip",
                            "StripAccents",
                            "NFC",
                            "NFD",
                            "NFKC",
                            "NFKD",
                            "Sequence",
                            "Lowercase",
                            "Nmt",
                            "Precompiled",
                            "Replace",
                            "Prepend",
                            "ByteLevel"),
            "pre_tokenizer",
                    Set.of(
                            "BertPreTokenizer",
                            "ByteLevel",
                            "CharDelimiterSplit",
                            "Delimiter",
                            "Metaspace",
                            "Whitespace",
                            "Sequence",
                            "Split",
                            "Punctuation",
                            "WhitespaceSplit",
                            "Digits",
                            "UnicodeScripts",
                            "FixedLength"),
            "post_processor",
                    Set.of("RobertaProcessing", "BertProcessing", "ByteLevel", "TemplateProcessing", "Sequence"),
            "decoder",
                    Set.of(
                            "BPEDecoder",
                            "BPE",
                            "ByteLevel",
                            "WordPiece",
                            "Metaspace",
                            "CTC",
                            "Sequence",
                            "Replace",
                            "Fuse",
                            "Strip",
                            "ByteFallback"));

    /// @throws BadInput listing everything that is wrong
    static TokenizerJson check(byte[] bytes, String source) {
        ObjectNode root = Json.parseObject(bytes, source);
        List<String> problems = new ArrayList<>();
        for (String part : List.of("model", "normalizer", "pre_tokenizer", "post_processor", "decoder")) {
            components(part, part, root.path(part), problems);
        }
        Map<String, Integer> idOf = new HashMap<>();
        Map<Integer, String> spellingOf = new HashMap<>();
        int entries = vocabulary(root.path("model"), idOf, spellingOf, problems);
        List<AddedToken> added = addedTokens(root.path("added_tokens"), idOf, spellingOf, problems);
        int highest = spellingOf.keySet().stream().mapToInt(i -> i).max().orElse(-1);
        if (entries == 0) {
            problems.add("model.vocab is missing or empty");
        }
        int gaps = highest + 1 - spellingOf.size();
        // Real vocabularies leave ids unused (padding to a round size); one that is mostly holes is damaged.
        if (gaps > Math.max(1024, spellingOf.size())) {
            problems.add("the vocabulary has " + spellingOf.size() + " entries and ids up to " + highest + ": " + gaps
                    + " ids have no entry");
        }
        merges(root.path("model"), idOf, problems);
        if (!problems.isEmpty()) {
            throw BadInput.all(source, problems);
        }
        return new TokenizerJson(root, idOf, spellingOf, added, highest);
    }

    private static void components(String kind, String path, JsonNode node, List<String> problems) {
        if (node.isMissingNode() || node.isNull()) {
            if (kind.equals("model")) {
                problems.add("model is missing");
            }
            return;
        }
        String type = node.path("type").asString("");
        if (type.isEmpty() && kind.equals("model") && node.has("merges")) {
            return; // Files of early versions do not name BPE.
        }
        if (!COMPONENTS.getOrDefault(kind, Set.of()).contains(type)) {
            problems.add(path + ": unsupported component \"" + type + "\"; supported are "
                    + COMPONENTS.getOrDefault(kind, Set.of()).stream().sorted().toList());
            return;
        }
        if (type.equals("Sequence")) {
            for (String list : List.of("normalizers", "pretokenizers", "processors", "decoders")) {
                int i = 0;
                for (JsonNode child : node.path(list)) {
                    components(kind, path + "." + list + "[" + i++ + "]", child, problems);
                }
            }
        }
    }

    private static int vocabulary(
            JsonNode model, Map<String, Integer> idOf, Map<Integer, String> spellingOf, List<String> problems) {
        int duplicates = 0;
        int invalid = 0;
        JsonNode vocab = model.path("vocab");
        if (vocab instanceof ArrayNode unigram) {
            int id = 0;
            for (JsonNode entry : unigram) {
                String spelling = entry.path(0).asString("");
                idOf.putIfAbsent(spelling, id);
                spellingOf.put(id++, spelling);
            }
            return id;
        }
        for (Map.Entry<String, JsonNode> entry : vocab.properties()) {
            JsonNode id = entry.getValue();
            if (!id.isIntegralNumber() || !id.canConvertToInt() || id.intValue() < 0) {
                if (invalid++ == 0) {
                    problems.add("model.vocab: \"" + entry.getKey() + "\" has id " + id
                            + ", expected a whole number, 0 or" + " more");
                }
                continue;
            }
            String before = spellingOf.put(id.intValue(), entry.getKey());
            if (before != null && duplicates++ == 0) {
                problems.add(
                        "model.vocab: id " + id + " belongs to \"" + before + "\" and to \"" + entry.getKey() + "\"");
            }
            idOf.put(entry.getKey(), id.intValue());
        }
        if (duplicates > 1) {
            problems.add("model.vocab: " + duplicates + " ids are taken twice in all");
        }
        if (invalid > 1) {
            problems.add("model.vocab: " + invalid + " invalid ids in all");
        }
        return idOf.size();
    }

    private static List<AddedToken> addedTokens(
            JsonNode array, Map<String, Integer> idOf, Map<Integer, String> spellingOf, List<String> problems) {
        List<AddedToken> added = new ArrayList<>();
        for (JsonNode node : array) {
            String content = node.path("content").asString("");
            JsonNode id = node.path("id");
            if (content.isEmpty() || !id.isIntegralNumber() || !id.canConvertToInt() || id.intValue() < 0) {
                problems.add("added_tokens: " + node + ": expected a content and an id, 0 or more");
                continue;
            }
            String other = spellingOf.get(id.intValue());
            if (other != null && !other.equals(content)) {
                problems.add("added_tokens: id " + id + " of \"" + content + "\" belongs to \"" + other + "\"");
            }
            Integer listed = idOf.get(content);
            if (listed != null && listed != id.intValue()) {
                problems.add("added_tokens: \"" + content + "\" has id " + id + ", the vocabulary gives it " + listed);
            }
            spellingOf.put(id.intValue(), content);
            idOf.put(content, id.intValue());
            added.add(new AddedToken(
                    id.intValue(),
                    content,
                    node.path("single_word").asBoolean(false),
                    node.path("lstrip").asBoolean(false),
                    node.path("rstrip").asBoolean(false),
                    node.path("special").asBoolean(false)));
        }
        return List.copyOf(added);
    }

    private static void merges(JsonNode model, Map<String, Integer> idOf, List<String> problems) {
        int absent = 0;
        int i = 0;
        for (JsonNode merge : model.path("merges")) {
            String left;
            String right;
            if (merge.isArray() && merge.size() == 2) {
                left = merge.path(0).asString("");
                right = merge.path(1).asString("");
            } else {
                String text = merge.asString("");
                int space = text.indexOf(' ');
                left = space < 0 ? "" : text.substring(0, space);
                right = space < 0 ? "" : text.substring(space + 1);
            }
            if (!idOf.containsKey(left) || !idOf.containsKey(right) || !idOf.containsKey(left + right)) {
                if (absent++ == 0) {
                    problems.add("model.merges[" + i + "] " + merge + ": \"" + left + "\", \"" + right + "\" and \""
                            + left + right + "\" must all be in the vocabulary");
                }
            }
            i++;
        }
        if (absent > 1) {
            problems.add("model.merges: " + absent + " of " + i + " refer to absent tokens");
        }
    }

    Set<Integer> addedIds() {
        Set<Integer> ids = new HashSet<>();
        added.forEach(token -> ids.add(token.id()));
        return ids;
    }

    /// Whether an added token stands for ordinary text too: the unknown token, which any character may become, and
    /// pieces that are neither special nor look like markup, such as runs of white space.
    boolean isOrdinary(int id) {
        AddedToken token = added.stream().filter(t -> t.id() == id).findFirst().orElse(null);
        if (token == null) {
            return true;
        }
        String unknown = root.path("model").path("unk_token").asString("");
        return token.content().equals(unknown) || token.content().isBlank();
    }

    OptionalInt id(String spelling) {
        Integer id = idOf.get(spelling);
        return id == null ? OptionalInt.empty() : OptionalInt.of(id);
    }

    String spelling(int id) {
        @Nullable String spelling = spellingOf.get(id);
        return spelling == null ? "<id " + id + ">" : spelling;
    }

    /// The same tokenizer without added tokens: all that it reads is content. Runs of white space stay, since they are
    /// text (GPT-NeoX keeps them as added tokens).
    byte[] withoutAddedTokens() {
        ObjectNode copy = root.deepCopy();
        ArrayNode kept = copy.putArray("added_tokens");
        for (JsonNode node : root.path("added_tokens")) {
            if (!node.path("special").asBoolean(false)
                    && node.path("content").asString("").isBlank()) {
                kept.add(node);
                // The library numbers added tokens that the vocabulary lacks anew, from its end.
                if (copy.path("model").path("vocab") instanceof ObjectNode vocab) {
                    vocab.set(node.path("content").stringValue(), node.path("id"));
                }
            }
        }
        copy.putNull("post_processor");
        return Json.MAPPER.writeValueAsBytes(copy);
    }
}
