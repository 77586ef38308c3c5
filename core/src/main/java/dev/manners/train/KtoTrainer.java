package dev.manners.train;

import dev.manners.BadInput;
import dev.manners.data.Sampler;
import dev.manners.files.Json;
import dev.manners.loss.KtoLoss;
import dev.manners.loss.LogProbs;
import dev.manners.loss.Loss;
import dev.manners.loss.Segments;
import dev.manners.loss.Tally;
import dev.manners.loss.Window;
import dev.manners.model.Decoder;
import dev.manners.model.Dropout;
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
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/// Kahneman-Tversky optimisation: the policy learns from completions that were each found good or bad, without
/// partners.
///
///     good: w₊ (1 - σ(β(c - z)))    bad: w₋ (1 - σ(β(z - c))),   c = log π(y|x) - log π_ref(y|x)
///
/// z, what the policy gained on completions that do not belong to their prompts, is estimated from all rows of the
/// update, each prompt with the completion of a row that answers another ([Neighbours]), and carries no gradient. So
/// neither it nor the loss depends on how the update is split into micro-batches.
///
/// Source: Ethayarajh et al. 2024, arXiv:2402.01306. Metrics are TRL's, explained in docs/algorithms/kto.md.
public final class KtoTrainer {

    private final Decoder policy;
    private final Reference reference;
    private final KtoConfig config;
    private final TrainingConfig training;
    private final List<Judged> rows;
    private final List<Judged> heldOut;
    private final Tracker tracker;
    private final BooleanSupplier stop;
    private final SftTrainer.Watch watch;
    private final Sampler sampler;
    private final Course course;
    private final boolean klOfMicroBatches;

    private Tally tally = new Tally();
    private long tokens;
    private boolean warned;

    /// @param rows completions may be longer than fits behind their prompts; rows whose prompt alone reaches
    /// `max_length`
    /// are left out
    /// @param reference a model of its own, or null: the policy without its adapters
    /// @param heldOut evaluated every `eval_steps`, before and after; may be empty
    /// @param checkpoints folder of the run's checkpoints, or null for none
    /// @param fingerprint what must be the same for a run to be resumed
    /// @param stop asked after each update and between batches of an evaluation; true: save, return
    /// @param watch called every `sample_steps`, before and after
    public KtoTrainer(
            Decoder policy,
            @Nullable Decoder reference,
            KtoConfig config,
            List<Judged> rows,
            List<Judged> heldOut,
            Tracker tracker,
            @Nullable Path checkpoints,
            Map<String, String> fingerprint,
            BooleanSupplier stop,
            SftTrainer.Watch watch) {
        this(policy, reference, config, rows, heldOut, false, tracker, checkpoints, fingerprint, stop, watch);
    }

    /// @param klOfMicroBatches whether z is estimated from each micro-batch by itself, as TRL does it
    KtoTrainer(
            Decoder policy,
            @Nullable Decoder reference,
            KtoConfig config,
            List<Judged> rows,
            List<Judged> heldOut,
            boolean klOfMicroBatches,
            Tracker tracker,
            @Nullable Path checkpoints,
            Map<String, String> fingerprint,
            BooleanSupplier stop,
            SftTrainer.Watch watch) {
        this.policy = policy;
        this.reference = new Reference(policy, reference);
        this.config = config;
        this.training = config.training();
        this.rows = fitting(rows);
        this.heldOut = fitting(heldOut);
        this.klOfMicroBatches = klOfMicroBatches;
        if (config.lossType() == KtoLoss.Type.KTO && (this.rows.size() == 1 || this.heldOut.size() == 1)) {
            throw new BadInput(
                    "one row has no other whose completion kto's KL term could take: give two or more, or use"
                            + " loss_type apo_zero_unpaired");
        }
        if (config.syncRefModel()) {
            this.reference.requireLikePolicy();
        }
        this.tracker = tracker;
        this.stop = stop;
        this.watch = watch;
        this.sampler = new Sampler(
                this.rows.size(),
                training.perDeviceTrainBatchSize(),
                training.gradientAccumulationSteps(),
                1,
                config.trainSamplingStrategy(),
                training.seed());
        this.course = new Course(
                new Steps(),
                training,
                config.learningRate(),
                policy.trainableByName(),
                training.totalSteps(sampler.stepsPerEpoch()),
                sampler::epoch,
                tracker,
                checkpoints,
                fingerprint,
                stop);
    }

    /// Rows whose prompt leaves room for a completion.
    private List<Judged> fitting(List<Judged> rows) {
        return rows.stream().filter(r -> r.leavesRoom(config.maxLength())).toList();
    }

