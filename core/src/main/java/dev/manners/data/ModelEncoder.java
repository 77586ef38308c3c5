package dev.manners.data;

import dev.manners.BadInput;
import dev.manners.files.Sha256;
import dev.manners.text.ChatFormat;
import dev.manners.text.Tokenizer;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;

/// The encoder of a model directory: its tokenizer and, if it has one, its chat template.
///
/// A template that writes the date is always told the same day: rows must not depend on when they are tokenised.
public final class ModelEncoder implements Encoder {

    /// The day that Llama 3's templates fall back to where nobody tells them the date.
    private static final Clock TODAY = Clock.fixed(Instant.parse("2024-07-26T12:00:00Z"), ZoneOffset.UTC);

    private final Tokenizer tokenizer;
    private final @Nullable ChatFormat format;

    public ModelEncoder(Tokenizer tokenizer) {
        this.tokenizer = tokenizer;
        this.format = tokenizer.chatTemplateSource().isPresent()
                ? ChatFormat.of(tokenizer).withClock(TODAY)
                : null;
    }

    @Override
    public int[] text(String text) {
        return tokenizer.encode(text);
    }

    @Override
    public int[] textWithSpecial(String text) {
        return tokenizer.encodeContentWithSpecial(text);
    }

    @Override
    public Chat chat(ArrayNode messages, @Nullable JsonNode tools, boolean addGenerationPrompt) {
        if (format == null) {
            throw new BadInput("rows are conversations and the model has no chat template"
                    + " (chat_template.jinja, or chat_template in tokenizer_config.json); put one into the model directory,"
                    + " or give text or prompt and completion as plain text");
        }
        Tokenizer.Tokens tokens = format.encode(messages, tools, addGenerationPrompt);
        return new Chat(tokens.ids(), tokens.assistant());
    }

    @Override
    public boolean hasChat() {
        return format != null;
    }

    @Override
    public OptionalInt eos() {
        return tokenizer.eosId();
    }

    @Override
    public OptionalInt bos() {
        return tokenizer.bosId();
    }

    @Override
    public String show(int id) {
        String text = tokenizer.decode(new int[] {id}, false);
        if (text.isEmpty()) {
            return tokenizer.tokenText(id);
        }
        // SentencePiece's mark for a space in front, which decoding drops at the beginning of a text.
        return tokenizer.tokenText(id).startsWith("\u2581") && !text.startsWith(" ") ? " " + text : text;
    }

    @Override
    public String fingerprint() {
        return Sha256.ofText(tokenizer.sha256()
                + tokenizer.templateVariables()
                + tokenizer.chatTemplateSource().orElse(""));
    }
}
