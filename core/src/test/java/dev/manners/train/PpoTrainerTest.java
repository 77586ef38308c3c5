package dev.manners.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.manners.BadInput;
import dev.manners.NonFinite;
import dev.manners.config.Options;
import dev.manners.data.DatasetFile;
import dev.manners.data.Encoder;
import dev.manners.data.Prompts;
import dev.manners.data.Sampler;
import dev.manners.files.Sha256;
import dev.manners.model.Decoder;
import dev.manners.model.Dropout;
import dev.manners.model.Lora;
import dev.manners.model.Parameter;
import dev.manners.model.ScalarModel;
import dev.manners.model.Sequences;
import dev.manners.reward.Candidate;
import dev.manners.reward.Reward;
import dev.manners.reward.Score;
import dev.manners.rollout.Completion;
import dev.manners.rollout.Sampling;
import dev.manners.tensor.DType;
import dev.manners.tensor.NoGrad;
import dev.manners.tensor.Philox;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import dev.manners.testing.NativeMemory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.function.BooleanSupplier;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;

/// PPO on a model of a few thousand parameters, and beside a slow padded version of itself.
class PpoTrainerTest {

    private static final long SEED = Long.getLong("tests.seed", 42);
    private static final int STOP = 2;
    private static final int LEAK_STEPS = 150;

    @TempDir
    Path folder;

    private DatasetFile file;

    @BeforeEach
    void prompts() throws IOException {
        StringBuilder rows = new StringBuilder();
        for (int i = 0; i < 12; i++) {
            rows.append("{\"prompt\": \"")
                    .append("abcdefghijkl", i, i + 1)
                    .append("xyz".repeat(1 + i % 3))
                    .append("\"}\n");
        }
        Path path = folder.resolve("prompts.jsonl");
        Files.writeString(path, rows);
        file = DatasetFile.open(path.toString());
    }

    /// Letters as tokens.
    private static final class Letters implements Encoder {
        @Override
        public int[] text(String text) {
            return text.chars().map(c -> 3 + c % 90).toArray();
        }

        @Override
        public int[] textWithSpecial(String text) {
            return text(text);
        }

        @Override
        public Chat chat(ArrayNode messages, @Nullable JsonNode tools, boolean addGenerationPrompt) {
            throw new UnsupportedOperationException();
        }

        @Override
        public OptionalInt eos() {
            return OptionalInt.of(STOP);
        }

        @Override
        public OptionalInt bos() {
            return OptionalInt.empty();
        }

        @Override
        public String show(int id) {
            return String.valueOf(id);
        }

        @Override
        public String fingerprint() {
            return "letters";
        }
    }

    /// Samples token by token with a whole forward pass for each: slow, and with nothing in common with the engine.
    private static Rollouts.Generator slowly(Decoder policy) {
        return (prompts, samples, sampling, firstPrompt, stop) -> {
            List<Completion> done = new ArrayList<>();
            for (int p = 0; p < prompts.size(); p++) {
                for (int s = 0; s < samples; s++) {
                    done.add(sample(policy, prompts.get(p), p, s, sampling, firstPrompt));
                }
            }
            return done;
        };
    }

    private static Completion sample(Decoder policy, int[] prompt, int p, int s, Sampling sampling, long first) {
        int[] ids = new int[0];
        float[] logps = new float[0];
        boolean stopped = false;
        while (ids.length < sampling.maxNewTokens() && !stopped) {
            try (Scope scope = Scope.open();
                    NoGrad off = NoGrad.on()) {
                int[] all = Arrays.copyOf(prompt, prompt.length + ids.length);
                System.arraycopy(ids, 0, all, prompt.length, ids.length);
                float[] logp = policy.logits(policy.hidden(Tensor.of(all), new Sequences(all.length), Dropout.NONE)
                                .narrow(0, all.length - 1, 1))
                        .mul(1 / sampling.temperature())
                        .logSoftmax(-1)
                        .toFloats();
                double u = Philox.uniform(sampling.seed() * 31 + first + p, Philox.Stream.SAMPLING, ids.length, s);
                int id = 0;
                double sum = Math.exp(logp[0]);
                while (sum <= u && id < logp.length - 1) {
                    sum += Math.exp(logp[++id]);
                }
                // A model that has learned nothing hardly ever stops; here it does with a token in eight.
                stopped = id % 8 == STOP;
                ids = Arrays.copyOf(ids, ids.length + 1);
                ids[ids.length - 1] = id;
                logps = Arrays.copyOf(logps, ids.length);
                logps[ids.length - 1] = logp[id];
            }
        }
        Completion.Finish finish = stopped ? Completion.Finish.STOP : Completion.Finish.LENGTH;
        return new Completion(p, s, ids, logps, Arrays.toString(ids), finish);
    }

