package dev.manners.feedback;

import dev.manners.files.Json;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/// One of a task's answers.
///
/// @param text as it is shown, without white space around it
/// @param samples every time that a model gave it; none for answers that came from a file
public record Answer(String text, List<Sample> samples) {

    /// Why a completion ended.
    public enum Finish {
        /// By itself.
        STOP,
        /// It was cut off.
        LENGTH,
        /// The model or its server failed; the text is not an answer.
        ERROR
    }

    /// How an answer was sampled.
    ///
    /// @param model what the model is called
    /// @param modelHash SHA-256 of its files
    /// @param sampling temperature and the like
    /// @param seed of the draws
    /// @param prompt number of the prompt in its run; with the seed and `sample` it makes the completion again
    /// @param sample number among the samples of its prompt, from 0
    /// @param ids tokens as sampled, the stop token included if there was one; empty if not known
    public record Sample(
            String model,
            String modelHash,
            ObjectNode sampling,
            long seed,
            long prompt,
            int sample,
            List<Integer> ids,
            Finish finish) {

        public Sample {
            ids = List.copyOf(ids);
        }

        private ObjectNode json() {
            ObjectNode json = Json.MAPPER.createObjectNode();
            json.put("model", model).put("model_hash", modelHash);
            json.set("sampling", sampling);
            json.put("seed", seed).put("prompt", prompt).put("sample", sample);
            json.put("finish_reason", Fields.name(finish));
            json.set("ids", Fields.ints(ids));
            return json;
        }

        private static Sample of(Fields json) {
            return new Sample(
                    json.text("model"),
                    json.text("model_hash"),
                    json.object("sampling"),
                    json.number("seed"),
                    json.number("prompt"),
                    Math.toIntExact(json.number("sample")),
                    json.ints("ids"),
                    json.choice("finish_reason", Finish.class));
        }
    }

    public Answer {
        text = text.strip();
        samples = List.copyOf(samples);
    }

    /// An answer of which nothing else is known.
    public static Answer of(String text) {
        return new Answer(text, List.of());
    }

    /// Whether an annotator may see it: not if it is empty, and not if it is an error's text.
    public boolean servable() {
        return !text.isEmpty() && samples.stream().noneMatch(sample -> sample.finish() == Finish.ERROR);
    }

    /// Whether it was cut off every time: shown with a mark.
    public boolean truncated() {
        return !samples.isEmpty() && samples.stream().allMatch(sample -> sample.finish() == Finish.LENGTH);
    }

    ObjectNode json() {
        ObjectNode json = Json.MAPPER.createObjectNode().put("text", text);
        ArrayNode all = json.putArray("samples");
        samples.forEach(sample -> all.add(sample.json()));
        return json;
    }

    static Answer of(Fields json) {
        List<Sample> samples = new ArrayList<>();
        @Nullable JsonNode all = json.get("samples");
        if (all != null) {
            json.objects("samples").forEach(sample -> samples.add(Sample.of(sample)));
        }
        return new Answer(json.text("text"), samples);
    }
}
