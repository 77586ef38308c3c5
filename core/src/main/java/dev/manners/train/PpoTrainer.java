package dev.manners.train;

import dev.manners.data.Sampler;
import dev.manners.files.Json;
import dev.manners.loss.Advantages;
import dev.manners.loss.KlController;
import dev.manners.loss.Loss;
import dev.manners.loss.PpoLoss;
import dev.manners.loss.Segments;
import dev.manners.loss.Tally;
import dev.manners.loss.Window;
import dev.manners.model.Decoder;
import dev.manners.model.Dropout;
import dev.manners.model.Parameter;
import dev.manners.model.ScalarModel;
import dev.manners.tensor.DType;
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
import java.util.OptionalDouble;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/// Proximal policy optimisation of a language model against a reward, after Schulman et al. 2017 (arXiv:1707.06347),
/// Ziegler et al. 2019 (arXiv:1909.08593) and "The N+ Implementation Details of RLHF with PPO" (arXiv:2403.17031).
///
/// A token is an action, a completion an episode. A step:
///
///     1. sample y ~ π_old(· | x) for every prompt, and score it: r(x, y)
///     2. per token, log π_old, log π_ref and V_old
///     3. R_t = -β KL_t, plus the score on the last token;  A_t and returns by GAE;  A whitened
///     4. num_ppo_epochs × num_mini_batches updates of
///            mean_t max(-A ρ, -A clip(ρ, 1 ± ε)) + c_v ½ mean_t max((V - G)², (clip(V, V_old ± ε_v) - G)²)
///
/// Policy and value function are two models (a shared trunk hurts), the latter starts as the reward model, and one
/// optimizer moves both. Every mean is over real tokens, of the whole update, so that loss and gradient do not
/// depend on how it is split. Which detail is where, and every metric: docs/algorithms/ppo.md.
public final class PpoTrainer {

    /// How far the mean ratio of a step's first update, where policy and old policy are one, may be from 1. The
    /// completions come in other company than when their log-probabilities were taken, which may change last bits.
    private static final double RATIO_TOLERANCE = 1e-3;

    /// The same in BF16, whose last bits are larger.
    private static final double RATIO_TOLERANCE_BF16 = 2e-2;

    private final Decoder policy;
    private final Reference reference;
    private final ScalarModel value;
    private final PpoConfig config;
    private final Rollouts rollouts;
    private final Evaluation evaluation;
    private final Tracker tracker;
    private final Health health;
    private final Course course;

    private KlController controller;
    private long episodes;
    /// The step's metrics.
    private Tally seen = new Tally();
    /// The mean ratio of each of the step's updates.
    private final List<Double> ratios = new ArrayList<>();
    private final Means means = new Means();

