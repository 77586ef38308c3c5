package dev.manners.text;

import ai.djl.huggingface.tokenizers.Encoding;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.huggingface.tokenizers.jni.CharSpan;
import dev.manners.BadInput;
import dev.manners.files.Json;
import dev.manners.files.Sha256;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/// A Hugging Face tokenizer.json, run by the Rust library that made it.
///
/// Texts of users and datasets are content: whatever they spell, no control token comes out of them. Control tokens
/// are those that the chat template itself writes ([#encode(ChatTemplate.Rendering)]); the text between two of them is
/// tokenised as one piece, as Hugging Face does, so ordinary content gets the same ids.
public final class Tokenizer implements AutoCloseable {

    private static final Map<String, String> PLAIN = Map.of(
            // The binding would cut every text to 512 tokens without a word.
            "truncation", "false", "padding", "false", "addSpecialTokens", "false");

    private final HuggingFaceTokenizer parsing;
    private final HuggingFaceTokenizer content;
    private final TokenizerJson json;
    private final byte[] bytes;
    private final Map<Path, byte[]> companions;
    private final ObjectNode config;
    /// Ids that content never becomes.
    private final Set<Integer> forbidden;

    private Tokenizer(byte[] bytes, TokenizerJson json, ObjectNode config, Map<Path, byte[]> companions) {
        this.bytes = bytes;
        this.json = json;
        this.config = config;
        this.companions = companions;
        this.forbidden =
                json.addedIds().stream().filter(id -> !json.isOrdinary(id)).collect(Collectors.toUnmodifiableSet());
        this.parsing = open(bytes);
        requireSameIds(parsing, json);
        this.content = json.added().isEmpty() ? parsing : open(json.withoutAddedTokens());
    }

    /// The library goes by a file's ids of added tokens only where the vocabulary has them too or they follow on its
    /// end; others it numbers anew.
    private static void requireSameIds(HuggingFaceTokenizer library, TokenizerJson json) {
        List<String> problems = new ArrayList<>();
        for (AddedToken token : json.added()) {
            Encoding encoding = library.encode(token.content(), false, false);
            for (int i = 0; i < encoding.getIds().length; i++) {
                if (encoding.getTokens()[i].equals(token.content()) && encoding.getIds()[i] != token.id()) {
                    problems.add("\"" + token.content() + "\" has id " + token.id()
                            + ", the tokenizer library makes it " + encoding.getIds()[i]);
                }
            }
        }
        if (!problems.isEmpty()) {
            library.close();
            throw BadInput.all(
                    "tokenizer.json: " + problems.size() + " of " + json.added().size()
                            + " added_tokens leave a gap behind the vocabulary, or are out of order; number them on from"
                            + " its end, or list them in model.vocab",
                    problems);
        }
    }

    private static HuggingFaceTokenizer open(byte[] bytes) {
        try {
            return HuggingFaceTokenizer.newInstance(new ByteArrayInputStream(bytes), PLAIN);
        } catch (IOException | RuntimeException e) {
            throw new BadInput("tokenizer.json: the tokenizer library refuses it: " + e.getMessage(), e);
        }
    }

    /// Loads a model directory's tokenizer.
    ///
    /// @throws BadInput naming everything that is wrong with it
    public static Tokenizer load(Path directory) {
        Path file = directory.resolve("tokenizer.json");
        if (!Files.isRegularFile(file)) {
            throw new BadInput(file + ": no such file; Manners reads tokenizer.json. "
                    + "A directory with only tokenizer.model or vocab.txt is converted by transformers: "
                    + "AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)");
        }
        try {
            byte[] bytes = Files.readAllBytes(file);
            TokenizerJson json = TokenizerJson.check(bytes, file.toString());
            Map<Path, byte[]> companions = new java.util.LinkedHashMap<>();
            for (String name : List.of("tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")) {
                if (Files.isRegularFile(directory.resolve(name))) {
                    companions.put(Path.of(name), Files.readAllBytes(directory.resolve(name)));
                }
            }
            ObjectNode config = Files.exists(directory.resolve("tokenizer_config.json"))
                    ? Json.readObject(directory.resolve("tokenizer_config.json"))
                    : Json.MAPPER.createObjectNode();
            return new Tokenizer(bytes, json, config, companions);
        } catch (IOException e) {
            throw new BadInput(file + ": cannot be read: " + e.getMessage(), e);
        }
    }

