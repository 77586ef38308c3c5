package dev.manners.data;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;

/// The reference cases' tokenizer, run by Hugging Face's own code, with their chat template written out by hand.
final class GoldenEncoder implements Encoder, AutoCloseable {

    private static final int IM_START = 1;
    private static final int IM_END = 2;

    private final HuggingFaceTokenizer tokenizer;

    GoldenEncoder(Path model) {
        try {
            tokenizer = HuggingFaceTokenizer.newInstance(
                    model.resolve("tokenizer.json"), Map.of("truncation", "false", "padding", "false"));
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    @Override
    public int[] text(String text) {
        return ids(text, false);
    }

    @Override
    public int[] textWithSpecial(String text) {
        return ids(text, true);
    }

    private int[] ids(String text, boolean special) {
        long[] ids = tokenizer.encode(text, special, false).getIds();
        int[] narrow = new int[ids.length];
        for (int i = 0; i < ids.length; i++) {
            narrow[i] = Math.toIntExact(ids[i]);
        }
        return narrow;
    }

    @Override
    public Chat chat(ArrayNode messages, @Nullable JsonNode tools, boolean addGenerationPrompt) {
        Ints ids = new Ints();
        Ints own = new Ints();
        for (JsonNode message : messages) {
            String role = message.path("role").asString();
            int mark = role.equals("assistant") ? 1 : 0;
            put(ids, own, 0, IM_START);
            if (mark == 1) {
                put(ids, own, 0, text(role + "\n"));
                put(ids, own, 1, text(message.path("content").asString()));
            } else {
                put(ids, own, 0, text(role + "\n" + message.path("content").asString()));
            }
            put(ids, own, mark, IM_END);
            put(ids, own, 0, text("\n"));
        }
        if (addGenerationPrompt) {
            put(ids, own, 0, IM_START);
            put(ids, own, 0, text("assistant\n"));
        }
        boolean[] assistant = new boolean[ids.size()];
        int[] marks = own.toArray();
        for (int i = 0; i < marks.length; i++) {
            assistant[i] = marks[i] == 1;
        }
        return new Chat(ids.toArray(), assistant);
    }

    private static void put(Ints ids, Ints own, int mark, int... tokens) {
        for (int token : tokens) {
            ids.add(token);
            own.add(mark);
        }
    }

    @Override
    public OptionalInt eos() {
        return OptionalInt.of(IM_END);
    }

    @Override
    public OptionalInt bos() {
        return OptionalInt.empty();
    }

    @Override
    public String show(int id) {
        return id == IM_END ? "<|im_end|>" : tokenizer.decode(new long[] {id}, false);
    }

    @Override
    public String fingerprint() {
        return "golden";
    }

    @Override
    public void close() {
        tokenizer.close();
    }
}
