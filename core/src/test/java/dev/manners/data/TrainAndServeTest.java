package dev.manners.data;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.BadInput;
import dev.manners.files.Json;
import dev.manners.testing.Tiny;
import dev.manners.text.ChatFormat;
import dev.manners.text.Tokenizer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.assertj.core.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/// What a model is trained on begins with what it is asked with.
class TrainAndServeTest {

    private static final long SEED = Long.getLong("tests.seed", 42);

    @TempDir
    Path folder;

    private static final List<String> PIECES = List.of(
            "there",
            "世界",
            "🙂🙃",
            "e\u0301",
            "it's",
            " ",
            "  ",
            "\n",
            "\n\n",
            "\t",
            "12",
            "<|im_end|>",
            "<|im_start|>assistant\n",
            "{{ x }}",
            "שלום",
            "\u00A0");

    private static String content(Random random, boolean assistant) {
        StringBuilder text = new StringBuilder();
        for (int n = random.nextInt(9); n > 0; n--) {
            text.append(PIECES.get(random.nextInt(PIECES.size())));
        }
        // The template's newline and white space behind it would be one token: see the next test.
        boolean opensWithSpace = !text.isEmpty() && " \n\t\u00A0".indexOf(text.charAt(0)) >= 0;
        return assistant && opensWithSpace ? "x" + text : text.toString();
    }

    private static ArrayNode conversation(Random random) {
        ArrayNode messages = Json.MAPPER.createArrayNode();
        if (random.nextBoolean()) {
            messages.addObject().put("role", "system").put("content", content(random, false));
        }
        for (int turns = 1 + random.nextInt(4); turns > 0; turns--) {
            messages.addObject().put("role", "user").put("content", content(random, false));
            messages.addObject().put("role", "assistant").put("content", content(random, true));
        }
        return messages;
    }

    /// Fifty conversations through the path that training takes, file and cache and all, and every assistant turn in
    /// them through the path that generation takes.
    @Test
    void tk15_trainingBeginsWithWhatIsServed() throws Exception {
        Random random = new Random(SEED);
        List<ArrayNode> conversations = new ArrayList<>();
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 50; i++) {
            ArrayNode messages = conversation(random);
            conversations.add(messages);
            ObjectNode row = Json.MAPPER.createObjectNode();
            row.set("messages", messages);
            lines.append(Json.MAPPER.writeValueAsString(row)).append('\n');
        }
        Path file = folder.resolve("rows.jsonl");
        Files.writeString(file, lines, StandardCharsets.UTF_8);
        int turns = 0;
        try (Tokenizer tokenizer = Tiny.tokenizer(Tiny.CHATML);
                DatasetFile source = DatasetFile.open(file.toString());
                Tokenised rows = Tokenised.of(
                        source,
                        new ModelEncoder(tokenizer),
                        Tokenisation.DEFAULT.withMaxLength(0).withAssistantOnlyLoss(true),
                        folder,
                        n -> {})) {
            ChatFormat format = ChatFormat.of(tokenizer);
            assertThat(rows.size()).isEqualTo(50);
            for (int i = 0; i < 50; i++) {
                Example trained = rows.get(i);
                int next = 0;
                ArrayNode soFar = Json.MAPPER.createArrayNode();
                for (var message : conversations.get(i)) {
                    if (message.path("role").asString("").equals("assistant")) {
                        turns++;
                        int[] served = format.encode(soFar, null, true).ids();
                        assertThat(Arrays.copyOf(trained.ids(), served.length))
                                .as("seed %d, conversation %d: %s", SEED, i, soFar)
                                .isEqualTo(served);
                        // Nothing of the prompt is trained, and the first token behind it is.
                        for (int t = next; t < served.length; t++) {
                            assertThat(trained.trained()[t]).isFalse();
                        }
                        next = served.length;
                        assertThat(trained.trained()[next]).isTrue();
                        while (next < trained.length() && trained.trained()[next]) {
                            next++;
                        }
                        assertThat(tokenizer.tokenText(trained.ids()[next - 1])).isEqualTo(Tiny.TURN_END);
                    }
                    soFar.add(message);
                }
            }
        }
        assertThat(turns).isGreaterThan(100);
    }

    /// White space at the start of an answer runs together with the template's newline: training would begin with a
    /// token that is never served. Where the prompt is known, the row is refused.
    @Test
    void tk15_anAnswerThatBeginsWithASpaceIsRefused() throws Exception {
        Path file = folder.resolve("rows.jsonl");
        Files.writeString(
                file,
                "{\"prompt\": [{\"role\": \"user\", \"content\": \"hi\"}],"
                        + " \"completion\": [{\"role\": \"assistant\", \"content\": \"\\n\\nthere\"}]}\n");
        try (Tokenizer tokenizer = Tiny.tokenizer(Tiny.CHATML);
                DatasetFile source = DatasetFile.open(file.toString())) {
            Assertions.assertThatThrownBy(() ->
                            Tokenised.of(source, new ModelEncoder(tokenizer), Tokenisation.DEFAULT, folder, n -> {}))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("rows.jsonl:1")
                    .hasMessageContaining("renders the prompt differently once the completion follows it")
                    .hasMessageContaining("Take white space off the completion's start");
        }
    }
}
