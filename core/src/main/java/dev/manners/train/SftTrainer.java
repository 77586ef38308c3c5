package dev.manners.train;

import dev.manners.data.Packed;
import dev.manners.data.Sampler;
import dev.manners.files.Json;
import dev.manners.loss.CrossEntropy;
import dev.manners.model.Decoder;
import dev.manners.model.Dropout;
import dev.manners.model.Sequences;
import dev.manners.tensor.NoGrad;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.BooleanSupplier;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/// Supervised fine-tuning: the model learns to give the demonstrations' tokens (next-token cross-entropy), on all of
/// them (pretraining, plain text) or on completions only.
///
///     L = -1/n Σ_{i in trained} log π(x_i | x_<i),   n = trained tokens of the whole accumulation window
///
/// so loss and gradient do not depend on how the window is split into micro-batches. Metrics are TRL's, explained in
/// docs/algorithms/sft.md.
public final class SftTrainer {

    private final Decoder policy;
    private final SftConfig config;
    private final Rows data;
    private final @Nullable Rows heldOut;
    private final BooleanSupplier stop;
    private final Watch watch;
    private final Sampler sampler;
    private final Course course;

    // Sums since the last line of metrics; part of a checkpoint, as is the number of tokens seen in all.
    private double entropy;
    private double accuracy;
    private long microBatches;
    private long tokens;

    /// Something to do with the policy at a step, such as showing sample completions.
    public interface Watch {
        void at(long step);
    }

    /// @param heldOut evaluated every `eval_steps`, before and after; or null
    /// @param checkpoints folder of the run's checkpoints, or null for none
    /// @param fingerprint what must be the same for a run to be resumed (hashes of data, tokenizer, base model)
    /// @param stop asked after each update and between batches of an evaluation; true: save, return
    /// @param watch called every `sample_steps`, before and after
    public SftTrainer(
            Decoder policy,
            SftConfig config,
            Rows data,
            @Nullable Rows heldOut,
            Tracker tracker,
            @Nullable Path checkpoints,
            Map<String, String> fingerprint,
            BooleanSupplier stop,
            Watch watch) {
        this.policy = policy;
        this.config = config;
        this.data = data;
        this.heldOut = heldOut;
        this.stop = stop;
        this.watch = watch;
        this.sampler = new Sampler(
                data.size(),
                config.training().perDeviceTrainBatchSize(),
                config.training().gradientAccumulationSteps(),
                1,
                config.trainSamplingStrategy(),
                config.training().seed());
        this.course = new Course(
                new Steps(),
                config.training(),
                config.learningRate(),
                policy.trainableByName(),
                config.training().totalSteps(sampler.stepsPerEpoch()),
                sampler::epoch,
                tracker,
                checkpoints,
                fingerprint,
                stop);
    }

    /// Trains from the newest whole checkpoint, or from the start.
    ///
    /// @throws dev.manners.NonFinite if a loss or a gradient is not finite; nothing was updated with it
    public Outcome train() {
        try (course) {
            return course.run();
        }
    }

    /// What the course of the run asks for.
    private final class Steps implements Course.Trainer {

        @Override
        public Double step(long step, double learningRate) {
            // 1. The micro-batches of the update, and how many of their tokens carry loss.
            List<List<Packed>> window = window(step);
            long trained = window.stream()
                    .flatMap(List::stream)
                    .mapToLong(Packed::trainedTokens)
                    .sum();
            // 2. Gradients of the window's mean loss.
            double loss = 0;
            try (Phase phase = Phase.of("forward_backward", step)) {
                for (int m = 0; m < window.size(); m++) {
                    loss += accumulate(
                            window.get(m), trained, step * config.training().gradientAccumulationSteps() + m);
                }
            }
            // 3. The update, unless something is not finite.
            try (Phase phase = Phase.of("update", step)) {
                course.update(loss, learningRate);
            }
            return loss;
        }

        @Override
        public Map<String, Double> metrics() {
            Map<String, Double> metrics = new LinkedHashMap<>();
            metrics.put("entropy", entropy / microBatches);
            metrics.put("mean_token_accuracy", accuracy / microBatches);
            metrics.put("num_tokens", (double) tokens);
            entropy = 0;
            accuracy = 0;
            microBatches = 0;
            return metrics;
        }

        @Override
        public Map<String, Double> shown() {
            return Map.of("num_tokens", (double) tokens);
        }

        @Override
        public void refresh() {
            policy.refresh();
        }

        @Override
        public void watch(long step) {
            watch.at(step);
        }

        @Override
        public ObjectNode state() {
            ObjectNode state = Json.MAPPER.createObjectNode();
            state.put("entropy", entropy);
            state.put("accuracy", accuracy);
            state.put("micro_batches", microBatches);
            state.put("tokens", tokens);
            return state;
        }

        @Override
        public void restore(JsonNode state) {
            entropy = state.path("entropy").asDouble();
            accuracy = state.path("accuracy").asDouble();
            microBatches = state.path("micro_batches").asLong();
            tokens = state.path("tokens").asLong();
        }

        @Override
        public @Nullable Map<String, Double> evaluate(long step) {
            return heldOut == null ? Map.of() : SftTrainer.this.evaluate(heldOut);
        }
    }

    private List<List<Packed>> window(long step) {
        List<List<Packed>> window = new ArrayList<>();
        for (int[] rows : sampler.step(step, 0)) {
            window.add(Arrays.stream(rows).mapToObj(data::get).toList());
        }
        return window;
    }