    /// @param reference what the policy may not leave too far, or null: the policy without its adapters
    /// @param value the value function, which is changed
    /// @param rollouts samples and scores
    /// @param evaluation asked every `eval_steps`, before and after
    /// @param checkpoints folder of the run's checkpoints, or null for none
    /// @param fingerprint what must be the same for a run to be resumed
    /// @param stop asked after each step and while sampling; true: save, return
    public PpoTrainer(
            Decoder policy,
            @Nullable Decoder reference,
            ScalarModel value,
            PpoConfig config,
            Rollouts rollouts,
            Evaluation evaluation,
            Tracker tracker,
            @Nullable Path checkpoints,
            Map<String, String> fingerprint,
            BooleanSupplier stop) {
        this.policy = policy;
        this.reference = new Reference(policy, reference);
        this.value = value;
        this.config = config;
        this.rollouts = rollouts;
        this.evaluation = evaluation;
        this.tracker = tracker;
        this.health = new Health(Health.OF_ROLLOUTS, config.stopOnAlarm(), tracker);
        this.controller = config.controller();
        Map<String, Parameter> trainable = new LinkedHashMap<>(policy.trainableByName());
        trainable.putAll(value.trainableByName("value."));
        this.course = new Course(
                new Steps(),
                config.training(),
                config.learningRate(),
                trainable,
                config.totalSteps(rollouts.prompts()),
                steps -> (double) steps * config.episodes() / rollouts.prompts(),
                tracker,
                checkpoints,
                fingerprint,
                () -> stop.getAsBoolean() || health.stopped());
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

    /// The alarms and what to say of the run at its end.
    public Health health() {
        return health;
    }

    /// What the updates of a step have in common, episode by episode end to end. A state is what comes before a token;
    /// there are as many as tokens, and one more behind an episode whose score is placed there
    /// ([PpoConfig.RewardPlacement#TRL]).
    ///
    /// @param tokens of each episode; `states` likewise
    /// @param oldLogps log π_old, [M]; `advantages` likewise
    /// @param oldValues V_old, [S]; `returns` likewise
    private record Experience(
            List<Rollout.Sample> samples,
            int[] tokens,
            int[] states,
            float[] oldLogps,
            float[] advantages,
            float[] oldValues,
            float[] returns) {}

    private @Nullable Double step(long step, double learningRate) {
        // 1. Episodes: completions sampled from the policy as it is, and scored.
        Rollout rollout = rollouts.at(step, config.episodes(), 1);
        if (rollout == null) {
            return null;
        }
        episodes += config.episodes();
        seen = new Tally();
        ratios.clear();
        double loss = 0;
        // What could not be scored is in no mean and teaches nothing: a score of 0 would be a score.
        List<Rollout.Sample> scored =
                rollout.samples().stream().filter(s -> s.reward() != null).toList();
        Experience experience = null;
        if (scored.size() < 2) {
            tracker.event(
                    "no_update",
                    Map.of("step", step + 1, "reason", "of the completions fewer than two could be scored"));
        } else {
            // 2. and 3. What stays fixed while the policy moves away from it.
            try (Phase phase = Phase.of("reference", step)) {
                experience = experience(scored);
            }
            // 4. Updates.
            loss = updates(step, experience, learningRate);
        }
        Map<String, Double> all = new LinkedHashMap<>(rollout.metrics());
        all.putAll(seen.values());
        means.add(all);
        health.see(step + 1, healthy(all));
        if (config.logCompletions() && step % config.training().loggingSteps() == 0) {
            show(step, rollout, experience);
        }
        return loss;
    }

    /// Goes through a step's episodes as often as asked for, in mini-batches as equal as can be.
    ///
    /// @return mean loss of the updates
    private double updates(long step, Experience experience, double learningRate) {
        int n = experience.samples.size();
        double loss = 0;
        for (int epoch = 0; epoch < config.numPpoEpochs(); epoch++) {
            int[] order = Sampler.order(
                    Sampler.Order.RANDOM, config.training().seed(), step * config.numPpoEpochs() + epoch, n);
            for (int m = 0; m < config.numMiniBatches(); m++) {
                int begin = Math.toIntExact((long) m * n / config.numMiniBatches());
                int end = Math.toIntExact((m + 1L) * n / config.numMiniBatches());
                if (begin < end) {
                    loss += update(
                            step, experience, Arrays.copyOfRange(order, begin, end), learningRate, ratios.isEmpty());
                }
            }
        }
        spread(ratios).ifPresent(variance -> seen.mean("val/ratio_var", variance, 1));
        return loss / ratios.size();
    }

    /// The step's metrics under the names that health knows.
    private Map<String, Double> healthy(Map<String, Double> metrics) {
        Map<String, Double> named = new LinkedHashMap<>(metrics);
        if (!ratios.isEmpty()) {
            named.put("grad_norm", course.gradNorm());
        }
        Map.of(
                        "policy/entropy_avg", "entropy",
                        "policy/clipfrac_avg", "clip_ratio/region_mean",
                        "kl_per_token", "kl")
                .forEach((ours, theirs) -> {
                    Double value = metrics.get(ours);
                    if (value != null) {
                        named.put(theirs, value);
                    }
                });
        return named;
    }

    /// Every completion of a rollout, what each reward gave it, and what it counts for.
    ///
    /// @param e of those that could be scored, in order; null: nothing was learned
    private void show(long step, Rollout rollout, @Nullable Experience e) {
        float[] advantages = e == null ? new float[0] : e.advantages;
        int token = 0;
        for (Rollout.Sample sample : rollout.samples()) {
            boolean teaches = e != null && sample.reward() != null;
            double advantage = 0;
            for (int t = 0; teaches && t < sample.ids().length; t++) {
                advantage += advantages[token++] / sample.ids().length;
            }
            Map<String, Object> extra = new LinkedHashMap<>();
            extra.put("reward", sample.reward());
            extra.put("tokens", sample.ids().length);
            extra.put("advantage", advantage);
            extra.put("in_loss", teaches);
            extra.put("finished", sample.finished());
            extra.put("score", sample.score());
            tracker.sample(step, sample.shown(), sample.text(), extra);
        }
    }

    /// Log-probabilities, values, rewards and advantages of a step's episodes.
    ///
    /// @param samples those that could be scored
    private Experience experience(List<Rollout.Sample> samples) {
        int[] tokens = samples.stream().mapToInt(s -> s.ids().length).toArray();
        int[] states = samples.stream()
                .mapToInt(s -> s.ids().length + (hasStateBehind(s) ? 1 : 0))
                .toArray();
        float[] oldLogps = new float[Arrays.stream(tokens).sum()];
        float[] refLogps = new float[oldLogps.length];
        float[] values = new float[Arrays.stream(states).sum()];
        List<int[]> pieces = pieces(samples, allOf(samples));
        List<float[][]> taken = Pieces.map(policy.config(), pieces, piece -> asTheyWere(samples, piece));
        int token = 0;
        int state = 0;
        for (int p = 0; p < taken.size(); p++) {
            float[] old = taken.get(p)[0];
            float[] v = taken.get(p)[2];
            gap(samples, pieces.get(p), old);
            System.arraycopy(old, 0, oldLogps, token, old.length);
            System.arraycopy(taken.get(p)[1], 0, refLogps, token, old.length);
            System.arraycopy(v, 0, values, state, v.length);
            token += old.length;
            state += v.length;
        }
        // Per token the penalty for leaving the reference, and on the last the score.
        List<@Nullable Double> scores = new ArrayList<>();
        samples.forEach(s -> scores.add(score(s)));
        double[] kl = new double[values.length];
        tell(samples, scores, oldLogps, refLogps, tokens, states, kl);
        Segments overStates = Segments.of(states);
        double[] rewards = Advantages.tokenRewards(overStates, scores, kl, controller.coefficient());
        if (config.whitenRewards()) {
            rewards = Advantages.whiten(overStates, rewards, false);
        }
        Advantages.Estimated estimated =
                Advantages.gae(overStates, rewards, doubles(values), config.gamma(), config.lam());
        double[] advantages =
                Advantages.whiten(Segments.of(tokens), ofTokens(estimated.advantages(), tokens, states), true);
        return new Experience(
                samples, tokens, states, oldLogps, floats(advantages), values, floats(estimated.returns()));
    }

    /// Of some episodes' tokens log π_old and log π_ref, and of their states V_old.
    private float[][] asTheyWere(List<Rollout.Sample> samples, int[] piece) {
        try (Scope scope = Scope.open();
                NoGrad off = NoGrad.on()) {
            Completions batch = batch(samples, piece);
            Tensor states = states(batch, samples, piece);
            return new float[][] {
                batch.logProbs(policy, rollouts.temperature()).logps().toFloats(),
                reference.logProbs(batch, rollouts.temperature()).logps().toFloats(),
                value.values(batch.ids(), batch.sequences(), states, Dropout.NONE)
                        .toFloats()
            };
        }
    }

    /// How far the sampler's log-probabilities are from these.
    private void gap(List<Rollout.Sample> samples, int[] piece, float[] logps) {
        int at = 0;
        for (int i : piece) {
            for (float sampled : samples.get(i).logps()) {
                double difference = Math.abs(sampled - logps[at++]);
                seen.mean("sampling/sampling_logp_difference/mean", difference, 1)
                        .max("sampling/sampling_logp_difference/max", difference);
            }
        }
    }

    /// The score after the penalty for not coming to an end.
    private double score(Rollout.Sample sample) {
        double reward = Objects.requireNonNull(sample.reward());
        Double penalty = config.missingEosPenalty();
        return penalty == null || sample.finished() ? reward : reward - penalty;
    }

    /// Fills in each token's KL, and takes down what the step's episodes were like.
    private void tell(
            List<Rollout.Sample> samples,
            List<@Nullable Double> scores,
            float[] oldLogps,
            float[] refLogps,
            int[] tokens,
            int[] states,
            double[] kl) {
        int token = 0;
        int state = 0;
        double kls = 0;
        double entropy = 0;
        for (int e = 0; e < tokens.length; e++) {
            for (int i = 0; i < tokens[e]; i++, token++) {
                kl[state + i] = config.klEstimator().of((double) oldLogps[token] - refLogps[token]);
                kls += kl[state + i];
                entropy -= oldLogps[token];
            }
            state += states[e];
        }
        int n = samples.size();
        double penalty = -controller.coefficient() * kls;
        double score = scores.stream().mapToDouble(Objects::requireNonNull).sum();
        seen.mean("objective/kl", kls, n)
                .mean("kl_per_token", kls, token)
                .mean("objective/entropy", entropy, n)
                .mean("objective/non_score_reward", penalty, n)
                .mean("objective/rlhf_reward", penalty + score, n)
                .mean("objective/scores", score, n)
                .mean("kl_coef", controller.coefficient(), 1)
                .mean(
                        "val/num_eos_tokens",
                        (double) samples.stream()
                                .filter(Rollout.Sample::finished)
                                .count(),
                        1);
        controller = controller.after(kls / n, n);
    }

    /// One update with some of a step's episodes.
    ///
    /// @param step steps made before
    /// @param first whether the policy still is the one that sampled
    private double update(long step, Experience experience, int[] mini, double learningRate, boolean first) {
        Window overTokens = new Window(mini.length, sum(experience.tokens, mini));
        Window overStates = new Window(mini.length, sum(experience.states, mini));
        double loss = 0;
        Tally ofUpdate = new Tally();
        try (Phase phase = Phase.of("forward_backward", step)) {
            for (Part part : Pieces.map(policy.config(), pieces(experience.samples, mini), piece -> {
                try (Scope scope = Scope.open()) {
                    Completions batch = batch(experience.samples, piece);
                    Part ofPolicy = policyLoss(experience, batch, piece, overTokens);
                    Part ofValue = valueLoss(experience, batch, piece, overStates);
                    return new Part(ofPolicy.loss + ofValue.loss, ofPolicy.seen.add(ofValue.seen));
                }
            })) {
                loss += part.loss;
                ofUpdate.add(part.seen);
            }
        }
        double ratio = ofUpdate.values().getOrDefault("val/ratio", Double.NaN);
        ratios.add(ratio);
        if (first) {
            seen.mean("val/ratio_first", ratio, 1);
            SamplerGap.requireSamePolicy(ratio, policy.dtype() == DType.F32 ? RATIO_TOLERANCE : RATIO_TOLERANCE_BF16);
        }
        tell(ofUpdate);
        try (Phase phase = Phase.of("update", step)) {
            course.update(loss, learningRate);
        }
        return loss;
    }

    /// Variance, with n - 1; none of fewer than two.
    private static OptionalDouble spread(List<Double> values) {
        int n = values.size();
        double mean = values.stream().mapToDouble(v -> v).sum() / n;
        return n < 2
                ? OptionalDouble.empty()
                : OptionalDouble.of(values.stream()
                                .mapToDouble(v -> (v - mean) * (v - mean))
                                .sum()
                        / (n - 1));
    }

    /// Each update counts once in a step's metrics.
    private void tell(Tally ofUpdate) {
        ofUpdate.values().forEach((name, value) -> seen.mean(name, value, 1));
    }

    private record Part(double loss, Tally seen) {}

    private Part policyLoss(Experience e, Completions batch, int[] piece, Window window) {
        Completions.Forward forward = batch.forward(policy, rollouts.temperature(), Dropout.NONE);
        Tensor logps = forward.logProbs().logps().setRequiresGrad(true); // [m]
        Loss loss = PpoLoss.policy(
                logps,
                Segments.of(batch.lengths()),
                Tensor.of(slices(e.oldLogps, e.tokens, piece)),
                Tensor.of(slices(e.advantages, e.tokens, piece)),
                config.cliprange(),
                window);
        loss.value().backward();
        forward.backward(Objects.requireNonNull(logps.grad()), null);
        float[] entropies = forward.logProbs().entropies().toFloats();
        double entropy = 0;
        for (float h : entropies) {
            entropy += h;
        }
        return new Part(loss.value().item(), loss.metrics().mean("policy/entropy_avg", entropy, entropies.length));
    }

    private Part valueLoss(Experience e, Completions batch, int[] piece, Window window) {
        Tensor values =
                value.values(batch.ids(), batch.sequences(), states(batch, e.samples, piece), Dropout.NONE); // [s]
        Loss loss = PpoLoss.value(
                values,
                Segments.of(Arrays.stream(piece).map(i -> e.states[i]).toArray()),
                Tensor.of(slices(e.oldValues, e.states, piece)),
                Tensor.of(slices(e.returns, e.states, piece)),
                config.cliprangeValue(),
                window);
        Tensor weighted = loss.value().mul(config.vfCoef());
        weighted.backward();
        value.collectGradients();
        return new Part(weighted.item(), loss.metrics());
    }

    // ---- laying out

    private boolean hasStateBehind(Rollout.Sample sample) {
        return config.rewardPlacement() == PpoConfig.RewardPlacement.TRL
                && sample.finished()
                && sample.ids().length < config.responseLength();
    }

    private static Completions batch(List<Rollout.Sample> samples, int[] piece) {
        return Completions.of(Arrays.stream(piece)
                .mapToObj(i -> new Completions.Group(
                        samples.get(i).prompt(), List.of(samples.get(i).ids())))
                .toList());
    }

    /// Positions of the states of a batch, [s].
    private Tensor states(Completions batch, List<Rollout.Sample> samples, int[] piece) {
        if (Arrays.stream(piece).noneMatch(i -> hasStateBehind(samples.get(i)))) {
            return batch.rows();
        }
        List<Long> states = new ArrayList<>();
        long[] rows = batch.rows().toLongs();
        long[] last = batch.last().toLongs();
        int at = 0;
        for (int c = 0; c < piece.length; c++) {
            for (int i = 0; i < batch.lengths()[c]; i++) {
                states.add(rows[at++]);
            }
            if (hasStateBehind(samples.get(piece[c]))) {
                states.add(last[c]);
            }
        }
        return Tensor.of(states.stream().mapToLong(i -> i).toArray());
    }

    private static int[] allOf(List<?> samples) {
        int[] all = new int[samples.size()];
        Arrays.setAll(all, i -> i);
        return all;
    }

    /// Episodes in order, as many together as have no more tokens than go through the model at once.
    private List<int[]> pieces(List<Rollout.Sample> samples, int[] of) {
        return Pieces.of(
                policy.config(),
                of,
                i -> samples.get(i).prompt().length + samples.get(i).ids().length);
    }

    /// The values of some episodes, of all episodes' end to end.
    private static float[] slices(float[] all, int[] lengths, int[] piece) {
        int[] begins = new int[lengths.length];
        for (int i = 1; i < lengths.length; i++) {
            begins[i] = begins[i - 1] + lengths[i - 1];
        }
        float[] some = new float[sum(lengths, piece)];
        int at = 0;
        for (int i : piece) {
            System.arraycopy(all, begins[i], some, at, lengths[i]);
            at += lengths[i];
        }
        return some;
    }

    private static double[] ofTokens(double[] ofStates, int[] tokens, int[] states) {
        double[] values = new double[Arrays.stream(tokens).sum()];
        int state = 0;
        int token = 0;
        for (int e = 0; e < tokens.length; e++) {
            System.arraycopy(ofStates, state, values, token, tokens[e]);
            state += states[e];
            token += tokens[e];
        }
        return values;
    }

    private static int sum(int[] lengths, int[] of) {
        return Arrays.stream(of).map(i -> lengths[i]).sum();
    }

    private static double[] doubles(float[] values) {
        double[] wide = new double[values.length];
        for (int i = 0; i < wide.length; i++) {
            wide[i] = values[i];
        }
        return wide;
    }

    private static float[] floats(double[] values) {
        float[] narrow = new float[values.length];
        for (int i = 0; i < narrow.length; i++) {
            narrow[i] = (float) values[i];
        }
        return narrow;
    }

    /// What the course of the run asks for.
    private final class Steps implements Course.Trainer {

        @Override
        public @Nullable Double step(long step, double learningRate) {
            return PpoTrainer.this.step(step, learningRate);
        }

        @Override
        public Map<String, Double> metrics() {
            Map<String, Double> metrics = means.take();
            metrics.put("episode", (double) episodes);
            return metrics;
        }

        @Override
        public Map<String, Double> shown() {
            Double score = seen.values().get("objective/scores");
            return score == null ? Map.of() : Map.of("score", score);
        }

        @Override
        public void refresh() {
            policy.refresh();
            value.refresh();
        }

        @Override
        public @Nullable Map<String, Double> evaluate(long step) {
            return evaluation.at(step);
        }

        @Override
        public void watch(long step) {
            // What it samples while it learns is shown as it is learned from.
        }

        @Override
        public ObjectNode state() {
            ObjectNode state = Json.MAPPER.createObjectNode();
            state.put("kl_coef", controller.coefficient());
            state.put("episodes", episodes);
            state.set("means", means.state());
            state.set("health", health.state());
            return state;
        }

        @Override
        public void restore(JsonNode state) {
            controller = controller.with(state.path("kl_coef").asDouble());
            episodes = state.path("episodes").asLong();
            means.restore(state.path("means"));
            health.restore(state.path("health"));
        }
    }
}
