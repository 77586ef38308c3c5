package dev.manners.train;

import dev.manners.config.Options;
import dev.manners.data.DatasetFile;
import dev.manners.data.ModelEncoder;
import dev.manners.data.Prompts;
import dev.manners.data.Sampler;
import dev.manners.files.Json;
import dev.manners.model.Decoder;
import dev.manners.reward.Candidate;
import dev.manners.reward.Reward;
import dev.manners.reward.Score;
import dev.manners.rollout.Sampling;
import dev.manners.run.LoadedModel;
import dev.manners.testing.TinyModel;
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
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/// Runs of GRPO and its relatives on a model of some ten thousand parameters, with a toy reward.
final class GrpoRuns {

    static final long SEED = Long.getLong("tests.seed", 42);

    /// What the toy reward likes: a tenth of the vocabulary.
    private static final int LIKED = 30;

    final Prompts prompts;

    /// Twelve sums to ask for, written there.
    GrpoRuns(Path folder) throws IOException {
        Path file = folder.resolve("prompts.jsonl");
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 12; i++) {
            lines.append(Json.MAPPER.writeValueAsString(
                            Map.of("prompt", "What is " + i + " + " + i % 5 + "?", "answer", i + i % 5)))
                    .append('\n');
        }
        Files.writeString(file, lines);
        try (LoadedModel model = TinyModel.make(1)) {
            prompts = Prompts.of(
                    DatasetFile.open(file), "prompt", new ModelEncoder(model.tokenizer()), 100, false, n -> {});
        }
    }

    /// The share of tokens that are among the liked.
    static Reward liked() {
        return reward("liked", c -> share(c.completionIds()));
    }

    static double share(int[] ids) {
        return (double) Arrays.stream(ids)
                        .filter(id -> id >= 100 && id < 100 + LIKED)
                        .count()
                / ids.length;
    }

    static Reward reward(String name, Function<Candidate, @Nullable Double> of) {
        return new Reward() {
            @Override
            public String name() {
                return name;
            }

            @Override
            public List<Score> score(List<Candidate> candidates) {
                return candidates.stream()
                        .map(c -> {
                            Double value = of.apply(c);
                            return value == null ? Score.none(name, "none") : Score.of(name, value, "toy");
                        })
                        .toList();
            }
        };
    }

    /// What a run told its tracker.
    static final class Told implements Tracker {
        final List<Map<String, Double>> metrics = new ArrayList<>();
        final List<Map<String, Object>> events = new ArrayList<>();
        final List<Map<String, Object>> samples = new ArrayList<>();

        @Override
        public void metrics(long step, Map<String, Double> values) {
            Map<String, Double> line = new LinkedHashMap<>(values);
            line.put("step", (double) step);
            metrics.add(line);
        }

        @Override
        public void sample(long step, String prompt, String completion, Map<String, ?> extra) {
            Map<String, Object> line = new LinkedHashMap<>(extra);
            line.put("step", step);
            line.put("completion", completion);
            samples.add(line);
        }

        @Override
        public void event(String name, Map<String, ?> details) {
            Map<String, Object> line = new LinkedHashMap<>(details);
            line.put("event", name);
            events.add(line);
        }

        List<Object> names() {
            return events.stream()
                    .map(e -> Objects.requireNonNull(e.get("event")))
                    .toList();
        }

        double last(String metric) {
            return Objects.requireNonNull(metrics.getLast().get(metric), metric);
        }
    }

    /// Options that make a run of a second: 2 prompts with 4 completions of at most 12 tokens, unless said
    /// otherwise.
    static Map<String, Object> small(long steps, Object... others) {
        Map<String, Object> options = new HashMap<>(Map.of(
                "per_device_train_batch_size", 8,
                "num_generations", 4,
                "max_completion_length", 12,
                "max_steps", steps,
                "learning_rate", 1e-2,
                "bf16", false,
                "logging_steps", 1,
                "save_steps", 1,
                "seed", SEED));
        for (int i = 0; i < others.length; i += 2) {
            options.put((String) others[i], others[i + 1]);
        }
        return options;
    }

    static GrpoConfig grpo(Map<String, Object> options) {
        return Options.with(GrpoConfig.class, options);
    }

    Rollouts rollouts(LoadedModel model, PolicyGradient config, Reward reward, BooleanSupplier stop) {
        return new Rollouts(
                prompts,
                model.engine(16)::rollout,
                Sampling.at(
                        config.rollout().temperature(),
                        config.rollout().maxCompletionLength(),
                        config.training().seed()),
                reward,
                Sampler.Order.RANDOM,
                stop);
    }

    GrpoTrainer trainer(
            LoadedModel model,
            @Nullable Decoder reference,
            PolicyGradient config,
            Reward reward,
            Tracker tracker,
            @Nullable Path checkpoints,
            BooleanSupplier stop) {
        return new GrpoTrainer(
                model.decoder(),
                reference,
                config,
                rollouts(model, config, reward, stop),
                step -> Map.of(),
                tracker,
                checkpoints,
                Map.of("data", "toy"),
                stop);
    }

    Told run(LoadedModel model, PolicyGradient config, Reward reward) {
        Told told = new Told();
        trainer(model, null, config, reward, told, null, () -> false).train();
        return told;
    }

    static Map<String, float[]> values(LoadedModel model) {
        return SftTrainerTest.values(model.decoder());
    }
}
