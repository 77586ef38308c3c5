package dev.manners.text;

import dev.manners.BadInput;
import java.time.Clock;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

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
        boolean stops = false;
        for (int id : ids) {
            stops |= stopIds.contains(id);
        }
        if (!stops) {
            warnings.add("the template never writes a token that generation stops on ("
                    + stopIds.stream().map(tokenizer::tokenText).toList()
                    + "): a model trained on it will not know when to end. Set eos_token_id in generation_config.json to"
                    + " the token that ends the assistant's turn.");
        }
        return warnings;
    }
}
