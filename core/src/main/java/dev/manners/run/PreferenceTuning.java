package dev.manners.run;

import dev.manners.BadInput;
import dev.manners.config.Options;
import dev.manners.data.DatasetFile;
import dev.manners.data.DatasetSlice;
import dev.manners.data.ModelEncoder;
import dev.manners.data.PreferenceData;
import dev.manners.data.PreferenceKind;
import dev.manners.data.PreferenceRow;
import dev.manners.data.Tokenisation.Truncation;
import dev.manners.files.AtomicFile;
import dev.manners.files.Printable;
import dev.manners.files.RegularFile;
import dev.manners.model.Lora;
import dev.manners.model.ModelDirectory;
import dev.manners.stats.Interval;
import dev.manners.stats.Intervals;
import dev.manners.tensor.DType;
import dev.manners.tensor.LibTorch;
import dev.manners.text.Tokenizer;
import dev.manners.train.CpoConfig;
import dev.manners.train.DpoConfig;
import dev.manners.train.DpoTrainer;
import dev.manners.train.Judged;
import dev.manners.train.KtoConfig;
import dev.manners.train.KtoTrainer;
import dev.manners.train.OrpoConfig;
import dev.manners.train.Outcome;
import dev.manners.train.Pair;
import dev.manners.train.PreferenceConfig;
import dev.manners.train.Tracker;
import java.io.PrintStream;
import java.nio.IntBuffer;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/// A model directory and preferences in, a model directory out: DPO and its relatives, CPO, ORPO, KTO.
///
/// @param algorithm its name, first key of every line of metrics
/// @param refModel the reference's directory, or null: the policy as it is at the start
/// @param resolved all options, for the record
public record PreferenceTuning(
        String algorithm,
        Path model,
        @Nullable Path refModel,
        String dataset,
        @Nullable String evalDataset,
        Path outputDir,
        boolean skipBad,
        @Nullable Lora lora,
        List<String> samplePrompts,
        boolean allowNonfinite,
        PreferenceConfig config,
        Map<String, Object> resolved,
        List<String> command,
        PrintStream out) {

    /// Of the held-out rows at the last evaluation.
    private static final class Measured implements Tracker {
        private @Nullable Double accuracy;

        @Override
        public void metrics(long step, Map<String, Double> values) {
            Double found = values.get("eval_rewards/accuracies");
            accuracy = found == null ? accuracy : found;
        }
    }

    /// @return whether it came to its end; false if it was interrupted
    public boolean run(Interrupts interrupts) {
        Instant began = Instant.now();
        refuseAtOnce();
        DType dtype = Stage.dtype(config.training());
        try (RunDirectory run = RunDirectory.open(
                        outputDir, resolved, refModel == null ? List.of(model) : List.of(model, refModel));
                LoadedModel policy = LoadedModel.open(model, null, dtype, allowNonfinite);
                LoadedModel reference = needsReference() && !precomputes() ? openReference() : null;
                DatasetFile file = DatasetFile.open(dataset);
                DatasetFile heldOut = evalDataset == null ? null : DatasetFile.open(evalDataset)) {
            run.warnings().forEach(PreferenceTuning::warn);
            LibTorch.warnings().forEach(PreferenceTuning::warn);
            if (lora != null) {
                policy.decoder().attach(lora, config.training().seed());
                if (lora.loraDropout() > 0) {
                    out.println("Warning: lora_dropout is " + lora.loraDropout() + ", but " + algorithm
                            + " trains without any dropout, as TRL's disable_dropout does");
                }
            }
            if (refModel != null) {
                requireSameTokens(policy.tokenizer(), refModel);
            }
            Map<String, String> inputs = LoadedModel.hashes(model);
            Map<String, String> refInputs =
                    refModel == null || !config.hasReference() ? Map.of() : LoadedModel.hashes(refModel);
            Map<String, String> fingerprint = fingerprint(inputs, refInputs, file, heldOut);
            Measured measured = new Measured();
            Outcome outcome;
            List<Pair> evaluated = List.of();
            try (Progress progress = Progress.of(algorithm)) {
                Tracker tracker = Tracker.all(List.of(
                        new MetricsLog(run.path(), algorithm),
                        new TensorBoardEvents(run.path().resolve("tensorboard"), algorithm + "/"),
                        measured,
                        progress));
                if (config instanceof KtoConfig kto) {
                    List<Judged> rows = judged(file, policy, run.path().resolve("rejects.jsonl"), interrupts);
                    List<Judged> evalRows = heldOut == null ? List.of() : judged(heldOut, policy, null, interrupts);
                    weigh(rows, kto);
                    Samples samples = Samples.of(
                            policy,
                            samplePrompts,
                            (evalRows.isEmpty() ? rows : evalRows).size(),
                            i -> (evalRows.isEmpty() ? rows : evalRows).get(i).prompt(),
                            tracker);
                    outcome = new KtoTrainer(
                                    policy.decoder(),
                                    reference == null ? null : reference.decoder(),
                                    limited(kto, policy),
                                    rows,
                                    evalRows,
                                    tracker,
                                    run.path(),
                                    fingerprint,
                                    interrupts::requested,
                                    samples::show)
                            .train();
                } else {
                    List<Pair> pairs = pairs(file, policy, run.path().resolve("rejects.jsonl"), interrupts);
                    List<Pair> evalPairs = heldOut == null ? List.of() : pairs(heldOut, policy, null, interrupts);
                    evaluated = evalPairs;
                    DpoTrainer.RefLogProbs precomputed = null;
                    if (config instanceof DpoConfig dpo && precomputes()) {
                        Map<String, String> hashes = refModel == null ? inputs : refInputs;
                        float[] train = precompute(run, policy, dpo, hashes, file, pairs, interrupts);
                        float[] held = heldOut == null
                                ? new float[0]
                                : precompute(run, policy, dpo, hashes, heldOut, evalPairs, interrupts);
                        precomputed = new DpoTrainer.RefLogProbs(train, held);
                    }
                    Samples samples = Samples.of(
                            policy,
                            samplePrompts,
                            (evalPairs.isEmpty() ? pairs : evalPairs).size(),
                            i -> (evalPairs.isEmpty() ? pairs : evalPairs)
                                    .get(i)
                                    .prompt(),
                            tracker);
                    outcome = trainer(
                                    policy,
                                    reference,
                                    pairs,
                                    evalPairs,
                                    precomputed,
                                    tracker,
                                    run.path(),
                                    fingerprint,
                                    interrupts::requested,
                                    samples)
                            .train();
                }
            }
            return finish(run, policy, inputs, refInputs, file, heldOut, outcome, measured, evaluated, began);
        } catch (Interrupts.Stopped e) {
            out.println("Interrupted before the first update. The same command starts again.");
            return false;
        }
    }

    private DpoTrainer trainer(
            LoadedModel policy,
            @Nullable LoadedModel reference,
            List<Pair> pairs,
            List<Pair> heldOut,
            DpoTrainer.@Nullable RefLogProbs precomputed,
            Tracker tracker,
            Path folder,
            Map<String, String> fingerprint,
            BooleanSupplier stop,
            Samples samples) {
        return switch (config) {
            case DpoConfig dpo ->
                DpoTrainer.dpo(
                        policy.decoder(),
                        reference == null ? null : reference.decoder(),
                        dpo,
                        pairs,
                        heldOut,
                        precomputed,
                        tracker,
                        folder,
                        fingerprint,
                        stop,
                        samples::show);
            case CpoConfig cpo ->
                DpoTrainer.cpo(
                        policy.decoder(), cpo, pairs, heldOut, tracker, folder, fingerprint, stop, samples::show);
            case OrpoConfig orpo ->
                DpoTrainer.orpo(
                        policy.decoder(), orpo, pairs, heldOut, tracker, folder, fingerprint, stop, samples::show);
            case KtoConfig kto -> throw new IllegalStateException("learns from completions, not from pairs");
        };
    }

    private static void warn(String what) {
        System.err.println("manners: " + what);
    }

    /// What can be seen to be wrong before anything is read or written, all in one message.
    private void refuseAtOnce() {
        List<String> problems = new ArrayList<>(ModelDirectory.problems(model, lora));
        if (refModel != null) {
            problems.addAll(ModelDirectory.problems(refModel, null));
            if (!config.hasReference()) {
                problems.add("--ref-model is given, and " + algorithm + " has no reference: leave it out");
            }
        }
        for (String source : evalDataset == null ? List.of(dataset) : List.of(dataset, evalDataset)) {
            try {
                RegularFile.require(DatasetSlice.parse(source).file());
            } catch (BadInput e) {
                problems.addAll(e.problems());
            }
        }
        if (config.syncRefModel() && lora != null) {
            problems.add(
                    "sync_ref_model is true and use_peft too: a reference cannot take adapters over; train in full,"
                            + " or leave sync_ref_model out");
        }
        if (!problems.isEmpty()) {
            throw BadInput.all("inputs", problems);
        }
    }

    // ---- the reference

    /// Whether the reference is a model of its own. Otherwise the policy without its adapters is, or there is none.
    private boolean needsReference() {
        return config.hasReference() && (refModel != null || lora == null);
    }

    private boolean precomputes() {
        return config instanceof DpoConfig dpo && dpo.precomputeRefLogProbs();
    }

    private LoadedModel openReference() {
        return LoadedModel.open(
                refModel == null ? model : refModel, null, Stage.dtype(config.training()), allowNonfinite);
    }

    private static void requireSameTokens(Tokenizer policy, Path refModel) {
        try (Tokenizer reference = Tokenizer.load(refModel)) {
            if (!policy.sha256().equals(reference.sha256())) {
                throw new BadInput(
                        "--ref-model " + refModel + " has another tokenizer than --model: its log-probabilities"
                                + " would be those of other texts. Give a reference with the policy's tokenizer.json");
            }
        }
    }

    private float[] precompute(
            RunDirectory run,
            LoadedModel policy,
            DpoConfig dpo,
            Map<String, String> reference,
            DatasetFile file,
            List<Pair> pairs,
            Interrupts interrupts) {
        ReferenceCache.Key key = ReferenceCache.Key.here(
                reference,
                identity(file),
                new ModelEncoder(policy.tokenizer()).fingerprint(),
                String.valueOf(dpo.truncationMode()),
                limit(policy),
                pairs,
                dpo.ldAlpha(),
                Stage.dtype(dpo.training()));
        float[] logps = ReferenceCache.get(
                run.path().resolve(".reference"),
                key,
                2 * pairs.size(),
                () -> {
                    out.println(file.path()
                            + ": log-probabilities of %,d pairs under the reference".formatted(pairs.size()));
                    if (!needsReference()) {
                        return DpoTrainer.precompute(policy.decoder(), null, dpo, pairs, interrupts::requested);
                    }
                    try (LoadedModel opened = openReference()) {
                        return DpoTrainer.precompute(
                                policy.decoder(), opened.decoder(), dpo, pairs, interrupts::requested);
                    }
                },
                PreferenceTuning::warn);
        if (logps == null) {
            throw new Interrupts.Stopped();
        }
        return logps;
    }

    // ---- the rows

    /// Tokens of prompt and completion together: no more than `max_length`, nor than the model has positions.
    private int limit(LoadedModel policy) {
        int positions = policy.decoder().config().maxPositions();
        return config.maxLength() == 0 ? positions : Math.min(config.maxLength(), positions);
    }

    private KtoConfig limited(KtoConfig kto, LoadedModel policy) {
        Map<String, Object> options = new LinkedHashMap<>(Options.toMap(kto));
        options.put("max_length", limit(policy));
        return Options.with(KtoConfig.class, options);
    }

    private Truncation truncation() {
        return config instanceof DpoConfig dpo ? dpo.truncationMode() : Truncation.KEEP_START;
    }

    private List<Pair> pairs(DatasetFile file, LoadedModel policy, @Nullable Path rejects, Interrupts interrupts) {
        PreferenceData<PreferenceRow.Ranking> data = PreferenceData.rankings(
                file, new ModelEncoder(policy.tokenizer()), 0, skipBad, done -> interrupts.stopIfRequested());
        tell(file, data, rejects);
        PreferenceData.warnings(data.rows()).forEach(w -> out.println(Printable.escape("Warning: " + w)));
        Pair.Fitted fitted = Pair.fitted(data.rows(), limit(policy), truncation());
        fitted.notes(limit(policy)).forEach(out::println);
        if (fitted.pairs().isEmpty()) {
            throw new BadInput(file.path() + ": no pair is left: " + String.join("; ", fitted.notes(limit(policy)))
                    + ". Raise max_length");
        }
        return fitted.pairs();
    }

    private List<Judged> judged(DatasetFile file, LoadedModel policy, @Nullable Path rejects, Interrupts interrupts) {
        if (PreferenceKind.detect(file) instanceof PreferenceKind.Pair) {
            List<Pair> pairs = pairs(file, policy, rejects, interrupts);
            out.println("%,d pairs taken apart: each chosen is good, each rejected bad".formatted(pairs.size()));
            return Judged.unpaired(pairs);
        }
        PreferenceData<PreferenceRow.Labelled> data = PreferenceData.labelled(
                file, new ModelEncoder(policy.tokenizer()), 0, skipBad, done -> interrupts.stopIfRequested());
        tell(file, data, rejects);
        int limit = limit(policy);
        List<Judged> rows = data.rows().stream()
                .map(r -> new Judged(r.prompt(), r.completion(), r.label()))
                .filter(r -> r.leavesRoom(limit))
                .toList();
        long cut = rows.stream()
                .filter(r -> r.prompt().length + r.completion().length > limit)
                .count();
        if (rows.size() < data.rows().size()) {
            out.println("%,d rows left out: their prompts fill max_length %,d"
                    .formatted(data.rows().size() - rows.size(), limit));
        }
        if (cut > 0) {
            out.println("%,d of %,d rows cut to max_length %,d".formatted(cut, rows.size(), limit));
        }
        if (rows.isEmpty()) {
            throw new BadInput(
                    file.path() + ": no row is left: every prompt fills max_length " + limit + ". Raise max_length");
        }
        return rows;
    }

    private void tell(DatasetFile file, PreferenceData<?> data, @Nullable Path rejects) {
        out.println(Printable.escape(file.path() + ": " + data.describe()));
        if (rejects != null && !data.rejects().isEmpty()) {
            AtomicFile.write(rejects, String.join("\n", data.rejects()) + "\n");
            out.println(data.rejects().size() + " rows left out, see " + rejects);
        }
    }

    /// The paper asks for weights that make good and bad rows count about the same.
    private void weigh(List<Judged> rows, KtoConfig kto) {
        long good = rows.stream().filter(Judged::desirable).count();
        long bad = rows.size() - good;
        if (good == 0 || bad == 0) {
            out.println("Warning: all rows are " + (good == 0 ? "bad" : "good") + ": nothing says what the others are");
            return;
        }
        double ratio = kto.desirableWeight() * good / (kto.undesirableWeight() * bad);
        if (!(ratio >= 0.99 && ratio <= 1.34)) {
            out.println(String.format(
                    Locale.ROOT,
                    "Warning: %,d rows are good and %,d bad, which with desirable_weight %s and undesirable_weight %s count as"
                            + " %.2f to 1. The paper advises between 1 and 1.33: such as desirable_weight %.2f",
                    good,
                    bad,
                    kto.desirableWeight(),
                    kto.undesirableWeight(),
                    ratio,
                    kto.undesirableWeight() * bad / good));
        }
    }

    private static String identity(DatasetFile file) {
        return file.sha256() + " " + file.range();
    }

    /// What must be the same for a run to be resumed.
    private Map<String, String> fingerprint(
            Map<String, String> inputs,
            Map<String, String> reference,
            DatasetFile file,
            @Nullable DatasetFile heldOut) {
        Map<String, String> fingerprint = new TreeMap<>();
        inputs.forEach((name, hash) -> fingerprint.put("model/" + name, hash));
        reference.forEach((name, hash) -> fingerprint.put("ref_model/" + name, hash));
        fingerprint.put("dataset", identity(file));
        fingerprint.put("eval_dataset", heldOut == null ? "none" : identity(heldOut));
        fingerprint.put("dtype", String.valueOf(Stage.dtype(config.training())));
        fingerprint.put("threads", String.valueOf(LibTorch.threads()));
        fingerprint.put("libtorch", LibTorch.version());
        fingerprint.put("manners", RunDirectory.version());
        resolved.forEach((key, value) -> {
            if (!key.equals("output_dir")) {
                fingerprint.put("option/" + key, String.valueOf(value));
            }
        });
        return fingerprint;
    }

    // ---- the end

    private boolean finish(
            RunDirectory run,
            LoadedModel policy,
            Map<String, String> inputs,
            Map<String, String> reference,
            DatasetFile file,
            @Nullable DatasetFile heldOut,
            Outcome outcome,
            Measured measured,
            List<Pair> evaluated,
            Instant began) {
        if (outcome.interrupted()) {
            out.println(FineTuning.interrupted(outcome));
            return false;
        }
        Map<String, Object> results = new LinkedHashMap<>();
        results.put("steps", outcome.steps());
        results.put("train_loss", FineTuning.finite(outcome.trainLoss()));
        if (outcome.evalLoss() != null) {
            results.put("eval_loss", outcome.evalLoss());
        }
        out.println("Verdict: " + outcome.verdict());
        results.put("verdict", String.valueOf(outcome.verdict()));
        Map<String, Object> shown = new LinkedHashMap<>(results);
        if (measured.accuracy != null && !evaluated.isEmpty()) {
            Interval accuracy = accuracy(measured.accuracy, evaluated);
            results.put("eval_rewards/accuracies", accuracy.fields());
            shown.put("held-out pairs whose chosen has the higher reward", accuracy.percent());
        }
        Trained trained = new Trained(run, policy, model, lora);
        Path target = trained.save(
                "Trained from " + trained.baseName() + " on preferences by " + algorithm + " with Manners "
                        + RunDirectory.version() + ": " + outcome.steps() + " updates on "
                        + dataset.replaceAll(".*/", "") + ".",
                shown,
                resolved);
        Map<String, Object> sources = new LinkedHashMap<>();
        sources.put("model", inputs);
        if (!reference.isEmpty()) {
            sources.put("ref_model", reference);
        }
        sources.put("dataset", hash(file));
        if (heldOut != null) {
            sources.put("eval_dataset", hash(heldOut));
        }
        run.finish(command, sources, List.of("model", "metrics.jsonl", "samples.jsonl", "config.yaml"), results, began);
        Object accuracy = shown.get("held-out pairs whose chosen has the higher reward");
        out.printf(
                Locale.ROOT,
                "Done: %d updates%s. The model is in %s%n",
                outcome.steps(),
                accuracy == null ? "" : ", held-out accuracy " + accuracy,
                target);
        return true;
    }

    /// Pairs of one prompt may depend on each other, so no more is claimed than its prompts allow.
    static Interval accuracy(double rate, List<Pair> pairs) {
        long prompts =
                pairs.stream().map(p -> IntBuffer.wrap(p.prompt())).distinct().count();
        return Intervals.wilsonOfClusters(Math.round(rate * pairs.size()), pairs.size(), prompts);
    }

    private static Map<String, String> hash(DatasetFile file) {
        return Map.of(Objects.requireNonNull(file.path().getFileName()).toString(), file.sha256());
    }
}
