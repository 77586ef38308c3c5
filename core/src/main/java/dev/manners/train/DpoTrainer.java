package dev.manners.train;

import dev.manners.data.Sampler;
import dev.manners.files.Json;
import dev.manners.loss.LogProbs;
import dev.manners.loss.Loss;
import dev.manners.loss.PreferenceLoss;
import dev.manners.loss.Segments;
import dev.manners.loss.Tally;
import dev.manners.loss.Window;
import dev.manners.model.Decoder;
import dev.manners.model.Dropout;
import dev.manners.tensor.NoGrad;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/// Direct preference optimisation and its relatives: the policy learns from pairs of a chosen and a rejected completion
/// directly, without a reward model and without sampling.
///
///     L_DPO = -log σ(β [log π(y₊|x)/π_ref(y₊|x) - log π(y₋|x)/π_ref(y₋|x)])
///
/// Source: Rafailov et al. 2023, arXiv:2305.18290. The other losses differ in one function ([PreferenceLoss]); CPO,
/// SimPO and ORPO have no reference. Both completions of a pair hang on their prompt, which goes through the model
/// once.
///
/// Sums and means are over the whole update, so that loss and gradient do not depend on how it is split into
/// micro-batches; only aot and aot_unpaired, which sort a batch, are losses of the micro-batch. Metrics are TRL's,
/// explained in docs/algorithms/dpo.md.
public final class DpoTrainer {

    private final Decoder policy;
    private final @Nullable Reference reference;
    private final PairObjective objective;
    private final TrainingConfig training;
    private final Following following;
    private final List<Pair> pairs;
    private final List<Pair> heldOut;
    private final @Nullable RefLogProbs precomputed;
    private final BooleanSupplier stop;
    private final SftTrainer.Watch watch;
    private final Sampler sampler;
    private final Course course;
    private final boolean meansOfMicroBatches;

    private Tally tally = new Tally();
    private long tokens;

    /// How the reference follows the policy.
    ///
    /// @param every updates between two followings; 0: it does not
    record Following(long every, double alpha) {
        static final Following NOT = new Following(0, 0);
    }

    /// Log-probabilities of whole completions under the reference, taken once.
    ///
    /// @param train chosen and rejected of each pair, 2P; `heldOut` likewise
    public record RefLogProbs(float[] train, float[] heldOut) {}

    /// DPO and its relatives.
    ///
    /// @param reference a model of its own, or null: the policy without its adapters; unused if `precomputed`
    /// @param heldOut evaluated every `eval_steps`, before and after; may be empty
    /// @param precomputed what [#precompute] gave, or null: computed as it is needed
    /// @param checkpoints folder of the run's checkpoints, or null for none
    /// @param fingerprint what must be the same for a run to be resumed
    /// @param stop asked after each update and between batches of an evaluation; true: save, return
    /// @param watch called every `sample_steps`, before and after
    public static DpoTrainer dpo(
            Decoder policy,
            @Nullable Decoder reference,
            DpoConfig config,
            List<Pair> pairs,
            List<Pair> heldOut,
            @Nullable RefLogProbs precomputed,
            Tracker tracker,
            @Nullable Path checkpoints,
            Map<String, String> fingerprint,
            BooleanSupplier stop,
            SftTrainer.Watch watch) {
        return new DpoTrainer(
                policy,
                precomputed == null ? new Reference(policy, reference) : null,
                new PairObjective.Dpo(config.loss()),
                config.learningRate(),
                config.training(),
                config.trainSamplingStrategy(),
                new Following(config.syncRefModel() ? config.refModelSyncSteps() : 0, config.refModelMixupAlpha()),
                pairs,
                heldOut,
                precomputed,
                false,
                tracker,
                checkpoints,
                fingerprint,
                stop,
                watch);
    }

