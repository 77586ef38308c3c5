package dev.manners.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.config.Options;
import dev.manners.data.PreferenceRow.Ranking;
import dev.manners.model.Decoder;
import dev.manners.model.ScalarModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Where a step's time goes, as Flight Recorder has it after two steps of each trainer.
class PhaseTest {

    @TempDir
    Path folder;

    private static <T extends Record> T config(Class<T> type, Map<String, ?> more) {
        Map<String, Object> options = new HashMap<>(
                Map.of("per_device_train_batch_size", 4, "max_steps", 2, "bf16", false, "logging_steps", 1));
        options.putAll(more);
        return Options.with(type, options);
    }

    /// The phases of a run in the order they began, none before the one ahead of it has ended.
    private List<String> phases(Runnable run) throws IOException {
        Path file = Files.createTempFile(folder, "run", ".jfr");
        try (Recording recording = new Recording()) {
            recording.enable("manners.Phase").withThreshold(Duration.ZERO);
            recording.start();
            run.run();
            recording.stop();
            recording.dump(file);
        }
        List<RecordedEvent> events = RecordingFile.readAllEvents(file).stream()
                .filter(event -> event.getEventType().getName().equals("manners.Phase"))
                .filter(event -> event.getThread().getJavaThreadId()
                        == Thread.currentThread().threadId())
                .sorted(Comparator.comparing(RecordedEvent::getStartTime))
                .toList();
        for (int i = 1; i < events.size(); i++) {
            assertThat(events.get(i).getStartTime())
                    .isAfterOrEqualTo(events.get(i - 1).getEndTime());
        }
        return events.stream()
                .map(event -> event.getString("phase") + " " + event.getLong("step"))
                .toList();
    }

    @Test
    void fineTuningIsForwardAndBackwardAndUpdates() throws IOException {
        try (Decoder policy = SftTrainerTest.tiny()) {
            SftTrainer trainer = new SftTrainer(
                    policy,
                    config(SftConfig.class, Map.of("max_length", 0)),
                    SftTrainerTest.rows(8, 1),
                    null,
                    new SftTrainerTest.Told(),
                    null,
                    Map.of(),
                    () -> false,
                    step -> {});
            assertThat(phases(trainer::train))
                    .containsExactly("forward_backward 0", "update 0", "forward_backward 1", "update 1");
        }
    }

    @Test
    void rewardModellingIsForwardAndBackwardAndUpdates() throws IOException {
        List<Ranking> rows = DpoRuns.pairs(8, 1).stream()
                .map(p -> new Ranking(p.prompt(), List.of(p.chosen(), p.rejected()), new int[] {1, 2}, null, "a row"))
                .toList();
        try (Decoder decoder = SftTrainerTest.tiny();
                ScalarModel model = ScalarModel.of(decoder, 1)) {
            RewardTrainer trainer = new RewardTrainer(
                    model,
                    config(RewardConfig.class, Map.of()),
                    rows,
                    List.of(),
                    new SftTrainerTest.Told(),
                    null,
                    Map.of(),
                    () -> false);
            assertThat(phases(trainer::train))
                    .containsExactly("forward_backward 0", "update 0", "forward_backward 1", "update 1");
        }
    }

    private static DpoTrainer dpo(
            Decoder policy, Decoder reference, DpoTrainer.@Nullable RefLogProbs known, DpoConfig config) {
        return DpoTrainer.dpo(
                policy,
                reference,
                config,
                DpoRuns.pairs(8, 1),
                List.of(),
                known,
                new SftTrainerTest.Told(),
                null,
                Map.of(),
                () -> false,
                step -> {});
    }

    @Test
    void pairsAskTheReferenceFirstUnlessItWasAskedBefore() throws IOException {
        DpoConfig config = config(DpoConfig.class, Map.of());
        try (Decoder policy = SftTrainerTest.tiny();
                Decoder reference = SftTrainerTest.tiny()) {
            DpoTrainer trainer = dpo(policy, reference, null, config);
            assertThat(phases(trainer::train))
                    .containsExactly(
                            "reference 0",
                            "forward_backward 0",
                            "update 0",
                            "reference 1",
                            "forward_backward 1",
                            "update 1");
            List<Pair> pairs = DpoRuns.pairs(8, 1);
            assertThat(phases(() -> DpoTrainer.precompute(policy, reference, config, pairs, () -> false)))
                    .isNotEmpty()
                    .containsOnly("reference 0");
            DpoTrainer knowing =
                    dpo(policy, reference, new DpoTrainer.RefLogProbs(new float[16], new float[0]), config);
            assertThat(phases(knowing::train))
                    .containsExactly("forward_backward 0", "update 0", "forward_backward 1", "update 1");
        }
    }

    @Test
    void labelsAskForTheKlAndTheReferenceFirst() throws IOException {
        List<Judged> rows = IntStream.range(0, 8)
                .mapToObj(i -> new Judged(new int[] {5, 6, 7 + i}, new int[] {8, 9 + i}, i % 2 == 0))
                .toList();
        try (Decoder policy = SftTrainerTest.tiny();
                Decoder reference = SftTrainerTest.tiny()) {
            KtoTrainer trainer = new KtoTrainer(
                    policy,
                    reference,
                    config(KtoConfig.class, Map.of()),
                    rows,
                    List.of(),
                    new SftTrainerTest.Told(),
                    null,
                    Map.of(),
                    () -> false,
                    step -> {});
            assertThat(phases(trainer::train))
                    .containsExactly(
                            "kl 0",
                            "reference 0",
                            "forward_backward 0",
                            "update 0",
                            "kl 1",
                            "reference 1",
                            "forward_backward 1",
                            "update 1");
        }
    }
}
