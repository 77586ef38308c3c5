package dev.manners.run;

import dev.manners.config.Options;
import dev.manners.parrot.ParrotWorld;
import dev.manners.tensor.DType;
import dev.manners.tensor.LibTorch;
import dev.manners.train.Tracker;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/// What all parts of the built-in story share.
///
/// @param rows folder of the world's files
/// @param sft folder of the fine-tuned model
record Story(
        RunDirectory run,
        ParrotRecipe recipe,
        ParrotWorld world,
        Path rows,
        Path sft,
        PrintStream out,
        Interrupts interrupts) {

    /// Says that a stage begins.
    void begins(String stage, String what) {
        out.printf("%n%s: %s%n", stage, what);
    }

    /// Where a stage's model goes.
    Path folder(String name) {
        return run.path().resolve(name);
    }

    Path checkpoints(String stage) {
        return run.path().resolve("checkpoints").resolve(stage);
    }

    /// Metrics, TensorBoard and the progress of a stage.
    Tracker tracker(String stage, Progress progress) {
        return Tracker.all(List.of(
                new MetricsLog(run.path(), stage),
                new TensorBoardEvents(run.path().resolve("tensorboard"), stage + "/"),
                progress));
    }

    /// What must be the same for a stage to be resumed.
    Map<String, String> fingerprint(Record config, DType dtype, Map<String, Path> inputs) {
        Map<String, String> fingerprint = new TreeMap<>();
        inputs.forEach((name, folder) ->
                LoadedModel.hashes(folder).forEach((file, hash) -> fingerprint.put(name + "/" + file, hash)));
        fingerprint.put("dtype", String.valueOf(dtype));
        fingerprint.put("threads", String.valueOf(LibTorch.threads()));
        fingerprint.put("libtorch", LibTorch.version());
        fingerprint.put("manners", RunDirectory.version());
        Options.toMap(config).forEach((key, value) -> fingerprint.put("option/" + key, String.valueOf(value)));
        return fingerprint;
    }
}
