package dev.manners.run;

import dev.manners.BadInput;
import dev.manners.data.DatasetFile;
import dev.manners.data.DatasetSlice;
import dev.manners.data.ModelEncoder;
import dev.manners.data.Prompts;
import dev.manners.data.Sampler;
import dev.manners.files.Printable;
import dev.manners.files.RegularFile;
import dev.manners.model.Lora;
import dev.manners.model.ModelDirectory;
import dev.manners.model.ScalarModel;
import dev.manners.reward.Reward;
import dev.manners.reward.judge.RemoteModel;
import dev.manners.rollout.Sampling;
import dev.manners.tensor.DType;
import dev.manners.tensor.Inference;
import dev.manners.tensor.LibTorch;
import dev.manners.text.Tokenizer;
import dev.manners.train.Health;
import dev.manners.train.Outcome;
import dev.manners.train.PpoConfig;
import dev.manners.train.PpoTrainer;
import dev.manners.train.Rollouts;
import dev.manners.train.Tracker;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// A model directory, prompts, and reward models or functions in; a model directory out that earns more, and the value
/// model it was trained with: PPO.
///
/// @param refModel null: the model itself, or with adapters the policy without them
/// @param valueModel null: the reward model, or without one the policy with a fresh head
/// @param promptField column of the prompt
/// @param lora adapters of policy and value model, or null: both are trained in full
/// @param resolved all options, for the record
public record PpoTraining(
        Path model,
        @Nullable Path refModel,
        @Nullable Path valueModel,
        String dataset,
        @Nullable String evalDataset,
        String promptField,
        Path outputDir,
        boolean skipBad,
        @Nullable Lora lora,
        boolean allowNonfinite,
        RewardFuncs rewardFuncs,
        PpoConfig config,
        Map<String, Object> resolved,
        List<String> command,
        PrintStream out) {

    /// Completions that are sampled at a time, at most: memory for their keys and values is taken beforehand.
    private static final int SLOTS = 128;

    /// The models of a run.
    ///
    /// @param reference null: the policy without its adapters
    private record Models(
            LoadedModel policy, @Nullable LoadedModel reference, RewardModels scorers, ScalarModel value) {}

    /// @return whether it came to its end; false if it was interrupted or ended by an alarm
    public boolean run(Interrupts interrupts) {
        Instant began = Instant.now();
        refuseAtOnce();
        DType dtype = Stage.dtype(config.training());
        Path ownReference = refModel != null ? refModel : lora == null ? model : null;
        try (RunDirectory run = RunDirectory.open(outputDir, resolved, directories());
                LoadedModel policy = LoadedModel.open(model, null, dtype, allowNonfinite);
                LoadedModel reference =
                        ownReference == null ? null : LoadedModel.open(ownReference, null, dtype, allowNonfinite);
                DatasetFile file = DatasetFile.open(dataset);
                DatasetFile heldOut = evalDataset == null ? null : DatasetFile.open(evalDataset)) {
            run.warnings().forEach(w -> System.err.println("manners: " + w));
            LibTorch.warnings().forEach(w -> System.err.println("manners: " + w));
            Inference.warnings().forEach(w -> System.err.println("manners: " + w));
            Prompts prompts = prompts(file, policy, interrupts);
            out.println(Printable.escape(file.path() + ": " + prompts.size() + " prompts, the longest of "
                    + prompts.longest() + " tokens"
                    + (prompts.rejects().isEmpty()
                            ? ""
                            : "; " + prompts.rejects().size() + " rows left out")));
            Prompts evaluated = heldOut == null ? null : prompts(heldOut, policy, interrupts);
            if (evaluated != null) {
                prompts.requireSameKind(evaluated);
            }
            try (RewardModels scorers = RewardModels.open(rewardFuncs, policy, prompts.chat(), dtype, allowNonfinite);
                    ScalarModel value = value(policy, scorers, dtype)) {
                Models models = new Models(policy, reference, scorers, value);
                requireTogether(models, prompts);
                return train(run, models, prompts, file, evaluated, heldOut, interrupts, began);
            }
        } catch (Interrupts.Stopped e) {
            out.println("Interrupted while the prompts were read. The same command starts again.");
            return false;
        }
    }

    private boolean train(
            RunDirectory run,
            Models models,
            Prompts prompts,
            DatasetFile file,
            @Nullable Prompts evaluated,
            @Nullable DatasetFile heldOut,
            Interrupts interrupts,
            Instant began) {
        if (lora != null) {
            models.policy.decoder().attach(lora, config.training().seed());
            models.value.attach(lora, config.training().seed());
        }
        Map<String, Map<String, String>> inputs = inputs();
        Map<String, String> fingerprint =
                Fingerprint.of(resolved, models.policy.decoder().dtype());
        inputs.forEach((role, hashes) -> hashes.forEach((name, hash) -> fingerprint.put(role + "/" + name, hash)));
        fingerprint.put("dataset", file.sha256() + " " + file.range());
        fingerprint.put("eval_dataset", heldOut == null ? "none" : heldOut.sha256() + " " + heldOut.range());
        try (Progress progress = Progress.of("ppo")) {
            Tracker tracker = Tracker.all(List.of(
                    new MetricsLog(run.path(), "ppo"),
                    new TensorBoardEvents(run.path().resolve("tensorboard"), "ppo/"),
                    progress));
            try (RemoteModel judge = rewardFuncs.openJudge(tracker)) {
                Reward reward = rewardFuncs.reward(
                        models.policy.tokenizer(), config.responseLength(), models.scorers.reward(), judge);
                PpoTrainer trainer = new PpoTrainer(
                        models.policy.decoder(),
                        models.reference == null ? null : models.reference.decoder(),
                        models.value,
                        config,
                        rollouts(models.policy, prompts, reward, interrupts),
                        evaluated == null
                                ? step -> Map.of()
                                : new HeldOutRewards(rollouts(models.policy, evaluated, reward, interrupts)),
                        tracker,
                        run.path(),
                        fingerprint,
                        interrupts::requested);
                Outcome outcome = trainer.train();
                progress.close();
                Map<String, Object> sources = new LinkedHashMap<>(inputs);
                sources.put("dataset", hash(file));
                if (heldOut != null) {
                    sources.put("eval_dataset", hash(heldOut));
                }
                return finish(run, models, sources, outcome, trainer.health(), began);
            }
        }
    }

    private static Map<String, String> hash(DatasetFile file) {
        return Map.of(file.path().getFileName().toString(), file.sha256());
    }

    // ---- what it is given

    /// What can be seen to be wrong before anything is read or written, all in one message.
    private void refuseAtOnce() {
        List<String> problems = new ArrayList<>(ModelDirectory.problems(model, lora));
        if (rewardFuncs.comparesGroups()) {
            problems.add(
                    "reward_funcs holds pairwise_judge, which compares the completions of a prompt, and ppo samples"
                            + " one of each: use judge");
        }
        if (refModel != null) {
            problems.addAll(ModelDirectory.problems(refModel, null));
        }
        Stream.concat(Stream.ofNullable(valueModel), rewardFuncs.rewardModel().stream())
                .forEach(d -> problems.addAll(ScalarDirectory.problems(d)));
        for (String source : evalDataset == null ? List.of(dataset) : List.of(dataset, evalDataset)) {
            try {
                RegularFile.require(DatasetSlice.parse(source).file());
            } catch (BadInput e) {
                problems.addAll(e.problems());
            }
        }
        problems.addAll(RewardFuncs.unused(List.of(rewardFuncs)));
        if (!problems.isEmpty()) {
            throw BadInput.all("inputs", problems.stream().distinct().toList());
        }
    }

    /// Every model directory that is given, the policy's first.
    private List<Path> directories() {
        List<Path> all = new ArrayList<>(List.of(model));
        if (refModel != null) {
            all.add(refModel);
        }
        if (valueModel != null) {
            all.add(valueModel);
        }
        all.addAll(rewardFuncs.rewardModel());
        return all.stream().distinct().toList();
    }

    /// The files' hashes of every directory, by what it is for.
    private Map<String, Map<String, String>> inputs() {
        Map<String, Map<String, String>> inputs = new LinkedHashMap<>();
        inputs.put("model", LoadedModel.hashes(model));
        if (refModel != null) {
            inputs.put("ref_model", LoadedModel.hashes(refModel));
        }
        if (valueModel != null) {
            inputs.putAll(ScalarDirectory.hashes("value_model", valueModel));
        }
        inputs.putAll(RewardModels.hashes(rewardFuncs));
        return inputs;
    }

    private Prompts prompts(DatasetFile file, LoadedModel policy, Interrupts interrupts) {
        int room = policy.decoder().config().maxPositions() - 1;
        return Prompts.of(
                file,
                promptField,
                new ModelEncoder(policy.tokenizer()),
                room,
                skipBad,
                n -> interrupts.stopIfRequested());
    }

    private ScalarModel value(LoadedModel policy, RewardModels scorers, DType dtype) {
        long seed = config.training().seed();
        if (valueModel != null) {
            return RewardModels.load(valueModel, policy.tokenizer(), dtype, seed, allowNonfinite);
        }
        return scorers.models().isEmpty()
                ? ScalarModel.of(policy.decoder(), seed)
                : scorers.models().getFirst().copy();
    }

    /// Refuses a reference that reads other tokens, and models that cannot read as far as the policy writes.
    private void requireTogether(Models models, Prompts prompts) {
        List<String> problems = new ArrayList<>();
        int longest = Math.min(
                prompts.longest() + config.responseLength(),
                models.policy.decoder().config().maxPositions());
        LoadedModel reference = models.reference;
        if (reference != null) {
            if (!reference.tokenizer().sha256().equals(models.policy.tokenizer().sha256())) {
                problems.add("the reference " + refModel + " has another tokenizer.json than the policy");
            }
            if (reference.decoder().config().vocabSize()
                    < models.policy.tokenizer().vocabSize()) {
                problems.add("the policy has tokens up to "
                        + (models.policy.tokenizer().vocabSize() - 1) + ", the reference embeddings for "
                        + reference.decoder().config().vocabSize());
            }
            requireRoom("reference", reference.decoder().config().maxPositions(), longest, problems);
        }
        requireRoom("value model", models.value.config().maxPositions(), longest, problems);
        models.scorers
                .models()
                .forEach(m -> requireRoom("reward model", m.config().maxPositions(), longest, problems));
        if (!problems.isEmpty()) {
            throw BadInput.all("models that do not fit together", problems);
        }
    }

    private static void requireRoom(String role, int positions, int longest, List<String> problems) {
        if (positions < longest) {
            problems.add("prompts and completions have up to " + longest + " tokens, the " + role + " reads "
                    + positions + ": lower response_length");
        }
    }

    private Rollouts rollouts(LoadedModel policy, Prompts prompts, Reward reward, Interrupts interrupts) {
        return new Rollouts(
                prompts,
                policy.engine(SLOTS)::rollout,
                Sampling.at(
                        config.temperature(),
                        config.responseLength(),
                        config.training().seed()),
                reward,
                Sampler.Order.RANDOM,
                interrupts::requested);
    }

    // ---- what it leaves

    private boolean finish(
            RunDirectory run,
            Models models,
            Map<String, Object> sources,
            Outcome outcome,
            Health health,
            Instant began) {
        if (outcome.interrupted() && !health.stopped()) {
            out.println(FineTuning.interrupted(outcome));
            return false;
        }
        Health.Verdict verdict = health.verdict();
        out.println("Verdict: " + verdict);
        if (health.stopped()) {
            out.println("Ended by an alarm after step " + outcome.steps()
                    + "; saved. See events.jsonl, and start anew with other options.");
            return false;
        }
        Map<String, Object> results = new LinkedHashMap<>();
        results.put("steps", outcome.steps());
        results.put("verdict", verdict.toString());
        savePolicy(run, models.policy, results);
        saveValue(run, models);
        run.finish(
                command,
                sources,
                List.of("model", "value_model", "metrics.jsonl", "samples.jsonl", "config.yaml"),
                results,
                began);
        out.printf(
                Locale.ROOT,
                "Done: %d steps of %d completions. The model is in %s, the value model in %s%n",
                outcome.steps(),
                config.episodes(),
                run.path().resolve("model"),
                run.path().resolve("value_model"));
        return true;
    }

    private static String name(Path directory) {
        return directory.toAbsolutePath().normalize().getFileName().toString();
    }

    private void savePolicy(RunDirectory run, LoadedModel policy, Map<String, Object> results) {
        String base = name(model);
        String card = new ModelCard(name(run.path()), base, lora == null ? "finetune" : "adapter", null)
                .paragraph("Trained from " + base + " against rewards (" + String.join(", ", rewardFuncs.names())
                        + ") by PPO with Manners " + RunDirectory.version() + ": " + results.get("steps") + " steps of "
                        + config.episodes() + " completions of prompts from " + dataset.replaceAll(".*/", "") + ".")
                .table("result", "value", results)
                .table("option", "value", resolved)
                .toString();
        Path target = run.path().resolve("model");
        Map<String, Object> about = Map.of("kind", lora == null ? "model" : "adapter", "base_model", base);
        if (lora == null) {
            policy.save(target, DType.F32, card, about);
        } else {
            policy.saveAdapter(target, model.toString(), card, about);
        }
    }

    /// As a whole model, its adapters merged: what it began as need not be a directory.
    private void saveValue(RunDirectory run, Models models) {
        Tokenizer tokenizer = models.policy.tokenizer();
        Path target = run.path().resolve("value_model");
        Map<String, String> about = Map.of("kind", "value_model", "base_model", name(model));
        ModelCard card = valueCard(run);
        if (lora == null) {
            ScalarDirectory.save(models.value, tokenizer, target, card.toString(), about);
            return;
        }
        try (ScalarModel exact = models.value.exact()) {
            ScalarDirectory.saveMerged(exact, tokenizer, target, DType.F32, List.of(), card, about);
        }
    }

    private ModelCard valueCard(RunDirectory run) {
        return new ModelCard(name(run.path()) + " value model", name(model), "finetune", null)
                .pipeline("text-classification")
                .paragraph("Value model of a PPO run with Manners " + RunDirectory.version()
                        + ": its one logit, at a token, is the return that the policy beside it was expected to earn"
                        + " from there on, penalties for leaving the reference included. No reward model.");
    }
}
