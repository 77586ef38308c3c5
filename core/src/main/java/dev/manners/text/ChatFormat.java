package dev.manners.text;

import dev.manners.BadInput;
import dev.manners.files.Json;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;

/// How a model's conversations are written: a tokenizer and its chat template.
public final class ChatFormat {

    private final Tokenizer tokenizer;
    private final ChatTemplate template;

    private ChatFormat(Tokenizer tokenizer, ChatTemplate template) {
        this.tokenizer = tokenizer;
        this.template = template;
    }

    public static ChatFormat of(Tokenizer tokenizer, ChatTemplate template) {
        return new ChatFormat(tokenizer, template);
    }

    /// The format of a tokenizer that has a chat template.
    ///
    /// @throws BadInput if it has none
    public static ChatFormat of(Tokenizer tokenizer) {
        String source = tokenizer
                .chatTemplateSource()
                .orElseThrow(
                        () -> new BadInput("the model has no chat template (chat_template.jinja, or chat_template in"
                                + " tokenizer_config.json): conversations cannot be written. Give plain text, or prompt and"
                                + " completion as plain text, or put a template into the directory."));
        return new ChatFormat(tokenizer, ChatTemplate.parse(source, "chat template"));
    }

    /// The same format with another idea of now; see [ChatTemplate#withClock].
    public ChatFormat withClock(Clock clock) {
        return new ChatFormat(tokenizer, template.withClock(clock));
    }

    public ChatTemplate template() {
        return template;
    }

    public ChatTemplate.Rendering render(JsonNode messages, @Nullable JsonNode tools, boolean addGenerationPrompt) {
        Map<String, Object> variables = new LinkedHashMap<>(tokenizer.templateVariables());
        variables.put("messages", messages);
        if (tools != null) {
            variables.put("tools", tools);
        }
        variables.put("add_generation_prompt", addGenerationPrompt);
        return template.render(variables);
    }

    public Tokenizer.Tokens encode(JsonNode messages, @Nullable JsonNode tools, boolean addGenerationPrompt) {
        return tokenizer.encode(render(messages, tools, addGenerationPrompt));
    }

    /// What is likely to be wrong with the format, found by rendering one exchange.
    ///
    /// @param stopIds tokens that generation stops on
    public List<String> warnings(JsonNode exchange, java.util.Set<Integer> stopIds) {
        List<String> warnings = new ArrayList<>();
        int[] ids = encode(exchange, null, false).ids();
        OptionalInt bos = tokenizer.bosId();
        if (bos.isPresent() && ids.length > 1 && ids[0] == bos.getAsInt() && ids[1] == bos.getAsInt()) {
            warnings.add("the template begins with two BOS tokens");
        }
        int[] closing = closing(exchange);
        if (Arrays.stream(closing).noneMatch(stopIds::contains)) {
            OptionalInt end = firstControl(closing);
            String stops =
                    stopIds.stream().sorted().map(tokenizer::tokenText).toList().toString();
            warnings.add(
                    end.isPresent()
                            ? "the template ends the assistant's turn with " + tokenizer.tokenText(end.getAsInt())
                                    + ", and generation stops on " + stops
                                    + " only: a model trained on it would not end there. Add " + end.getAsInt()
                                    + " to eos_token_id in generation_config.json."
                            : "the template writes nothing behind the assistant's words that generation stops on ("
                                    + stops + "): a model trained on it will not know when to end. Let the template"
                                    + " write a token there, and set eos_token_id in generation_config.json to it.");
        }
        return warnings;
    }

    /// The control token that the template writes behind the assistant's words: what a trained model ends its turn
    /// with. Empty if it writes none, or cannot render a plain exchange.
    public OptionalInt turnEnd() {
        try {
            return firstControl(closing(plainExchange()));
        } catch (BadInput e) {
            return OptionalInt.empty(); // Said where such a conversation is really to be written.
        }
    }

    /// What the template writes behind the token that ends the assistant's turn, often a line break; empty if nothing,
    /// or if no token ends it.
    public int[] afterTurnEnd() {
        OptionalInt end = turnEnd();
        if (end.isEmpty()) {
            return new int[0];
        }
        int[] closing = closing(plainExchange());
        int at = 0;
        while (closing[at] != end.getAsInt()) {
            at++;
        }
        return Arrays.copyOfRange(closing, at + 1, closing.length);
    }

    private static ArrayNode plainExchange() {
        ArrayNode exchange = Json.MAPPER.createArrayNode();
        exchange.addObject().put("role", "user").put("content", "Hello");
        exchange.addObject().put("role", "assistant").put("content", "Hello.");
        return exchange;
    }

    /// What stands behind the content of the last message.
    private int[] closing(JsonNode exchange) {
        ChatTemplate.Rendering rendering = render(exchange, null, false);
        return tokenizer.encodeParsed(
                rendering.text().substring(rendering.fromContent().length()));
    }

    private OptionalInt firstControl(int[] ids) {
        return Arrays.stream(ids)
                .filter(id -> tokenizer.controlIds().contains(id)
                        && !tokenizer.tokenText(id).isBlank())
                .findFirst();
    }
}
