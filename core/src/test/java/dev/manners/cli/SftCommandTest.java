package dev.manners.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.manners.files.Json;
import dev.manners.files.Manifest;
import dev.manners.files.Sha256;
import dev.manners.run.LoadedModel;
import dev.manners.testing.TinyModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.node.ObjectNode;

/// Fine-tuning from the command line, from a model directory and rows to a model directory and its records.
class SftCommandTest {

    @TempDir
    Path folder;

    private Path base;
    private Path rows;

    SftCommandTest() {
        base = Path.of("");
        rows = Path.of("");
    }

    @BeforeEach
    void make() throws IOException {
        base = TinyModel.write(folder.resolve("base"));
        rows = TinyModel.rows(folder.resolve("rows.jsonl"), 30);
    }

    private List<String> words(Path output, Object... more) {
        List<String> words = new ArrayList<>(List.of(
                "sft",
                "--model",
                base.toString(),
                "--dataset",
                rows + "[:24]",
                "--eval-dataset",
                rows + "[-6:]",
                "--output-dir",
                output.toString(),
                "--max-steps",
                "12",
                "--per-device-train-batch-size",
                "4",
                "--learning-rate",
                "1e-2",
                "--logging-steps",
                "1",
                "--bf16",
                "false",
                "--threads",
                "1"));
        for (Object word : more) {
            words.add(word.toString());
        }
        return words;
    }

    private static Manners.Result done(List<String> words) {
        Manners.Result result = Manners.run(words);
        assertThat(result.err()).isEmpty();
        assertThat(result.code()).isZero();
        return result;
    }

    @Test
    void aRunLeavesItsModelAndItsRecords() throws IOException {
        Map<String, String> before = LoadedModel.hashes(base);
        Path run = folder.resolve("run");
        Manners.Result result = done(words(run));
        assertThat(result.out()).contains("Done: 12 updates").contains("The model is in " + run.resolve("model"));
        assertThat(LoadedModel.hashes(base)).isEqualTo(before);

        Manifest.verify(run.resolve("model"));
        for (String file : List.of(
                "config.json",
                "generation_config.json",
                "model.safetensors",
                "tokenizer.json",
                "tokenizer_config.json",
                "chat_template.jinja",
                "README.md")) {
            assertThat(run.resolve("model").resolve(file)).isNotEmptyFile();
        }
        List<ObjectNode> metrics = Manners.json(run.resolve("metrics.jsonl"));
        List<ObjectNode> losses = metrics.stream().filter(m -> m.has("loss")).toList();
        assertThat(losses).hasSize(12);
        assertThat(losses.getLast().path("loss").asDouble())
                .isLessThan(0.8 * losses.getFirst().path("loss").asDouble());
        List<ObjectNode> evaluations =
                metrics.stream().filter(m -> m.has("eval_loss")).toList();
        assertThat(evaluations.stream().map(m -> m.path("step").asInt())).containsExactly(0, 12);
        try (Stream<Path> events = Files.list(run.resolve("tensorboard"))) {
            assertThat(events).hasSize(1);
        }
        assertThat(Manners.json(run.resolve("samples.jsonl"))
                        .getFirst()
                        .path("prompt")
                        .asString())
                .startsWith("What is ");

        ObjectNode manifest = Json.readObject(run.resolve("manifest.json"));
        assertThat(manifest.path("run").path("results").path("steps").asInt()).isEqualTo(12);
        assertThat(manifest.path("run")
                        .path("inputs")
                        .path("dataset")
                        .path("rows.jsonl")
                        .asString())
                .isEqualTo(Sha256.of(rows));
        assertThat(manifest.path("run")
                        .path("outputs")
                        .path("model/model.safetensors")
                        .asString())
                .isEqualTo(Sha256.of(run.resolve("model/model.safetensors")));
        assertThat(manifest.path("occasion").path("command").toString()).contains("\"sft\",\"--model\"");

        Manners.Result again = Manners.run(words(run));
        assertThat(again.code()).isEqualTo(2);
        assertThat(again.err()).contains("holds this run, finished");
    }

    @Test
    void theSameCommandGivesTheSameBytesAndSoDoesItsConfigurationFile() throws IOException {
        Path one = folder.resolve("one");
        Path two = folder.resolve("two");
        Path three = folder.resolve("three");
        done(words(one));
        done(words(two));
        // config.yaml holds every option, so that it alone repeats the run.
        done(List.of("sft", "--config", one.resolve("config.yaml").toString(), "--output-dir", three.toString()));
        for (Path other : List.of(two, three)) {
            for (String file :
                    List.of("metrics.jsonl", "samples.jsonl", "model/model.safetensors", "model/config.json")) {
                assertThat(other.resolve(file)).hasSameBinaryContentAs(one.resolve(file));
            }
        }
        done(words(folder.resolve("four"), "--seed", "43"));
        assertThat(Files.mismatch(
                        folder.resolve("four/model/model.safetensors"), one.resolve("model/model.safetensors")))
                .isNotNegative();
    }

    @Test
    void whatTheTrainerEvaluatesIsWhatScoreMeasures() throws IOException {
        Path run = folder.resolve("run");
        done(words(run));
        List<ObjectNode> metrics = Manners.json(run.resolve("metrics.jsonl"));
        double before = metrics.getFirst().path("eval_loss").asDouble();
        double after = metrics.getLast().path("eval_loss").asDouble();
        assertThat(nll(base)).isEqualTo(before, within(1e-5));
        assertThat(nll(run.resolve("model"))).isEqualTo(after, within(1e-5));
        assertThat(after).isLessThan(before);
    }

