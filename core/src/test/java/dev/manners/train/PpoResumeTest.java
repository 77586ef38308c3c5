package dev.manners.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.manners.BadInput;
import dev.manners.files.Sha256;
import dev.manners.model.Decoder;
import dev.manners.model.ScalarModel;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// PPO, stopped and resumed: it ends in the bytes of a run that was not.
class PpoResumeTest {

    @TempDir
    Path folder;

    private PpoRuns ppo;

    @BeforeEach
    void prompts() throws IOException {
        ppo = new PpoRuns(folder);
    }

    @Test
    void tr12_stoppedAtEveryStepAndResumedItEndsInTheSameBytes() throws IOException {
        PpoConfig config =
                PpoRuns.config(Map.of("max_steps", 3, "num_mini_batches", 2, "adap_kl_ctrl", true, "logging_steps", 2));
        SftTrainerTest.Told whole = new SftTrainerTest.Told();
        ppo.run(config, whole, folder.resolve("whole"));
        SftTrainerTest.Told parts = new SftTrainerTest.Told();
        for (int i = 0; i < 4; i++) {
            // Asked to stop after each step, and at the first question of a rollout.
            int[] asked = {0};
            ppo.run(config, parts, folder.resolve("parts"), () -> asked[0]++ > 0);
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
        ppo.run(PpoRuns.config(Map.of("max_steps", 1)), Tracker.none(), folder.resolve("run"));
        try (Decoder policy = SftTrainerTest.tiny();
                Decoder reference = PpoRuns.other();
                ScalarModel value = PpoRuns.value(policy)) {
            PpoConfig config = PpoRuns.config(Map.of("max_steps", 2));
            PpoTrainer trainer = new PpoTrainer(
                    policy,
                    reference,
                    value,
                    config,
                    ppo.rollouts(policy, config, PpoRuns.small(), () -> false),
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
}
