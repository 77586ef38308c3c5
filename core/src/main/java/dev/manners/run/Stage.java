package dev.manners.run;

import dev.manners.config.Options;
import dev.manners.data.DatasetFile;
import dev.manners.data.Example;
import dev.manners.data.ModelEncoder;
import dev.manners.data.Tokenised;
import dev.manners.tensor.DType;
import dev.manners.tensor.LibTorch;
import dev.manners.train.Outcome;
import dev.manners.train.Rows;
import dev.manners.train.SftConfig;
import dev.manners.train.SftTrainer;
import dev.manners.train.Tracker;
import dev.manners.train.TrainingConfig;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/// One stage of supervised training in a run: a policy and rows in, the policy trained; metrics, events, samples and
/// checkpoints go to the run's folder.
///
/// @param name first key of every line of metrics
/// @param checkpoints folder of the stage's checkpoints
/// @param inputs what the policy was made from, name to SHA-256
/// @param heldOut rows to evaluate on, or null
/// @param samplePrompts whose completions are shown; none: those of the first few rows that have one
record Stage(
        RunDirectory run,
        String name,
        Path checkpoints,
        LoadedModel policy,
        Map<String, String> inputs,
        SftConfig config,
        Data train,
        @Nullable Data heldOut,
        List<String> samplePrompts) {

    Outcome train(Interrupts interrupts) {
        try (Progress progress = Progress.of(name)) {
            Tracker tracker = Tracker.all(List.of(
                    new MetricsLog(run.path(), name),
                    new TensorBoardEvents(run.path().resolve("tensorboard"), name + "/"),
                    progress));
            Tokenised shown = (heldOut == null ? train : heldOut).rows();
            Samples samples = Samples.of(policy, samplePrompts, shown.size(), i -> prompt(shown, i), tracker);
            return new SftTrainer(
                            policy.decoder(),
                            config,
                            Rows.of(train.rows()),
                            heldOut == null ? null : Rows.of(heldOut.rows()),
                            tracker,
                            checkpoints,
                            fingerprint(),
                            interrupts::requested,
                            samples::show)
                    .train();
        }
    }

    /// bf16 as asked for, or where the processor multiplies it in hardware.
    static DType dtype(TrainingConfig training) {
        boolean bf16 = training.bf16() == null ? LibTorch.hasFastBf16() : training.bf16();
        return bf16 ? DType.BF16 : DType.F32;
    }

    static DType dtype(SftConfig config) {
        return dtype(config.training());
    }

    /// What must be the same for a run to be resumed.
    private Map<String, String> fingerprint() {
        Map<String, String> fingerprint = new TreeMap<>();
        inputs.forEach((file, hash) -> fingerprint.put("model/" + file, hash));
        fingerprint.put("dataset", train.identity());
        fingerprint.put("eval_dataset", heldOut == null ? "none" : heldOut.identity());
        fingerprint.put("dtype", String.valueOf(dtype(config)));
        fingerprint.put("threads", String.valueOf(LibTorch.threads()));
        fingerprint.put("libtorch", LibTorch.version());
        fingerprint.put("manners", RunDirectory.version());
        Options.toMap(config).forEach((key, value) -> fingerprint.put("option/" + key, String.valueOf(value)));
        return fingerprint;
    }

    /// The prompt of a row, or nothing where it is trained on from its beginning.
    private static int[] prompt(Tokenised rows, int i) {
        Example row = rows.get(i);
        int first = 0;
        while (first < row.length() && !row.trained()[first]) {
            first++;
        }
        return Arrays.copyOf(row.ids(), first > 1 ? first : 0);
    }

    /// A dataset file and its tokens.
    record Data(DatasetFile file, Tokenised rows) implements AutoCloseable {

        /// @param cache folder for tokens; a file there is named by the hash of data, tokenizer, template and options
        ///
        /// @throws Interrupts.Stopped if the run is asked to end before all rows are tokenised
        static Data open(
                String source,
                LoadedModel policy,
                SftConfig config,
                boolean skipBad,
                Path cache,
                Interrupts interrupts) {
            DatasetFile file = DatasetFile.open(source);
            boolean opened = false;
            try {
                ModelEncoder encoder = new ModelEncoder(policy.tokenizer());
                Data data = new Data(
                        file,
                        Tokenised.of(
                                file, encoder, config.tokenisation(skipBad), cache, n -> interrupts.stopIfRequested()));
                opened = true;
                return data;
            } finally {
                if (!opened) {
                    file.close();
                }
            }
        }

        /// Which rows of which bytes.
        String identity() {
            return file.sha256() + " " + file.range();
        }

        @Override
        public void close() {
            rows.close();
            file.close();
        }
    }
}