    /// Trains from the newest whole checkpoint, or from the start.
    ///
    /// @throws dev.manners.NonFinite if a loss or a gradient is not finite; nothing was updated with it
    public Outcome train() {
        try (course) {
            return course.run();
        }
    }

    private double step(long step, double learningRate) {
        List<int[]> microBatches = sampler.step(step, 0);
        int[] update = microBatches.stream().flatMapToInt(Arrays::stream).toArray();
        Window window = Window.ofRows(update.length);
        // 1. The KL term.
        List<int[]> together = klOfMicroBatches ? microBatches : List.of(update);
        // 2. Gradients of the update's mean loss.
        double loss = 0;
        for (int[] some : together) {
            double z;
            try (Phase phase = Phase.of("kl", step)) {
                z = kl(rows, some);
            }
            List<int[]> pieces = pieces(rows, some);
            List<float[]> refLogps;
            try (Phase phase = Phase.of("reference", step)) {
                refLogps = Pieces.map(policy.config(), pieces, piece -> refLogps(rows, piece));
            }
            try (Phase phase = Phase.of("forward_backward", step)) {
                for (Part part : Pieces.map(
                        policy.config(), pieces, (piece, n) -> accumulate(piece, refLogps.get(n), z, window))) {
                    loss += part.loss();
                    tokens += part.tokens();
                    tally.add(part.seen());
                }
            }
        }
        // 3. The update, unless something is not finite.
        try (Phase phase = Phase.of("update", step)) {
            course.update(loss, learningRate);
        }
        // 4. The reference follows.
        if (config.syncRefModel() && (step + 1) % config.refModelSyncSteps() == 0) {
            reference.follow(config.refModelMixupAlpha());
        }
        return loss;
    }

    /// z of some rows: each prompt with the completion of a neighbour that answers another one.
    private double kl(List<Judged> of, int[] some) {
        if (config.lossType() != KtoLoss.Type.KTO) {
            return 0;
        }
        Neighbours neighbours = Neighbours.of(of, some);
        warn(neighbours.warning());
        List<Judged> mismatched = new ArrayList<>();
        for (int i = 0; i < some.length; i++) {
            Judged lender = of.get(neighbours.lenders()[i]);
            mismatched.add(new Judged(of.get(some[i]).prompt(), lender.completion(), true));
        }
        double[] sums = new double[2];
        for (double[] part : Pieces.map(policy.config(), pieces(mismatched, allOf(mismatched)), piece -> {
            try (Scope scope = Scope.open();
                    NoGrad off = NoGrad.on()) {
                Completions batch = batch(mismatched, piece);
                return new double[] {
                    batch.logProbs(policy, 1).logps().sum().item(),
                    reference.logProbs(batch, 1).logps().sum().item()
                };
            }
        })) {
            sums[0] += part[0];
            sums[1] += part[1];
        }
        double mean = (sums[0] - sums[1]) / some.length;
        // Not Math.max(0, NaN): a NaN stays one.
        return mean < 0 ? 0 : mean;
    }

    /// Says it the first time.
    private void warn(String warning) {
        if (!warning.isEmpty() && !warned) {
            warned = true;
            tracker.event("kl_of_one_prompt", Map.of("message", warning));
        }
    }

    /// Adds some rows' part of the gradient.
    private Part accumulate(int[] piece, float[] refLogps, double z, Window window) {
        try (Scope scope = Scope.open()) {
            Completions batch = batch(rows, piece);
            Completions.Forward forward = batch.forward(policy, 1, Dropout.NONE);
            Tensor logps = forward.logProbs().logps().setRequiresGrad(true); // [M]
            Loss loss = loss(rows, batch, piece, logps, refLogps, z, window);
            loss.value().backward();
            forward.backward(Objects.requireNonNull(logps.grad()), null);
            Tally seen =
                    observe(new Tally(), rows, piece, batch, forward.logProbs()).add(loss.metrics());
            return new Part(loss.value().item(), batch.tokens(), seen);
        }
    }

    /// Of the completions of some rows, [B].
    private float[] refLogps(List<Judged> of, int[] piece) {
        try (NoGrad off = NoGrad.on();
                Scope scope = Scope.open()) {
            Completions batch = batch(of, piece);
            return Segments.of(batch.lengths())
                    .sums(reference.logProbs(batch, 1).logps())
                    .toFloats();
        }
    }