    /// A tokenizer made here, such as by [BpeTrainer].
    ///
    /// @param config content of tokenizer_config.json
    /// @param chatTemplate content of chat_template.jinja, or null
    public static Tokenizer of(JsonNode tokenizerJson, ObjectNode config, @Nullable String chatTemplate) {
        byte[] bytes = Json.pretty(tokenizerJson).getBytes(StandardCharsets.UTF_8);
        Map<Path, byte[]> companions = new java.util.LinkedHashMap<>();
        companions.put(Path.of("tokenizer_config.json"), Json.pretty(config).getBytes(StandardCharsets.UTF_8));
        if (chatTemplate != null) {
            companions.put(Path.of("chat_template.jinja"), chatTemplate.getBytes(StandardCharsets.UTF_8));
        }
        return new Tokenizer(bytes, TokenizerJson.check(bytes, "tokenizer.json"), config, companions);
    }

    /// Highest id plus one.
    public int vocabSize() {
        return json.highestId() + 1;
    }

    /// Hash of tokenizer.json.
    public String sha256() {
        return Sha256.of(bytes);
    }

    /// Ids of content: nothing is added around it, and names of control tokens inside it are ordinary text.
    public int[] encode(String text) {
        int[] ids = ids(content.encode(sound(text), false, false));
        requireNoControl(ids, text);
        return ids;
    }

    /// What Hugging Face's `encode` gives by default: control tokens inside the text are parsed, BOS and the like are
    /// added. For text that is ours, and for plain prompts of base models.
    public int[] encodeWithSpecial(String text) {
        return ids(parsing.encode(sound(text), true, false));
    }

    /// Content with what the tokenizer puts around a text by itself (BOS for many), and without parsing.
    public int[] encodeContentWithSpecial(String text) {
        int[] bare = ids(parsing.encode("", true, false));
        int[] body = encode(text);
        // An empty text shows what stands around every text: BOS in front for those that have it, EOS behind.
        int front = (int) Arrays.stream(bare)
                .takeWhile(id -> eosId().isEmpty() || id != eosId().getAsInt())
                .count();
        int[] all = new int[bare.length + body.length];
        System.arraycopy(bare, 0, all, 0, front);
        System.arraycopy(body, 0, all, front, body.length);
        System.arraycopy(bare, front, all, front + body.length, bare.length - front);
        return all;
    }

    /// Control tokens inside the text are parsed, nothing is added around it.
    public int[] encodeParsed(String text) {
        return ids(parsing.encode(sound(text), false, false));
    }

    private static int[] ids(Encoding encoding) {
        return Arrays.stream(encoding.getIds()).mapToInt(Math::toIntExact).toArray();
    }

