package dev.manners.train;

import dev.manners.files.Json;
import dev.manners.loss.EntropyController;
import dev.manners.loss.HighEntropy;
import dev.manners.loss.Loss;
import dev.manners.loss.PolicyLoss;
import dev.manners.loss.PpoLoss;
import dev.manners.loss.RlooLoss;
import dev.manners.loss.Segments;
import dev.manners.loss.Tally;
import dev.manners.loss.Window;
import dev.manners.model.Decoder;
import dev.manners.model.Dropout;
import dev.manners.tensor.DType;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/// Group relative policy optimisation (DeepSeekMath, arXiv:2402.03300) and its relatives: RLOO (arXiv:2402.14740),
/// REINFORCE++ (arXiv:2501.03262), RAFT (arXiv:2304.06767). There is no value function: what a completion is worth is
/// seen beside others.
///
///     1. sample G completions y of each prompt x from π_old, and score them: R
///     2. old log-probabilities are the sampler's; log π_ref where there is a reference
///     3. advantages A, from the rewards alone
///     4. updates with the loss, through the whole rollout num_iterations times
///
/// Steps 3 and 4 are what the four differ in, see [GroupAdvantages] and [#loss]. Sums run over the whole update and are
/// divided once, so that loss and gradient do not depend on how it is split into micro-batches (`bnpo` excepted).
/// Dropout is off: with it π would not be π_old when nothing has been learned yet. Every metric and detail:
/// docs/algorithms/grpo.md.
public final class GrpoTrainer {

    /// How far from 1 the mean ratio may be in a rollout's first update, where policy and old policy are one, beyond
    /// what `max_sampling_logp_difference` lets pass.
    private static final double RATIO_TOLERANCE = 1e-4;

    /// The same in BF16, whose last bits are larger.
    private static final double RATIO_TOLERANCE_BF16 = 2e-2;

    private final Decoder policy;
    private final @Nullable Reference reference;
    private final PolicyGradient config;
    private final Rollouts rollouts;
    private final Evaluation evaluation;
    private final Tracker tracker;
    private final SamplerGap gap;
    private final Health health;
    private final Course course;

    private final double temperature;
    private final int completions;
    private final int updatesPerIteration;
    private final int updatesPerRollout;
    /// Whether old log-probabilities are compared with the policy's before the first update: where they are needed
    /// then, or where a later update would come too late.
    private final boolean comparedAhead;

    /// What the rollout at hand left to learn from, null at its place where a completion has nothing to teach; empty
    /// before the first and after the last update with it. Part of a checkpoint.
    private List<@Nullable Episode> episodes = List.of();
    /// Which completions are in the loss's mean over completions; likewise.
    private boolean[] counted = {};
    /// The step's metrics.
    private Map<String, Double> seen = new LinkedHashMap<>();
    private final Means means = new Means();
    private EntropyController bonus;
    private long tokens;

    /// @param config [GrpoConfig], [RlooConfig], [ReinforceConfig] or [RaftConfig]
    /// @param reference what the policy may not leave too far; null: the policy without its adapters, or none where
    /// `beta` is 0. It is changed if `sync_ref_model` says so
    /// @param evaluation asked every `eval_steps`, before and after
    /// @param checkpoints folder of the run's checkpoints, or null for none
    /// @param fingerprint what must be the same for a run to be resumed
    /// @param stop asked after each step; true: save, return
    public GrpoTrainer(
            Decoder policy,
            @Nullable Decoder reference,
            PolicyGradient config,
            Rollouts rollouts,
            Evaluation evaluation,
            Tracker tracker,
            @Nullable Path checkpoints,
            Map<String, String> fingerprint,
            BooleanSupplier stop) {
        this.policy = policy;
        this.reference = config.beta() == 0 ? null : new Reference(policy, reference);
        if (config.rollout().syncRefModel() && (reference == null || config.beta() == 0)) {
            throw new IllegalArgumentException("sync_ref_model needs a reference that is a model of its own");
        }
        this.config = config;
        this.rollouts = rollouts;
        this.evaluation = evaluation;
        this.tracker = tracker;
        this.bonus = config instanceof GrpoConfig c ? c.entropyController() : new EntropyController.Fixed(0);
        this.gap = new SamplerGap(
                config.rollout().maxSamplingLogpDifference(), config instanceof GrpoConfig c ? c.samplerRatio() : null);
        this.health = new Health(Health.OF_ROLLOUTS, config.rollout().stopOnAlarm(), tracker);
        this.temperature = rollouts.temperature();
        this.completions = config.rollout().completions(config.training());
        this.updatesPerIteration = completions / RolloutConfig.perUpdate(config.training());
        this.updatesPerRollout =
                Math.multiplyExact(updatesPerIteration, config.rollout().numIterations());
        boolean klInReward = config.beta() != 0 && !(config instanceof GrpoConfig);
        this.comparedAhead = updatesPerRollout > 1 || klInReward;
        this.course = new Course(
                new Steps(),
                config.training(),
                config.learningRate(),
                policy.trainableByName(),
                totalSteps(config, rollouts.prompts()),
                this::epoch,
                tracker,
                checkpoints,
                fingerprint,
                () -> stop.getAsBoolean() || health.stopped());
    }