    /// How many of a completion's tokens are small, less a little for each token.
    private static Reward small() {
        return new Reward() {
            @Override
            public String name() {
                return "small";
            }

            @Override
            public List<Score> score(List<Candidate> candidates) {
                return candidates.stream()
                        .map(c -> {
                            long small = Arrays.stream(c.completionIds())
                                    .filter(id -> id < 24)
                                    .count();
                            return Score.of("small", small * 1.0 / c.completionIds().length, small + " small tokens");
                        })
                        .toList();
            }
        };
    }

    private static PpoConfig config(Map<String, ?> more) {
        Map<String, Object> options = new HashMap<>(Map.of(
                "learning_rate", 1e-3,
                "per_device_train_batch_size", 3,
                "gradient_accumulation_steps", 2,
                "max_steps", 2,
                "response_length", 7,
                "kl_coef", 0.1,
                "bf16", false,
                "logging_steps", 1,
                "save_steps", 1,
                "seed", SEED));
        options.putAll(more);
        return Options.with(PpoConfig.class, options);
    }

    private Rollouts rollouts(Decoder policy, PpoConfig config, Reward reward, BooleanSupplier stop) {
        return new Rollouts(
                Prompts.of(file, "prompt", new Letters(), 100, false, n -> {}),
                slowly(policy),
                Sampling.at(config.temperature(), config.responseLength(), SEED),
                reward,
                Sampler.Order.RANDOM,
                stop);
    }

    private static ScalarModel value(Decoder like) {
        return ScalarModel.of(like, SEED + 1);
    }

    /// A reference that is not the policy, so that there is a KL.
    private static Decoder other() {
        return Decoder.initialise(SftTrainerTest.tinyLlama(), SEED + 7, DType.F32);
    }

    private Map<String, float[]> run(PpoConfig config, Tracker tracker, @Nullable Path checkpoints) {
        return run(config, tracker, checkpoints, () -> false);
    }

    private Map<String, float[]> run(
            PpoConfig config, Tracker tracker, @Nullable Path checkpoints, BooleanSupplier stop) {
        try (Decoder policy = SftTrainerTest.tiny();
                Decoder reference = other();
                ScalarModel value = value(policy)) {
            new PpoTrainer(
                            policy,
                            reference,
                            value,
                            config,
                            rollouts(policy, config, small(), stop),
                            step -> Map.of(),
                            tracker,
                            checkpoints,
                            Map.of("data", "same"),
                            stop)
                    .train();
            return weights(policy, value);
        }
    }

    private static Map<String, float[]> weights(Decoder policy, ScalarModel value) {
        Map<String, float[]> weights = new LinkedHashMap<>();
        policy.parameters().forEach(p -> weights.put(p.name(), p.value().toFloats()));
        value.trainableByName("value.")
                .forEach((name, p) -> weights.put(name, p.value().toFloats()));
        return weights;
    }

    // ---- beside the slow version

