package dev.manners.cli;

import dev.manners.config.Key;
import dev.manners.config.Options;
import dev.manners.model.Lora;
import dev.manners.run.FineTuning;
import dev.manners.run.Interrupts;
import dev.manners.train.SftConfig;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// `sft`: supervised fine-tuning of a model directory on a dataset.
final class SftCommand implements Command {

    record SftOptions(
            @Key(value = "Base model: a directory with config.json, tokenizer.json, model.safetensors", required = true)
            Path model,

            @Key(value = "Training rows: .jsonl or .json, also .gz; a part of it as FILE[:1000]", required = true)
            String dataset,

            @Key("Held-out rows, evaluated before, after, and every eval_steps; FILE[-100:] for the last 100") @Nullable
            String evalDataset,

            @Key(value = "Folder of the run: metrics, samples, checkpoints, the model", byDefault = "runs/sft")
            Path outputDir,

            @Key(value = "Leave out rows that cannot be used, instead of stopping", byDefault = "false")
            boolean skipBad,

            @Key(value = "Train low-rank adapters and leave the base as it is", byDefault = "false")
            boolean usePeft,

            @Key(value = "Prompts whose completions are shown while training", byDefault = "[]")
            List<String> samplePrompts,

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
        return "sft";
    }

    @Override
    public String summary() {
        return "Fine-tunes a model on demonstrations (text, prompt and completion, conversations, Alpaca).";
    }

    @Override
    public String details() {
        return """
                Example:
                  manners sft --model DIR --dataset train.jsonl[:1000] --eval-dataset train.jsonl[-100:] \\
                    --learning-rate 1e-3 --num-train-epochs 3 --output-dir runs/mine
                The same command resumes a run that was interrupted. `manners tokens` shows what will be trained on.""";
    }

    @Override
    public List<Class<? extends Record>> options() {
        return List.of(SftOptions.class, SftConfig.class, Lora.class);
    }

    @Override
    public int run(Call call) {
        List<Record> bound = call.bind();
        SftOptions options = (SftOptions) bound.get(0);
        SftConfig config = (SftConfig) bound.get(1);
        ModelOptions.useThreads(options.threads());
        Map<String, Object> resolved = new LinkedHashMap<>();
        for (Record record : options.usePeft() ? bound : bound.subList(0, 2)) {
            resolved.putAll(Options.toMap(record));
        }
        FineTuning job = new FineTuning(
                options.model(),
                options.dataset(),
                options.evalDataset(),
                options.outputDir(),
                options.skipBad(),
                options.usePeft() ? (Lora) bound.get(2) : null,
                options.samplePrompts(),
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
