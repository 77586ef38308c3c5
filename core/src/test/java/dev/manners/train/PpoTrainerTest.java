package dev.manners.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.manners.model.Decoder;
import dev.manners.model.Dropout;
import dev.manners.model.Lora;
import dev.manners.model.Parameter;
import dev.manners.model.ScalarModel;
import dev.manners.model.Sequences;
import dev.manners.tensor.NoGrad;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// PPO beside a slow padded version of itself, and what it learns.
class PpoTrainerTest {

    @TempDir
    Path folder;

    private PpoRuns ppo;

    @BeforeEach
    void prompts() throws IOException {
        ppo = new PpoRuns(folder);
    }

    // ---- beside the slow version

    /// TRL's arithmetic (ppo_trainer.py of 1.10) over padded rectangles, in plain Java, for one rollout and one
    /// update; every log-probability and value from a forward pass of that sequence alone.
    @ParameterizedTest
    @ValueSource(strings = {"last_token", "trl"})
    void anUpdateIsThatOfTheSlowPaddedVersion(String placement) {
        boolean trl = placement.equals("trl");
        PpoConfig config = PpoRuns.config(Map.of(
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
                Decoder reference = PpoRuns.other();
                ScalarModel value = PpoRuns.value(policy)) {
            Rollout rollout = Objects.requireNonNull(
                    ppo.rollouts(policy, config, PpoRuns.small(), () -> false).at(0, config.episodes(), 1));
            assertThat(rollout.samples()).anyMatch(s -> s.finished() && s.ids().length < config.responseLength());
            assertThat(rollout.samples()).anyMatch(s -> !s.finished());
            double[] expected = slowLoss(policy, reference, value, config, rollout, trl);
            Map<String, float[]> gradients = gradients(policy, value);
            new PpoTrainer(
                            policy,
                            reference,
                            value,
                            config,
                            ppo.rollouts(policy, config, PpoRuns.small(), () -> false),
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
        ppo.run(
                PpoRuns.config(Map.of(
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
        ppo.run(
                PpoRuns.config(
                        Map.of("max_steps", 1, "per_device_train_batch_size", 6, "gradient_accumulation_steps", 1)),
                whole,
                null);
        ppo.run(
                PpoRuns.config(
                        Map.of("max_steps", 1, "per_device_train_batch_size", 1, "gradient_accumulation_steps", 6)),
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
                Decoder reference = PpoRuns.other();
                ScalarModel value = PpoRuns.value(policy)) {
            Map<String, float[]> before = PpoRuns.weights(policy, value);
            List<float[]> referenceBefore = reference.parameters().stream()
                    .map(p -> p.value().toFloats())
                    .toList();
            PpoConfig config = PpoRuns.config(Map.of("max_steps", 1, "save_steps", 0, "vf_coef", 1));
            new PpoTrainer(
                            policy,
                            reference,
                            value,
                            config,
                            ppo.rollouts(policy, config, PpoRuns.small(), () -> false),
                            step -> Map.of(),
                            Tracker.none(),
                            null,
                            Map.of(),
                            () -> false)
                    .train();
            PpoRuns.weights(policy, value)
                    .forEach((name, now) -> assertThat(now).as(name).isNotEqualTo(before.get(name)));
            assertThat(reference.parameters().stream()
                            .map(p -> p.value().toFloats())
                            .toList())
                    .usingRecursiveComparison()
                    .isEqualTo(referenceBefore);
        }
    }

    @Test
    void theAdaptiveControllerMovesTheCoefficientAsByHand() {
        PpoConfig config = PpoRuns.config(Map.of(
                "max_steps", 4, "adap_kl_ctrl", true, "target", 0.5, "horizon", 100, "kl_coef", 0.3, "save_steps", 0));
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        ppo.run(config, told, null);
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

    @Test
    void aCompletionThatWasCutOffPaysThePenalty() {
        SftTrainerTest.Told free = new SftTrainerTest.Told();
        SftTrainerTest.Told fined = new SftTrainerTest.Told();
        ppo.run(PpoRuns.config(Map.of("max_steps", 1, "save_steps", 0)), free, null);
        ppo.run(PpoRuns.config(Map.of("max_steps", 1, "save_steps", 0, "missing_eos_penalty", 0.75)), fined, null);
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
                ScalarModel value = PpoRuns.value(policy)) {
            policy.attach(lora, PpoRuns.SEED);
            value.attach(lora, PpoRuns.SEED);
            Map<String, float[]> before = PpoRuns.weights(policy, value);
            PpoConfig config = PpoRuns.config(Map.of("max_steps", 3, "save_steps", 0, "learning_rate", 1e-2));
            new PpoTrainer(
                            policy,
                            null,
                            value,
                            config,
                            ppo.rollouts(policy, config, PpoRuns.small(), () -> false),
                            step -> Map.of(),
                            told,
                            null,
                            Map.of(),
                            () -> false)
                    .train();
            PpoRuns.weights(policy, value).forEach((name, now) -> {
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
}