    private Loss loss(
            List<Judged> of, Completions batch, int[] piece, Tensor logps, float[] refLogps, double z, Window window) {
        boolean[] desirable = new boolean[piece.length];
        for (int i = 0; i < piece.length; i++) {
            desirable[i] = of.get(piece[i]).desirable();
        }
        return KtoLoss.of(
                logps, Segments.of(batch.lengths()), Tensor.of(refLogps), desirable, z, window, config.loss());
    }

    private static Tally observe(Tally into, List<Judged> of, int[] piece, Completions batch, LogProbs logProbs) {
        float[] entropies = logProbs.entropies().toFloats();
        float[] logits = logProbs.meanLogits().toFloats();
        int at = 0;
        for (int c = 0; c < piece.length; c++) {
            String which = of.get(piece[c]).desirable() ? "logits/chosen" : "logits/rejected";
            for (int i = 0; i < batch.lengths()[c]; i++, at++) {
                into.mean("entropy", entropies[at], 1);
                into.mean(which, logits[at], 1);
            }
        }
        return into;
    }

    /// @return null if it was asked to stop before the end
    private @Nullable Map<String, Double> evaluate() {
        if (heldOut.isEmpty()) {
            return Map.of();
        }
        int[] all = allOf(heldOut);
        double z = kl(heldOut, all);
        double loss = 0;
        Tally seen = new Tally();
        for (int from = 0; from < all.length; from += training.perDeviceEvalBatchSize()) {
            if (stop.getAsBoolean()) {
                return null;
            }
            int[] some = Arrays.copyOfRange(all, from, Math.min(all.length, from + training.perDeviceEvalBatchSize()));
            try (Scope scope = Scope.open();
                    NoGrad off = NoGrad.on()) {
                Completions batch = batch(heldOut, some);
                LogProbs logProbs = batch.logProbs(policy, 1);
                Loss part = loss(
                        heldOut, batch, some, logProbs.logps(), refLogps(heldOut, some), z, Window.ofRows(all.length));
                loss += part.value().item();
                observe(seen, heldOut, some, batch, logProbs).add(part.metrics());
            }
        }
        Map<String, Double> metrics = new LinkedHashMap<>();
        metrics.put("eval_loss", loss);
        seen.values().forEach((name, value) -> metrics.put("eval_" + name, value));
        return metrics;
    }

    // ---- laying out

    private Completions batch(List<Judged> of, int[] rows) {
        return Completions.of(Arrays.stream(rows)
                .mapToObj(of::get)
                .map(r -> new Completions.Group(
                        r.prompt(), List.of(Arrays.copyOf(r.completion(), length(r) - r.prompt().length))))
                .toList());
    }

    private List<int[]> pieces(List<Judged> of, int[] rows) {
        return Pieces.of(policy.config(), rows, i -> length(of.get(i)));
    }

    /// Tokens of a row, of whose completion is left what fits.
    private int length(Judged row) {
        int whole = row.prompt().length + row.completion().length;
        return config.maxLength() == 0 ? whole : Math.min(whole, config.maxLength());
    }

    private static int[] allOf(List<Judged> rows) {
        int[] all = new int[rows.size()];
        Arrays.setAll(all, i -> i);
        return all;
    }

    /// What the course of the run asks for.
    private final class Steps implements Course.Trainer {

        @Override
        public Double step(long step, double learningRate) {
            return KtoTrainer.this.step(step, learningRate);
        }

        @Override
        public Map<String, Double> metrics() {
            Map<String, Double> metrics = new LinkedHashMap<>(tally.values());
            metrics.put("num_tokens", (double) tokens);
            tally = new Tally();
            return metrics;
        }

        @Override
        public void refresh() {
            policy.refresh();
            if (config.syncRefModel()) {
                reference.refresh();
            }
        }

        @Override
        public @Nullable Map<String, Double> evaluate(long step) {
            return KtoTrainer.this.evaluate();
        }

        @Override
        public void watch(long step) {
            watch.at(step);
        }

        @Override
        public Health.Kind healthy() {
            return Health.OF_PREFERENCES;
        }

        @Override
        public ObjectNode state() {
            ObjectNode state = Json.MAPPER.createObjectNode();
            state.put("tokens", tokens);
            state.set("tally", tally.state());
            return state;
        }

        @Override
        public void restore(JsonNode state) {
            tokens = state.path("tokens").asLong();
            tally = Tally.of(state.path("tally"));
        }

        @Override
        public Map<String, Tensor> tensors() {
            return config.syncRefModel() ? reference.tensors() : Map.of();
        }
    }
}
