package dev.manners.train;

import dev.manners.config.Options;
import dev.manners.data.DatasetFile;
import dev.manners.data.Encoder;
import dev.manners.data.Prompts;
import dev.manners.data.Sampler;
import dev.manners.model.Decoder;
import dev.manners.model.Dropout;
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
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;

/// Runs of PPO on a model of a few thousand parameters, with a toy reward and a sampler that is slow.
final class PpoRuns {

    static final long SEED = Long.getLong("tests.seed", 42);
    private static final int STOP = 2;

    private final DatasetFile file;

    /// Twelve prompts of letters, written there.
    PpoRuns(Path folder) throws IOException {
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

    /// Samples token by token with a whole forward pass for each: slow, and with nothing in common with the
    /// engine.
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
    static Reward small() {
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

    static PpoConfig config(Map<String, ?> more) {
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

    Rollouts rollouts(Decoder policy, PpoConfig config, Reward reward, BooleanSupplier stop) {
        return new Rollouts(
                Prompts.of(file, "prompt", new Letters(), 100, false, n -> {}),
                slowly(policy),
                Sampling.at(config.temperature(), config.responseLength(), SEED),
                reward,
                Sampler.Order.RANDOM,
                stop);
    }

    static ScalarModel value(Decoder like) {
        return ScalarModel.of(like, SEED + 1);
    }

    /// A reference that is not the policy, so that there is a KL.
    static Decoder other() {
        return Decoder.initialise(SftTrainerTest.tinyLlama(), SEED + 7, DType.F32);
    }

    Map<String, float[]> run(PpoConfig config, Tracker tracker, @Nullable Path checkpoints) {
        return run(config, tracker, checkpoints, () -> false);
    }

    Map<String, float[]> run(PpoConfig config, Tracker tracker, @Nullable Path checkpoints, BooleanSupplier stop) {
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

    static Map<String, float[]> weights(Decoder policy, ScalarModel value) {
        Map<String, float[]> weights = new LinkedHashMap<>();
        policy.parameters().forEach(p -> weights.put(p.name(), p.value().toFloats()));
        value.trainableByName("value.")
                .forEach((name, p) -> weights.put(name, p.value().toFloats()));
        return weights;
    }
}
