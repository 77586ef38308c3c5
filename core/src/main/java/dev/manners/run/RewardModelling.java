package dev.manners.run;

import dev.manners.BadInput;
import dev.manners.config.Options;
import dev.manners.data.Consistency;
import dev.manners.data.DatasetFile;
import dev.manners.data.DatasetSlice;
import dev.manners.data.ModelEncoder;
import dev.manners.data.PreferenceData;
import dev.manners.data.PreferenceRow.Ranking;
import dev.manners.files.AtomicFile;
import dev.manners.files.Json;
import dev.manners.files.Printable;
import dev.manners.files.RegularFile;
import dev.manners.model.AdapterFiles;
import dev.manners.model.Lora;
import dev.manners.model.ModelDirectory;
import dev.manners.model.ScalarModel;
import dev.manners.reward.HackingProbes;
import dev.manners.reward.RewardReport;
import dev.manners.tensor.DType;
import dev.manners.tensor.LibTorch;
import dev.manners.text.Tokenizer;
import dev.manners.train.Outcome;
import dev.manners.train.RewardConfig;
import dev.manners.train.RewardTrainer;
import dev.manners.train.Tracker;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/// A model directory and comparisons in, a reward model out, or several members of an ensemble.
///
/// @param ensembleSize members, each from its own seed
/// @param warm also average the members' weights; they then start from one head and differ in the order of rows alone
/// @param allowFew train on fewer than [#FEWEST] comparisons
/// @param allowPoor train on comparisons that the [QualityGate] holds back
/// @param resolved all options, for the record
public record RewardModelling(
        Path model,
        String dataset,
        @Nullable String evalDataset,
        Path outputDir,
        int ensembleSize,
        boolean warm,
        boolean allowFew,
        boolean allowPoor,
        boolean skipBad,
        @Nullable Lora lora,
        boolean allowNonfinite,
        RewardConfig config,
        Map<String, Object> resolved,
        List<String> command,
        PrintStream out) {

    /// Fewer comparisons than this teach a reward model next to nothing but noise.
    public static final int FEWEST = 500;

    /// With fewer than this it is worth to ask people for more.
    public static final int FEW = 2_000;

    /// @param scores of the held-out rankings' completions, null without such
    /// @param hacks what pays without a better answer, null without held-out rankings
    private record Member(Outcome outcome, @Nullable List<float[]> scores, RewardProbes.@Nullable Found hacks) {}

    /// @return whether it came to its end; false if it was interrupted
    public boolean run(Interrupts interrupts) {
        Instant began = Instant.now();
        refuseAtOnce();
        try (RunDirectory run = RunDirectory.open(outputDir, resolved, List.of(model));
                Tokenizer tokenizer = Tokenizer.load(model);
                DatasetFile trainFile = DatasetFile.open(dataset);
                DatasetFile evalFile = evalDataset == null ? null : DatasetFile.open(evalDataset)) {
            run.warnings().forEach(RewardModelling::warn);
            LibTorch.warnings().forEach(RewardModelling::warn);
            PreferenceData<Ranking> train = read(trainFile, tokenizer, interrupts);
            PreferenceData<Ranking> heldOut = evalFile == null ? null : read(evalFile, tokenizer, interrupts);
            out.println(Printable.escape(train.describe()));
            requireEnough(train.rows());
            requireCare(trainFile);
            warnOfPadding(tokenizer);
            return train(run, tokenizer, trainFile, train.rows(), evalFile, heldOut, interrupts, began);
        } catch (Interrupts.Stopped e) {
            out.println("Interrupted while the rows were tokenised. The same command starts again.");
            return false;
        }
    }

    private static void warn(String what) {
        System.err.println("manners: " + what);
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
        if (warm && ensembleSize < 2) {
            problems.add("warm averages the members of an ensemble, and ensemble_size is " + ensembleSize);
        }
        if (warm && lora != null) {
            problems.add("warm averages whole models: leave use_peft out");
        }
        if (!problems.isEmpty()) {
            throw BadInput.all("inputs", problems);
        }
    }

    private PreferenceData<Ranking> read(DatasetFile file, Tokenizer tokenizer, Interrupts interrupts) {
        return PreferenceData.rankings(
                file, new ModelEncoder(tokenizer), config.maxLength(), skipBad, done -> interrupts.stopIfRequested());
    }

    private void requireEnough(List<Ranking> rows) {
        Consistency consistency = Consistency.of(rows);
        consistency.warnings().forEach(w -> out.println("Warning: " + w));
        if (consistency.comparisons() < FEWEST && !allowFew) {
            throw new BadInput(String.format(
                    Locale.ROOT,
                    "%s: %,d comparisons. A reward model of fewer than %,d learns noise; collect more, or pass"
                            + " --allow-few to train it all the same.",
                    dataset,
                    consistency.comparisons(),
                    FEWEST));
        }
        if (consistency.comparisons() < FEW) {
            out.println(String.format(
                    Locale.ROOT,
                    "Warning: %,d comparisons are few: expect a reward model that errs often, and look at its accuracy on held-out"
                            + " rows; %,d and more are usual",
                    consistency.comparisons(),
                    FEW));
        }
    }

    private void requireCare(DatasetFile file) {
        List<String> problems = QualityGate.of(file).problems();
        if (!problems.isEmpty() && !allowPoor) {
            throw new BadInput(BadInput.all(dataset + ": a reward model would learn the annotators' habits", problems)
                            .getMessage()
                    + "\nLeave these annotators out, or pass --allow-poor to train all the same.");
        }
        problems.forEach(p -> out.println("Warning: " + p));
    }

    private static void warnOfPadding(Tokenizer tokenizer) {
        if (ScalarDirectory.padId(tokenizer).isEmpty()) {
            warn("the tokenizer has no pad token apart from EOS: config.json will name none, and transformers will"
                    + " score one sequence at a time");
        }
    }

    private boolean train(
            RunDirectory run,
            Tokenizer tokenizer,
            DatasetFile trainFile,
            List<Ranking> train,
            @Nullable DatasetFile evalFile,
            @Nullable PreferenceData<Ranking> heldOut,
            Interrupts interrupts,
            Instant began) {
        Map<String, String> inputs = LoadedModel.hashes(model);
        Map<String, String> fingerprint = fingerprint(inputs, trainFile, evalFile);
        List<Ranking> evalRows = heldOut == null ? List.of() : heldOut.rows();
        RewardProbes probes = evalRows.isEmpty() ? null : new RewardProbes(tokenizer, evalRows);
        if (probes != null && probes.leftOut() > 0) {
            warn(probes.leftOut() + " held-out rows are not probed for reward hacking: their best completion is not one"
                    + " answer in plain words");
        }
        List<Member> members = new ArrayList<>();
        List<String> outputs = new ArrayList<>(List.of("metrics.jsonl", "config.yaml"));
        Map<String, Object> results = new LinkedHashMap<>();
        List<ScalarModel> kept = new ArrayList<>();
        try {
            for (int i = 0; i < ensembleSize; i++) {
                String name = ensembleSize == 1 ? "model" : "member-" + i;
                ScalarModel scored = fresh(tokenizer, warm ? 0 : i);
                kept.add(scored);
                Member member = member(run, scored, i, train, evalRows, probes, fingerprint, interrupts);
                if (member == null) {
                    return false;
                }
                members.add(member);
                RewardReport report = member.scores == null ? null : RewardReport.of(evalRows, member.scores);
                save(run, name, scored, tokenizer, member.outcome.steps(), report, member.hacks);
                outputs.add(name);
                results.put(name, results(member.outcome, report, member.hacks));
                say(name, report, member.hacks);
                if (!warm) {
                    kept.removeLast().close();
                }
            }
            if (warm) {
                try (ScalarModel mean = ScalarModel.average(kept)) {
                    List<float[]> scores = RewardTrainer.scores(mean, evalRows, interrupts::requested);
                    if (scores == null) {
                        return interrupted();
                    }
                    long steps = members.getLast().outcome.steps();
                    RewardProbes.Found hacks = null;
                    if (probes != null) {
                        // All members began as the same model, and so did the mean of them.
                        RewardProbes.Found first = members.getFirst().hacks;
                        HackingProbes.Report after = probe(mean, probes, interrupts);
                        if (after == null) {
                            return interrupted();
                        }
                        hacks = new RewardProbes.Found(first == null ? null : first.before(), after);
                        hacks.log(run.path(), "reward-warm", steps);
                    }
                    RewardReport report = evalRows.isEmpty() ? null : RewardReport.of(evalRows, scores);
                    save(run, "warm", mean, tokenizer, steps, report, hacks);
                    outputs.add("warm");
                    results.put("warm", results(null, report, hacks));
                    say("warm, the mean of weights", report, hacks);
                }
            }
        } finally {
            kept.forEach(ScalarModel::close);
        }
        if (ensembleSize > 1 && !evalRows.isEmpty()) {
            RewardReport report = RewardReport.of(evalRows, mean(members));
            results.put("ensemble_mean", results(null, report, null));
            say("ensemble, the mean of scores", report, null);
        }
        Map<String, Object> sources = new LinkedHashMap<>();
        sources.put("model", inputs);
        sources.put("dataset", hash(trainFile));
        if (evalFile != null) {
            sources.put("eval_dataset", hash(evalFile));
        }
        AtomicFile.write(run.path().resolve("results.json"), Json.pretty(results));
        outputs.add("results.json");
        run.finish(command, sources, outputs, results, began);
        out.println("Done: " + (ensembleSize == 1 ? "the reward model is" : ensembleSize + " reward models are")
                + " in " + run.path());
        if (lora != null) {
            Path adapter = run.path().resolve(ensembleSize == 1 ? "model" : "member-0");
            out.println(
                    "An adapter of " + model + ": --reward-model takes it where that folder is; one directory of both: "
                            + AdapterFiles.mergeCommand(adapter));
        }
        return true;
    }

    private ScalarModel fresh(Tokenizer tokenizer, int member) {
        long seed = config.training().seed();
        DType dtype = Stage.dtype(config.training());
        LoadedModel.warnOfSlowBf16(dtype);
        ScalarModel fresh = ScalarModel.load(model, dtype, seed + member, allowNonfinite);
        boolean usable = false;
        try {
            LoadedModel.requireRows(model, tokenizer, fresh.config().vocabSize());
            if (lora != null) {
                fresh.attach(lora, seed + member);
            }
            usable = true;
            return fresh;
        } finally {
            if (!usable) {
                fresh.close();
            }
        }
    }

    /// @return null if it was interrupted
    private @Nullable Member member(
            RunDirectory run,
            ScalarModel scored,
            int number,
            List<Ranking> train,
            List<Ranking> heldOut,
            @Nullable RewardProbes probes,
            Map<String, String> fingerprint,
            Interrupts interrupts) {
        HackingProbes.Report before = null;
        if (probes != null && ScalarModel.hasHead(model)) {
            before = probe(scored, probes, interrupts);
            if (before == null) {
                interrupted();
                return null;
            }
        }
        String stage = ensembleSize == 1 ? "reward" : "reward-" + number;
        Path checkpoints = ensembleSize == 1
                ? run.path()
                : run.path().resolve("checkpoints").resolve("member-" + number);
        try (Progress progress = Progress.of(stage)) {
            Tracker tracker = Tracker.all(List.of(
                    new MetricsLog(run.path(), stage),
                    new TensorBoardEvents(run.path().resolve("tensorboard"), stage + "/"),
                    progress));
            Outcome outcome = new RewardTrainer(
                            scored,
                            ofMember(number),
                            train,
                            heldOut,
                            tracker,
                            checkpoints,
                            fingerprint,
                            interrupts::requested)
                    .train();
            if (outcome.interrupted()) {
                out.println(FineTuning.interrupted(outcome));
                return null;
            }
            List<float[]> scores =
                    heldOut.isEmpty() ? null : RewardTrainer.scores(scored, heldOut, interrupts::requested);
            HackingProbes.Report after = probes == null ? null : probe(scored, probes, interrupts);
            if (scores == null && !heldOut.isEmpty() || after == null && probes != null) {
                interrupted();
                return null;
            }
            RewardProbes.Found hacks = after == null ? null : new RewardProbes.Found(before, after);
            if (hacks != null) {
                hacks.log(run.path(), stage, outcome.steps());
            }
            out.println("Verdict: " + outcome.verdict());
            return new Member(outcome, scores, hacks);
        }
    }

    /// @return null if it was interrupted
    private HackingProbes.@Nullable Report probe(ScalarModel scored, RewardProbes probes, Interrupts interrupts) {
        return probes.of(scored, config.training().seed(), interrupts::requested);
    }

    private boolean interrupted() {
        out.println("Interrupted; the updates are saved. The same command goes on from there.");
        return false;
    }

    /// The options with the member's seed.
    private RewardConfig ofMember(int number) {
        Map<String, Object> options = new LinkedHashMap<>(Options.toMap(config));
        options.put("seed", config.training().seed() + number);
        return Options.with(RewardConfig.class, options);
    }

    private Map<String, String> fingerprint(
            Map<String, String> inputs, DatasetFile train, @Nullable DatasetFile heldOut) {
        Map<String, String> fingerprint = new TreeMap<>();
        inputs.forEach((file, hash) -> fingerprint.put("model/" + file, hash));
        fingerprint.put("dataset", identity(train));
        fingerprint.put("eval_dataset", heldOut == null ? "none" : identity(heldOut));
        fingerprint.put("dtype", String.valueOf(Stage.dtype(config.training())));
        fingerprint.put("threads", String.valueOf(LibTorch.threads()));
        fingerprint.put("libtorch", LibTorch.version());
        fingerprint.put("manners", RunDirectory.version());
        resolved.forEach((key, value) -> fingerprint.put("option/" + key, String.valueOf(value)));
        return fingerprint;
    }

    private static String identity(DatasetFile file) {
        return file.sha256() + " " + file.range();
    }

    private static Map<String, String> hash(DatasetFile file) {
        return Map.of(file.path().getFileName().toString(), file.sha256());
    }

    private static List<float[]> mean(List<Member> members) {
        List<float[]> means = new ArrayList<>();
        List<float[]> first = Objects.requireNonNull(members.getFirst().scores);
        for (int row = 0; row < first.size(); row++) {
            float[] mean = new float[first.get(row).length];
            for (Member member : members) {
                float[] scores = Objects.requireNonNull(member.scores).get(row);
                for (int c = 0; c < mean.length; c++) {
                    mean[c] += scores[c] / members.size();
                }
            }
            means.add(mean);
        }
        return means;
    }

    private void say(String what, @Nullable RewardReport report, RewardProbes.@Nullable Found hacks) {
        if (report != null) {
            out.println(what + "\n" + report.text() + (hacks == null ? "" : "\n" + hacks.text()));
        }
    }

    private static Map<String, Object> results(
            @Nullable Outcome outcome, @Nullable RewardReport report, RewardProbes.@Nullable Found hacks) {
        Map<String, Object> results = new LinkedHashMap<>();
        if (outcome != null) {
            results.put("steps", outcome.steps());
            results.put(
                    "train_loss",
                    Double.isFinite(outcome.trainLoss())
                            ? (Object) outcome.trainLoss()
                            : String.valueOf(outcome.trainLoss()));
            if (outcome.evalLoss() != null) {
                results.put("eval_loss", outcome.evalLoss());
            }
            results.put("verdict", String.valueOf(outcome.verdict()));
        }
        if (report != null) {
            results.put("held_out", report);
        }
        if (hacks != null) {
            results.put("hacking_probes", hacks);
        }
        return results;
    }

    private void save(
            RunDirectory run,
            String name,
            ScalarModel scored,
            Tokenizer tokenizer,
            long steps,
            @Nullable RewardReport report,
            RewardProbes.@Nullable Found hacks) {
        String base = model.toAbsolutePath().normalize().getFileName().toString();
        ModelCard card = new ModelCard(
                        run.path().getFileName() + " " + name, base, lora == null ? "finetune" : "adapter", null)
                .pipeline("text-classification")
                .paragraph("Reward model from " + base + ", made with Manners " + RunDirectory.version() + ": " + steps
                        + " updates on " + dataset.replaceAll(".*/", "")
                        + ". Its one logit, at the last token of prompt and"
                        + " completion, is higher the better people are expected to like the completion.");
        if (report != null) {
            card.paragraph("```text\n" + report.text() + "```");
        }
        if (hacks != null) {
            card.paragraph("```text\n" + hacks.text() + "```");
        }
        card.table("option", "value", resolved);
        Path target = run.path().resolve(name);
        Map<String, String> about = Map.of("kind", lora == null ? "reward_model" : "adapter", "base_model", base);
        if (lora == null) {
            ScalarDirectory.save(scored, tokenizer, target, card.toString(), about);
        } else {
            ScalarDirectory.saveAdapter(scored, tokenizer, target, model.toString(), card.toString(), about);
        }
    }
}