    /// Updates of a whole run.
    ///
    /// @param prompts of the dataset
    public static long totalSteps(PolicyGradient config, int prompts) {
        int completions = config.rollout().completions(config.training());
        long updates = (long) completions
                / RolloutConfig.perUpdate(config.training())
                * config.rollout().numIterations();
        double epoch = (double) prompts * config.numGenerations() / completions * updates;
        return config.training().totalSteps(Math.max(1, Math.round(epoch)));
    }

    /// Trains from the newest whole checkpoint, or from the start.
    ///
    /// @throws dev.manners.NonFinite if a loss or a gradient is not finite; nothing was updated with it
    public Outcome train() {
        try (course) {
            Outcome outcome = course.run();
            if (!outcome.interrupted() || health.stopped()) {
                health.conclude();
            }
            return outcome;
        }
    }

    /// What the alarms and the verdict are made of.
    public Health health() {
        return health;
    }

    /// Prompts of a rollout.
    private int prompts() {
        return completions / config.numGenerations();
    }

    /// Epochs begun, of which a rollout is a part as soon as it is sampled.
    private double epoch(long steps) {
        long rollouts = Math.ceilDiv(steps, updatesPerRollout);
        return (double) rollouts * prompts() / this.rollouts.prompts();
    }

    // ---- a step

    private @Nullable Double step(long step, double learningRate) {
        int u = Math.toIntExact(step % updatesPerRollout);
        seen = new LinkedHashMap<>();
        // 1. to 3. Episodes, at the first update of a rollout.
        if (u == 0 && !sample(step)) {
            return null;
        }
        // 4. An update with its part of them.
        int perUpdate = completions / updatesPerIteration;
        int begin = u % updatesPerIteration * perUpdate;
        double loss = update(step, begin, begin + perUpdate, learningRate, u == 0);
        if (u == updatesPerRollout - 1) {
            episodes = List.of();
            counted = new boolean[0];
        }
        if (reference != null
                && config.rollout().syncRefModel()
                && (step + 1) % config.rollout().refModelSyncSteps() == 0) {
            reference.follow(config.rollout().refModelMixupAlpha());
        }
        means.add(seen);
        health.see(step + 1, seen);
        return loss;
    }

    /// A rollout and what there is to learn from it.
    ///
    /// @return false if it was asked to stop
    private boolean sample(long step) {
        Rollout rollout = rollouts.at(
                step / updatesPerRollout,
                prompts(),
                config.numGenerations(),
                config.rollout().dynamicSamplingMaxGenBatches());
        if (rollout == null) {
            return false;
        }
        tokens += rollout.tokens();
        seen.putAll(rollout.metrics());
        // Cut off completions may be masked: they are in the groups' means and in the number of completions, and have
        // no token in the loss. What could not be scored is in nothing.
        List<Rollout.Sample> samples = rollout.samples();
        List<@Nullable Episode> made = new ArrayList<>();
        boolean[] inMean = new boolean[samples.size()];
        boolean mask = config.rollout().maskTruncatedCompletions();
        for (int i = 0; i < samples.size(); i++) {
            Rollout.Sample s = samples.get(i);
            inMean[i] = s.reward() != null;
            boolean teaches = inMean[i] && (s.finished() || !mask);
            made.add(
                    teaches
                            ? new Episode(
                                    s.row(),
                                    i / rollout.group(),
                                    s.prompt(),
                                    s.ids(),
                                    s.logps(),
                                    null,
                                    null,
                                    null,
                                    new float[0])
                            : null);
        }
        Tally tally = new Tally();
        if (comparedAhead) {
            try (Phase phase = Phase.of("old_logps", step)) {
                var compared = each(made, piece -> gap.compare(piece, logps(piece)));
                compared.forEach(c -> tally.add(c.seen()));
                replace(
                        made,
                        compared.stream().map(SamplerGap.Compared::episodes).toList());
            }
        }
        Reference fixed = reference;
        if (fixed != null) {
            try (Phase phase = Phase.of("reference", step)) {
                replace(made, each(made, piece -> {
                    try (Scope scope = Scope.open()) {
                        float[] logps = fixed.logProbs(layout(piece), temperature)
                                .logps()
                                .toFloats();
                        return Episode.share(piece, logps, Episode::withRefLogps);
                    }
                }));
            }
        }
        seen.putAll(tally.values());
        seen.putAll(GroupAdvantages.give(config, rollout, made, inMean));
        episodes = made;
        counted = inMean;
        if (config.rollout().logCompletions() && step % config.training().loggingSteps() == 0) {
            show(step, rollout);
        }
        return true;
    }