    private double nll(Path model, Object... more) {
        List<String> words = new ArrayList<>(
                List.of("score", "--model", model.toString(), "--dataset", rows + "[-6:]", "--threads", "1"));
        for (Object word : more) {
            words.add(word.toString());
        }
        return done(words).json().getLast().path("nll").asDouble();
    }

    @Test
    void anAdapterIsTrainedUsedAndMerged() throws IOException {
        Path run = folder.resolve("run");
        done(words(
                run,
                "--use-peft",
                "--lora-r",
                "4",
                "--lora-target-modules",
                "q_proj",
                "--lora-target-modules",
                "down_proj"));
        Path adapter = run.resolve("model");
        Manifest.verify(adapter);
        assertThat(adapter.resolve("adapter_model.safetensors")).exists();
        assertThat(adapter.resolve("model.safetensors")).doesNotExist();
        assertThat(Json.readObject(adapter.resolve("adapter_config.json"))
                        .path("target_modules")
                        .toString())
                .isEqualTo("[\"mlp.down_proj\",\"self_attn.q_proj\"]");
        double adapted = nll(base, "--adapter", adapter);
        assertThat(adapted).isLessThan(nll(base));

        Path merged = folder.resolve("merged");
        Manners.Result export = done(List.of(
                "export",
                "--model",
                base.toString(),
                "--adapter",
                adapter.toString(),
                "--output-dir",
                merged.toString()));
        assertThat(export.out()).contains("Written to " + merged);
        assertThat(nll(merged)).isEqualTo(adapted, within(1e-4));
        var proof = Manifest.verify(merged).extra().path("merge");
        assertThat(proof.path("tolerance").asDouble()).isEqualTo(1e-4);
        assertThat(proof.path("largest_relative_difference").asDouble()).isBetween(0.0, 1e-4);
        assertThat(proof.path("probes").asInt()).isGreaterThanOrEqualTo(6);
        assertThat(folder.resolve("merged.unproven")).doesNotExist();

        Manners.Result taken = Manners.run("export", "--model", base, "--output-dir", merged);
        assertThat(taken.code()).isEqualTo(2);
        assertThat(taken.err()).contains("exists; choose another folder");
    }

    @Test
    void anExportInHalfPrecisionSaysHowFarItIsOff() {
        for (String dtype : List.of("bf16", "f16")) {
            Path made = folder.resolve(dtype);
            done(List.of("export", "--model", base.toString(), "--save-dtype", dtype, "--output-dir", made.toString()));
            var proof = Manifest.verify(made).extra().path("merge");
            assertThat(proof.path("largest_relative_difference").asDouble())
                    .isGreaterThan(0)
                    .isLessThanOrEqualTo(proof.path("tolerance").asDouble());
            assertThat(nll(made)).isEqualTo(nll(base), within(0.05));
        }
    }

    @Test
    void cf04_allInputsThatCannotBeUsedAreNamedAtOnce() throws IOException {
        Path adapter = Files.createDirectory(folder.resolve("adapter"));
        Files.writeString(adapter.resolve("adapter_config.json"), "{}");
        Path run = folder.resolve("run");
        Manners.Result refused = Manners.run(
                "sft",
                "--model",
                adapter,
                "--dataset",
                folder.resolve("none.jsonl"),
                "--eval-dataset",
                folder,
                "--output-dir",
                run);
        assertThat(refused.code()).isEqualTo(2);
        assertThat(refused.err())
                .contains(
                        "inputs: 3 problems",
                        adapter + ": this is an adapter, not a model; give its base model with --model",
                        "none.jsonl: no such file",
                        folder + ": not a regular file: it is a folder");
        // Nothing was begun, so nothing is there.
        assertThat(run).doesNotExist();
    }

    @Test
    void cf04_aRankAboveADimensionIsRefusedBeforeAnythingIsLoaded() {
        Manners.Result refused = Manners.run(words(folder.resolve("run"), "--use-peft", "--lora-r", "17"));
        assertThat(refused.code()).isEqualTo(2);
        assertThat(refused.err())
                .contains("lora_r is 17, more than a dimension of model.layers.0.self_attn.k_proj [8, 16]");
        assertThat(folder.resolve("run")).doesNotExist();
    }

    @Test
    void cf04_theCorrectedCommandIsNotTakenForAnotherRun() throws IOException {
        Path run = folder.resolve("run");
        Path bad = Files.writeString(folder.resolve("bad.jsonl"), "{\"nothing\": 1}\n");
        List<String> words = words(run);
        words.set(words.indexOf("--dataset") + 1, bad.toString());
        assertThat(Manners.run(words).code()).isEqualTo(2);
        done(words(run));
    }

    @Test
    void cf05_neverIntoTheModelThatIsRead() {
        Map<String, String> before = LoadedModel.hashes(base);
        Manners.Result refused = Manners.run(words(base.resolve("runs")));
        assertThat(refused.code()).isEqualTo(2);
        assertThat(refused.err()).contains("lies inside the input");
        assertThat(LoadedModel.hashes(base)).isEqualTo(before);
        assertThat(base.resolve("runs")).doesNotExist();
    }

    @Test
    void cf06_foldersOfAnyName() throws IOException {
        Path odd = Files.createDirectories(folder.resolve("a b/$HOME/~/f\u00fcr \ud83e\udd9c, [x]: #1"));
        base = TinyModel.write(odd.resolve("base"));
        rows = TinyModel.rows(odd.resolve("rows.jsonl"), 30);
        Path run = odd.resolve("run");
        done(words(run));
        done(List.of(
                "sft",
                "--config",
                run.resolve("config.yaml").toString(),
                "--output-dir",
                odd.resolve("again").toString()));
        assertThat(odd.resolve("again/model/model.safetensors"))
                .hasSameBinaryContentAs(run.resolve("model/model.safetensors"));
    }
}
