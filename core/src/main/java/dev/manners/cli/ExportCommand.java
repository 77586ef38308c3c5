package dev.manners.cli;

import dev.manners.BadInput;
import dev.manners.config.Key;
import dev.manners.model.AdapterFiles;
import dev.manners.model.ModelDirectory;
import dev.manners.model.ScalarModel;
import dev.manners.run.LoadedModel;
import dev.manners.run.MergeProof;
import dev.manners.run.ModelCard;
import dev.manners.run.RunDirectory;
import dev.manners.run.ScalarDirectory;
import dev.manners.tensor.DType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// `export`: a base model and its adapter merged into one directory, and proof that it computes the same.
final class ExportCommand implements Command {

    record ExportOptions(
            @Key(value = "Base model directory", required = true)
            Path model,

            @Key(
                    "Adapter directory (PEFT) to merge, a policy's or a reward model's; unset: the model as it is, such as in"
                            + " another dtype")
            @Nullable
            Path adapter,

            @Key(value = "Folder to write; it must not exist", required = true)
            Path outputDir,

            @Key(value = "Dtype of the stored weights: f32, bf16, f16", byDefault = "f32")
            Stored saveDtype,

            @Key(value = "Further probe prompts", byDefault = "[]")
            List<String> probes) {}

    enum Stored {
        F32(DType.F32),
        BF16(DType.BF16),
        F16(DType.F16);

        private final DType dtype;

        Stored(DType dtype) {
            this.dtype = dtype;
        }
    }

    @Override
    public String name() {
        return "export";
    }

    @Override
    public String summary() {
        return "Merges an adapter into its base and writes a directory that transformers loads.";
    }

    @Override
    public String details() {
        return """
                Probe prompts go through the model before and through the written directory after; the largest difference of
                their logits, of a reward model their scores, is in the directory's MANIFEST.json, and beyond the tolerance
                nothing is written.
                Example:
                  manners export --model BASE --adapter runs/sft/model --output-dir merged
                  manners export --model BASE --adapter runs/reward/model --output-dir merged-reward""";
    }

    @Override
    public List<Class<? extends Record>> options() {
        return List.of(ExportOptions.class);
    }

    @Override
    public int run(Call call) {
        ExportOptions options = (ExportOptions) call.bind().getFirst();
        if (Files.exists(options.outputDir())) {
            throw new BadInput("--output-dir " + options.outputDir() + " exists; choose another folder");
        }
        List<String> problems = ModelDirectory.problems(options.model(), null);
        if (!problems.isEmpty()) {
            throw BadInput.all("model", problems);
        }
        DType dtype = options.saveDtype().dtype;
        MergeProof proof = isScored(options)
                ? ScalarDirectory.export(
                        options.model(), options.adapter(), options.outputDir(), dtype, options.probes(), card(options))
                : exportPolicy(options, dtype);
        call.out().println("Written to " + options.outputDir() + "; " + proof + ".");
        return 0;
    }

    /// Whether what is exported is a reward model.
    private static boolean isScored(ExportOptions options) {
        return options.adapter() == null
                ? ScalarModel.hasHead(options.model())
                : AdapterFiles.isScored(options.adapter());
    }

    private static ModelCard card(ExportOptions options) {
        String base = options.model().toAbsolutePath().normalize().getFileName().toString();
        return new ModelCard(options.outputDir().getFileName().toString(), base, "finetune", null)
                .paragraph((options.adapter() == null ? "A copy of " : "An adapter merged into ") + base
                        + ", written by Manners " + RunDirectory.version() + ".");
    }

    private static MergeProof exportPolicy(ExportOptions options, DType dtype) {
        try (LoadedModel model = LoadedModel.open(options.model(), options.adapter(), DType.F32, false)) {
            List<int[]> probes = MergeProof.probes(
                    model.tokenizer(), options.probes(), model.decoder().config());
            List<float[]> before = MergeProof.logits(model.decoder(), probes);
            if (options.adapter() != null) {
                model.decoder().merge();
            }
            Path unproven =
                    options.outputDir().resolveSibling(options.outputDir().getFileName() + ".unproven");
            model.save(unproven, dtype, "", Map.of());
            MergeProof proof;
            try (ScoreCommand.Folder gone = new ScoreCommand.Folder(unproven);
                    LoadedModel written = LoadedModel.open(gone.path(), null, DType.F32, false)) {
                proof = MergeProof.ofLogits(before, MergeProof.logits(written.decoder(), probes), dtype)
                        .require(options.outputDir());
            }
            String card = card(options).table("check", "value", proof.toMap()).toString();
            model.save(options.outputDir(), dtype, card, Map.of("merge", proof.toMap()));
            return proof;
        }
    }
}
