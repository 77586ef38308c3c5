package dev.manners.cli;

import dev.manners.config.Key;
import dev.manners.config.Options;
import dev.manners.model.Lora;
import dev.manners.run.Interrupts;
import dev.manners.run.RewardModelling;
import dev.manners.train.RewardConfig;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// `reward`: a reward model from comparisons.
final class RewardCommand implements Command {

    record RewardOptions(
            @Key(value = "Model to start from: a language model's directory, or a reward model's", required = true)
            Path model,

            @Key(value = "Comparisons: .jsonl or .json, also .gz; a part of it as FILE[:1000]", required = true)
            String dataset,

            @Key("Held-out comparisons, evaluated before, after, and every eval_steps, and reported on") @Nullable
            String evalDataset,

            @Key(value = "Folder of the run: metrics, checkpoints, the reward model", byDefault = "runs/reward")
            Path outputDir,

            @Key(
                    value = "Reward models, each from its own seed: member-0, member-1, ...; 1: one, in model",
                    byDefault = "1",
                    min = 1,
                    max = 100)
            int ensembleSize,

            @Key(value = "Also average the members' weights into one model (WARM), in warm", byDefault = "false")
            boolean warm,

            @Key(value = "Train on fewer than 500 comparisons all the same", byDefault = "false")
            boolean allowFew,

            @Key(
                    value = "Train on comparisons that look as if nobody had read them (annotator, shown_order, ms,"
                            + " gold_passed) all the same",
                    byDefault = "false")
            boolean allowPoor,

            @Key(value = "Leave out rows that cannot be used, instead of stopping", byDefault = "false")
            boolean skipBad,

            @Key(value = "Train low-rank adapters and the head, and leave the rest as it is", byDefault = "false")
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
        return "reward";
    }

    @Override
    public String summary() {
        return "Trains a reward model on comparisons (chosen and rejected, or rankings), or an ensemble of them.";
    }

    @Override
    public String details() {
        return """
                Example:
                  manners reward --model DIR --dataset pairs.jsonl[:-200] --eval-dataset pairs.jsonl[-200:] \\
                    --output-dir runs/reward
                The same command resumes a run that was interrupted.""";
    }

    @Override
    public List<Class<? extends Record>> options() {
        return List.of(RewardOptions.class, RewardConfig.class, Lora.class);
    }

    @Override
    public int run(Call call) {
        List<Record> bound = call.bind();
        RewardOptions options = (RewardOptions) bound.get(0);
        RewardConfig config = (RewardConfig) bound.get(1);
        ModelOptions.useThreads(options.threads());
        Map<String, Object> resolved = new LinkedHashMap<>();
        for (Record record : options.usePeft() ? bound : bound.subList(0, 2)) {
            resolved.putAll(Options.toMap(record));
        }
        RewardModelling job = new RewardModelling(
                options.model(),
                options.dataset(),
                options.evalDataset(),
                options.outputDir(),
                options.ensembleSize(),
                options.warm(),
                options.allowFew(),
                options.allowPoor(),
                options.skipBad(),
                options.usePeft() ? (Lora) bound.get(2) : null,
                options.allowNonfinite(),
                config,
                resolved,
                call.words(),
                call.out());
        try (Interrupts interrupts = Interrupts.install()) {
            return job.run(interrupts) ? 0 : interrupts.exitCode();
        }
    }
}
