package dev.manners.train;

import dev.manners.NonFinite;
import dev.manners.data.Packed;
import dev.manners.data.Sampler;
import dev.manners.files.Json;
import dev.manners.loss.CrossEntropy;
import dev.manners.model.Decoder;
import dev.manners.model.DecoderConfig;
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
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
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
    private final Tracker tracker;
    private final @Nullable Path checkpoints;
    private final Map<String, String> fingerprint;
    private final BooleanSupplier stop;
    private final Watch watch;

    private final Sampler sampler;
    private final long totalSteps;
    private final Running running = new Running();

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
        this.tracker = tracker;
        this.checkpoints = checkpoints;
        this.fingerprint = new TreeMap<>(fingerprint);
        this.stop = stop;
        this.watch = watch;
        this.sampler = new Sampler(
                data.size(),
                config.perDeviceTrainBatchSize(),
                config.gradientAccumulationSteps(),
                1,
                config.trainSamplingStrategy(),
                config.seed());
        this.totalSteps = config.totalSteps(sampler.stepsPerEpoch());
    }

    /// How a run ended.
    ///
    /// @param steps updates made in all
    /// @param interrupted whether it was asked to stop before the end
    /// @param trainLoss mean of the updates' losses; NaN if there was none
    /// @param evalLoss loss on held-out rows at the end, or null
    public record Outcome(
            long steps,
            boolean interrupted,
            double trainLoss,
            @Nullable Double evalLoss) {}

    /// Sums since the last line of metrics and over the run; part of a checkpoint.
    private static final class Running {
        double loss;
        double entropy;
        double accuracy;
        long microBatches;
        long steps;
        long tokens;
        double totalLoss;
        double evalLoss = Double.NaN;
        /// Step of the last evaluation; -1 before the first.
        long evaluated = -1;
        /// Step of the last samples.
        long watched = -1;

        void read(JsonNode state) {
            loss = state.path("loss").asDouble();
            entropy = state.path("entropy").asDouble();
            accuracy = state.path("accuracy").asDouble();
            microBatches = state.path("micro_batches").asLong();
            steps = state.path("steps").asLong();
            tokens = state.path("tokens").asLong();
            totalLoss = state.path("total_loss").asDouble();
            evalLoss = state.path("eval_loss").asDouble(Double.NaN);
            evaluated = state.path("evaluated").asLong();
            watched = state.path("watched").asLong();
        }

        ObjectNode write() {
            ObjectNode state = Json.MAPPER.createObjectNode();
            state.put("loss", loss);
            state.put("entropy", entropy);
            state.put("accuracy", accuracy);
            state.put("micro_batches", microBatches);
            state.put("steps", steps);
            state.put("tokens", tokens);
            state.put("total_loss", totalLoss);
            if (evaluated >= 0) {
                state.put("eval_loss", evalLoss);
            }
            state.put("evaluated", evaluated);
            state.put("watched", watched);
            return state;
        }
    }

    /// Trains from the newest whole checkpoint, or from the start.
    ///
    /// @throws NonFinite if a loss or a gradient is not finite; nothing was updated with it
    public Outcome train() {
        try (Optimizer optimizer = new Optimizer(
                policy.trainable(),
                config.adamBeta1(),
                config.adamBeta2(),
                config.adamEpsilon(),
                config.weightDecay())) {
            Path from = checkpoints == null
                    ? null
                    : Checkpoint.newest(checkpoints, w -> tracker.event("checkpoint_skipped", Map.of("message", w)));
            if (from == null) {
                tracker.event("started", Map.of());
            } else {
                running.read(Checkpoint.restore(from, policy, optimizer, fingerprint));
                long step = optimizer.updates();
                tracker.event(
                        "resumed",
                        Map.of(
                                "step",
                                step,
                                "evaluated",
                                running.evaluated == step,
                                "watched",
                                running.watched == step));
            }
            return train(optimizer);
        }
    }

    private Outcome train(Optimizer optimizer) {
        if (!observe(optimizer.updates(), false)) {
            return interrupted(optimizer.updates());
        }
        // Nothing to train, or it was stopped while it evaluated after the last update.
        if (optimizer.updates() == totalSteps) {
            save(optimizer);
        }
        while (optimizer.updates() < totalSteps) {
            // 1. The micro-batches of one update, and how many of their tokens carry loss.
            long step = optimizer.updates();
            List<List<Packed>> window = window(step);
            long trained = window.stream()
                    .flatMap(List::stream)
                    .mapToLong(Packed::trainedTokens)
                    .sum();
            // 2. Gradients of the window's mean loss.
            double loss = 0;
            for (int m = 0; m < window.size(); m++) {
                loss += accumulate(window.get(m), trained, step * config.gradientAccumulationSteps() + m);
            }
            // 3. Nothing that is not finite reaches the weights.
            double gradNorm = optimizer.gradNorm();
            requireFinite("loss", loss, step);
            requireFinite("grad_norm", gradNorm, step);
            // 4. The update.
            double learningRate = config.learningRate()
                    * config.lrSchedulerType().factor(step, config.warmup(totalSteps), totalSteps);
            optimizer.step(learningRate, gradNorm, config.maxGradNorm());
            policy.refresh();
            // 5. Log, evaluate, show, save.
            running.loss += loss;
            running.totalLoss += loss;
            running.steps++;
            long done = optimizer.updates();
            tracker.progress(done, totalSteps, Map.of("loss", loss, "num_tokens", (double) running.tokens));
            if (done % config.loggingSteps() == 0 || done == totalSteps) {
                log(done, gradNorm, learningRate);
            }
            boolean asked = stop.getAsBoolean();
            boolean observed = observe(done, asked);
            if (asked || !observed || done == totalSteps || due(done, config.saveSteps())) {
                save(optimizer);
            }
            if (!observed || (asked && done < totalSteps)) {
                return interrupted(done);
            }
        }
        long steps = optimizer.updates();
        return new Outcome(
                steps,
                false,
                steps == 0 ? Double.NaN : running.totalLoss / steps,
                heldOut == null ? null : running.evalLoss);
    }

    /// Evaluates and shows samples where this step is due to: the first, the last, and every so many. What a run did
    /// before it was interrupted at this step is not done again.
    ///
    /// @param asked whether the run was asked to stop: then nothing is begun
    /// @return whether all was done that was due
    private boolean observe(long step, boolean asked) {
        boolean end = step == 0 || step == totalSteps;
        if (heldOut != null && running.evaluated != step && (end || due(step, config.evalSteps()))) {
            if (asked || !evaluate(step, heldOut)) {
                return false;
            }
            running.evaluated = step;
        }
        if (running.watched != step && (end || due(step, config.sampleSteps()))) {
            if (asked) {
                return false;
            }
            watch.at(step);
            running.watched = step;
        }
        return true;
    }

    private Outcome interrupted(long step) {
        tracker.event("interrupted", Map.of("step", step));
        return new Outcome(step, true, step == 0 ? Double.NaN : running.totalLoss / step, null);
    }

    private static boolean due(long step, long every) {
        return every > 0 && step % every == 0;
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
        Dropout dropout = Dropout.training(config.seed(), pass);
        double loss = 0;
        double entropy = 0;
        long correct = 0;
        long n = 0;
        for (List<Packed> piece : pieces(rows)) {
            try (Scope scope = Scope.open()) {
                Batch batch = Batch.of(piece);
                running.tokens += batch.tokens();
                if (batch.rows().numel() == 0) {
                    continue;
                }
                Tensor hidden = policy.hidden(batch.ids(), batch.sequences(), dropout); // [N, H]
                CrossEntropy.Result result = CrossEntropy.of(
                        hidden.detach().indexSelect(0, batch.rows()),
                        policy.headWeight(),
                        batch.targets(),
                        1.0 / trained);
                if (!Double.isFinite(result.loss())) {
                    return result.loss();
                }
                Tensor hiddenGrad = Tensor.zeros(hidden.dtype(), hidden.shape());
                hidden.backward(hiddenGrad.indexCopy_(0, batch.rows(), Objects.requireNonNull(result.hiddenGrad())));
                policy.collectGradients();
                loss += result.loss();
                entropy += result.entropy();
                correct += result.correct();
                n += batch.rows().numel();
            }
        }
        running.microBatches++;
        if (n > 0) {
            running.entropy += entropy / n;
            running.accuracy += (double) correct / n;
        }
        return loss / trained;
    }

    /// Tokens that go forward and backward together: enough for matrix products to run at full speed, and few enough
    /// that what is kept for the backward pass, which grows with layers and width, stays small beside the weights.
    private static int tokensAtOnce(DecoderConfig config) {
        long perToken = (long) config.layers() * config.hiddenSize();
        return Math.clamp(9_000_000 / perToken, 256, 1024);
    }

    /// Rows in order, as many together as have no more than [#tokensAtOnce] tokens, at least one.
    private List<List<Packed>> pieces(List<Packed> rows) {
        int most = tokensAtOnce(policy.config());
        List<List<Packed>> pieces = new ArrayList<>();
        int tokens = Integer.MAX_VALUE;
        for (Packed row : rows) {
            if (tokens > most - row.length()) {
                pieces.add(new ArrayList<>());
                tokens = 0;
            }
            pieces.getLast().add(row);
            tokens += row.length();
        }
        return pieces;
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

    private void requireFinite(String what, double value, long step) {
        if (!Double.isFinite(value)) {
            policy.trainable().forEach(p -> p.clearGrad());
            tracker.event("non_finite", Map.of("where", what, "value", String.valueOf(value), "step", step + 1));
            throw new NonFinite(
                    what,
                    "is " + value + " at update " + (step + 1) + " of " + totalSteps
                            + "; the update was not made and the weights are those of update " + step
                            + ". A lower learning_rate or max_grad_norm, or f32, usually helps.");
        }
    }

    private void log(long step, double gradNorm, double learningRate) {
        Map<String, Double> metrics = new LinkedHashMap<>();
        metrics.put("loss", running.loss / running.steps);
        metrics.put("grad_norm", gradNorm);
        metrics.put("learning_rate", learningRate);
        metrics.put("entropy", running.entropy / running.microBatches);
        metrics.put("mean_token_accuracy", running.accuracy / running.microBatches);
        metrics.put("num_tokens", (double) running.tokens);
        metrics.put("epoch", sampler.epoch(step));
        tracker.metrics(step, metrics);
        running.loss = 0;
        running.entropy = 0;
        running.accuracy = 0;
        running.microBatches = 0;
        running.steps = 0;
    }

    /// Evaluates the held-out rows.
    ///
    /// `eval_loss` and its like are what TRL gives under these names: means over batches of the batch's mean per
    /// token, which depend on `per_device_eval_batch_size`. `eval_token_loss` is the mean over all tokens and does
    /// not.
    ///
    /// @return false if it was asked to stop before the end: then nothing is told
    private boolean evaluate(long step, Rows heldOut) {
        double loss = 0;
        double entropy = 0;
        double accuracy = 0;
        double tokenLoss = 0;
        long rows = 0;
        long batches = 0;
        long tokens = 0;
        for (int from = 0; from < heldOut.size(); from += config.perDeviceEvalBatchSize()) {
            if (stop.getAsBoolean()) {
                return false;
            }
            List<Packed> some = new ArrayList<>();
            for (int i = from; i < Math.min(heldOut.size(), from + config.perDeviceEvalBatchSize()); i++) {
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
        tracker.metrics(step, metrics);
        running.evalLoss = loss / rows;
        return true;
    }

    private void save(Optimizer optimizer) {
        if (checkpoints != null) {
            Path made = Checkpoint.save(checkpoints, policy, optimizer, running.write(), fingerprint);
            tracker.event("saved", Map.of("checkpoint", String.valueOf(made.getFileName())));
            Checkpoint.rotate(checkpoints, config.saveTotalLimit());
        }
    }
}
