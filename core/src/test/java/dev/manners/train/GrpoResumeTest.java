package dev.manners.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.manners.BadInput;
import dev.manners.config.Options;
import dev.manners.files.Sha256;
import dev.manners.run.LoadedModel;
import dev.manners.tensor.DType;
import dev.manners.testing.TinyModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// GRPO and its relatives, stopped and resumed: they end in the bytes of a run that was not.
class GrpoResumeTest {

    @TempDir
    Path folder;

    private GrpoRuns grpo;

    @BeforeEach
    void twelvePrompts() throws IOException {
        grpo = new GrpoRuns(folder);
    }

    // ---- stopping and going on

    /// Within a rollout of 2 × 2 updates, and between two.
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5, 6})
    void tr12_interruptedAmidARolloutAndResumedIsByteIdentical(int stopAfter) throws IOException {
        interruptedAndResumed(
                GrpoRuns.grpo(GrpoRuns.small(
                        7,
                        "per_device_train_batch_size",
                        4,
                        "steps_per_generation",
                        2,
                        "num_iterations",
                        2,
                        "beta",
                        0.05,
                        "logging_steps",
                        2)),
                stopAfter,
                true);
    }

    /// The stop is heard an update later: amid the rollout of four.
    @Test
    void tr12_soAreTokensWithWeights() throws IOException {
        interruptedAndResumed(
                GrpoRuns.grpo(GrpoRuns.small(
                        5,
                        "per_device_train_batch_size",
                        4,
                        "steps_per_generation",
                        2,
                        "num_iterations",
                        2,
                        "top_entropy_quantile",
                        0.5,
                        "sampler_importance_sampling_correction",
                        true)),
                2,
                false);
    }

    @ParameterizedTest
    @ValueSource(strings = {"rloo", "reinforce", "raft"})
    void tr12_soAreTheOthers(String algorithm) throws IOException {
        Map<String, Object> options = GrpoRuns.small(5, "per_device_train_batch_size", 4, "steps_per_generation", 2);
        interruptedAndResumed(
                switch (algorithm) {
                    case "rloo" -> Options.with(RlooConfig.class, options);
                    case "reinforce" -> Options.with(ReinforceConfig.class, options);
                    default -> Options.with(RaftConfig.class, options);
                },
                3,
                !algorithm.equals("raft"));
    }

    @Test
    void tr12_soIsBf16() throws IOException {
        interruptedAndResumed(
                GrpoRuns.grpo(GrpoRuns.small(
                        5, "per_device_train_batch_size", 4, "steps_per_generation", 2, "bf16", true, "beta", 0.05)),
                3,
                true);
    }

    private void interruptedAndResumed(PolicyGradient config, int stopAfter, boolean hasReference) throws IOException {
        Path straight = folder.resolve("straight");
        Path broken = folder.resolve("broken");
        GrpoRuns.Told all = new GrpoRuns.Told();
        resumable(config, all, straight, hasReference, () -> false);
        GrpoRuns.Told told = new GrpoRuns.Told();
        // Asked to stop while the completions of an update are sampled, or after it where none are.
        Outcome outcome = resumable(
                config,
                told,
                broken,
                hasReference,
                () -> told.events.stream()
                                .filter(e -> "saved".equals(e.get("event")))
                                .count()
                        >= stopAfter);
        assertThat(outcome.interrupted()).isTrue();
        resumable(config, told, broken, hasReference, () -> false);
        assertThat(told.metrics).isEqualTo(all.metrics);
        String last = "checkpoint-" + config.training().maxSteps();
        assertThat(hashes(broken.resolve(last))).isEqualTo(hashes(straight.resolve(last)));
    }

    private Outcome resumable(
            PolicyGradient config, Tracker tracker, Path checkpoints, boolean hasReference, BooleanSupplier stop) {
        DType dtype = Boolean.TRUE.equals(config.training().bf16()) ? DType.BF16 : DType.F32;
        try (LoadedModel model = TinyModel.make(GrpoRuns.SEED, dtype);
                LoadedModel reference = TinyModel.make(GrpoRuns.SEED, dtype)) {
            return grpo.trainer(
                            model,
                            hasReference ? reference.decoder() : null,
                            config,
                            GrpoRuns.liked(),
                            tracker,
                            checkpoints,
                            stop)
                    .train();
        }
    }

    private static Map<String, String> hashes(Path directory) throws IOException {
        Map<String, String> hashes = new TreeMap<>();
        try (Stream<Path> files = Files.list(directory)) {
            files.forEach(f -> hashes.put(f.getFileName().toString(), Sha256.of(f)));
        }
        return hashes;
    }

    @Test
    void tr06_tr12_stoppedWhileSamplingNothingHasHappened() throws IOException {
        Path broken = folder.resolve("broken");
        Path straight = folder.resolve("straight");
        GrpoRuns.Told all = new GrpoRuns.Told();
        resumable(GrpoRuns.grpo(GrpoRuns.small(3)), all, straight, false, () -> false);
        GrpoRuns.Told told = new GrpoRuns.Told();
        for (int after : new int[] {2, 7, 16, 25}) {
            int[] asked = {0};
            Outcome outcome =
                    resumable(GrpoRuns.grpo(GrpoRuns.small(3)), told, broken, false, () -> ++asked[0] > after);
            assertThat(outcome.interrupted()).isTrue();
        }
        resumable(GrpoRuns.grpo(GrpoRuns.small(3)), told, broken, false, () -> false);
        assertThat(hashes(broken.resolve("checkpoint-3"))).isEqualTo(hashes(straight.resolve("checkpoint-3")));
        assertThat(told.metrics).isEqualTo(all.metrics);
    }

    @Test
    void tr11_otherInputsAreRefused() {
        Path runs = folder.resolve("runs");
        resumable(GrpoRuns.grpo(GrpoRuns.small(2)), new GrpoRuns.Told(), runs, false, () -> false);
        try (LoadedModel model = TinyModel.make(GrpoRuns.SEED)) {
            GrpoConfig config = GrpoRuns.grpo(GrpoRuns.small(4));
            assertThatThrownBy(() -> new GrpoTrainer(
                                    model.decoder(),
                                    null,
                                    config,
                                    grpo.rollouts(model, config, GrpoRuns.liked(), () -> false),
                                    step -> Map.of(),
                                    new GrpoRuns.Told(),
                                    runs,
                                    Map.of("data", "another"),
                                    () -> false)
                            .train())
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("data was toy, is another");
        }
    }

    // ---- what else is restored

    /// The factor rises while entropy is at or below its target. The first update knows of no entropy yet and
    /// has no bonus; from the second on there is one, and the model is another than without.
    @Test
    void theEntropyBonusMovesWithTheEntropyAndIsRestored() throws IOException {
        Map<String, Object> adaptive =
                GrpoRuns.small(4, "use_adaptive_entropy", true, "entropy_coef_delta", 0.5, "entropy_target", 100);
        List<List<Double>> norms = new ArrayList<>();
        for (Map<String, Object> options : List.of(adaptive, GrpoRuns.small(4))) {
            try (LoadedModel model = TinyModel.make(GrpoRuns.SEED)) {
                GrpoRuns.Told told = grpo.run(model, GrpoRuns.grpo(options), GrpoRuns.liked());
                norms.add(told.metrics.stream()
                        .map(m -> Objects.requireNonNull(m.get("grad_norm")))
                        .toList());
                if (options.equals(adaptive)) {
                    assertThat(told.metrics)
                            .extracting(m -> m.get("entropy_coef"))
                            .containsExactly(0.5, 1.0, 1.0, 1.0);
                }
            }
        }
        assertThat(norms.get(0).getFirst()).isEqualTo(norms.get(1).getFirst());
        assertThat(norms.get(0).get(1)).isNotEqualTo(norms.get(1).get(1));
        try (LoadedModel model = TinyModel.make(GrpoRuns.SEED)) {
            Map<String, Object> above = GrpoRuns.small(
                    2,
                    "use_adaptive_entropy",
                    true,
                    "entropy_coef",
                    1,
                    "entropy_target",
                    0,
                    "top_entropy_quantile",
                    0.5);
            GrpoRuns.Told told = grpo.run(model, GrpoRuns.grpo(above), GrpoRuns.liked());
            assertThat(told.last("entropy_coef")).isCloseTo(0.99, within(1e-9));
            assertThat(told.last("entropy/in_loss")).isGreaterThan(told.last("entropy"));
        }
        interruptedAndResumed(GrpoRuns.grpo(adaptive), 2, false);
        assertThatThrownBy(() -> GrpoRuns.grpo(GrpoRuns.small(1, "use_adaptive_entropy", true, "entropy_coef", 2)))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("entropy_coef is 2.0");
    }

    @Test
    void aReferenceThatFollowsComesNearerAndIsRestored() throws IOException {
        Map<String, Object> options = GrpoRuns.small(
                5, "beta", 0.05, "sync_ref_model", true, "ref_model_sync_steps", 2, "ref_model_mixup_alpha", 1);
        interruptedAndResumed(GrpoRuns.grpo(options), 3, true);
        try (LoadedModel model = TinyModel.make(GrpoRuns.SEED);
                LoadedModel reference = TinyModel.make(GrpoRuns.SEED)) {
            grpo.trainer(
                            model,
                            reference.decoder(),
                            GrpoRuns.grpo(GrpoRuns.small(
                                    4,
                                    "beta",
                                    0.05,
                                    "sync_ref_model",
                                    true,
                                    "ref_model_sync_steps",
                                    4,
                                    "ref_model_mixup_alpha",
                                    1)),
                            GrpoRuns.liked(),
                            new GrpoRuns.Told(),
                            null,
                            () -> false)
                    .train();
            assertThat(GrpoRuns.values(reference)).usingRecursiveComparison().isEqualTo(GrpoRuns.values(model));
        }
    }
}