    /// CPO, SimPO, AlphaPO: no reference. Parameters as for [#dpo].
    public static DpoTrainer cpo(
            Decoder policy,
            CpoConfig config,
            List<Pair> pairs,
            List<Pair> heldOut,
            Tracker tracker,
            @Nullable Path checkpoints,
            Map<String, String> fingerprint,
            BooleanSupplier stop,
            SftTrainer.Watch watch) {
        return new DpoTrainer(
                policy,
                null,
                new PairObjective.Cpo(config.loss()),
                config.learningRate(),
                config.training(),
                config.trainSamplingStrategy(),
                Following.NOT,
                pairs,
                heldOut,
                null,
                false,
                tracker,
                checkpoints,
                fingerprint,
                stop,
                watch);
    }

    /// ORPO: no reference. Parameters as for [#dpo].
    public static DpoTrainer orpo(
            Decoder policy,
            OrpoConfig config,
            List<Pair> pairs,
            List<Pair> heldOut,
            Tracker tracker,
            @Nullable Path checkpoints,
            Map<String, String> fingerprint,
            BooleanSupplier stop,
            SftTrainer.Watch watch) {
        return new DpoTrainer(
                policy,
                null,
                new PairObjective.Orpo(config.beta()),
                config.learningRate(),
                config.training(),
                config.trainSamplingStrategy(),
                Following.NOT,
                pairs,
                heldOut,
                null,
                false,
                tracker,
                checkpoints,
                fingerprint,
                stop,
                watch);
    }

