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
import dev.manners.reward.Reward;
import dev.manners.reward.judge.RemoteModel;
import dev.manners.rollout.Sampling;
import dev.manners.tensor.DType;
import dev.manners.tensor.Inference;
import dev.manners.tensor.LibTorch;
import dev.manners.train.GrpoTrainer;
import dev.manners.train.Health;
import dev.manners.train.Outcome;
import dev.manners.train.PolicyGradient;
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
import org.jspecify.annotations.Nullable;

/// A model directory, prompts and rewards in; a model directory out that earns more: GRPO and its relatives.
///
/// @param algorithm `grpo`, `rloo`, `reinforce` or `raft`: the stage's name
/// @param promptField column of the prompt
/// @param resolved all options, for the record
public record RewardTraining(
        String algorithm,
        Path model,
        String dataset,
        @Nullable String evalDataset,
        String promptField,
        Path outputDir,
        boolean skipBad,
        @Nullable Lora lora,
        boolean allowNonfinite,
        RewardFuncs rewardFuncs,
        PolicyGradient config,
        Map<String, Object> resolved,
        List<String> command,
        PrintStream out) {

    /// Completions that are sampled at a time, at most: memory for their keys and values is taken beforehand.
    private static final int SLOTS = 128;

    /// @return whether it came to its end; false if it was interrupted or ended by an alarm
    public boolean run(Interrupts interrupts) {
        Instant began = Instant.now();
        refuseAtOnce();
        DType dtype = Stage.dtype(config.training());
        boolean ownReference = config.beta() != 0 && lora == null;
        try (RunDirectory run = RunDirectory.open(outputDir, resolved, List.of(model));
                LoadedModel policy = LoadedModel.open(model, null, dtype, allowNonfinite);
                LoadedModel reference = ownReference ? LoadedModel.open(model, null, dtype, allowNonfinite) : null;
                DatasetFile file = DatasetFile.open(dataset);
                DatasetFile heldOut = evalDataset == null ? null : DatasetFile.open(evalDataset)) {
            run.warnings().forEach(w -> System.err.println("manners: " + w));
            LibTorch.warnings().forEach(w -> System.err.println("manners: " + w));
            Inference.warnings().forEach(w -> System.err.println("manners: " + w));
            if (lora != null) {
                policy.decoder().attach(lora, config.training().seed());
            }
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
            Map<String, String> inputs = LoadedModel.hashes(model);
            Map<String, String> fingerprint = fingerprint(inputs, file, heldOut, dtype);
            try (RewardModels scorers = RewardModels.open(rewardFuncs, policy, prompts.chat(), dtype, allowNonfinite);
                    Progress progress = Progress.of(algorithm)) {
                Tracker tracker = Tracker.all(List.of(
                        new MetricsLog(run.path(), algorithm),
                        new TensorBoardEvents(run.path().resolve("tensorboard"), algorithm + "/"),
                        progress));
                try (RemoteModel judge = rewardFuncs.openJudge(tracker)) {
                    Reward reward = rewardFuncs.reward(
                            policy.tokenizer(), config.rollout().maxCompletionLength(), scorers.reward(), judge);
                    GrpoTrainer trainer = new GrpoTrainer(
                            policy.decoder(),
                            reference == null ? null : reference.decoder(),
                            config,
                            rollouts(policy, prompts, reward, interrupts),
                            evaluated == null
                                    ? step -> Map.of()
                                    : new HeldOutRewards(rollouts(policy, evaluated, reward, interrupts)),
                            tracker,
                            run.path(),
                            fingerprint,
                            interrupts::requested);
                    Outcome outcome = trainer.train();
                    progress.close();
                    return finish(run, policy, inputs, file, heldOut, outcome, trainer.health(), began);
                }
            }
        } catch (Interrupts.Stopped e) {
            out.println("Interrupted while the prompts were read. The same command starts again.");
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
        rewardFuncs.rewardModel().forEach(d -> problems.addAll(ScalarDirectory.problems(d)));
        if (evalDataset != null && rewardFuncs.comparesGroups()) {
            problems.add(
                    "eval_dataset is given and reward_funcs holds pairwise_judge, which compares the completions of"
                            + " a prompt: of a held-out prompt there is one. Leave one of them out");
        }
        if (config.rollout().syncRefModel() && (lora != null || config.beta() == 0)) {
            problems.add("sync_ref_model is true, but "
                    + (lora != null
                            ? "with use_peft the reference is the policy without its adapters, which does not move"
                            : "beta is 0, so that there is no reference"));
        }
        problems.addAll(RewardFuncs.unused(List.of(rewardFuncs)));
        if (!problems.isEmpty()) {
            throw BadInput.all("inputs", problems);
        }
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

    private Rollouts rollouts(LoadedModel policy, Prompts prompts, Reward reward, Interrupts interrupts) {
        int length = config.rollout().maxCompletionLength();
        return new Rollouts(
                prompts,
                policy.engine(SLOTS)::rollout,
                Sampling.at(
                        config.rollout().temperature(),
                        length,
                        config.training().seed()),
                reward,
                config.rollout().shuffleDataset() ? Sampler.Order.RANDOM : Sampler.Order.SEQUENTIAL,
                interrupts::requested);
    }

    /// What must be the same for a run to be resumed.
    private Map<String, String> fingerprint(
            Map<String, String> inputs, DatasetFile file, @Nullable DatasetFile heldOut, DType dtype) {
        Map<String, String> fingerprint = Fingerprint.of(resolved, dtype);
        inputs.forEach((name, hash) -> fingerprint.put("model/" + name, hash));
        RewardModels.hashes(rewardFuncs)
                .forEach((role, hashes) -> hashes.forEach((name, hash) -> fingerprint.put(role + "/" + name, hash)));
        fingerprint.put("dataset", file.sha256() + " " + file.range());
        fingerprint.put("eval_dataset", heldOut == null ? "none" : heldOut.sha256() + " " + heldOut.range());
        return fingerprint;
    }

    private boolean finish(
            RunDirectory run,
            LoadedModel policy,
            Map<String, String> inputs,
            DatasetFile file,
            @Nullable DatasetFile heldOut,
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
            out.println("Ended by an alarm after update " + outcome.steps()
                    + "; saved. See events.jsonl, and start anew with other options.");
            return false;
        }
        String base = model.toAbsolutePath().normalize().getFileName().toString();
        Map<String, Object> results = new LinkedHashMap<>();
        results.put("steps", outcome.steps());
        results.put("verdict", verdict.toString());
        ModelCard card = new ModelCard(
                        run.path().getFileName().toString(), base, lora == null ? "finetune" : "adapter", null)
                .paragraph("Trained from " + base + " against rewards ("
                        + String.join(", ", rewardFuncs.names()) + ") by " + algorithm + " with Manners "
                        + RunDirectory.version() + ": " + outcome.steps() + " updates on "
                        + dataset.replaceAll(".*/", "") + ".")
                .table("result", "value", results)
                .table("option", "value", resolved);
        Path target = run.path().resolve("model");
        Map<String, Object> extra = Map.of("kind", lora == null ? "model" : "adapter", "base_model", base);
        if (lora == null) {
            policy.save(target, DType.F32, card.toString(), extra);
        } else {
            policy.saveAdapter(target, model.toString(), card.toString(), extra);
        }
        Map<String, Object> sources = new LinkedHashMap<>();
        sources.put("model", inputs);
        sources.put("dataset", Map.of(file.path().getFileName().toString(), file.sha256()));
        if (heldOut != null) {
            sources.put("eval_dataset", Map.of(heldOut.path().getFileName().toString(), heldOut.sha256()));
        }
        run.finish(command, sources, List.of("model", "metrics.jsonl", "samples.jsonl", "config.yaml"), results, began);
        out.printf(Locale.ROOT, "Done: %d updates. The model is in %s%n", outcome.steps(), target);
        return true;
    }
}
