package dev.manners.cli;

import dev.manners.config.Key;
import dev.manners.config.Options;
import dev.manners.model.Lora;
import dev.manners.run.Interrupts;
import dev.manners.run.PpoTraining;
import dev.manners.run.RewardFuncs;
import dev.manners.train.PpoConfig;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// `ppo`: a policy learns from a reward model, with a value model beside it.
final class PpoCommand implements Command {

    record PpoOptions(
            @Key(
                    value = "Policy to start from: a directory with config.json, tokenizer.json, model.safetensors",
                    required = true)
            Path model,

            @Key("Model the policy may not leave too far; unset: the model itself, with use_peft without its adapters")
            @Nullable
            Path refModel,

            @Key("Value model to start from; unset: the reward model, or without one the policy with a fresh head")
            @Nullable
            Path valueModel,

            @Key(value = "Prompts: .jsonl or .json, also .gz; a part of it as FILE[:1000]", required = true)
            String dataset,

            @Key("Held-out prompts, measured before, after, and every eval_steps") @Nullable
            String evalDataset,

            @Key(value = "Column of the prompt", byDefault = "prompt")
            String promptField,

            @Key(value = "Folder of the run: metrics, samples, checkpoints, the models", byDefault = "runs/ppo")
            Path outputDir,

            @Key(value = "Leave out rows that cannot be used, instead of stopping", byDefault = "false")
            boolean skipBad,

            @Key(value = "Train low-rank adapters of policy and value model", byDefault = "false")
            boolean usePeft,

            @Key(value = "Load weights with NaN or infinities all the same", byDefault = "false")
            boolean allowNonfinite,

            @Key(
                    value = "Threads of one operation; 0: OMP_NUM_THREADS, or one per processor",
                    byDefault = "0",
                    min = 0,
                    max = 1024)
            int threads) {}

    @Override
    public String name() {
        return "ppo";
    }

    @Override
    public String summary() {
        return "Trains a policy against a reward model or reward functions, with a value model (PPO).";
    }

    @Override
    public String details() {
        return """
                Example:
                  manners ppo --model SFT_DIR --reward-model REWARD_DIR --dataset prompts.jsonl \\
                    --response-length 128 --missing-eos-penalty 1 --output-dir runs/mine
                Every other column of a row goes to the reward functions. The same command resumes a run that was
                interrupted.""";
    }

    @Override
    public List<Class<? extends Record>> options() {
        return List.of(PpoOptions.class, RewardFuncs.class, PpoConfig.class, Lora.class);
    }

    @Override
    public int run(Call call) {
        List<Record> bound = call.bind();
        PpoOptions options = (PpoOptions) bound.get(0);
        ModelOptions.useThreads(options.threads());
        Map<String, Object> resolved = new LinkedHashMap<>();
        for (Record record : options.usePeft() ? bound : bound.subList(0, 3)) {
            resolved.putAll(Options.toMap(record));
        }
        PpoTraining job = new PpoTraining(
                options.model(),
                options.refModel(),
                options.valueModel(),
                options.dataset(),
                options.evalDataset(),
                options.promptField(),
                options.outputDir(),
                options.skipBad(),
                options.usePeft() ? (Lora) bound.get(3) : null,
                options.allowNonfinite(),
                (RewardFuncs) bound.get(1),
                (PpoConfig) bound.get(2),
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
