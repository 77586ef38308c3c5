package dev.manners.text;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.files.Json;
import dev.manners.testing.Tiny;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/// What the user is told about a template before anything is trained on it.
class ChatFormatTest {

    private static final int END = 1;
    private static final int TURN_END = 3;

    private static List<String> warnings(String template, Set<Integer> stopIds) {
        try (Tokenizer tokenizer = Tiny.tokenizer(template)) {
            ArrayNode exchange = Json.MAPPER.createArrayNode();
            exchange.addObject().put("role", "user").put("content", "hi");
            exchange.addObject().put("role", "assistant").put("content", "there");
            return ChatFormat.of(tokenizer).warnings(exchange, stopIds);
        }
    }

    @Test
    void tk11_aSoundFormatIsNotWarnedAbout() {
        assertThat(warnings(Tiny.CHATML, Set.of(TURN_END))).isEmpty();
        assertThat(warnings(Tiny.CHATML, Set.of(END, TURN_END))).isEmpty();
    }

    @Test
    void tk11_aTemplateWithoutAnEnd() {
        String template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}";
        assertThat(warnings(template, Set.of(END)))
                .singleElement()
                .asString()
                .contains("writes nothing behind the assistant's words that generation stops on ([<|endoftext|>])")
                .contains("Let the template write a token there");
    }

    /// The end that counts is the assistant's: a token that only the user's turns end with teaches nothing.
    @Test
    void tk11_anEndBehindTheUserOnly() {
        String template = "{% for m in messages %}{{ m.content }}{% if m.role == 'user' %}<|im_end|>{% endif %}\n"
                + "{% endfor %}";
        assertThat(warnings(template, Set.of(TURN_END)))
                .singleElement()
                .asString()
                .contains("writes nothing behind the assistant's words");
    }

    /// A base model's generation_config: the document's end, where the template ends turns with another token.
    @Test
    void tk11_generationStopsOnAnotherToken() {
        assertThat(warnings(Tiny.CHATML, Set.of(END)))
                .singleElement()
                .asString()
                .contains("ends the assistant's turn with <|im_end|>, and generation stops on [<|endoftext|>] only")
                .contains("Add 3 to eos_token_id in generation_config.json");
        assertThat(warnings(Tiny.CHATML, Set.of())).singleElement().asString().contains("stops on [] only");
    }

    @Test
    void twoBosTokens() {
        ObjectNode config =
                Json.MAPPER.createObjectNode().put("bos_token", Tiny.END).put("eos_token", Tiny.TURN_END);
        String template = "{{ bos_token }}{{ bos_token }}" + Tiny.CHATML;
        try (Tokenizer tokenizer = Tokenizer.of(Tiny.tokenizerJson(), config, template)) {
            ArrayNode exchange = Json.MAPPER.createArrayNode();
            exchange.addObject().put("role", "user").put("content", "hi");
            exchange.addObject().put("role", "assistant").put("content", "there");
            assertThat(ChatFormat.of(tokenizer).warnings(exchange, Set.of(TURN_END)))
                    .containsExactly("the template begins with two BOS tokens");
        }
    }

    @Test
    void turnEndIsTheTokenBehindTheAssistantsWords() {
        try (Tokenizer tokenizer = Tiny.tokenizer(Tiny.CHATML)) {
            assertThat(ChatFormat.of(tokenizer).turnEnd()).hasValue(TURN_END);
        }
        try (Tokenizer tokenizer = Tiny.tokenizer("{% for m in messages %}{{ m.content }} {% endfor %}")) {
            assertThat(ChatFormat.of(tokenizer).turnEnd()).isEmpty();
        }
        try (Tokenizer tokenizer = Tiny.tokenizer("{{ raise_exception('a system message, please') }}")) {
            assertThat(ChatFormat.of(tokenizer).turnEnd()).isEmpty();
        }
    }
}
