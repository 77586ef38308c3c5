package dev.manners.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.manners.files.Json;
import dev.manners.files.Manifest;
import dev.manners.run.LoadedModel;
import dev.manners.tensor.DType;
import dev.manners.testing.Jvm;
import dev.manners.testing.TinyModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;

/// Learning from preferences from the command line.
class PreferenceCommandTest {

    @TempDir
    Path folder;

    private Path base = Path.of("");
    private Path rows = Path.of("");

    @BeforeEach
    void make() throws IOException {
        base = TinyModel.write(folder.resolve("base"));
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 60; i++) {
            lines.append(Json.MAPPER.writeValueAsString(Map.of(
                            "prompt",
                            "What is " + i % 13 + "?",
                            "chosen",
                            " It is " + i % 11 + ".",
                            "rejected",
                            " Who knows, what a question, ask me another.")))
                    .append('\n');
        }
        rows = folder.resolve("pairs.jsonl");
        Files.writeString(rows, lines);
    }

    private List<String> words(String algorithm, Path output, String... more) {
        List<String> words = new ArrayList<>(List.of(
                algorithm,
                "--model",
                base.toString(),
                "--dataset",
                rows + "[:48]",
                "--eval-dataset",
                rows + "[48:]",
                "--output-dir",
                output.toString(),
                "--max-steps",
                "10",
                "--learning-rate",
                "1e-2",
                "--logging-steps",
                "1",
                "--bf16",
                "false",
                "--threads",
                "1"));
        words.addAll(List.of(more));
        return words;
    }

    private static Manners.Result done(List<String> words) {
        Manners.Result result = Manners.run(words);
        assertThat(result.err()).isEmpty();
        assertThat(result.code()).isZero();
        return result;
    }

    private static List<ObjectNode> metrics(Path run) throws IOException {
        return Manners.json(run.resolve("metrics.jsonl"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"dpo", "cpo", "orpo"})
    void pairsTeachWhatIsPreferred(String algorithm) throws IOException {
        Path run = folder.resolve("run");
        Manners.Result result = done(words(algorithm, run));
        assertThat(result.out())
                .contains("48 rows: chosen and rejected", "Done: 10 updates, held-out accuracy 100.0 %");
        Manifest.verify(run.resolve("model"));
        assertThat(Files.readString(run.resolve("model/README.md")))
                .contains("on preferences by " + algorithm, "held-out pairs whose chosen has the higher reward");
        List<ObjectNode> lines = metrics(run);
        assertThat(lines.getFirst().path("stage").asString()).isEqualTo(algorithm);
        assertThat(lines.stream().filter(m -> m.has("eval_rewards/accuracies"))).hasSize(2);
        assertThat(Manners.json(run.resolve("samples.jsonl"))
                        .getFirst()
                        .path("prompt")
                        .asString())
                .startsWith("What is ");
        ObjectNode manifest = Json.readObject(run.resolve("manifest.json"));
        assertThat(manifest.path("run")
                        .path("results")
                        .path("eval_rewards/accuracies")
                        .path("n")
                        .asInt())
                .isEqualTo(12);
        // config.yaml alone repeats the run.
        Path again = folder.resolve("again");
        done(List.of(algorithm, "--config", run.resolve("config.yaml").toString(), "--output-dir", again.toString()));
        for (String file : List.of("metrics.jsonl", "samples.jsonl", "model/model.safetensors")) {
            assertThat(again.resolve(file)).hasSameBinaryContentAs(run.resolve(file));
        }
    }

    /// What recipes/ says is understood, and runs; made small by flags, which win.
    @ParameterizedTest
    @ValueSource(
            strings = {
                "dpo",
                "kto",
                "orpo",
                "cpo",
                "cpo --loss-type simpo --beta 2.0 --cpo-alpha 0 --simpo-gamma 1.0" // as its comment says
            })
    void itsRecipeRuns(String command) throws IOException {
        List<String> words = new ArrayList<>(List.of(command.split(" ")));
        Path recipe = Path.of(System.getProperty("manners.home", ".."), "recipes", words.getFirst() + ".yaml");
        Path run = folder.resolve("run");
        words.addAll(List.of("--config", recipe.toString(), "--model", base.toString(), "--dataset", rows.toString()));
        words.addAll(List.of("--max-steps", "1", "--bf16", "false", "--threads", "1"));
        words.addAll(List.of("--output-dir", run.toString()));
        done(words);
        assertThat(Files.readString(run.resolve("config.yaml"))).contains("gradient_accumulation_steps: 4");
        assertThat(metrics(run)).anyMatch(m -> m.has("loss"));
    }

    @Test
    void ktoTakesLabelsAndPairs() throws IOException {
        Path labels = folder.resolve("labels.jsonl");
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 24; i++) {
            lines.append(Json.MAPPER.writeValueAsString(Map.of(
                            "prompt",
                            "What is " + i + "?",
                            "completion",
                            i % 3 == 0 ? " Fine." : " No.",
                            "label",
                            i % 3 == 0)))
                    .append('\n');
        }
        Files.writeString(labels, lines);
        List<String> words = words("kto", folder.resolve("labelled"));
        words.set(words.indexOf("--dataset") + 1, labels.toString());
        Manners.Result result = done(words);
        assertThat(result.out())
                .contains("24 rows: prompt, completion and label", "8 rows are good and 16 bad")
                .contains("desirable_weight 2.00");
        Manners.Result pairs = done(words("kto", folder.resolve("paired")));
        assertThat(pairs.out()).contains("48 pairs taken apart").doesNotContain("The paper advises");
        List<ObjectNode> told = metrics(folder.resolve("paired"));
        assertThat(told.getFirst().has("eval_kl")).isTrue();
        assertThat(told.getLast().path("eval_rewards/margins").asDouble()).isGreaterThan(0.1);
    }

    @Test
    void withAdaptersTheModelIsAnAdapterAndNoSecondModelIsNeeded() {
        Path run = folder.resolve("run");
        Manners.Result result = Manners.run(words("dpo", run, "--use-peft", "--lora-r", "4"));
        assertThat(result.code()).as(result.err()).isZero();
        assertThat(result.out()).contains("lora_dropout is 0.05, but dpo trains without any dropout");
        assertThat(run.resolve("model/adapter_model.safetensors")).exists();
        assertThat(run.resolve("model/model.safetensors")).doesNotExist();
    }

    @Test
    void theReferenceIsAskedOnceAndWhatItSaidIsKept() throws IOException {
        Path run = folder.resolve("run");
        Manners.Result result = done(words("dpo", run, "--precompute-ref-log-probs", "true"));
        assertThat(result.out()).contains("log-probabilities of 48 pairs under the reference", "of 12 pairs");
        try (Stream<Path> kept = Files.list(run.resolve(".reference"))) {
            List<Path> entries = kept.toList();
            assertThat(entries).hasSize(2);
            entries.forEach(Manifest::verify);
        }
        Path fly = folder.resolve("fly");
        done(words("dpo", fly));
        List<ObjectNode> kept = metrics(run);
        List<ObjectNode> computed = metrics(fly);
        assertThat(kept).hasSameSizeAs(computed);
        for (int i = 0; i < kept.size(); i++) {
            double wanted = computed.get(i).path("loss").asDouble(0);
            assertThat(Math.abs(kept.get(i).path("loss").asDouble(0) - wanted)).isLessThanOrEqualTo(1e-3 * wanted);
        }
        // Another reference is another key: none of it is taken for this one's.
        Path other = folder.resolve("other");
        try (LoadedModel model = TinyModel.make(8)) {
            model.save(other, DType.F32, "", Map.of());
        }
        Path against = folder.resolve("against");
        done(words("dpo", against, "--precompute-ref-log-probs", "true", "--ref-model", other.toString()));
        assertThat(metrics(against).getFirst().path("eval_loss").asDouble())
                .isNotEqualTo(kept.getFirst().path("eval_loss").asDouble());
    }

    @Test
    void longRowsAreCutAndCounted() {
        Manners.Result result = done(words("dpo", folder.resolve("run"), "--max-length", "12"));
        assertThat(result.out()).contains("of 48 pairs cut to max_length 12");
        Manners.Result none = Manners.run(words("dpo", folder.resolve("none"), "--max-length", "2"));
        assertThat(none.code()).isEqualTo(2);
        assertThat(none.err()).contains("no pair is left", "Raise max_length");
    }

    @Test
    void whatCannotBeIsRefusedBeforeAnythingIsWritten() {
        Path run = folder.resolve("run");
        Manners.Result cpo = Manners.run(words("cpo", run, "--ref-model", base.toString()));
        assertThat(cpo.code()).isEqualTo(2);
        assertThat(cpo.err()).contains("cpo has no reference");
        Manners.Result sync = Manners.run(words("dpo", run, "--use-peft", "--sync-ref-model", "true"));
        assertThat(sync.code()).isEqualTo(2);
        assertThat(sync.err()).contains("a reference cannot take adapters over");
        assertThat(run).doesNotExist();
    }

    @ParameterizedTest
    @ValueSource(strings = {"dpo", "kto"})
    void tr06_aSignalSavesAndTheSameCommandGoesOn(String algorithm) throws Exception {
        assumeThat(System.getProperty("os.name"))
                .as("signals as POSIX has them")
                .doesNotStartWith("Windows");
        assumeThat(Jvm.hears(15)).as("SIGTERM is not ignored here").isTrue();
        String[] more = algorithm.equals("dpo") ? new String[] {"--precompute-ref-log-probs", "true"} : new String[] {};
        Path straight = folder.resolve("straight");
        List<String> words = words(algorithm, straight, more);
        words.set(words.indexOf("--max-steps") + 1, "150");
        done(words);
        Path run = folder.resolve("run");
        words.set(words.indexOf("--output-dir") + 1, run.toString());
        Process process = Jvm.of(Main.class.getName(), List.of(), words)
                .redirectOutput(folder.resolve("out").toFile())
                .redirectError(folder.resolve("err").toFile())
                .start();
        try {
            while (!Files.exists(run.resolve("metrics.jsonl"))
                    || Files.readString(run.resolve("metrics.jsonl")).lines().count() < 6) {
                assertThat(process.isAlive()).as("it still trains").isTrue();
                Thread.sleep(2);
            }
            Jvm.signal(process, "TERM");
            assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        } finally {
            process.destroyForcibly();
        }
        assertThat(process.exitValue()).isEqualTo(143);
        assertThat(Files.readString(folder.resolve("out"))).contains("; saved.");
        done(words);
        for (String file : List.of("metrics.jsonl", "samples.jsonl", "model/model.safetensors")) {
            assertThat(run.resolve(file)).hasSameBinaryContentAs(straight.resolve(file));
        }
    }
}