    /// TRL's arithmetic (ppo_trainer.py of 1.10) over padded rectangles, in plain Java, for one rollout and one update;
    /// every log-probability and value from a forward pass of that sequence alone.
    @ParameterizedTest
    @ValueSource(strings = {"last_token", "trl"})
    void anUpdateIsThatOfTheSlowPaddedVersion(String placement) {
        boolean trl = placement.equals("trl");
        PpoConfig config = config(Map.of(
                "max_steps",
                1,
                "num_ppo_epochs",
                1,
                "reward_placement",
                placement,
                "missing_eos_penalty",
                0.5,
                "whiten_rewards",
                true,
                "gamma",
                0.97,
                "lam",
                0.9,
                "max_grad_norm",
                0,
                "save_steps",
                0));
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        try (Decoder policy = SftTrainerTest.tiny();
                Decoder reference = other();
                ScalarModel value = value(policy)) {
            Rollout rollout = Objects.requireNonNull(
                    rollouts(policy, config, small(), () -> false).at(0, config.episodes(), 1));
            assertThat(rollout.samples()).anyMatch(s -> s.finished() && s.ids().length < config.responseLength());
            assertThat(rollout.samples()).anyMatch(s -> !s.finished());
            double[] expected = slowLoss(policy, reference, value, config, rollout, trl);
            Map<String, float[]> gradients = gradients(policy, value);
            new PpoTrainer(
                            policy,
                            reference,
                            value,
                            config,
                            rollouts(policy, config, small(), () -> false),
                            step -> Map.of(),
                            told,
                            null,
                            Map.of(),
                            () -> false)
                    .train();
            Map<String, Double> metrics = told.metrics.getFirst();
            assertThat(metrics.get("loss/policy_avg")).isCloseTo(expected[0], within(1e-5));
            assertThat(metrics.get("loss/value_avg")).isCloseTo(expected[1], within(1e-4));
            assertThat(metrics.get("objective/kl")).isCloseTo(expected[2], within(1e-4));
            assertThat(metrics.get("objective/scores")).isCloseTo(expected[3], within(1e-6));
            assertThat(metrics.get("val/ratio_first")).isCloseTo(1, within(1e-5));
            double norm = 0;
            for (float[] gradient : gradients.values()) {
                for (float g : gradient) {
                    norm += g * (double) g;
                }
            }
            assertThat(metrics.get("grad_norm")).isCloseTo(Math.sqrt(norm), within(1e-4 * Math.sqrt(norm)));
        }
    }

    private static Map<String, float[]> gradients(Decoder policy, ScalarModel value) {
        policy.collectGradients();
        value.collectGradients();
        Map<String, float[]> gradients = new LinkedHashMap<>();
        policy.trainableByName().forEach((name, p) -> take(gradients, name, p));
        value.trainableByName("value.").forEach((name, p) -> take(gradients, name, p));
        return gradients;
    }

    private static void take(Map<String, float[]> into, String name, Parameter p) {
        Tensor grad = p.grad();
        if (grad != null) {
            into.put(name, grad.toFloats());
            p.clearGrad();
        }
    }

