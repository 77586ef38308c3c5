package dev.manners.cli;

import dev.manners.config.Key;
import dev.manners.config.Options;
import dev.manners.rollout.Sampling;
import dev.manners.run.BestOf;
import dev.manners.run.Interrupts;
import dev.manners.run.RewardFuncs;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// `best-of`: what giving the best of n earns, and the best as a dataset.
final class BestOfCommand implements Command {

    record BestOfOptions(
            @Key(value = "Prompts: .jsonl or .json, also .gz; a part of it as FILE[:1000]", required = true)
            String dataset,

            @Key(value = "Column of the prompt", byDefault = "prompt")
            String promptField,

            @Key(value = "Folder of the run: completions, the best of them, the table", byDefault = "runs/best-of")
            Path outputDir,

            @Key(value = "Completions of each prompt, N", byDefault = "16", min = 1, max = 4096)
            int numGenerations,

            @Key(value = "Completions generated at a time", byDefault = "128", min = 1, max = 4096)
            int batchSize,

            @Key(value = "What is earned where reward_funcs choose: the same names; none: no gold", byDefault = "[]")
            List<String> goldFuncs,

            @Key(value = "Weight of each; none: 1", byDefault = "[]")
            List<String> goldWeights,

            @Key(value = "Directory of what gold_funcs calls reward_model; several are an ensemble", byDefault = "[]")
            List<Path> goldModel,

            @Key(value = "Leave out rows that cannot be used, instead of stopping", byDefault = "false")
            boolean skipBad) {}

    @Override
    public String name() {
        return "best-of";
    }

    @Override
    public String summary() {
        return "Samples N completions of each prompt, keeps the best, and tells what the best of 1, 2, ... N earns.";
    }

    @Override
    public String details() {
        return """
                reward_funcs choose (the proxy); gold_funcs, where given, say what the choice is worth. best.jsonl holds each
                prompt's best completion as a row for sft (rejection sampling).
                Example:
                  manners best-of DIR prompts.jsonl --num-generations 64 --reward-model REWARD_DIR --gold-funcs accuracy
                  manners sft --model DIR --dataset runs/best-of/best.jsonl
                The same command goes on with a run that was interrupted.""";
    }

    @Override
    public List<String> positionals() {
        return List.of("model", "dataset");
    }

    @Override
    public List<Class<? extends Record>> options() {
        return List.of(ModelOptions.class, BestOfOptions.class, RewardFuncs.class, Sampling.class);
    }

    @Override
    public int run(Call call) {
        List<Record> bound = call.bind();
        ModelOptions which = (ModelOptions) bound.get(0);
        BestOfOptions options = (BestOfOptions) bound.get(1);
        RewardFuncs proxy = (RewardFuncs) bound.get(2);
        ModelOptions.useThreads(which.threads());
        Map<String, Object> resolved = new LinkedHashMap<>();
        bound.forEach(record -> resolved.putAll(Options.toMap(record)));
        boolean gold = !options.goldFuncs().isEmpty() || !options.goldModel().isEmpty();
        BestOf job = new BestOf(
                which.model(),
                which.adapter(),
                which.dtype().resolve(),
                which.allowNonfinite(),
                options.dataset(),
                options.promptField(),
                options.outputDir(),
                options.skipBad(),
                options.batchSize(),
                options.numGenerations(),
                (Sampling) bound.get(3),
                proxy,
                gold ? proxy.with(options.goldFuncs(), options.goldWeights(), options.goldModel()) : null,
                resolved,
                call.words(),
                call.out());
        try (Interrupts interrupts = Interrupts.install()) {
            return job.run(interrupts) ? 0 : interrupts.exitCode();
        }
    }
}