    /// Lone surrogates cannot be written as UTF-8: they become U+FFFD, as Python's `errors="replace"` makes them.
    private static String sound(String text) {
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (Character.isSurrogate(c)) {
                if (Character.isHighSurrogate(c)
                        && i + 1 < text.length()
                        && Character.isLowSurrogate(text.charAt(i + 1))) {
                    i++;
                } else {
                    return replaceLoneSurrogates(text);
                }
            }
        }
        return text;
    }

    private static String replaceLoneSurrogates(String text) {
        StringBuilder out = new StringBuilder(text.length());
        text.codePoints().forEach(c -> out.appendCodePoint(c >= 0xD800 && c <= 0xDFFF ? 0xFFFD : c));
        return out.toString();
    }

    private void requireNoControl(int[] ids, String text) {
        for (int id : ids) {
            if (forbidden.contains(id)) {
                throw new BadInput("content \"" + (text.length() > 60 ? text.substring(0, 60) + "…" : text)
                        + "\" would be encoded with control token " + tokenText(id) + " (id " + id
                        + "): this tokenizer's vocabulary lets ordinary text become one; it cannot be used safely");
            }
        }
    }

    /// A rendered conversation as tokens.
    ///
    /// @param ids [T]
    /// @param assistant whether the template marks the token as the assistant's own (`{% generation %}`)
    /// @param control whether it is a control token that the template wrote
    public record Tokens(int[] ids, boolean[] assistant, boolean[] control) {}

    /// Tokens of a rendering. A control token is one whose every character the template wrote.
    public Tokens encode(ChatTemplate.Rendering rendering) {
        String text = sound(rendering.text());
        BitSet marked = new BitSet();
        rendering.generation().forEach(span -> marked.set(span.begin(), span.end()));
        List<Integer> ids = new ArrayList<>();
        List<Boolean> assistant = new ArrayList<>();
        List<Boolean> control = new ArrayList<>();
        int from = 0;
        for (AddedToken.Match match : AddedToken.matches(json.added(), text, rendering.fromContent())) {
            addPiece(text, from, match.begin(), marked, ids, assistant, control);
            ids.add(match.token().id());
            assistant.add(marked.get(match.tokenBegin()));
            control.add(true);
            from = match.end();
        }
        addPiece(text, from, text.length(), marked, ids, assistant, control);
        int n = ids.size();
        Tokens tokens = new Tokens(new int[n], new boolean[n], new boolean[n]);
        for (int i = 0; i < n; i++) {
            tokens.ids[i] = ids.get(i);
            tokens.assistant[i] = assistant.get(i);
            tokens.control[i] = control.get(i);
        }
        return tokens;
    }

    private void addPiece(
            String text,
            int begin,
            int end,
            BitSet marked,
            List<Integer> ids,
            List<Boolean> assistant,
            List<Boolean> control) {
        if (begin >= end) {
            return;
        }
        String piece = text.substring(begin, end);
        Encoding encoding = content.encode(piece, false, false);
        int[] mine = ids(encoding);
        requireNoControl(mine, piece);
        CharSpan[] spans = encoding.getCharTokenSpans();
        int[] position = positions(piece);
        boolean last = false;
        boolean[] flags = new boolean[mine.length];
        for (int i = mine.length - 1; i >= 0; i--) {
            CharSpan span = spans[i];
            if (span != null && span.getEnd() > span.getStart()) {
                int first = marked.nextSetBit(begin + position[span.getStart()]);
                last = first >= 0 && first < begin + position[span.getEnd()];
            }
            // A token without characters (a prefix that the tokenizer puts in) goes with the one behind it.
            flags[i] = last;
        }
        for (int i = 0; i < mine.length; i++) {
            ids.add(mine[i]);
            assistant.add(flags[i]);
            control.add(false);
        }
    }

    /// UTF-16 position of every code point, and of the end: spans count code points, renderings count UTF-16.
    private static int[] positions(String text) {
        int[] positions = new int[text.codePointCount(0, text.length()) + 1];
        int at = 0;
        for (int i = 0; i < positions.length; i++) {
            positions[i] = at;
            at += at < text.length() ? Character.charCount(text.codePointAt(at)) : 0;
        }
        return positions;
    }

    public String decode(int[] ids, boolean skipSpecial) {
        return parsing.decode(Arrays.stream(ids).asLongStream().toArray(), skipSpecial);
    }

    /// Decodes token by token, complete characters only.
    public StreamingDecoder streamingDecoder(boolean skipSpecial) {
        return new StreamingDecoder(this, skipSpecial);
    }

    /// A token as the vocabulary spells it.
    public String tokenText(int id) {
        return json.spelling(id);
    }

    public OptionalInt bosId() {
        return special("bos_token");
    }

    public OptionalInt eosId() {
        return special("eos_token");
    }

    public OptionalInt padId() {
        return special("pad_token");
    }

    public OptionalInt unkId() {
        return special("unk_token");
    }

    private OptionalInt special(String key) {
        String spelling = specialText(key);
        return spelling == null ? OptionalInt.empty() : json.id(spelling);
    }

    private @Nullable String specialText(String key) {
        JsonNode node = config.path(key);
        if (node.isString()) {
            return node.stringValue();
        }
        return node.path("content").isString() ? node.path("content").stringValue() : null;
    }

    /// The variables that Hugging Face gives every template: `bos_token` and its like.
    public Map<String, String> templateVariables() {
        Map<String, String> variables = new java.util.LinkedHashMap<>();
        for (String key : List.of("bos_token", "eos_token", "pad_token", "unk_token")) {
            String text = specialText(key);
            if (text != null) {
                variables.put(key, text);
            }
        }
        return variables;
    }

    /// The id of a control token or vocabulary entry spelled so.
    public OptionalInt id(String spelling) {
        return json.id(spelling);
    }

    /// Ids of control tokens, which content never becomes.
    public Set<Integer> controlIds() {
        return new HashSet<>(json.addedIds());
    }

    /// The chat template: chat_template.jinja if there is one, otherwise tokenizer_config.json's `chat_template`, of
    /// several the one named `default`.
    public Optional<String> chatTemplateSource() {
        byte[] file = companions.get(Path.of("chat_template.jinja"));
        if (file != null) {
            return Optional.of(new String(file, StandardCharsets.UTF_8));
        }
        JsonNode node = config.path("chat_template");
        if (node.isString()) {
            return Optional.of(node.stringValue());
        }
        if (node instanceof ArrayNode several) {
            for (JsonNode one : several) {
                if (one.path("name").asString("").equals("default")) {
                    return Optional.of(one.path("template").asString(""));
                }
            }
        }
        return Optional.empty();
    }

    /// Writes the tokenizer's files as they were read.
    public void save(Path directory) {
        try {
            Files.write(directory.resolve("tokenizer.json"), bytes);
            for (Map.Entry<Path, byte[]> file : companions.entrySet()) {
                Files.write(directory.resolve(file.getKey()), file.getValue());
            }
        } catch (IOException e) {
            throw new BadInput(directory + ": cannot be written: " + e.getMessage(), e);
        }
    }

    @Override
    public void close() {
        parsing.close();
        if (content != parsing) {
            content.close();
        }
    }
}
