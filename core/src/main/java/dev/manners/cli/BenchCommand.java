package dev.manners.cli;

import dev.manners.BadInput;
import dev.manners.config.Key;
import dev.manners.config.Options;
import dev.manners.data.DatasetFile;
import dev.manners.data.ModelEncoder;
import dev.manners.data.PreferenceData;
import dev.manners.data.PreferenceRow;
import dev.manners.data.Prompts;
import dev.manners.data.Sampler;
import dev.manners.data.Tokenised;
import dev.manners.files.Json;
import dev.manners.model.ScalarModel;
import dev.manners.reward.Candidate;
import dev.manners.reward.Reward;
import dev.manners.reward.Score;
import dev.manners.rollout.Engine;
import dev.manners.rollout.Sampling;
import dev.manners.run.LoadedModel;
import dev.manners.tensor.DType;
import dev.manners.tensor.LibTorch;
import dev.manners.text.Tokenizer;
import dev.manners.train.DpoConfig;
import dev.manners.train.DpoTrainer;
import dev.manners.train.GrpoConfig;
import dev.manners.train.GrpoTrainer;
import dev.manners.train.Pair;
import dev.manners.train.RewardConfig;
import dev.manners.train.RewardTrainer;
import dev.manners.train.Rollouts;
import dev.manners.train.Rows;
import dev.manners.train.SftConfig;
import dev.manners.train.SftTrainer;
import dev.manners.train.Tracker;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/// `bench`: how fast this machine trains and generates, as one JSON line.
final class BenchCommand implements Command {

    record BenchOptions(
            @Key(value = "What to time: sft, reward, dpo, grpo or generate", required = true)
            Job job,

            @Key(value = "Model directory", required = true) Path model,

            @Key("Rows; for sft: prompt and completion, for reward and dpo: prompt, chosen and rejected, for grpo:"
                    + " prompt")
            @Nullable
            String data,

            @Key(value = "f32 or bf16", byDefault = "f32") ModelOptions.Dtype dtype,

            @Key(value = "Updates, the first two not counted", byDefault = "14", min = 3)
            int steps,

            @Key(value = "Sequences in a batch, for reward and dpo pairs", byDefault = "8", min = 1)
            int batch,

            @Key(value = "Tokens of a training sequence, for reward and dpo at most", byDefault = "256", min = 2)
            int length,

            @Key(value = "Tokens of a prompt", byDefault = "32", min = 1)
            int prompt,

            @Key(value = "Tokens of a completion", byDefault = "128", min = 1)
            int completion,

            @Key(value = "Completions of a prompt, for grpo", byDefault = "8", min = 2)
            int generations,

            @Key(value = "Prompts, for generate; 0: as many as a batch has", byDefault = "0", min = 0)
            int prompts,

            @Key(
                    value = "For generate, equal: every completion has --completion tokens; varied: between 8 and twice"
                            + " --completion, drawn from a fixed seed",
                    byDefault = "equal")
            Lengths lengths) {

        int count() {
            return prompts == 0 ? batch : prompts;
        }
    }

    enum Lengths {
        EQUAL,
        VARIED
    }

    enum Job {
        SFT,
        REWARD,
        DPO,
        GRPO,
        GENERATE
    }

    @Override
    public String name() {
        return "bench";
    }

    @Override
    public String summary() {
        return "Times training steps or generation and prints one JSON line.";
    }

    @Override
    public String details() {
        return """
                The median over all steps but the first two, or over four of five runs (generate).
                Example:
                  manners bench sft DIR rows.jsonl --dtype bf16 --steps 14 --batch 8 --length 256
                  manners bench generate DIR --dtype bf16 --batch 16 --prompts 64 --lengths varied""";
    }

    @Override
    public List<Class<? extends Record>> options() {
        return List.of(BenchOptions.class);
    }

    @Override
    public List<String> positionals() {
        return List.of("job", "model", "data");
    }

    @Override
    public int run(Call call) {
        BenchOptions options = (BenchOptions) call.bind().getFirst();
        ObjectNode line = switch (options.job()) {
            case SFT -> sft(options);
            case REWARD -> reward(options);
            case DPO -> dpo(options);
            case GRPO -> grpo(options);
            case GENERATE -> generate(options);
        };
        call.out().println(line);
        return 0;
    }

