package dev.manners.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.files.Json;
import dev.manners.files.Manifest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.node.ObjectNode;

/// The built-in story on a world of five places.
class RunCommandTest {

    /// Every value by `--set`, as a user who tries things out would.
    static final List<String> SMALL = List.of(
            "until=sft",
            "world.places=5",
            "world.attributes=2",
            "world.corpus_documents=300",
            "world.demonstrations=20",
            "world.held_out_shown=6",
            "world.held_out_unshown=2",
            "world.held_out_sums=4",
            "world.opinion_demonstrations=4",
            "world.feedback_prompts=4",
            "world.held_out_opinions=2",
            "model.vocab_size=400",
            "model.hidden_size=32",
            "model.intermediate_size=48",
            "model.layers=1",
            "model.heads=2",
            "model.max_positions=256",
            "pretrain.max_length=64",
            "pretrain.warmup_steps=2",
            "pretrain.logging_steps=1",
            "pretrain.bf16=false",
            "sft.max_length=64",
            "sft.per_device_train_batch_size=4",
            "sft.warmup_steps=1",
            "sft.logging_steps=1",
            "sft.bf16=false");

    @TempDir
    Path folder;

    private static List<String> words(Path output) {
        List<String> words = new ArrayList<>(List.of("run", "--output-dir", output.toString(), "--threads", "1"));
        SMALL.forEach(set -> words.addAll(List.of("--set", set)));
        return words;
    }

    @Test
    void twoRunsAreTheSameBytesAndEveryPartIsThere() throws IOException {
        Path one = folder.resolve("one");
        Path two = folder.resolve("two");
        Manners.Result first = Manners.run(words(one));
        assertThat(first.err()).isEmpty();
        assertThat(first.code()).isZero();
        assertThat(first.out())
                .contains("World: 5 places", "12 held-out prompts", "answers truly", "./manners chat --model");
        assertThat(Manners.run(words(two)).code()).isZero();

        for (String part : List.of("world", "base", "sft")) {
            assertThat(Manifest.verify(one.resolve(part)).id())
                    .isEqualTo(Manifest.verify(two.resolve(part)).id());
        }
        for (String file :
                List.of("metrics.jsonl", "samples.jsonl", "comparison.jsonl", "results.json", "config.yaml")) {
            assertThat(one.resolve(file)).isNotEmptyFile().hasSameBinaryContentAs(two.resolve(file));
        }
        List<ObjectNode> comparison = Manners.json(one.resolve("comparison.jsonl"));
        assertThat(comparison).hasSize(12);
        assertThat(comparison.getFirst().propertyNames()).contains("prompt", "kind", "truth", "base", "sft");
        List<String> stages = Manners.json(one.resolve("metrics.jsonl")).stream()
                .map(line -> line.path("stage").asString())
                .distinct()
                .toList();
        assertThat(stages).containsExactly("pretrain", "pretrain_held_out", "sft", "sft_held_out");
        ObjectNode results = Json.readObject(one.resolve("results.json"));
        assertThat(results.path("true/taught").propertyNames()).containsExactly("base", "sft", "sft - base");
        assertThat(Json.readObject(one.resolve("manifest.json"))
                        .path("run")
                        .path("config")
                        .path("model.layers")
                        .asInt())
                .isEqualTo(1);
        assertThat(Manners.run("generate", "--model", one.resolve("sft"), "--chat", "--prompt", "What is 2 + 3?")
                        .code())
                .isZero();

        Manners.Result again = Manners.run(words(one));
        assertThat(again.code()).isEqualTo(2);
        assertThat(again.err()).contains("holds this run, finished");
        List<String> other = new ArrayList<>(words(one));
        other.addAll(List.of("--set", "sft.seed=7"));
        Manners.Result refused = Manners.run(other);
        assertThat(refused.err()).contains("was sft.seed: 42", "is sft.seed: 7");
    }

    @Test
    void cf03_everySectionsProblemsAtOnce() throws IOException {
        List<String> words = new ArrayList<>(words(folder.resolve("x")));
        for (String set : List.of(
                "world.places=1",
                "model.hidden_size=30",
                "model.heads=4",
                "sft.learning_rate=0",
                "pretrain.packng=true")) {
            words.addAll(List.of("--set", set));
        }
        Manners.Result refused = Manners.run(words);
        assertThat(refused.code()).isEqualTo(2);
        assertThat(refused.err())
                .contains(
                        "recipe: 4 problems",
                        "world.places is 1, allowed is from 2 to 56",
                        "hidden_size must be a multiple of 8",
                        "sft.learning_rate is 0, allowed is above 0 to 10",
                        "unknown option pretrain.packng (did you mean pretrain.packing?)");
        assertThat(folder.resolve("x")).doesNotExist();
        Path other = Files.writeString(folder.resolve("r.yaml"), "recipe: parot\n");
        assertThat(Manners.run("run", other).err()).contains("key recipe is parot, expected parrot");
    }
}