    /// Adds a micro-batch's part of the window's gradient, a few rows at a time: what is kept for the backward pass is
    /// bounded whatever the micro-batch, and the sum is the same.
    ///
    /// @param trained tokens of the window that carry loss
    /// @param pass number of this micro-batch in the run
    /// @return the micro-batch's part of the window's mean loss
    private double accumulate(List<Packed> rows, long trained, long pass) {
        Dropout dropout = Dropout.training(config.training().seed(), pass);
        int[] all = IntStream.range(0, rows.size()).toArray();
        List<int[]> pieces = Pieces.of(policy.config(), all, i -> rows.get(i).length());
        Part whole = Pieces.map(
                        policy.config(),
                        pieces,
                        (piece, number) -> accumulate(rows, piece, trained, dropout.part(number)))
                .stream()
                .reduce(Part.NONE, Part::add);
        tokens += whole.tokens;
        microBatches++;
        if (whole.targets > 0) {
            entropy += whole.entropy / whole.targets;
            accuracy += (double) whole.correct / whole.targets;
        }
        return whole.loss / trained;
    }

    /// What was seen of some rows: sums over their targets, the tokens that carry loss.
    private record Part(double loss, double entropy, long correct, long targets, long tokens) {

        static final Part NONE = new Part(0, 0, 0, 0, 0);

        Part add(Part more) {
            return new Part(
                    loss + more.loss,
                    entropy + more.entropy,
                    correct + more.correct,
                    targets + more.targets,
                    tokens + more.tokens);
        }
    }

    private Part accumulate(List<Packed> rows, int[] piece, long trained, Dropout dropout) {
        try (Scope scope = Scope.open()) {
            Batch batch = Batch.of(Arrays.stream(piece).mapToObj(rows::get).toList());
            long targets = batch.rows().numel();
            if (targets == 0) {
                return new Part(0, 0, 0, 0, batch.tokens());
            }
            Tensor hidden = policy.hidden(batch.ids(), batch.sequences(), dropout); // [N, H]
            CrossEntropy.Result result = CrossEntropy.of(
                    hidden.detach().indexSelect(0, batch.rows()), policy.headWeight(), batch.targets(), 1.0 / trained);
            if (Double.isFinite(result.loss())) {
                Tensor hiddenGrad = Tensor.zeros(hidden.dtype(), hidden.shape());
                hidden.backward(hiddenGrad.indexCopy_(0, batch.rows(), Objects.requireNonNull(result.hiddenGrad())));
                policy.collectGradients();
            }
            return new Part(result.loss(), result.entropy(), result.correct(), targets, batch.tokens());
        }
    }

    /// Rows laid end to end for the model.
    ///
    /// @param ids [N]
    /// @param rows positions whose next token carries loss, [M]
    /// @param targets those next tokens, [M]
    private record Batch(Tensor ids, Sequences sequences, Tensor rows, Tensor targets, int tokens) {

        static Batch of(List<Packed> packs) {
            int n = packs.stream().mapToInt(Packed::length).sum();
            int[] ids = new int[n];
            long[] rows = new long[n];
            long[] targets = new long[n];
            int at = 0;
            int m = 0;
            for (Packed pack : packs) {
                System.arraycopy(pack.ids(), 0, ids, at, pack.length());
                for (int i = 1; i < pack.length(); i++) {
                    if (pack.trained()[i]) {
                        rows[m] = (long) at + i - 1;
                        targets[m++] = pack.ids()[i];
                    }
                }
                at += pack.length();
            }
            int[] lengths =
                    packs.stream().flatMapToInt(p -> Arrays.stream(p.lengths())).toArray();
            return new Batch(
                    Tensor.of(ids),
                    new Sequences(lengths),
                    Tensor.of(Arrays.copyOf(rows, m)),
                    Tensor.of(Arrays.copyOf(targets, m)),
                    n);
        }
    }

    /// Evaluates the held-out rows.
    ///
    /// `eval_loss` and its like are what TRL gives under these names: means over batches of the batch's mean per
    /// token, which depend on `per_device_eval_batch_size`. `eval_token_loss` is the mean over all tokens and does
    /// not.
    ///
    /// @return null if it was asked to stop before the end
    private @Nullable Map<String, Double> evaluate(Rows heldOut) {
        double loss = 0;
        double entropy = 0;
        double accuracy = 0;
        double tokenLoss = 0;
        long rows = 0;
        long batches = 0;
        long tokens = 0;
        for (int from = 0; from < heldOut.size(); from += config.training().perDeviceEvalBatchSize()) {
            if (stop.getAsBoolean()) {
                return null;
            }
            List<Packed> some = new ArrayList<>();
            for (int i = from;
                    i < Math.min(heldOut.size(), from + config.training().perDeviceEvalBatchSize());
                    i++) {
                some.add(heldOut.get(i));
            }
            try (Scope scope = Scope.open();
                    NoGrad off = NoGrad.on()) {
                Batch batch = Batch.of(some);
                long n = batch.rows().numel();
                if (n == 0) {
                    continue;
                }
                Tensor hidden = policy.hidden(batch.ids(), batch.sequences(), Dropout.NONE);
                CrossEntropy.Result result =
                        CrossEntropy.of(hidden.indexSelect(0, batch.rows()), policy.headWeight(), batch.targets(), 0);
                loss += result.loss() / n * some.size();
                entropy += result.entropy() / n;
                accuracy += (double) result.correct() / n;
                tokenLoss += result.loss();
                rows += some.size();
                batches++;
                tokens += n;
            }
        }
        Map<String, Double> metrics = new LinkedHashMap<>();
        metrics.put("eval_loss", loss / rows);
        metrics.put("eval_entropy", entropy / batches);
        metrics.put("eval_mean_token_accuracy", accuracy / batches);
        metrics.put("eval_token_loss", tokenLoss / tokens);
        metrics.put("eval_num_tokens", (double) tokens);
        return metrics;
    }
}