    /// Log-probabilities of some episodes under the policy, [M].
    private float[] logps(List<Episode> piece) {
        try (Scope scope = Scope.open()) {
            return layout(piece).logProbs(policy, temperature).logps().toFloats();
        }
    }

    // ---- an update

    /// @param begin first completion of the rollout in it; `end` behind its last
    /// @param first whether the policy still is the one that sampled
    private double update(long step, int begin, int end, double learningRate, boolean first) {
        double rows = 0;
        for (int i = begin; i < end; i++) {
            rows += counted[i] ? 1 : 0;
        }
        List<@Nullable Episode> mine = new ArrayList<>(episodes.subList(begin, end));
        List<Episode> teaching = present(mine);
        if (teaching.isEmpty()) {
            tracker.event("no_update", Map.of("step", step + 1, "reason", "no completion carries loss"));
            return 0.0;
        }
        Tally tally = new Tally();
        double loss = 0;
        try (Phase phase = Phase.of("forward_backward", step)) {
            if (config instanceof GrpoConfig c && c.topEntropyQuantile() < 1) {
                markHighEntropy(mine, c.topEntropyQuantile());
            }
            if (config instanceof GrpoConfig c && c.lossType() == PolicyLoss.Type.BNPO) {
                // Its mean is over a micro-batch.
                int size = config.training().perDeviceTrainBatchSize();
                for (int m = 0; m < mine.size(); m += size) {
                    List<Episode> micro = present(mine.subList(m, m + size));
                    if (!micro.isEmpty()) {
                        Window window = Window.ofMicroBatch(
                                size, tokens(micro), config.training().gradientAccumulationSteps());
                        loss += accumulate(micro, window, first, tally);
                    }
                }
            } else {
                loss = accumulate(present(mine), new Window(rows, tokens(teaching)), first, tally);
            }
        }
        Map<String, Double> values = tally.values();
        if (first) {
            double tolerance = policy.dtype() == DType.F32 ? RATIO_TOLERANCE : RATIO_TOLERANCE_BF16;
            SamplerGap.requireSamePolicy(
                    values.getOrDefault("val/ratio_first", Double.NaN), tolerance + Math.expm1(gap.most()));
        }
        seen.putAll(values);
        try (Phase phase = Phase.of("update", step)) {
            course.update(loss, learningRate);
        }
        seen.put("grad_norm", course.gradNorm());
        if (config instanceof GrpoConfig c && (c.useAdaptiveEntropy() || c.entropyCoef() != 0)) {
            String entropy = c.topEntropyQuantile() < 1 ? "entropy/in_loss" : "entropy";
            bonus = bonus.after(Objects.requireNonNull(values.get(entropy)));
            seen.put("entropy_coef", bonus.coefficient());
        }
        return loss;
    }

    private static double tokens(List<Episode> of) {
        return of.stream().mapToInt(e -> e.ids().length).sum();
    }

    /// Marks the tokens of an update that are among those of the highest entropy. It takes a forward pass of its own,
    /// as the threshold is of the whole update.
    private void markHighEntropy(List<@Nullable Episode> update, double top) {
        replace(update, each(update, piece -> {
            try (Scope scope = Scope.open()) {
                float[] entropies =
                        layout(piece).logProbs(policy, temperature).entropies().toFloats();
                return Episode.share(piece, entropies, Episode::withHighEntropy);
            }
        }));
        float threshold = HighEntropy.threshold(Episode.join(carriers(present(update))), top);
        for (int i = 0; i < update.size(); i++) {
            Episode e = update.get(i);
            if (e != null) {
                float[] entropies = Objects.requireNonNull(e.highEntropy());
                update.set(i, e.withHighEntropy(HighEntropy.mask(entropies, threshold)));
            }
        }
    }

    /// Which tokens carry loss, completion by completion; empty where all do.
    private static List<float[]> carriers(List<Episode> of) {
        List<float[]> carriers = new ArrayList<>();
        for (Episode e : of) {
            if (e.highEntropy() != null) {
                carriers.add(e.highEntropy());
            }
        }
        return carriers;
    }