    private static ObjectNode sft(BenchOptions o) {
        SftConfig config = config(
                SftConfig.class, o, Map.of("max_length", o.length(), "packing", true, "packing_strategy", "wrapped"));
        return training(o, "tokens", (double) o.batch() * o.length(), (file, clock) -> {
            try (LoadedModel model = open(o);
                    ScoreCommand.Folder cache = ScoreCommand.Folder.temporary();
                    Tokenised rows =
                            Tokenised.of(file, encoder(model), config.tokenisation(false), cache.path(), n -> {})) {
                new SftTrainer(
                                model.decoder(),
                                config,
                                Rows.of(rows),
                                null,
                                clock,
                                null,
                                Map.of(),
                                () -> false,
                                step -> {})
                        .train();
            }
        });
    }

    private static ObjectNode reward(BenchOptions o) {
        RewardConfig config = config(RewardConfig.class, o, Map.of("max_length", o.length()));
        return training(o, "pairs", o.batch(), (file, clock) -> {
            try (ScalarModel model = ScalarModel.load(o.model(), o.dtype().resolve(), 42, false);
                    Tokenizer tokenizer = Tokenizer.load(o.model())) {
                PreferenceData<PreferenceRow.Ranking> data =
                        PreferenceData.rankings(file, new ModelEncoder(tokenizer), config.maxLength(), false, n -> {});
                new RewardTrainer(model, config, data.rows(), List.of(), clock, null, Map.of(), () -> false).train();
            }
        });
    }

    private static ObjectNode dpo(BenchOptions o) {
        DpoConfig config = config(DpoConfig.class, o, Map.of("max_length", o.length()));
        return training(o, "pairs", o.batch(), (file, clock) -> {
            try (LoadedModel model = open(o);
                    LoadedModel reference = open(o)) {
                PreferenceData<PreferenceRow.Ranking> data =
                        PreferenceData.rankings(file, encoder(model), 0, false, n -> {});
                DpoTrainer.dpo(
                                model.decoder(),
                                reference.decoder(),
                                config,
                                Pair.fitted(data.rows(), o.length(), config.truncationMode())
                                        .pairs(),
                                List.of(),
                                null,
                                clock,
                                null,
                                Map.of(),
                                () -> false,
                                step -> {})
                        .train();
            }
        });
    }

    /// As the peer's: the reward is the number of different characters, the KL from a reference is in the loss.
    private static ObjectNode grpo(BenchOptions o) {
        GrpoConfig config = config(
                GrpoConfig.class,
                o,
                Map.of(
                        "num_generations",
                        o.generations(),
                        "max_completion_length",
                        o.completion(),
                        "beta",
                        0.04,
                        "log_completions",
                        false));
        return training(o, "completion tokens", (double) o.batch() * o.completion(), (file, clock) -> {
            try (LoadedModel model = open(o);
                    LoadedModel reference = open(o)) {
                int room = model.decoder().config().maxPositions() - 1;
                Rollouts rollouts = new Rollouts(
                        Prompts.of(file, "prompt", encoder(model), room, false, n -> {}),
                        model.engine(o.batch())::rollout,
                        Sampling.at(1, o.completion(), config.training().seed()),
                        new DistinctCharacters(),
                        Sampler.Order.RANDOM,
                        () -> false);
                new GrpoTrainer(
                                model.decoder(),
                                reference.decoder(),
                                config,
                                rollouts,
                                step -> Map.of(),
                                clock,
                                null,
                                Map.of(),
                                () -> false)
                        .train();
            }
        });
    }

    /// Trains on rows, and tells the clock of each update.
    @FunctionalInterface
    private interface Training {
        void on(DatasetFile rows, Tracker clock);
    }

    /// @param amount of the unit in an update
    private static ObjectNode training(BenchOptions o, String unit, double amount, Training training) {
        if (o.data() == null) {
            throw new BadInput("bench %1$s needs rows: manners bench %1$s MODEL DATA".formatted(nameOf(o.job())));
        }
        List<Long> ends = new ArrayList<>();
        try (DatasetFile rows = DatasetFile.open(o.data())) {
            training.on(rows, clock(ends));
        }
        return report(o, median(seconds(ends)), unit, amount);
    }

    /// The options that all trainers are timed with, and a trainer's own.
    private static <C extends Record> C config(Class<C> type, BenchOptions o, Map<String, Object> own) {
        Map<String, Object> options = new HashMap<>(Map.of(
                "learning_rate",
                1e-5,
                "per_device_train_batch_size",
                o.batch(),
                "max_steps",
                o.steps(),
                "bf16",
                o.dtype().resolve() == DType.BF16,
                "logging_steps",
                1,
                "save_steps",
                0));
        options.putAll(own);
        return Options.with(type, options);
    }