    /// @param meansOfMicroBatches whether a mean over tokens is that of each micro-batch, averaged, as TRL takes
    /// the one of its `sft` loss
    DpoTrainer(
            Decoder policy,
            @Nullable Reference reference,
            PairObjective objective,
            double learningRate,
            TrainingConfig training,
            Sampler.Order order,
            Following following,
            List<Pair> pairs,
            List<Pair> heldOut,
            @Nullable RefLogProbs precomputed,
            boolean meansOfMicroBatches,
            Tracker tracker,
            @Nullable Path checkpoints,
            Map<String, String> fingerprint,
            BooleanSupplier stop,
            SftTrainer.Watch watch) {
        this.policy = policy;
        this.reference = reference;
        this.objective = objective;
        this.training = training;
        this.following = following;
        this.pairs = List.copyOf(pairs);
        this.heldOut = List.copyOf(heldOut);
        this.precomputed = precomputed;
        this.meansOfMicroBatches = meansOfMicroBatches;
        this.stop = stop;
        this.watch = watch;
        if (following.every > 0) {
            Objects.requireNonNull(reference).requireLikePolicy();
        }
        this.sampler = new Sampler(
                pairs.size(),
                training.perDeviceTrainBatchSize(),
                training.gradientAccumulationSteps(),
                1,
                order,
                training.seed());
        this.course = new Course(
                new Steps(),
                training,
                learningRate,
                policy.trainableByName(),
                training.totalSteps(sampler.stepsPerEpoch()),
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

    /// Log-probabilities of every pair's completions under a reference that stays as it is.
    ///
    /// @param reference a model of its own, or null: the policy without its adapters
    /// @return chosen and rejected of each pair, 2P; null if it was asked to stop
    public static float @Nullable [] precompute(
            Decoder policy, @Nullable Decoder reference, DpoConfig config, List<Pair> pairs, BooleanSupplier stop) {
        Reference fixed = new Reference(policy, reference);
        try (Phase phase = Phase.of("reference", 0)) {
            List<int[]> pieces = pieces(policy, pairs, allOf(pairs));
            List<float[]> logps = Pieces.map(
                    policy.config(),
                    pieces,
                    piece -> stop.getAsBoolean()
                            ? new float[0]
                            : completionLogps(fixed, pairs, piece, config.ldAlpha()));
            return stop.getAsBoolean() ? null : Episode.join(logps);
        }
    }

    private double step(long step, double learningRate) {
        // 1. The pairs of the update, and how many of their tokens are chosen ones.
        List<int[]> microBatches = sampler.step(step, 0);
        double rows = microBatches.stream().mapToInt(m -> m.length).sum();
        double chosen =
                microBatches.stream().mapToDouble(m -> chosenTokens(pairs, m)).sum();
        Window update = new Window(rows, chosen);
        // 2. Gradients of the update's mean loss.
        double loss = 0;
        for (int[] microBatch : microBatches) {
            Window window = meansOfMicroBatches || objective.couplesPairs()
                    ? Window.ofMicroBatch(microBatch.length, chosenTokens(pairs, microBatch), microBatches.size())
                    : update;
            List<int[]> pieces = objective.couplesPairs() ? List.of(microBatch) : pieces(policy, pairs, microBatch);
            List<float[]> refLogps = refLogps(pieces, step);
            try (Phase phase = Phase.of("forward_backward", step)) {
                for (Part part :
                        Pieces.map(policy.config(), pieces, (piece, n) -> accumulate(piece, refLogps.get(n), window))) {
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
        if (following.every > 0 && (step + 1) % following.every == 0) {
            Objects.requireNonNull(reference).follow(following.alpha);
        }
        return loss;
    }

    /// Adds some pairs' part of the gradient.
    ///
    /// @param refLogps of their completions, [2P], or none
    private Part accumulate(int[] piece, float[] refLogps, Window window) {
        try (Scope scope = Scope.open()) {
            Completions batch = batch(pairs, piece);
            Completions.Forward forward = batch.forward(policy, 1, Dropout.NONE);
            Tensor logps = forward.logProbs().logps().setRequiresGrad(true); // [M]
            Loss loss = loss(batch, logps, forward.logProbs(), refLogps, window);
            loss.value().backward();
            forward.backward(Objects.requireNonNull(logps.grad()), null);
            Tally seen = observe(new Tally(), batch, forward.logProbs()).add(loss.metrics());
            return new Part(loss.value().item(), trlTokens(pairs, piece), seen);
        }
    }

    /// The reference's log-probabilities of the completions of each piece that is trained on: known, or computed in a
    /// phase of its own.
    private List<float[]> refLogps(List<int[]> pieces, long step) {
        if (!objective.hasReference() || precomputed != null) {
            return pieces.stream()
                    .map(piece -> refLogps(pairs, piece, precomputed == null ? null : precomputed.train))
                    .toList();
        }
        try (Phase phase = Phase.of("reference", step)) {
            return Pieces.map(policy.config(), pieces, piece -> refLogps(pairs, piece, null));
        }
    }

    private Loss loss(Completions batch, Tensor logps, LogProbs logProbs, float[] refLogps, Window window) {
        return objective.of(
                logps,
                Segments.of(batch.lengths()),
                objective.hasReference() ? Tensor.of(refLogps) : null,
                objective.weighs() ? logProbs.logSumSquares() : null,
                window);
    }

    /// Of the completions of some pairs, [2P]; of none without a reference.
    private float[] refLogps(List<Pair> of, int[] piece, float @Nullable [] known) {
        if (!objective.hasReference()) {
            return new float[0];
        }
        if (known != null) {
            float[] some = new float[2 * piece.length];
            for (int i = 0; i < piece.length; i++) {
                System.arraycopy(known, 2 * piece[i], some, 2 * i, 2);
            }
            return some;
        }
        return completionLogps(
                Objects.requireNonNull(reference),
                of,
                piece,
                objective instanceof PairObjective.Dpo(PreferenceLoss.Options o) ? o.ldAlpha() : null);
    }

    private static float[] completionLogps(Reference reference, List<Pair> of, int[] piece, @Nullable Double ldAlpha) {
        try (NoGrad off = NoGrad.on();
                Scope scope = Scope.open()) {
            Completions batch = batch(of, piece);
            Tensor logps = reference.logProbs(batch, 1).logps();
            return PreferenceLoss.completionLogps(logps, Segments.of(batch.lengths()), ldAlpha)
                    .toFloats();
        }
    }

    /// What TRL also tells of the completions' tokens.
    private static Tally observe(Tally into, Completions batch, LogProbs logProbs) {
        float[] entropies = logProbs.entropies().toFloats();
        float[] logits = logProbs.meanLogits().toFloats();
        float[] hits = logProbs.hits().toFloats();
        int at = 0;
        for (int c = 0; c < batch.lengths().length; c++) {
            boolean chosen = c % 2 == 0;
            for (int i = 0; i < batch.lengths()[c]; i++, at++) {
                into.mean("entropy", entropies[at], 1);
                into.mean(chosen ? "logits/chosen" : "logits/rejected", logits[at], 1);
                if (chosen) {
                    into.mean("mean_token_accuracy", hits[at], 1);
                }
            }
        }
        return into;
    }

    /// @return null if it was asked to stop before the end
    private @Nullable Map<String, Double> evaluate() {
        if (heldOut.isEmpty()) {
            return Map.of();
        }
        double loss = 0;
        Tally seen = new Tally();
        int[] all = allOf(heldOut);
        double chosen = chosenTokens(heldOut, all);
        for (int from = 0; from < all.length; from += training.perDeviceEvalBatchSize()) {
            if (stop.getAsBoolean()) {
                return null;
            }
            int[] rows = Arrays.copyOfRange(all, from, Math.min(all.length, from + training.perDeviceEvalBatchSize()));
            try (Scope scope = Scope.open();
                    NoGrad off = NoGrad.on()) {
                Completions batch = batch(heldOut, rows);
                LogProbs logProbs = batch.logProbs(policy, 1);
                float[] refLogps = refLogps(heldOut, rows, precomputed == null ? null : precomputed.heldOut);
                Loss part = loss(batch, logProbs.logps(), logProbs, refLogps, new Window(all.length, chosen));
                loss += part.value().item();
                observe(seen, batch, logProbs).add(part.metrics());
            }
        }
        Map<String, Double> metrics = new LinkedHashMap<>();
        metrics.put("eval_loss", loss);
        seen.values().forEach((name, value) -> metrics.put("eval_" + name, value));
        return metrics;
    }

    // ---- laying out

    private static Completions batch(List<Pair> pairs, int[] rows) {
        return Completions.of(Arrays.stream(rows)
                .mapToObj(pairs::get)
                .map(p -> new Completions.Group(p.prompt(), List.of(p.chosen(), p.rejected())))
                .toList());
    }

    private static List<int[]> pieces(Decoder policy, List<Pair> pairs, int[] rows) {
        return Pieces.of(policy.config(), rows, i -> pairs.get(i).length());
    }

    private static int[] allOf(List<Pair> pairs) {
        int[] all = new int[pairs.size()];
        Arrays.setAll(all, i -> i);
        return all;
    }

    private static double chosenTokens(List<Pair> pairs, int[] rows) {
        return Arrays.stream(rows).map(i -> pairs.get(i).chosen().length).sum();
    }

    /// Tokens as TRL counts them, whose model sees a prompt with each of its completions.
    private static long trlTokens(List<Pair> pairs, int[] rows) {
        return Arrays.stream(rows)
                .mapToLong(i -> pairs.get(i).length() + (long) pairs.get(i).prompt().length)
                .sum();
    }

    /// What the course of the run asks for.
    private final class Steps implements Course.Trainer {

        @Override
        public Double step(long step, double learningRate) {
            return DpoTrainer.this.step(step, learningRate);
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
            if (following.every > 0) {
                Objects.requireNonNull(reference).refresh();
            }
        }

        @Override
        public @Nullable Map<String, Double> evaluate(long step) {
            return DpoTrainer.this.evaluate();
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
            return following.every > 0 ? Objects.requireNonNull(reference).tensors() : Map.of();
        }
    }
}
