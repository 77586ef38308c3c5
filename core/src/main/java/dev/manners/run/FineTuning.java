package dev.manners.run;

import dev.manners.data.DatasetFile;
import dev.manners.data.ModelEncoder;
import dev.manners.data.TokenReport;
import dev.manners.data.Tokenised;
import dev.manners.files.Printable;
import dev.manners.model.Lora;
import dev.manners.rollout.Completion;
import dev.manners.rollout.Sampling;
import dev.manners.tensor.DType;
import dev.manners.tensor.LibTorch;
import dev.manners.train.Rows;
import dev.manners.train.SftConfig;
import dev.manners.train.SftTrainer;
import dev.manners.train.Tracker;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
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
        try (RunDirectory run = RunDirectory.open(outputDir, resolved, List.of(model));
                LoadedModel policy = LoadedModel.open(model, null, dtype(config), allowNonfinite)) {
            run.warnings().forEach(w -> System.err.println("manners: " + w));
            LibTorch.warnings().forEach(w -> System.err.println("manners: " + w));
            if (lora != null) {
                policy.decoder().attach(lora, config.seed());
            }
            ModelEncoder encoder = new ModelEncoder(policy.tokenizer());
            // The cache lies in the run's folder: its key is the hash of data, tokenizer, template and options.
            Path cache = run.path().resolve(".tokenised");
            try (Data train = Data.open(dataset, encoder, config, skipBad, cache);
                    Data heldOut = evalDataset == null ? null : Data.open(evalDataset, encoder, config, skipBad, cache)) {
                out.println(Printable.escape(train.rows().describe()));
                TokenReport report = TokenReport.of(train.rows());
                out.println(Printable.escape(report.text()));
                if (train.rows().rejected() > 0) {
                    Path rejects = run.path().resolve("rejects.jsonl");
                    train.rows().writeRejects(rejects);
                    out.println(train.rows().rejected() + " rows left out, see " + rejects);
                }
                return train(run, policy, train, heldOut, interrupts, began);
            }
        }
    }

    private boolean train(
            RunDirectory run,
            LoadedModel policy,
            Data train,
            @Nullable Data heldOut,
            Interrupts interrupts,
            Instant began) {
        Map<String, String> inputs = new TreeMap<>(LoadedModel.hashes(model));
        Map<String, String> fingerprint = fingerprint(config, inputs, train, heldOut);
        SftTrainer.Outcome outcome;
        Path samples = run.path();
        MetricsLog log = new MetricsLog(samples, "sft");
        try (Progress progress = Progress.of("sft")) {
            Tracker tracker =
                    Tracker.all(List.of(log, new TensorBoardEvents(run.path().resolve("tensorboard"), "sft/"), progress));
            SftTrainer trainer = new SftTrainer(
                    policy.decoder(),
                    config,
                    Rows.of(train.rows()),
                    heldOut == null ? null : Rows.of(heldOut.rows()),
                    tracker,
                    run.path(),
                    fingerprint,
                    interrupts::requested,
                    step -> samples(policy, tracker, step));
            outcome = trainer.train();
        }
        if (outcome.interrupted()) {
            out.println("Interrupted after update " + outcome.steps() + "; saved. The same command goes on from there.");
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
        sources.put("dataset", Map.of(train.file().path().getFileName().toString(), train.file().sha256()));
        if (heldOut != null) {
            sources.put("eval_dataset", Map.of(heldOut.file().path().getFileName().toString(), heldOut.file().sha256()));
        }
        run.finish(command, sources, List.of("model", "metrics.jsonl", "config.yaml"), results, began);
        out.printf(
                Locale.ROOT,
                "Done: %d updates, mean training loss %.4f%s. The model is in %s%n",
                outcome.steps(),
                outcome.trainLoss(),
                outcome.evalLoss() == null ? "" : String.format(Locale.ROOT, ", held-out loss %.4f", outcome.evalLoss()),
                model);
        return true;
    }

    private static Object finite(double value) {
        return Double.isFinite(value) ? (Object) value : String.valueOf(value);
    }

    /// bf16 as asked for, or where the processor multiplies it in hardware.
    public static DType dtype(SftConfig config) {
        boolean bf16 = config.bf16() == null ? LibTorch.hasFastBf16() : config.bf16();
        return bf16 ? DType.BF16 : DType.F32;
    }

    private static Map<String, String> fingerprint(
            SftConfig config, Map<String, String> inputs, Data train, @Nullable Data heldOut) {
        Map<String, String> fingerprint = new TreeMap<>();
        inputs.forEach((file, hash) -> fingerprint.put("model/" + file, hash));
        fingerprint.put("dataset", train.file().sha256());
        fingerprint.put("eval_dataset", heldOut == null ? "none" : heldOut.file().sha256());
        fingerprint.put("dtype", String.valueOf(dtype(config)));
        fingerprint.put("threads", String.valueOf(LibTorch.threads()));
        fingerprint.put("libtorch", LibTorch.version());
        dev.manners.config.Options.toMap(config).forEach((k, v) -> fingerprint.put("option/" + k, String.valueOf(v)));
        return fingerprint;
    }

    private void samples(LoadedModel policy, Tracker tracker, long step) {
        if (samplePrompts.isEmpty()) {
            return;
        }
        List<int[]> ids = new ArrayList<>();
        for (String prompt : samplePrompts) {
            ids.add(policy.tokenizer().encodeContentWithSpecial(prompt));
        }
        for (Completion c : policy.engine(8).generate(ids, Sampling.greedy(64))) {
            tracker.sample(step, samplePrompts.get(c.prompt()), c.text(), Map.of());
        }
    }

    private Path save(RunDirectory run, LoadedModel policy, SftTrainer.Outcome outcome) {
        Path target = run.path().resolve("model");
        String base = model.toAbsolutePath().normalize().getFileName().toString();
        ModelCard card = new ModelCard(run.path().getFileName().toString(), base, lora == null ? "finetune" : "adapter", null)
                .paragraph("Supervised fine-tuning of " + base + " with Manners " + RunDirectory.version() + ": "
                        + outcome.steps() + " updates on " + dataset.replaceAll(".*/", "") + ".")
                .table("result", "value", results(outcome))
                .table("option", "value", resolved);
        Map<String, Object> extra = Map.of("kind", lora == null ? "model" : "adapter", "base_model", base);
        if (lora == null) {
            policy.save(target, DType.F32, card.toString(), extra);
        } else {
            policy.saveAdapter(target, model.toString(), card.toString(), extra);
        }
        return target;
    }

    private static Map<String, Object> results(SftTrainer.Outcome outcome) {
        Map<String, Object> results = new LinkedHashMap<>();
        results.put("mean training loss", outcome.trainLoss());
        if (outcome.evalLoss() != null) {
            results.put("loss on held-out rows", outcome.evalLoss());
        }
        return results;
    }

    /// A dataset file and its tokens.
    record Data(DatasetFile file, Tokenised rows) implements AutoCloseable {

        static Data open(String source, ModelEncoder encoder, SftConfig config, boolean skipBad, Path cache) {
            DatasetFile file = DatasetFile.open(source);
            boolean opened = false;
            try {
                Data data = new Data(file, Tokenised.of(file, encoder, config.tokenisation(skipBad), cache, n -> {}));
                opened = true;
                return data;
            } finally {
                if (!opened) {
                    file.close();
                }
            }
        }

        @Override
        public void close() {
            rows.close();
            file.close();
        }
    }
}
