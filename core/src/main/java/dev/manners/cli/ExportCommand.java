package dev.manners.cli;

import dev.manners.BadInput;
import dev.manners.config.Key;
import dev.manners.model.Dropout;
import dev.manners.model.Sequences;
import dev.manners.run.LoadedModel;
import dev.manners.run.ModelCard;
import dev.manners.run.RunDirectory;
import dev.manners.tensor.DType;
import dev.manners.tensor.NoGrad;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// `export`: a base model and its adapter merged into one directory, and proof that it computes the same.
final class ExportCommand implements Command {

    /// Largest difference of a logit, relative to the largest logit, that a merge may make.
    private static final Map<DType, Double> TOLERANCE = Map.of(DType.F32, 1e-4, DType.BF16, 3e-2, DType.F16, 5e-3);

    private static final List<String> PROBES = List.of(
            "Once upon a time",
            "The capital of France is",
            "1, 2, 3, 4,",
            "def add(a, b):",
            "I think that you are right",
            "### Instruction:\nSay hello.\n\n### Response:\n");

    record ExportOptions(
            @Key(value = "Base model directory", required = true)
            Path model,

            @Key("Adapter directory (PEFT) to merge; unset: the model as it is, such as in another dtype") @Nullable
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
                their logits is in the directory's MANIFEST.json, and beyond the tolerance nothing is written.
                Example:
                  manners export --model BASE --adapter runs/sft/model --output-dir merged""";
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
        DType dtype = options.saveDtype().dtype;
        try (LoadedModel model = LoadedModel.open(options.model(), options.adapter(), DType.F32, false)) {
            List<int[]> probes = new ArrayList<>();
            List<String> texts = new ArrayList<>(PROBES);
            texts.addAll(options.probes());
            for (String text : texts) {
                int[] ids = model.tokenizer().encodeContentWithSpecial(text);
                if (ids.length > 0) {
                    probes.add(ids);
                }
            }
            List<float[]> before =
                    probes.stream().map(ids -> logits(model, ids)).toList();
            if (options.adapter() != null) {
                model.decoder().merge();
            }
            Path unproven =
                    options.outputDir().resolveSibling(options.outputDir().getFileName() + ".unproven");
            model.save(unproven, dtype, "", Map.of());
            double difference;
            try (LoadedModel written = LoadedModel.open(unproven, null, DType.F32, false)) {
                difference = difference(
                        before, probes.stream().map(ids -> logits(written, ids)).toList());
            } finally {
                try (ScoreCommand.Folder gone = new ScoreCommand.Folder(unproven)) {
                    call.out().flush();
                }
            }
            double tolerance = TOLERANCE.getOrDefault(dtype, 0.0);
            if (!(difference <= tolerance)) {
                throw new BadInput("the merged model's logits differ from the adapter's by " + difference
                        + " of the largest logit; the tolerance for " + dtype + " is " + tolerance
                        + ". Nothing was written.");
            }
            Map<String, Object> proof = new LinkedHashMap<>();
            proof.put("probes", probes.size());
            proof.put("largest_relative_difference", difference);
            proof.put("tolerance", tolerance);
            String base =
                    options.model().toAbsolutePath().normalize().getFileName().toString();
            ModelCard card = new ModelCard(options.outputDir().getFileName().toString(), base, "finetune", null)
                    .paragraph((options.adapter() == null ? "A copy of " : "An adapter merged into ") + base
                            + ", written by Manners " + RunDirectory.version() + ".")
                    .table("check", "value", proof);
            model.save(options.outputDir(), dtype, card.toString(), Map.of("merge", proof));
            call.out()
                    .println("Written to " + options.outputDir() + "; over " + probes.size()
                            + " probe prompts the logits differ by at most " + difference
                            + " of the largest (tolerance "
                            + tolerance + ").");
            return 0;
        }
    }

    private static float[] logits(LoadedModel model, int[] ids) {
        try (Scope scope = Scope.open();
                NoGrad off = NoGrad.on()) {
            return model.decoder()
                    .logits(model.decoder().hidden(Tensor.of(ids), new Sequences(ids.length), Dropout.NONE))
                    .toFloats();
        }
    }

    private static double difference(List<float[]> a, List<float[]> b) {
        double largest = 0;
        double off = 0;
        for (int p = 0; p < a.size(); p++) {
            for (int i = 0; i < a.get(p).length; i++) {
                largest = Math.max(largest, Math.abs(a.get(p)[i]));
                off = Math.max(off, Math.abs(a.get(p)[i] - b.get(p)[i]));
            }
        }
        return off / largest;
    }
}
