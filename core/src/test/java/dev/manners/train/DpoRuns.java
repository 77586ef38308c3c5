package dev.manners.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.config.Options;
import dev.manners.files.Sha256;
import dev.manners.model.Decoder;
import dev.manners.tensor.DType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.BooleanSupplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// Pairs and small runs of DPO for its tests.
final class DpoRuns {

    static final long SEED = Long.getLong("tests.seed", 42);

    private DpoRuns() {}

    static Decoder tiny() {
        return SftTrainerTest.tiny();
    }

    /// A reference that is not the policy.
    static Decoder other() {
        return Decoder.initialise(SftTrainerTest.tinyLlama(), SEED + 7, DType.F32);
    }

    static int[] tokens(Random random, int length) {
        return random.ints(length, 3, 96).toArray();
    }

    static List<Pair> pairs(int count, long seed) {
        Random random = new Random(seed);
        return IntStream.range(0, count)
                .mapToObj(i -> new Pair(
                        tokens(random, 3 + random.nextInt(10)),
                        tokens(random, 1 + random.nextInt(9)),
                        tokens(random, 1 + random.nextInt(9))))
                .toList();
    }

    static <T extends Record> T config(Class<T> type, Map<String, ?> more) {
        Map<String, Object> options = new HashMap<>(Map.of(
                "learning_rate",
                1e-3,
                "per_device_train_batch_size",
                4,
                "weight_decay",
                0.01,
                "bf16",
                false,
                "logging_steps",
                1,
                "save_steps",
                3,
                "seed",
                SEED));
        options.putAll(more);
        return Options.with(type, options);
    }

    static DpoConfig dpo(Map<String, ?> more) {
        return config(DpoConfig.class, more);
    }

    static DpoTrainer trainer(
            Decoder policy,
            @Nullable Decoder reference,
            DpoConfig config,
            List<Pair> pairs,
            Tracker tracker,
            @Nullable Path checkpoints,
            BooleanSupplier stop) {
        return DpoTrainer.dpo(
                policy,
                reference,
                config,
                pairs,
                List.of(),
                null,
                tracker,
                checkpoints,
                Map.of("data", "d1"),
                stop,
                step -> {});
    }

    static List<Map<String, Double>> told(DpoConfig config, List<Pair> pairs) {
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        try (Decoder policy = tiny();
                Decoder reference = other()) {
            trainer(policy, reference, config, pairs, told, null, () -> false).train();
        }
        return told.metrics;
    }

    static Map<String, float[]> values(Decoder model) {
        return SftTrainerTest.values(model);
    }

    static Map<String, String> hashes(Path directory) throws Exception {
        Map<String, String> hashes = new LinkedHashMap<>();
        try (Stream<Path> files = Files.list(directory)) {
            files.sorted().forEach(f -> hashes.put(f.getFileName().toString(), Sha256.of(f)));
        }
        assertThat(hashes).isNotEmpty();
        return hashes;
    }

    static DpoConfig following(int steps, double alpha) {
        return dpo(Map.of(
                "max_steps",
                steps,
                "learning_rate",
                1e-2,
                "sync_ref_model",
                true,
                "ref_model_sync_steps",
                2,
                "ref_model_mixup_alpha",
                alpha));
    }
}
