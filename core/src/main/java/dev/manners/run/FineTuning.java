package dev.manners.run;

import dev.manners.BadInput;
import dev.manners.data.DatasetSlice;
import dev.manners.data.TokenReport;
import dev.manners.files.Printable;
import dev.manners.files.RegularFile;
import dev.manners.model.Lora;
import dev.manners.model.ModelDirectory;
import dev.manners.tensor.LibTorch;
import dev.manners.train.Outcome;
import dev.manners.train.SftConfig;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// A model directory and a dataset in, a fine-tuned model directory out.
///
/// @param resolved all options, for the record
public record FineTuning(
        Path model,
        String dataset,
        @Nullable String evalDataset,
        Path outputDir,
        boolean skipBad,
        @Nullable Lora lora,
        List<String> samplePrompts,
        boolean allowNonfinite,
        SftConfig config,
        Map<String, Object> resolved,
        List<String> command,
        PrintStream out) {

    /// @return whether it came to its end; false if it was interrupted
    public boolean run(Interrupts interrupts) {
        Instant began = Instant.now();
        refuseAtOnce();
        try (RunDirectory run = RunDirectory.open(outputDir, resolved, List.of(model));
                LoadedModel policy = LoadedModel.open(model, null, Stage.dtype(config), allowNonfinite)) {
            run.warnings().forEach(w -> System.err.println("manners: " + w));
            LibTorch.warnings().forEach(w -> System.err.println("manners: " + w));
            if (lora != null) {
                policy.decoder().attach(lora, config.training().seed());
            }
            Path cache = run.path().resolve(".tokenised");
            try (Stage.Data train = Stage.Data.open(dataset, policy, config, skipBad, cache, interrupts);
                    Stage.Data heldOut = evalDataset == null
                            ? null
                            : Stage.Data.open(evalDataset, policy, config, skipBad, cache, interrupts)) {
                out.println(Printable.escape(train.rows().describe()));
                out.println(Printable.escape(TokenReport.of(train.rows()).text()));
                if (train.rows().rejected() > 0) {
                    Path rejects = run.path().resolve("rejects.jsonl");
                    train.rows().writeRejects(rejects);
                    out.println(train.rows().rejected() + " rows left out, see " + rejects);
                }
                return train(run, policy, train, heldOut, interrupts, began);
            }
        } catch (Interrupts.Stopped e) {
            out.println("Interrupted while the rows were tokenised. The same command starts again.");
            return false;
        }
    }

    /// What can be seen to be wrong before anything is read or written, all in one message.
    private void refuseAtOnce() {
        List<String> problems = new ArrayList<>(ModelDirectory.problems(model, lora));
        for (String source : evalDataset == null ? List.of(dataset) : List.of(dataset, evalDataset)) {
            try {
                RegularFile.require(DatasetSlice.parse(source).file());
            } catch (BadInput e) {
                problems.addAll(e.problems());
            }
        }
        if (!problems.isEmpty()) {
            throw BadInput.all("inputs", problems);
        }
    }

    private boolean train(
            RunDirectory run,
            LoadedModel policy,
            Stage.Data train,
            Stage.@Nullable Data heldOut,
            Interrupts interrupts,
            Instant began) {
        Map<String, String> inputs = LoadedModel.hashes(model);
        Stage stage = new Stage(run, "sft", run.path(), policy, inputs, config, train, heldOut, samplePrompts);
        Outcome outcome = stage.train(interrupts);
        if (outcome.interrupted()) {
            out.println(interrupted(outcome));
            return false;
        }
        Path model = save(run, policy, outcome);
        Map<String, Object> results = new LinkedHashMap<>();
        results.put("steps", outcome.steps());
        results.put("train_loss", finite(outcome.trainLoss()));
        if (outcome.evalLoss() != null) {
            results.put("eval_loss", outcome.evalLoss());
        }
        Map<String, Object> sources = new LinkedHashMap<>();
        sources.put("model", inputs);
        sources.put("dataset", hash(train));
        if (heldOut != null) {
            sources.put("eval_dataset", hash(heldOut));
        }
        run.finish(command, sources, List.of("model", "metrics.jsonl", "samples.jsonl", "config.yaml"), results, began);
        out.printf(
                Locale.ROOT,
                "Done: %d updates%s%s. The model is in %s%n",
                outcome.steps(),
                outcome.steps() == 0
                        ? ""
                        : String.format(Locale.ROOT, ", mean training loss %.4f", outcome.trainLoss()),
                outcome.evalLoss() == null
                        ? ""
                        : String.format(Locale.ROOT, ", held-out loss %.4f", outcome.evalLoss()),
                model);
        return true;
    }

    static String interrupted(Outcome outcome) {
        return outcome.steps() == 0
                ? "Interrupted before the first update. The same command starts again."
                : "Interrupted after update " + outcome.steps() + "; saved. The same command goes on from there.";
    }

    private static Map<String, String> hash(Stage.Data data) {
        return Map.of(data.file().path().getFileName().toString(), data.file().sha256());
    }

    static Object finite(double value) {
        return Double.isFinite(value) ? (Object) value : String.valueOf(value);
    }

    private Path save(RunDirectory run, LoadedModel policy, Outcome outcome) {
        Trained trained = new Trained(run, policy, model, lora);
        return trained.save(
                "Supervised fine-tuning of " + trained.baseName() + " with Manners " + RunDirectory.version() + ": "
                        + outcome.steps() + " updates on " + dataset.replaceAll(".*/", "") + ".",
                results(outcome),
                resolved);
    }

    private static Map<String, Object> results(Outcome outcome) {
        Map<String, Object> results = new LinkedHashMap<>();
        if (outcome.steps() > 0) {
            results.put("mean training loss", outcome.trainLoss());
        }
        if (outcome.evalLoss() != null) {
            results.put("loss on held-out rows", outcome.evalLoss());
        }
        return results;
    }
}
