package dev.manners.testing;

import dev.manners.files.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/// verl's end-to-end test of PPO as Manners wants it: its model comes with the character table of a Python tokenizer
/// class, and its prompts without answers.
public final class ArithmeticSequence {

    private static final List<String> SPECIAL = List.of("<sep>", "<eos>", "<pad>", "<unk>");

    private ArithmeticSequence() {}

    /// Writes `model/`, `train.jsonl` and `test.jsonl`.
    ///
    /// @param source `models/arithmetic_sequence` of the shared data
    public static Path write(Path source, Path target) throws IOException {
        Path model = Files.createDirectories(target.resolve("model"));
        for (String file : List.of("config.json", "generation_config.json", "model.safetensors")) {
            Files.copy(source.resolve("model").resolve(file), model.resolve(file));
        }
        ObjectNode python = Json.readObject(source.resolve("model/tokenizer_config.json"));
        Files.writeString(
                model.resolve("tokenizer.json"),
                tokenizer(python.path("char_ords")).toString());
        ObjectNode config = Json.MAPPER
                .createObjectNode()
                .put("tokenizer_class", "PreTrainedTokenizerFast")
                .put("sep_token", "<sep>")
                .put("eos_token", "<eos>")
                .put("pad_token", "<pad>")
                .put("unk_token", "<unk>");
        config.set("chat_template", python.path("chat_template"));
        Files.writeString(model.resolve("tokenizer_config.json"), config.toString());
        for (String file : List.of("train.jsonl", "test.jsonl")) {
            StringBuilder lines = new StringBuilder();
            for (String line : Files.readAllLines(source.resolve("data").resolve(file))) {
                ObjectNode row = (ObjectNode) Json.MAPPER.readTree(line);
                String prompt = row.path("prompt").get(0).path("content").asString();
                lines.append(row.put("answer", answer(prompt))).append('\n');
            }
            Files.writeString(target.resolve(file), lines);
        }
        return target;
    }

    /// `9,10:20,2` asks for the next two of the sequence 9, 10 modulo 20: `11,12`.
    static String answer(String prompt) {
        String[] parts = prompt.split("[,:]");
        int first = Integer.parseInt(parts[0]);
        int last = Integer.parseInt(parts[1]);
        int modulus = Integer.parseInt(parts[2]);
        int difference = Math.floorMod(last - first, modulus);
        List<String> members = new ArrayList<>();
        for (int i = Integer.parseInt(parts[3]); i > 0; i--) {
            last = (last + difference) % modulus;
            members.add(String.valueOf(last));
        }
        return String.join(",", members);
    }

    private static ObjectNode tokenizer(JsonNode characters) {
        ObjectNode json = Json.MAPPER.createObjectNode().put("version", "1.0");
        ArrayNode added = json.putArray("added_tokens");
        ObjectNode vocabulary = Json.MAPPER.createObjectNode();
        for (String special : SPECIAL) {
            added.addObject()
                    .put("id", vocabulary.size())
                    .put("content", special)
                    .put("single_word", false)
                    .put("lstrip", false)
                    .put("rstrip", false)
                    .put("normalized", false)
                    .put("special", true);
            vocabulary.put(special, vocabulary.size());
        }
        characters.forEach(c -> vocabulary.put(Character.toString(c.asInt()), vocabulary.size()));
        json.putObject("decoder").put("type", "Fuse");
        ObjectNode model = json.putObject("model").put("type", "BPE").put("unk_token", "<unk>");
        model.set("vocab", vocabulary);
        model.putArray("merges");
        return json;
    }
}
