package dev.manners.feedback;

import dev.manners.BadInput;
import dev.manners.files.Json;
import dev.manners.files.Sha256;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/// A prompt and the answers to be compared. It is what it contains: the same content is the same task.
///
/// @param prompt messages with `role` and `content`, the last the one that is answered
/// @param answers no text twice
/// @param gold the ranks that are certainly right, for a task that checks its annotators; null for all others
public record Task(
        ArrayNode prompt, List<Answer> answers, @Nullable List<Integer> gold) {

    /// @throws BadInput if there is no prompt or no answer, two answers read alike, or the gold ranks do not fit
    public Task {
        answers = List.copyOf(answers);
        if (prompt.isEmpty()) {
            throw new BadInput("a task's prompt has no message");
        }
        for (int i = 0; i < prompt.size(); i++) {
            JsonNode message = prompt.get(i);
            if (!message.path("role").isString() || !message.path("content").isString()) {
                throw new BadInput(
                        "message " + (i + 1) + " of a task's prompt: expected role and content, found " + message);
            }
            requireText("message " + (i + 1), message.path("content").asString());
        }
        if (answers.isEmpty()) {
            throw new BadInput("a task has no answer");
        }
        Set<String> texts = new HashSet<>();
        for (Answer answer : answers) {
            requireText("an answer", answer.text());
            if (!texts.add(answer.text())) {
                throw new BadInput("two answers of a task read alike: " + answer.text());
            }
        }
        if (gold != null) {
            gold = List.copyOf(gold);
            new Ranking.Ranked(gold).requireFits(answers, "gold");
        }
    }

    /// NUL and half a surrogate pair are what a wrong encoding leaves behind, and no database keeps them.
    private static void requireText(String what, String text) {
        if (text.indexOf('\0') >= 0 || !StandardCharsets.UTF_8.newEncoder().canEncode(text)) {
            throw new BadInput(what + " of a task holds a NUL character or half a surrogate pair: " + text);
        }
    }

    /// A task of what models said: completions that read alike become one answer. A NUL character, which a model may
    /// well sample, becomes U+FFFD; the tokens tell what it was.
    ///
    /// @param samples text and origin of each completion, in order
    public static Task of(ArrayNode prompt, List<Map.Entry<String, Answer.Sample>> samples) {
        Map<String, List<Answer.Sample>> merged = new LinkedHashMap<>();
        for (Map.Entry<String, Answer.Sample> sample : samples) {
            merged.computeIfAbsent(sample.getKey().replace('\0', '\uFFFD').strip(), text -> new ArrayList<>())
                    .add(sample.getValue());
        }
        return new Task(
                prompt,
                merged.entrySet().stream()
                        .map(entry -> new Answer(entry.getKey(), entry.getValue()))
                        .toList(),
                null);
    }

    /// One message of a user.
    public static ArrayNode question(String content) {
        ArrayNode prompt = Json.MAPPER.createArrayNode();
        prompt.addObject().put("role", "user").put("content", content);
        return prompt;
    }

    /// SHA-256 of the content.
    public String id() {
        return Sha256.ofText(json().toString());
    }

    /// Indexes of the answers that may be shown: not those that are empty or an error.
    public List<Integer> servable() {
        return IntStream.range(0, answers.size())
                .filter(i -> answers.get(i).servable())
                .boxed()
                .toList();
    }

    ObjectNode json() {
        ObjectNode json = Json.MAPPER.createObjectNode();
        json.set("prompt", prompt);
        ArrayNode all = json.putArray("answers");
        answers.forEach(answer -> all.add(answer.json()));
        if (gold != null) {
            json.set("gold", Fields.ints(gold));
        }
        return json;
    }

    static Task of(Fields json) {
        if (!(json.get("prompt") instanceof ArrayNode prompt)) {
            throw json.bad("prompt", "a list of messages");
        }
        List<Answer> answers = json.objects("answers").stream().map(Answer::of).toList();
        try {
            return new Task(prompt, answers, json.get("gold") == null ? null : json.ints("gold"));
        } catch (BadInput e) {
            throw new BadInput(json.where() + ": " + e.getMessage(), e);
        }
    }
}