    /// Adds the gradient of some episodes' part of the update's loss, a piece at a time.
    private double accumulate(List<Episode> of, Window window, boolean first, Tally tally) {
        double carriers = 0;
        for (float one : Episode.join(carriers(of))) {
            carriers += one;
        }
        double all = carriers * window.tokens() / tokens(of); // a window of bnpo is of several micro-batches
        double loss = 0;
        for (Part part : each(new ArrayList<>(of), piece -> accumulate(piece, all, window, first))) {
            loss += part.loss;
            tally.add(part.seen);
        }
        return loss;
    }

    private record Part(double loss, Tally seen) {}

    private Part accumulate(List<Episode> piece, double carriers, Window window, boolean first) {
        try (Scope scope = Scope.open()) {
            Tally tally = new Tally();
            Completions.Forward forward = layout(piece).forward(policy, temperature, Dropout.NONE);
            Tensor logps = forward.logProbs().logps();
            List<Episode> compared = piece;
            if (first && !comparedAhead) {
                SamplerGap.Compared c = gap.compare(piece, logps.toFloats());
                compared = c.episodes();
                tally.add(c.seen());
            }
            if (first) {
                tally.add(SamplerGap.firstRatios(compared, logps.toFloats()));
            }
            Tensor entropies = forward.logProbs().entropies();
            boolean rewarded = bonus.applied() != 0;
            if (rewarded) {
                entropies.setRequiresGrad(true);
            }
            Loss part = loss(logps.setRequiresGrad(true), entropies, compared, carriers, window);
            double value = part.value().item();
            if (Double.isFinite(value)) {
                part.value().backward();
                forward.backward(
                        Objects.requireNonNull(logps.grad()),
                        rewarded ? Objects.requireNonNull(entropies.grad()) : null);
            }
            return new Part(value, tally.add(part.metrics()));
        }
    }

    /// The loss of some episodes, as their part of an update's.
    ///
    /// @param logps under the policy, [M], a leaf; `entropies` likewise
    /// @param carriers tokens of the update that carry it, where not all do
    private Loss loss(Tensor logps, Tensor entropies, List<Episode> of, double carriers, Window window) {
        Segments segments =
                Segments.of(of.stream().mapToInt(e -> e.ids().length).toArray());
        Tensor old = Tensor.of(Episode.join(of.stream().map(Episode::oldLogps).toList()));
        Tensor advantages =
                Tensor.of(Episode.join(of.stream().map(Episode::advantages).toList()));
        return switch (config) {
            case GrpoConfig c -> {
                Tensor ref = c.beta() == 0
                        ? null
                        : Tensor.of(Episode.join(of.stream()
                                .map(e -> Objects.requireNonNull(e.refLogps()))
                                .toList()));
                Tensor ratio = c.samplerRatio() == null
                        ? null
                        : Tensor.of(Episode.join(of.stream()
                                .map(e -> Objects.requireNonNull(e.samplerRatio()))
                                .toList()));
                HighEntropy high = c.topEntropyQuantile() == 1
                        ? null
                        : new HighEntropy(Tensor.of(Episode.join(carriers(of))), carriers);
                yield PolicyLoss.of(
                        logps,
                        new PolicyLoss.Batch(segments, old, ref, advantages, entropies, ratio, high),
                        window,
                        c.loss(bonus.applied()));
            }
            case RlooConfig c ->
                withEntropy(RlooLoss.of(logps, segments, old, advantages, c.epsilon(), c.high(), window), entropies);
            case ReinforceConfig c ->
                withEntropy(PpoLoss.policy(logps, segments, old, advantages, c.epsilon(), window), entropies);
            case RaftConfig c -> {
                // -log π of the best, mean over tokens.
                Tensor total = logps.sum().mul(-1 / window.tokens());
                yield withEntropy(new Loss(total, new Tally()), entropies);
            }
        };
    }

    private static Loss withEntropy(Loss loss, Tensor entropies) {
        loss.metrics().mean("entropy", entropies.sum().item(), (double) entropies.numel());
        return loss;
    }

    // ---- laying out

    private static List<Episode> present(List<@Nullable Episode> some) {
        List<Episode> present = new ArrayList<>();
        for (Episode e : some) {
            if (e != null) {
                present.add(e);
            }
        }
        return present;
    }

