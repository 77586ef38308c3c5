package dev.manners.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.manners.NonFinite;
import dev.manners.model.Decoder;
import dev.manners.model.Parameter;
import dev.manners.tensor.DType;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import dev.manners.testing.NativeMemory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// DPO with what goes wrong.
class DpoFaultsTest {

    @TempDir
    Path folder;

    /// In the policy, and in the reference, whose NaN reaches the loss only.
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void tr09_aNanStopsBeforeTheUpdate(boolean inPolicy) {
        try (Decoder policy = DpoRuns.tiny();
                Decoder reference = DpoRuns.other();
                Scope scope = Scope.open()) {
            Decoder broken = inPolicy ? policy : reference;
            Parameter norm = broken.parameter("model.norm.weight");
            norm.value().detach().narrow(0, 3, 1).copy_(Tensor.full(Double.NaN, DType.F32, 1));
            broken.refresh();
            Map<String, float[]> before = DpoRuns.values(policy);
            SftTrainerTest.Told told = new SftTrainerTest.Told();
            DpoTrainer trainer = DpoRuns.trainer(
                    policy,
                    reference,
                    DpoRuns.dpo(Map.of("max_steps", 3)),
                    DpoRuns.pairs(8, DpoRuns.SEED),
                    told,
                    folder,
                    () -> false);
            assertThatThrownBy(trainer::train)
                    .isInstanceOf(NonFinite.class)
                    .hasMessageContaining("loss")
                    .hasMessageContaining("update 1 of 3");
            assertThat(told.events).contains("non_finite");
            DpoRuns.values(policy)
                    .forEach((name, after) -> assertThat(Arrays.equals(after, before.get(name)))
                            .as(name)
                            .isTrue());
            assertThat(folder.resolve("checkpoint-1")).doesNotExist();
        }
    }

    @Test
    void tr08_nativeMemoryStaysFlatOverHundredsOfSteps() {
        assumeThat(NativeMemory.inUse()).as("glibc's mallinfo2").isPresent();
        assertThat(medianGrowth(() -> {})).as("bytes kept by an update, median").isLessThan(64);
        // The measure would see one scalar leaked by every update.
        assertThat(NativeMemory.withALeak(leak -> medianGrowth(leak)))
                .as("bytes kept by a leaking update")
                .isGreaterThan(64);
    }

    private static long medianGrowth(Runnable everyUpdate) {
        List<Long> inUse = new ArrayList<>();
        try (Decoder policy = DpoRuns.tiny();
                Decoder reference = DpoRuns.other()) {
            DpoRuns.trainer(
                            policy,
                            reference,
                            DpoRuns.dpo(Map.of(
                                    "max_steps",
                                    600,
                                    "learning_rate",
                                    1e-4,
                                    "sync_ref_model",
                                    true,
                                    "ref_model_sync_steps",
                                    3)),
                            DpoRuns.pairs(8, DpoRuns.SEED),
                            Tracker.none(),
                            null,
                            () -> {
                                everyUpdate.run();
                                inUse.add(NativeMemory.inUse().orElseThrow());
                                return false;
                            })
                    .train();
        }
        return NativeMemory.medianGrowth(inUse, 300, 590);
    }
}