    private static LoadedModel open(BenchOptions o) {
        return LoadedModel.open(o.model(), null, o.dtype().resolve(), false);
    }

    private static ModelEncoder encoder(LoadedModel model) {
        return new ModelEncoder(model.tokenizer());
    }

    private static String nameOf(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT);
    }

    private record DistinctCharacters() implements Reward {

        @Override
        public String name() {
            return "distinct_characters";
        }

        @Override
        public List<Score> score(List<Candidate> candidates) {
            return candidates.stream()
                    .map(c -> Score.of(
                            name(),
                            (double) c.completion().codePoints().distinct().count(),
                            ""))
                    .toList();
        }
    }

    private static Tracker clock(List<Long> ends) {
        return new Tracker() {
            @Override
            public void progress(long step, long total, Map<String, Double> shown) {
                ends.add(System.nanoTime());
            }
        };
    }

    /// Of all steps but the first two.
    private static List<Double> seconds(List<Long> ends) {
        List<Double> seconds = new ArrayList<>();
        for (int i = 2; i < ends.size(); i++) {
            seconds.add((ends.get(i) - ends.get(i - 1)) / 1e9);
        }
        return seconds;
    }

    private static ObjectNode generate(BenchOptions o) {
        List<Double> seconds = new ArrayList<>();
        double tokens = 0;
        try (LoadedModel model = open(o)) {
            List<int[]> prompts = new ArrayList<>();
            int vocabulary = Math.min(4000, model.decoder().config().vocabSize());
            Random random = new Random(42);
            for (int i = 0; i < o.count(); i++) {
                prompts.add(random.ints(o.prompt(), Math.min(5, vocabulary - 1), vocabulary)
                        .toArray());
            }
            int longest = o.lengths() == Lengths.VARIED ? 2 * o.completion() : o.completion();
            int[] limits = new int[o.count()];
            for (int i = 0; i < limits.length; i++) {
                limits[i] = o.lengths() == Lengths.VARIED ? varied(i, longest) : longest;
                tokens += limits[i];
            }
            // No stop tokens: every completion has its full length.
            Engine engine = new Engine(model.decoder(), model.tokenizer(), Set.of(), o.batch());
            for (int run = 0; run < 5; run++) {
                long begin = System.nanoTime();
                engine.generate(prompts, limits, Sampling.at(1, longest, 42));
                if (run > 0) {
                    seconds.add((System.nanoTime() - begin) / 1e9);
                }
            }
        }
        return report(o, median(seconds), "tokens", tokens);
    }

    /// Tokens of completion i: the same in every language, for a peer to have the same.
    private static int varied(int i, int longest) {
        int hash = (i + 1) * 0x9E3779B1; // 2^32 over the golden ratio
        return Math.min(8, longest) + (int) ((hash & 0xFFFFFFFFL) * (Math.max(0, longest - 8) + 1) >>> 32);
    }

    private static double median(List<Double> values) {
        List<Double> sorted = values.stream().sorted().toList();
        int n = sorted.size();
        return n % 2 == 1 ? sorted.get(n / 2) : (sorted.get(n / 2 - 1) + sorted.get(n / 2)) / 2;
    }

    private static ObjectNode report(BenchOptions o, double seconds, String unit, double amount) {
        ObjectNode line = Json.MAPPER.createObjectNode();
        line.put("peer", "manners");
        line.put("job", nameOf(o.job()));
        line.put("model", o.model().toString());
        line.put("dtype", nameOf(o.dtype()));
        line.put("median_step_s", Math.round(seconds * 1e4) / 1e4);
        line.put("unit", unit);
        line.put("per_second", Math.round(amount / seconds * 100) / 100.0);
        line.put("peak_rss_mb", peakMegabytes());
        line.put("batch", o.batch());
        line.put("length", o.length());
        line.put("prompt", o.prompt());
        line.put("completion", o.completion());
        line.put("prompts", o.count());
        line.put("lengths", nameOf(o.lengths()));
        line.put("threads", LibTorch.threads());
        return line;
    }

    /// Highest resident memory of this process, as `getrusage` would give it.
    private static long peakMegabytes() {
        try {
            for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
                if (line.startsWith("VmHWM:")) {
                    return Long.parseLong(line.replaceAll("\\D", "")) >> 10;
                }
            }
        } catch (IOException e) {
            return LibTorch.residentBytes() >> 20;
        }
        return LibTorch.residentBytes() >> 20;
    }
}
