package dev.manners.text;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.BadInput;
import dev.manners.files.Json;
import dev.manners.testing.Shared;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/// 53 real templates against what Python's Jinja2 made of them.
class ChatTemplateReferenceTest {

    private static final Clock CLOCK = Clock.fixed(Instant.parse("2024-07-26T12:00:00Z"), ZoneOffset.UTC);

    @Test
    void realTemplatesRenderAsInPython() {
        JsonNode data = Json.readObject(Shared.path("data/chat_templates/trl.json"));
        Map<String, ChatTemplate> templates = new HashMap<>();
        for (JsonNode template : data.get("templates").values()) {
            String name = template.get("name").stringValue();
            templates.put(
                    template.get("id").stringValue(),
                    ChatTemplate.parse(template.get("template").stringValue(), name)
                            .withClock(CLOCK));
        }
        List<String> wrong = new ArrayList<>();
        int cases = 0;
        int errors = 0;
        int spans = 0;
        for (JsonNode one : data.get("cases").values()) {
            cases++;
            String context = one.get("context").stringValue();
            Map<String, Object> variables = new HashMap<>();
            data.get("contexts").get(context).properties().forEach(e -> variables.put(e.getKey(), e.getValue()));
            variables.put(
                    "add_generation_prompt", one.get("add_generation_prompt").booleanValue());
            variables.put("bos_token", "<s>");
            variables.put("eos_token", "</s>");
            ChatTemplate template =
                    Objects.requireNonNull(templates.get(one.get("template").stringValue()));
            String what = one.get("template").stringValue() + " " + context;
            String expectedError = one.has("error") ? one.get("error").stringValue() : null;
            try {
                ChatTemplate.Rendering rendering = template.render(variables);
                if (expectedError != null) {
                    wrong.add(what + ": expected the error " + expectedError);
                } else if (!rendering.text().equals(one.get("output").stringValue())) {
                    wrong.add(what + ": rendered " + Json.MAPPER.writeValueAsString(rendering.text()) + "\n  expected "
                            + one.get("output"));
                } else if (one.has("generation_spans")) {
                    spans++;
                    if (!spans(rendering).equals(one.get("generation_spans"))) {
                        wrong.add(what + ": spans " + spans(rendering) + ", expected " + one.get("generation_spans"));
                    }
                }
            } catch (BadInput e) {
                errors++;
                if (expectedError == null || !e.toString().contains(expectedError)) {
                    wrong.add(what + ": " + e.getMessage() + ", expected " + expectedError);
                }
            }
        }
        assertThat(wrong).isEmpty();
        assertThat(List.of(cases, errors, spans)).containsExactly(724, 90, 266);
    }

    /// In code points, as Python counts.
    private static JsonNode spans(ChatTemplate.Rendering rendering) {
        String text = rendering.text();
        return Json.MAPPER.valueToTree(rendering.generation().stream()
                .map(span -> List.of(text.codePointCount(0, span.begin()), text.codePointCount(0, span.end())))
                .toList());
    }
}
