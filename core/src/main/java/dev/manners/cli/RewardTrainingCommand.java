package dev.manners.cli;

import dev.manners.config.Key;
import dev.manners.config.Options;
import dev.manners.model.Lora;
import dev.manners.run.Interrupts;
import dev.manners.run.RewardFuncs;
import dev.manners.run.RewardTraining;
import dev.manners.train.GrpoConfig;
import dev.manners.train.PolicyGradient;
import dev.manners.train.RaftConfig;
import dev.manners.train.ReinforceConfig;
import dev.manners.train.RlooConfig;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// `grpo`, `rloo`, `reinforce`, `raft`: a model learns from rewards on completions that it samples itself.
///
/// @param name the algorithm
/// @param config its options
record RewardTrainingCommand(String name, String summary, Class<? extends Record> config) implements Command {

    record TrainingOptions(
            @Key(value = "Base model: a directory with config.json, tokenizer.json, model.safetensors", required = true)
            Path model,

            @Key(value = "Prompts: .jsonl or .json, also .gz; a part of it as FILE[:1000]", required = true)
            String dataset,

            @Key("Held-out prompts, measured before, after, and every eval_steps") @Nullable
            String evalDataset,

            @Key(value = "Column of the prompt", byDefault = "prompt")
            String promptField,

            @Key(value = "Folder of the run: metrics, samples, checkpoints, the model", byDefault = "runs/rl")
            Path outputDir,

            @Key(value = "Leave out rows that cannot be used, instead of stopping", byDefault = "false")
            boolean skipBad,

            @Key(value = "Train low-rank adapters and leave the base as it is", byDefault = "false")
            boolean usePeft,

            @Key(value = "Load weights with NaN or infinities all the same", byDefault = "false")
            boolean allowNonfinite,

            @Key(
                    value = "Threads of one operation; 0: OMP_NUM_THREADS, or one per processor",
                    byDefault = "0",
                    min = 0,
                    max = 1024)
            int threads) {}

    static Command grpo() {
        return new RewardTrainingCommand(
                "grpo",
                "Trains a policy against rewards, each completion beside its group's (GRPO).",
                GrpoConfig.class);
    }

    static Command rloo() {
        return new RewardTrainingCommand(
                "rloo", "Trains a policy against rewards, each completion beside the others (RLOO).", RlooConfig.class);
    }

    static Command reinforce() {
        return new RewardTrainingCommand(
                "reinforce",
                "Trains a policy against rewards, without groups or a value function (REINFORCE++).",
                ReinforceConfig.class);
    }

    static Command raft() {
        return new RewardTrainingCommand(
                "raft",
                "Trains a policy on the best of its own completions (rejection sampling, RAFT).",
                RaftConfig.class);
    }

    @Override
    public String details() {
        return """
                Example:
                  manners %1$s --model DIR --dataset prompts.jsonl --reward-funcs numeric_answer --reward-funcs format \\
                    --reward-weights 1 --reward-weights 0.2 --max-completion-length 128 --output-dir runs/mine
                  manners %1$s DIR tasks.jsonl --reward-funcs code --code-language python
                  manners %1$s DIR prompts.jsonl --reward-funcs judge --judge-model NAME --judge-rubric "Is it polite?" \\
                    --judge-base-url http://localhost:8000/v1 --judge-api-key-env MY_KEY
                Every other column of a row goes to the rewards. The same command resumes a run that was interrupted.""".formatted(name);
    }

    @Override
    public List<String> positionals() {
        return List.of("model", "dataset");
    }

    @Override
    public List<Class<? extends Record>> options() {
        return List.of(TrainingOptions.class, RewardFuncs.class, config, Lora.class);
    }

    @Override
    public int run(Call call) {
        List<Record> bound = call.bind();
        TrainingOptions options = (TrainingOptions) bound.get(0);
        ModelOptions.useThreads(options.threads());
        Map<String, Object> resolved = new LinkedHashMap<>();
        for (Record record : options.usePeft() ? bound : bound.subList(0, 3)) {
            resolved.putAll(Options.toMap(record));
        }
        RewardTraining job = new RewardTraining(
                name,
                options.model(),
                options.dataset(),
                options.evalDataset(),
                options.promptField(),
                options.outputDir(),
                options.skipBad(),
                options.usePeft() ? (Lora) bound.get(3) : null,
                options.allowNonfinite(),
                (RewardFuncs) bound.get(1),
                (PolicyGradient) bound.get(2),
                resolved,
                call.words(),
                call.out());
        try (Interrupts interrupts = Interrupts.install()) {
            if (job.run(interrupts)) {
                return 0;
            }
            return interrupts.requested() ? interrupts.exitCode() : 1;
        }
    }
}