    /// Does something with all episodes that are there, a piece at a time; a prompt counts once for all its
    /// completions.
    private <R> List<R> each(List<@Nullable Episode> some, Function<List<Episode>, R> work) {
        List<Episode> of = present(some);
        List<int[]> pieces =
                Pieces.of(policy.config(), IntStream.range(0, of.size()).toArray(), (i, begins) -> {
                    Episode e = of.get(i);
                    boolean shares = !begins && of.get(i - 1).group() == e.group();
                    return e.ids().length + (shares ? 0 : e.prompt().length);
                });
        return Pieces.map(
                policy.config(),
                pieces,
                piece -> work.apply(Arrays.stream(piece).mapToObj(of::get).toList()));
    }

    /// Puts changed episodes, in order, where they were.
    private static void replace(List<@Nullable Episode> all, List<List<Episode>> changed) {
        Iterator<Episode> next = changed.stream().flatMap(List::stream).iterator();
        all.replaceAll(e -> e == null ? null : next.next());
    }

    /// Completions of one prompt share it.
    private static Completions layout(List<Episode> piece) {
        List<Completions.Group> groups = new ArrayList<>();
        int group = -1;
        for (Episode e : piece) {
            if (e.group() != group) {
                groups.add(new Completions.Group(e.prompt(), new ArrayList<>()));
                group = e.group();
            }
            groups.getLast().completions().add(e.ids());
        }
        return Completions.of(groups);
    }

    /// Every completion of a rollout, what each reward gave it, and what it counts for.
    private void show(long step, Rollout rollout) {
        for (int i = 0; i < rollout.samples().size(); i++) {
            Rollout.Sample s = rollout.samples().get(i);
            Episode e = episodes.get(i);
            Map<String, Object> extra = new LinkedHashMap<>();
            extra.put("row", s.row());
            extra.put("sample", i % rollout.group());
            extra.put("tokens", s.ids().length);
            extra.put("finished", s.finished());
            extra.put("reward", s.reward());
            extra.put("score", s.score());
            double advantage = 0;
            if (e != null) {
                for (float a : e.advantages()) {
                    advantage += a / (double) e.advantages().length;
                }
            }
            extra.put("advantage", advantage);
            extra.put("in_loss", e != null);
            tracker.sample(step, s.shown(), s.text(), extra);
        }
    }

    /// What the course of the run asks for.
    private final class Steps implements Course.Trainer {

        @Override
        public @Nullable Double step(long step, double learningRate) {
            return GrpoTrainer.this.step(step, learningRate);
        }

        @Override
        public Map<String, Double> metrics() {
            Map<String, Double> metrics = means.take();
            metrics.put("num_tokens", (double) tokens);
            return metrics;
        }

        @Override
        public Map<String, Double> shown() {
            Double reward = seen.get("reward");
            return reward == null ? Map.of() : Map.of("reward", reward);
        }

        @Override
        public void refresh() {
            policy.refresh();
        }

        @Override
        public @Nullable Map<String, Double> evaluate(long step) {
            return evaluation.at(step);
        }

        @Override
        public void watch(long step) {}

        @Override
        public Map<String, Tensor> tensors() {
            return reference != null && config.rollout().syncRefModel() ? reference.tensors() : Map.of();
        }

        @Override
        public ObjectNode state() {
            ObjectNode state = Json.MAPPER.createObjectNode();
            state.put("tokens", tokens);
            state.put("entropy_coef", bonus.coefficient());
            if (Double.isFinite(bonus.entropy())) {
                state.put("entropy", bonus.entropy());
            }
            state.set("means", means.state());
            state.set("health", health.state());
            // Between two updates with one rollout: what is left to learn from it.
            var left = state.putArray("episodes");
            for (int i = 0; i < episodes.size(); i++) {
                Episode e = episodes.get(i);
                ObjectNode node = e == null ? Json.MAPPER.createObjectNode() : e.state();
                left.add(node.put("counted", counted[i]));
            }
            return state;
        }

        @Override
        public void restore(JsonNode state) {
            tokens = state.path("tokens").asLong();
            bonus = bonus.with(
                    state.path("entropy_coef").asDouble(bonus.coefficient()),
                    state.path("entropy").asDouble(Double.POSITIVE_INFINITY));
            means.restore(state.path("means"));
            health.restore(state.path("health"));
            JsonNode left = state.path("episodes");
            List<@Nullable Episode> restored = new ArrayList<>();
            counted = new boolean[left.size()];
            for (int i = 0; i < left.size(); i++) {
                JsonNode node = left.get(i);
                counted[i] = node.path("counted").asBoolean();
                restored.add(node.has("ids") ? Episode.of(node, rollouts) : null);
            }
            episodes = restored;
            if (reference != null) {
                reference.refresh();
            }
        }
    }
}
