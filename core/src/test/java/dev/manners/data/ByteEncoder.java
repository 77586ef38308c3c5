package dev.manners.data;

import dev.manners.BadInput;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;

/// A tokenizer small enough to check by eye: a byte is a token, two line breaks are one, and a chat turn is
/// START, role, line break, content, END, line break. Role and generation prompt behave as the flags say.
record ByteEncoder(boolean addsBos, boolean templateWritesBos, boolean marksAssistant, boolean forgetsTheFirstTurn)
        implements Encoder {

    static final int BOS = 256;
    static final int EOS = 257; // also the end of a turn
    static final int START = 258;
    static final int TWO_BREAKS = 259;

    ByteEncoder() {
        this(false, false, true, false);
    }

    @Override
    public int[] text(String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        int[] ids = new int[bytes.length];
        int n = 0;
        for (int i = 0; i < bytes.length; i++) {
            if (bytes[i] == '\n' && i + 1 < bytes.length && bytes[i + 1] == '\n') {
                ids[n++] = TWO_BREAKS;
                i++;
            } else {
                ids[n++] = bytes[i] & 0xff;
            }
        }
        return Arrays.copyOf(ids, n);
    }

    @Override
    public int[] textWithSpecial(String text) {
        int[] ids = text(text);
        if (!addsBos) {
            return ids;
        }
        int[] dressed = new int[ids.length + 1];
        dressed[0] = BOS;
        System.arraycopy(ids, 0, dressed, 1, ids.length);
        return dressed;
    }

    @Override
    public Chat chat(ArrayNode messages, @Nullable JsonNode tools, boolean addGenerationPrompt) {
        Ints ids = new Ints();
        Ints own = new Ints();
        if (templateWritesBos) {
            put(ids, own, false, BOS);
        }
        if (tools != null) {
            put(ids, own, false, text(tools.toString()));
        }
        boolean forget = forgetsTheFirstTurn && !addGenerationPrompt;
        for (JsonNode message : messages) {
            String role = message.path("role").asString();
            if (role.equals("developer")) {
                throw new BadInput("template line 1: no developer here");
            }
            boolean marked = marksAssistant && role.equals("assistant");
            put(ids, own, false, START);
            put(ids, own, false, text((forget ? "was " : "") + role + "\n"));
            put(ids, own, marked, text(message.path("content").asString("")));
            put(ids, own, marked, EOS);
            put(ids, own, false, '\n');
        }
        if (addGenerationPrompt) {
            put(ids, own, false, START);
            put(ids, own, false, text("assistant\n"));
        }
        boolean[] assistant = new boolean[ids.size()];
        int[] marks = own.toArray();
        for (int i = 0; i < marks.length; i++) {
            assistant[i] = marks[i] == 1;
        }
        return new Chat(ids.toArray(), assistant);
    }

    private static void put(Ints ids, Ints own, boolean marked, int... tokens) {
        for (int token : tokens) {
            ids.add(token);
            own.add(marked ? 1 : 0);
        }
    }

    @Override
    public OptionalInt eos() {
        return OptionalInt.of(EOS);
    }

    @Override
    public OptionalInt bos() {
        return OptionalInt.of(BOS);
    }

    @Override
    public String show(int id) {
        return switch (id) {
            case BOS -> "<s>";
            case EOS -> "<end>";
            case START -> "<start>";
            case TWO_BREAKS -> "\n\n";
            default -> new String(new byte[] {(byte) id}, StandardCharsets.ISO_8859_1);
        };
    }

    @Override
    public String fingerprint() {
        return toString();
    }

    /// Ids as text, for comparing by eye.
    String read(int[] ids) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        for (int id : ids) {
            out.writeBytes(id < 256 ? new byte[] {(byte) id} : show(id).getBytes(StandardCharsets.UTF_8));
        }
        return out.toString(StandardCharsets.UTF_8);
    }
}
