package dev.manners.cli;

import dev.manners.config.Key;
import dev.manners.config.Options;
import dev.manners.model.Lora;
import dev.manners.run.Interrupts;
import dev.manners.run.PreferenceTuning;
import dev.manners.train.CpoConfig;
import dev.manners.train.DpoConfig;
import dev.manners.train.KtoConfig;
import dev.manners.train.OrpoConfig;
import dev.manners.train.PreferenceConfig;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// `dpo`, `kto`, `cpo`, `orpo`: a model learns from preferences directly, without a reward model.
///
/// @param name the algorithm
/// @param config its options
record PreferenceCommand(String name, String summary, Class<? extends Record> config) implements Command {

    record PreferenceOptions(
            @Key(value = "Base model: a directory with config.json, tokenizer.json, model.safetensors", required = true)
            Path model,

            @Key("Reference: a directory with the same tokenizer; unset: the model as it is at the start. cpo and orpo"
                    + " have none")
            @Nullable
            Path refModel,

            @Key(
                    value = "Comparisons, for kto also labels: .jsonl or .json, also .gz; a part of it as FILE[:1000]",
                    required = true)
            String dataset,

            @Key("Held-out rows, evaluated before, after, and every eval_steps; FILE[-100:] for the last 100") @Nullable
            String evalDataset,

            @Key(value = "Folder of the run: metrics, samples, checkpoints, the model", byDefault = "runs/preference")
            Path outputDir,

            @Key(value = "Leave out rows that cannot be used, instead of stopping", byDefault = "false")
            boolean skipBad,

            @Key(value = "Train low-rank adapters; the reference is then the model without them", byDefault = "false")
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

    static Command dpo() {
        return new PreferenceCommand(
                "dpo",
                "Trains a model on pairs of a chosen and a rejected completion (DPO, 15 losses).",
                DpoConfig.class);
    }

    static Command kto() {
        return new PreferenceCommand(
                "kto", "Trains a model on completions that were each found good or bad (KTO).", KtoConfig.class);
    }

    static Command cpo() {
        return new PreferenceCommand(
                "cpo", "Trains a model on pairs without a reference (CPO, SimPO, AlphaPO).", CpoConfig.class);
    }

    static Command orpo() {
        return new PreferenceCommand(
                "orpo", "Trains a model on pairs by imitation and an odds ratio (ORPO).", OrpoConfig.class);
    }

    @Override
    public String details() {
        return """
                Example:
                  manners %s --model DIR --dataset %s[:-200] --eval-dataset %2$s[-200:] --output-dir runs/mine
                The same command resumes a run that was interrupted.""".formatted(name, name.equals("kto") ? "labels.jsonl" : "pairs.jsonl");
    }

    @Override
    public List<Class<? extends Record>> options() {
        return List.of(PreferenceOptions.class, config, Lora.class);
    }

    @Override
    public int run(Call call) {
        List<Record> bound = call.bind();
        PreferenceOptions options = (PreferenceOptions) bound.get(0);
        ModelOptions.useThreads(options.threads());
        Map<String, Object> resolved = new LinkedHashMap<>();
        for (Record record : options.usePeft() ? bound : bound.subList(0, 2)) {
            resolved.putAll(Options.toMap(record));
        }
        PreferenceTuning job = new PreferenceTuning(
                name,
                options.model(),
                options.refModel(),
                options.dataset(),
                options.evalDataset(),
                options.outputDir(),
                options.skipBad(),
                options.usePeft() ? (Lora) bound.get(2) : null,
                options.samplePrompts(),
                options.allowNonfinite(),
                (PreferenceConfig) bound.get(1),
                resolved,
                call.words(),
                call.out());
        try (Interrupts interrupts = Interrupts.install()) {
            return job.run(interrupts) ? 0 : interrupts.exitCode();
        }
    }
}
