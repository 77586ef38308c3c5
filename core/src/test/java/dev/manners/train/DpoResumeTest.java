package dev.manners.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.manners.BadInput;
import dev.manners.model.Decoder;
import dev.manners.model.Lora;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// DPO stopped and resumed: it ends in the bytes of a run that was not.
class DpoResumeTest {

    @TempDir
    Path folder;

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5})
    void tr12_aReferenceThatFollowsIsResumedWithTheRun(int stopAfter) throws Exception {
        SftTrainerTest.Told all = new SftTrainerTest.Told();
        Map<String, float[]> wanted = followed(all, folder.resolve("straight"), () -> false);
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        int[] asked = {0};
        followed(told, folder.resolve("broken"), () -> ++asked[0] >= stopAfter);
        Map<String, float[]> found = followed(told, folder.resolve("broken"), () -> false);
        assertThat(told.metrics).isEqualTo(all.metrics);
        assertThat(found).usingRecursiveComparison().isEqualTo(wanted);
        assertThat(DpoRuns.hashes(folder.resolve("broken/checkpoint-6")))
                .isEqualTo(DpoRuns.hashes(folder.resolve("straight/checkpoint-6")))
                .containsKey("trainer.safetensors");
    }

    private static Map<String, float[]> followed(Tracker tracker, Path checkpoints, BooleanSupplier stop) {
        try (Decoder policy = DpoRuns.tiny();
                Decoder reference = DpoRuns.other()) {
            DpoRuns.trainer(
                            policy,
                            reference,
                            DpoRuns.following(6, 0.25),
                            DpoRuns.pairs(8, DpoRuns.SEED),
                            tracker,
                            checkpoints,
                            stop)
                    .train();
            return DpoRuns.values(reference);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7, 8})
    void tr12_interruptedAndResumedIsByteIdentical(int stopAfter) throws Exception {
        SftTrainerTest.Told all = new SftTrainerTest.Told();
        adapted(all, folder.resolve("straight"), () -> false);
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        int[] asked = {0};
        Outcome outcome = adapted(told, folder.resolve("broken"), () -> ++asked[0] >= stopAfter);
        assertThat(outcome.interrupted()).isTrue();
        assertThat(outcome.steps()).isEqualTo(stopAfter);
        adapted(told, folder.resolve("broken"), () -> false);
        assertThat(told.metrics).isEqualTo(all.metrics);
        assertThat(DpoRuns.hashes(folder.resolve("broken/checkpoint-9")))
                .isEqualTo(DpoRuns.hashes(folder.resolve("straight/checkpoint-9")));
    }

    /// Adapters, and two updates in a line of metrics, so that a stop falls between.
    private static Outcome adapted(Tracker tracker, Path checkpoints, BooleanSupplier stop) {
        try (Decoder policy = DpoRuns.tiny()) {
            policy.attach(new Lora(4, 8, 0.2, true, List.of("all-linear")), DpoRuns.SEED);
            DpoConfig config = DpoRuns.dpo(Map.of(
                    "learning_rate", 1e-2, "max_steps", 9, "gradient_accumulation_steps", 2, "logging_steps", 2));
            return DpoRuns.trainer(policy, null, config, DpoRuns.pairs(20, DpoRuns.SEED), tracker, checkpoints, stop)
                    .train();
        }
    }

    /// Three held-out batches before the first update, three after the last: stopped within either, and between.
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 7, 8, 9, 10})
    void tr12_stoppedWhileItEvaluatesAndResumed(int stopAtQuestion) throws Exception {
        SftTrainerTest.Told all = new SftTrainerTest.Told();
        evaluating(all, folder.resolve("straight"), () -> false);
        assertThat(all.metrics)
                .filteredOn(line -> line.containsKey("eval_rewards/accuracies"))
                .hasSize(2);
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        int[] asked = {0};
        assertThat(evaluating(told, folder.resolve("broken"), () -> ++asked[0] >= stopAtQuestion)
                        .interrupted())
                .isTrue();
        assertThat(evaluating(told, folder.resolve("broken"), () -> false).interrupted())
                .isFalse();
        assertThat(told.metrics).isEqualTo(all.metrics);
        assertThat(DpoRuns.hashes(folder.resolve("broken/checkpoint-4")))
                .isEqualTo(DpoRuns.hashes(folder.resolve("straight/checkpoint-4")));
    }

    private static Outcome evaluating(Tracker tracker, Path checkpoints, BooleanSupplier stop) {
        try (Decoder policy = DpoRuns.tiny();
                Decoder reference = DpoRuns.other()) {
            return DpoTrainer.dpo(
                            policy,
                            reference,
                            DpoRuns.dpo(Map.of("max_steps", 4, "learning_rate", 1e-2)),
                            DpoRuns.pairs(20, DpoRuns.SEED),
                            DpoRuns.pairs(20, DpoRuns.SEED + 1),
                            null,
                            tracker,
                            checkpoints,
                            Map.of(),
                            stop,
                            step -> {})
                    .train();
        }
    }

    @Test
    void tr11_resumingWithOtherInputsIsRefusedAndListed() {
        try (Decoder policy = DpoRuns.tiny();
                Decoder reference = DpoRuns.other()) {
            DpoRuns.trainer(
                            policy,
                            reference,
                            DpoRuns.dpo(Map.of("max_steps", 2)),
                            DpoRuns.pairs(8, DpoRuns.SEED),
                            Tracker.none(),
                            folder,
                            () -> false)
                    .train();
            DpoTrainer changed = DpoTrainer.dpo(
                    policy,
                    reference,
                    DpoRuns.dpo(Map.of("max_steps", 4)),
                    DpoRuns.pairs(8, DpoRuns.SEED),
                    List.of(),
                    null,
                    Tracker.none(),
                    folder,
                    Map.of("data", "d2", "ref_model", "r1"),
                    () -> false,
                    step -> {});
            assertThatThrownBy(changed::train)
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("data was d1, is d2")
                    .hasMessageContaining("ref_model was absent, is r1");
        }
    }
}