    /// Leaves the gradients in the models.
    ///
    /// @return policy loss, value loss, KL, score
    private static double[] slowLoss(
            Decoder policy, Decoder reference, ScalarModel value, PpoConfig c, Rollout rollout, boolean trl) {
        int n = rollout.samples().size();
        int length = c.responseLength();
        double[][] logp = new double[n][length];
        double[][] values = new double[n][length];
        double[][] rewards = new double[n][length];
        boolean[][] isToken = new boolean[n][length];
        boolean[][] isState = new boolean[n][length];
        double kls = 0;
        double scores = 0;
        // Everything per token, padded with zeros.
        for (int e = 0; e < n; e++) {
            Rollout.Sample s = rollout.samples().get(e);
            int tokens = s.ids().length;
            int states = trl && s.finished() && tokens < length ? tokens + 1 : tokens;
            double[] ref = new double[length];
            try (Scope scope = Scope.open();
                    NoGrad off = NoGrad.on()) {
                float[] mine = logps(policy, s, c).toFloats();
                float[] theirs = logps(reference, s, c).toFloats();
                float[] v = values(value, s).toFloats();
                for (int t = 0; t < tokens; t++) {
                    logp[e][t] = mine[t];
                    ref[t] = theirs[t];
                    isToken[e][t] = true;
                }
                for (int t = 0; t < states; t++) {
                    values[e][t] = v[s.prompt().length - 1 + t];
                    isState[e][t] = true;
                }
            }
            double score = Objects.requireNonNull(s.reward()) - (s.finished() ? 0 : 0.5);
            scores += score / n;
            for (int t = 0; t < tokens; t++) {
                rewards[e][t] = -c.klCoef() * (logp[e][t] - ref[t]);
                kls += (logp[e][t] - ref[t]) / n;
            }
            rewards[e][states - 1] += score;
        }
        whiten(rewards, isState, false);
        // GAE from the padded end.
        double[][] advantages = new double[n][length];
        double[][] returns = new double[n][length];
        for (int e = 0; e < n; e++) {
            double last = 0;
            for (int t = length - 1; t >= 0; t--) {
                double next = t == length - 1 ? 0 : values[e][t + 1];
                double delta = rewards[e][t] + c.gamma() * next - values[e][t];
                last = delta + c.gamma() * c.lam() * last;
                if (!isState[e][t]) {
                    last = 0;
                }
                advantages[e][t] = last;
                returns[e][t] = last + values[e][t];
            }
        }
        whiten(advantages, isToken, true);
        // The losses, with gradient, sequence by sequence.
        double tokens = count(isToken);
        double states = count(isState);
        double policyLoss = 0;
        double valueLoss = 0;
        for (int e = 0; e < n; e++) {
            Rollout.Sample s = rollout.samples().get(e);
            try (Scope scope = Scope.open()) {
                Tensor now = logps(policy, s, c);
                Tensor ratio =
                        now.sub(Tensor.of(floats(logp[e], s.ids().length))).exp();
                Tensor a = Tensor.of(floats(advantages[e], s.ids().length));
                Tensor loss = ratio.mul(a)
                        .neg()
                        .maximum(ratio.clamp(1 - c.cliprange(), 1 + c.cliprange())
                                .mul(a)
                                .neg())
                        .sum()
                        .mul(1 / tokens);
                loss.backward();
                policyLoss += loss.item();
            }
            policy.collectGradients();
            try (Scope scope = Scope.open()) {
                int m = (int) count(new boolean[][] {isState[e]});
                Tensor v = values(value, s).narrow(0, s.prompt().length - 1, m);
                Tensor old = Tensor.of(floats(values[e], m));
                Tensor wanted = Tensor.of(floats(returns[e], m));
                Tensor near = v.maximum(old.add(-c.cliprangeValue())).minimum(old.add(c.cliprangeValue()));
                Tensor loss = v.sub(wanted)
                        .square()
                        .maximum(near.sub(wanted).square())
                        .sum()
                        .mul(0.5 / states);
                loss.mul(c.vfCoef()).backward();
                valueLoss += loss.item();
            }
            value.collectGradients();
        }
        return new double[] {policyLoss, valueLoss, kls, scores};
    }

    private static Tensor logps(Decoder model, Rollout.Sample s, PpoConfig c) {
        int[] all = Arrays.copyOf(s.prompt(), s.prompt().length + s.ids().length);
        System.arraycopy(s.ids(), 0, all, s.prompt().length, s.ids().length);
        Tensor hidden = model.hidden(Tensor.of(all), new Sequences(all.length), Dropout.NONE);
        return model.logits(hidden.narrow(0, s.prompt().length - 1, s.ids().length))
                .mul(1 / c.temperature())
                .logSoftmax(-1)
                .gather(1, Tensor.of(s.ids()).unsqueeze(1))
                .squeeze(1);
    }

    private static Tensor values(ScalarModel value, Rollout.Sample s) {
        int[] all = Arrays.copyOf(s.prompt(), s.prompt().length + s.ids().length);
        System.arraycopy(s.ids(), 0, all, s.prompt().length, s.ids().length);
        return value.values(Tensor.of(all), new Sequences(all.length), Dropout.NONE);
    }

    private static void whiten(double[][] x, boolean[][] mask, boolean shift) {
        double n = count(mask);
        double mean = 0;
        double variance = 0;
        for (int pass = 0; pass < 2; pass++) {
            for (int e = 0; e < x.length; e++) {
                for (int t = 0; t < x[e].length; t++) {
                    if (mask[e][t]) {
                        if (pass == 0) {
                            mean += x[e][t] / n;
                        } else {
                            variance += Math.pow(x[e][t] - mean, 2) / (n - 1);
                        }
                    }
                }
            }
        }
        for (int e = 0; e < x.length; e++) {
            for (int t = 0; t < x[e].length; t++) {
                x[e][t] = mask[e][t] ? (x[e][t] - mean) / Math.sqrt(variance + 1e-8) + (shift ? 0 : mean) : 0;
            }
        }
    }

    private static double count(boolean[][] mask) {
        double n = 0;
        for (boolean[] row : mask) {
            for (boolean b : row) {
                n += b ? 1 : 0;
            }
        }
        return n;
    }

    private static float[] floats(double[] values, int length) {
        float[] narrow = new float[length];
        for (int i = 0; i < length; i++) {
            narrow[i] = (float) values[i];
        }
        return narrow;
    }

    // ---- what holds of every trainer

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3})
    void itLearnsWhatIsRewarded(long seed) {
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        run(
                config(Map.of(
                        "seed", seed,
                        "max_steps", 25,
                        "per_device_train_batch_size", 12,
                        "learning_rate", 5e-3,
                        "temperature", 1,
                        "kl_coef", 0.0,
                        "save_steps", 0)),
                told,
                null);
        double before = told.metrics.subList(0, 3).stream()
                .mapToDouble(m -> m.get("objective/scores"))
                .average()
                .orElseThrow();
        double after = told.metrics.subList(22, 25).stream()
                .mapToDouble(m -> m.get("objective/scores"))
                .average()
                .orElseThrow();
        assertThat(after).as("mean score, before it was " + before).isGreaterThan(before + 0.15);
        assertThat(told.events).contains("verdict");
    }

    @Test
    void tr18_lossAndGradientDoNotDependOnTheSplitIntoMicroBatches() {
        SftTrainerTest.Told whole = new SftTrainerTest.Told();
        SftTrainerTest.Told split = new SftTrainerTest.Told();
        run(
                config(Map.of("max_steps", 1, "per_device_train_batch_size", 6, "gradient_accumulation_steps", 1)),
                whole,
                null);
        run(
                config(Map.of("max_steps", 1, "per_device_train_batch_size", 1, "gradient_accumulation_steps", 6)),
                split,
                null);
        for (String name : List.of("loss", "grad_norm", "loss/policy_avg", "loss/value_avg", "objective/kl")) {
            double wanted = Objects.requireNonNull(whole.metrics.getFirst().get(name));
            assertThat(split.metrics.getFirst().get(name))
                    .as(name)
                    .isCloseTo(wanted, within(1e-5 * Math.abs(wanted) + 1e-7));
        }
    }

    @Test
    void everyTrainableParameterMovesAndNoOther() {
        try (Decoder policy = SftTrainerTest.tiny();
                Decoder reference = other();
                ScalarModel value = value(policy)) {
            Map<String, float[]> before = weights(policy, value);
            List<float[]> referenceBefore = reference.parameters().stream()
                    .map(p -> p.value().toFloats())
                    .toList();
            PpoConfig config = config(Map.of("max_steps", 1, "save_steps", 0, "vf_coef", 1));
            new PpoTrainer(
                            policy,
                            reference,
                            value,
                            config,
                            rollouts(policy, config, small(), () -> false),
                            step -> Map.of(),
                            Tracker.none(),
                            null,
                            Map.of(),
                            () -> false)
                    .train();
            weights(policy, value)
                    .forEach((name, now) -> assertThat(now).as(name).isNotEqualTo(before.get(name)));
            assertThat(reference.parameters().stream()
                            .map(p -> p.value().toFloats())
                            .toList())
                    .usingRecursiveComparison()
                    .isEqualTo(referenceBefore);
        }
    }

    @Test
    void tr12_stoppedAtEveryStepAndResumedItEndsInTheSameBytes() throws IOException {
        PpoConfig config =
                config(Map.of("max_steps", 3, "num_mini_batches", 2, "adap_kl_ctrl", true, "logging_steps", 2));
        SftTrainerTest.Told whole = new SftTrainerTest.Told();
        run(config, whole, folder.resolve("whole"));
        SftTrainerTest.Told parts = new SftTrainerTest.Told();
        for (int i = 0; i < 4; i++) {
            // Asked to stop after each step, and at the first question of a rollout.
            int[] asked = {0};
            run(config, parts, folder.resolve("parts"), () -> asked[0]++ > 0);
        }
        assertThat(parts.metrics).isEqualTo(whole.metrics);
        assertThat(parts.samples).isNotEmpty().isEqualTo(whole.samples);
        for (String name : List.of("trainable.safetensors", "optimizer.safetensors", "trainer_state.json")) {
            assertThat(Sha256.of(folder.resolve("parts/checkpoint-3").resolve(name)))
                    .as(name)
                    .isEqualTo(Sha256.of(folder.resolve("whole/checkpoint-3").resolve(name)));
        }
    }

    @Test
    void tr11_otherInputsAreRefused() {
        run(config(Map.of("max_steps", 1)), Tracker.none(), folder.resolve("run"));
        try (Decoder policy = SftTrainerTest.tiny();
                Decoder reference = other();
                ScalarModel value = value(policy)) {
            PpoConfig config = config(Map.of("max_steps", 2));
            PpoTrainer trainer = new PpoTrainer(
                    policy,
                    reference,
                    value,
                    config,
                    rollouts(policy, config, small(), () -> false),
                    step -> Map.of(),
                    Tracker.none(),
                    folder.resolve("run"),
                    Map.of("data", "other"),
                    () -> false);
            assertThatThrownBy(trainer::train)
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("data was same, is other");
        }
    }

    @Test
    void tr09_nanInTheWeightsStopsBeforeAnUpdate() {
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        try (Decoder policy = SftTrainerTest.tiny();
                Decoder reference = other();
                ScalarModel value = value(policy)) {
            Map<String, float[]> before = weights(policy, value);
            value.trainableByName("")
                    .values()
                    .iterator()
                    .next()
                    .value()
                    .detach()
                    .mul_(Double.NaN);
            value.refresh();
            PpoConfig config = config(Map.of("max_steps", 1));
            PpoTrainer trainer = new PpoTrainer(
                    policy,
                    reference,
                    value,
                    config,
                    rollouts(policy, config, small(), () -> false),
                    step -> Map.of(),
                    told,
                    folder.resolve("nan"),
                    Map.of(),
                    () -> false);
            assertThatThrownBy(trainer::train).isInstanceOf(NonFinite.class);
            assertThat(told.events).contains("non_finite");
            policy.parameters().forEach(p -> assertThat(p.value().toFloats()).isEqualTo(before.get(p.name())));
            assertThat(folder.resolve("nan/checkpoint-1")).doesNotExist();
        }
    }

    @Test
    void theAdaptiveControllerMovesTheCoefficientAsByHand() {
        PpoConfig config = config(Map.of(
                "max_steps", 4, "adap_kl_ctrl", true, "target", 0.5, "horizon", 100, "kl_coef", 0.3, "save_steps", 0));
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        run(config, told, null);
        double coefficient = 0.3;
        for (Map<String, Double> line : told.metrics) {
            assertThat(line.get("kl_coef")).isCloseTo(coefficient, within(1e-12));
            double kl = Objects.requireNonNull(line.get("objective/kl"));
            assertThat(line.get("objective/non_score_reward")).isCloseTo(-coefficient * kl, within(1e-9));
            double error = Math.max(-0.2, Math.min(0.2, (kl - 0.5) / 0.5));
            coefficient *= 1 + error * config.episodes() / 100;
        }
        assertThat(coefficient).isNotCloseTo(0.3, within(1e-3));
    }

    /// A reward that cannot score anything.
    private static Reward silent() {
        return new Reward() {
            @Override
            public String name() {
                return "silent";
            }

            @Override
            public List<Score> score(List<Candidate> candidates) {
                return candidates.stream()
                        .map(c -> Score.none("silent", "nothing to say"))
                        .toList();
            }
        };
    }

    /// Of every two completions the second cannot be scored, and the others get -3: a 0 for the second would be a
    /// treat.
    private static Reward half() {
        return new Reward() {
            @Override
            public String name() {
                return "half";
            }

            @Override
            public List<Score> score(List<Candidate> candidates) {
                return IntStream.range(0, candidates.size())
                        .mapToObj(i -> i % 2 == 1 ? Score.none("half", "nothing to say") : Score.of("half", -3, "so"))
                        .toList();
            }
        };
    }

    private SftTrainerTest.Told rewarded(Reward reward, PpoConfig config) {
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        try (Decoder policy = SftTrainerTest.tiny();
                Decoder reference = other();
                ScalarModel value = value(policy)) {
            new PpoTrainer(
                            policy,
                            reference,
                            value,
                            config,
                            rollouts(policy, config, reward, () -> false),
                            step -> Map.of(),
                            told,
                            null,
                            Map.of(),
                            () -> false)
                    .train();
        }
        return told;
    }

    @Test
    void rl01_whatCannotBeScoredIsInNoMeanAndTeachesNothing() {
        PpoConfig config = config(Map.of("max_steps", 1, "save_steps", 0, "num_mini_batches", 2));
        SftTrainerTest.Told told = rewarded(half(), config);
        Map<String, Double> line = told.metrics.getFirst();
        assertThat(line).containsEntry("frac_unscorable", 0.5).containsEntry("objective/scores", -3.0);
        double penalty = Objects.requireNonNull(line.get("objective/non_score_reward"));
        assertThat(line.get("objective/rlhf_reward")).isCloseTo(penalty - 3, within(1e-9));
        assertThat(line.get("grad_norm")).isPositive();
        double sum = 0;
        for (Map<String, ?> sample : told.samples) {
            boolean scored = sample.get("reward") != null;
            assertThat(sample.get("in_loss")).isEqualTo(scored);
            double advantage = (double) Objects.requireNonNull(sample.get("advantage"));
            assertThat(advantage == 0).isEqualTo(!scored);
            sum += advantage * (int) Objects.requireNonNull(sample.get("tokens"));
        }
        assertThat(told.samples).hasSize(config.episodes());
        assertThat(sum).as("whitened over the tokens of those alone").isCloseTo(0, within(1e-4));
    }

    @Test
    void rl01_whereNothingCanBeScoredNoUpdateIsMade() {
        PpoConfig config = config(Map.of("max_steps", 1, "save_steps", 0, "missing_eos_penalty", 1));
        SftTrainerTest.Told told = rewarded(silent(), config);
        assertThat(told.events).contains("no_update");
        assertThat(told.metrics.getFirst())
                .containsEntry("frac_unscorable", 1.0)
                .doesNotContainKeys("objective/scores", "reward", "loss", "grad_norm", "objective/rlhf_reward");
    }

    @Test
    void aCompletionThatWasCutOffPaysThePenalty() {
        SftTrainerTest.Told free = new SftTrainerTest.Told();
        SftTrainerTest.Told fined = new SftTrainerTest.Told();
        run(config(Map.of("max_steps", 1, "save_steps", 0)), free, null);
        run(config(Map.of("max_steps", 1, "save_steps", 0, "missing_eos_penalty", 0.75)), fined, null);
        Map<String, Double> line = fined.metrics.getFirst();
        double cut = Objects.requireNonNull(line.get("completions/clipped_ratio"));
        assertThat(cut).isBetween(0.1, 0.9);
        assertThat(line.get("objective/scores"))
                .isCloseTo(
                        Objects.requireNonNull(free.metrics.getFirst().get("objective/scores")) - 0.75 * cut,
                        within(1e-9));
        assertThat(line.get("reward"))
                .as("what the reward said, without the penalty")
                .isEqualTo(free.metrics.getFirst().get("reward"));
    }

    @Test
    void withAdaptersTheBaseIsTheReferenceAndStaysAsItIs() {
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        Lora lora = new Lora(4, 8, 0.1, false, List.of("all-linear"));
        try (Decoder policy = SftTrainerTest.tiny();
                ScalarModel value = value(policy)) {
            policy.attach(lora, SEED);
            value.attach(lora, SEED);
            Map<String, float[]> before = weights(policy, value);
            PpoConfig config = config(Map.of("max_steps", 3, "save_steps", 0, "learning_rate", 1e-2));
            new PpoTrainer(
                            policy,
                            null,
                            value,
                            config,
                            rollouts(policy, config, small(), () -> false),
                            step -> Map.of(),
                            told,
                            null,
                            Map.of(),
                            () -> false)
                    .train();
            weights(policy, value).forEach((name, now) -> {
                if (name.contains("lora_") || name.contains("score")) {
                    assertThat(now).as(name).isNotEqualTo(before.get(name));
                } else {
                    assertThat(now).as(name).isEqualTo(before.get(name));
                }
            });
        }
        assertThat(told.metrics.getFirst().get("objective/kl"))
                .as("adapters begin as nothing")
                .isCloseTo(0, within(1e-6));
        assertThat(Math.abs(Objects.requireNonNull(told.metrics.getLast().get("objective/kl"))))
                .isGreaterThan(1e-4);
    }

    @Test
    void tr10_anAlarmEndsTheRunWhereThatIsAskedFor() {
        Map<String, Object> options = new HashMap<>(Map.of("max_steps", 30, "stop_on_alarm", true, "save_steps", 0));
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        try (Decoder policy = SftTrainerTest.tiny();
                Decoder reference = other();
                ScalarModel value = value(policy)) {
            PpoConfig config = config(options);
            PpoTrainer trainer = new PpoTrainer(
                    policy,
                    reference,
                    value,
                    config,
                    rollouts(policy, config, always(), () -> false),
                    step -> Map.of(),
                    told,
                    null,
                    Map.of(),
                    () -> false);
            Outcome outcome = trainer.train();
            assertThat(outcome.interrupted()).isTrue();
            assertThat(outcome.steps())
                    .as("patience of the range of reward_std")
                    .isEqualTo(10);
            assertThat(trainer.health().stopped()).isTrue();
            assertThat(trainer.health().verdict().word()).isEqualTo("dead");
        }
        assertThat(told.events).contains("alarm", "interrupted", "verdict");
    }

    /// The same for everything.
    private static Reward always() {
        return new Reward() {
            @Override
            public String name() {
                return "always";
            }

            @Override
            public List<Score> score(List<Candidate> candidates) {
                return candidates.stream()
                        .map(c -> Score.of("always", 1, "one for all"))
                        .toList();
            }
        };
    }

    @Test
    void tr08_nativeMemoryStaysFlatOverHundredsOfSteps() {
        assumeThat(NativeMemory.inUse()).as("glibc's mallinfo2").isPresent();
        List<Long> inUse = inUseAfterSteps(() -> {});
        assertThat(medianGrowth(inUse)).as("bytes kept by a step, median").isLessThan(64);
        assertThat(inUse.get(LEAK_STEPS - 10) - inUse.get(LEAK_STEPS / 3))
                .as("bytes kept by the steps from a third on")
                .isLessThan(20L << 20);
        // The measure would see one scalar leaked by every step.
        List<Tensor> leaked = new ArrayList<>();
        List<Long> leaking = inUseAfterSteps(() -> {
            try (Scope scope = Scope.open()) {
                leaked.add(scope.keepForever(Tensor.full(1, DType.F32)));
            }
        });
        assertThat(medianGrowth(leaking)).as("bytes kept by a leaking step").isGreaterThan(64);
        leaked.forEach(Tensor::close);
    }

    private List<Long> inUseAfterSteps(Runnable everyStep) {
        List<Long> inUse = new ArrayList<>();
        Tracker measuring = new Tracker() {
            @Override
            public void progress(long step, long total, Map<String, Double> shown) {
                everyStep.run();
                inUse.add(NativeMemory.inUse().orElseThrow());
            }
        };
        run(
                config(Map.of(
                        "max_steps",
                        LEAK_STEPS,
                        "response_length",
                        3,
                        "num_ppo_epochs",
                        1,
                        "learning_rate",
                        1e-6,
                        "log_completions",
                        false,
                        "save_steps",
                        0)),
                measuring,
                null);
        return inUse;
    }

    private static long medianGrowth(List<Long> inUse) {
        long[] grown = IntStream.range(LEAK_STEPS / 3, LEAK_STEPS - 10)
                .mapToLong(i -> inUse.get(i + 1) - inUse.get(i))
                .sorted()
                .toArray();
        return grown[grown.length / 2];
    }

    @Test
    void whatDoesNotFitTogetherIsRefusedAtOnce() {
        assertThatThrownBy(() -> config(Map.of("num_mini_batches", 4, "adap_kl_ctrl", true, "kl_coef", 0)))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("num_mini_batches is 4 and a step has 6 completions")
                .hasMessageContaining("a controller that multiplies cannot leave 0");
        assertThatThrownBy(() -> config(Map.of("adap_kl_ctrl", true, "horizon", 1)))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("horizon is 1.0 and a step has 6 completions");
    }
}
