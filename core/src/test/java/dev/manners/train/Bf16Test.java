package dev.manners.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.manners.config.Options;
import dev.manners.model.Decoder;
import dev.manners.model.Parameter;
import dev.manners.model.ScalarModel;
import dev.manners.tensor.DType;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// Working weights in bf16, master weights and the optimiser's in F32, for the trainers of preferences and PPO. GRPO's
/// is in [GrpoTrainerTest].
class Bf16Test {

    private static final long SEED = Long.getLong("tests.seed", 42);

    /// What is trained.
    enum Kind {
        REWARD,
        DPO,
        KTO,
        PPO
    }

    @TempDir
    Path folder;

    /// Losses of a run, its first gradient norm, and whether its weights are all such that bf16 could hold them.
    private record Ran(List<Double> losses, double gradNorm, boolean coarse) {}

    @ParameterizedTest
    @EnumSource(Kind.class)
    void learnsNearlyAsInF32(Kind kind) throws IOException {
        Ran fine = run(kind, DType.F32);
        Ran coarse = run(kind, DType.BF16);
        assertThat(coarse.gradNorm).as("another numerics").isNotEqualTo(fine.gradNorm);
        assertThat(coarse.coarse)
                .as("the master weights are those of bf16: updates were rounded away")
                .isFalse();
        if (kind != Kind.PPO) { // which samples other completions, and whose loss is no measure of what it learned
            assertThat(coarse.losses.getFirst())
                    .as("the same loss but for rounding")
                    .isCloseTo(fine.losses.getFirst(), within(0.02));
            assertThat(coarse.gradNorm)
                    .as("nearly the same gradient")
                    .isCloseTo(fine.gradNorm, within(0.05 * fine.gradNorm));
            for (Ran ran : List.of(fine, coarse)) {
                assertThat(ran.losses.getLast())
                        .as("the loss falls: " + ran.losses)
                        .isLessThan(0.8 * ran.losses.getFirst());
            }
        }
    }

    private Ran run(Kind kind, DType dtype) throws IOException {
        SftTrainerTest.Told told = new SftTrainerTest.Told();
        try (Decoder policy = Decoder.initialise(SftTrainerTest.tinyLlama(), SEED, dtype);
                Decoder reference = Decoder.initialise(SftTrainerTest.tinyLlama(), SEED + 7, dtype);
                ScalarModel scores = ScalarModel.of(policy, SEED)) {
            switch (kind) {
                case REWARD ->
                    new RewardTrainer(
                                    scores,
                                    options(RewardConfig.class, dtype),
                                    RewardTrainerTest.pairs(8, SEED, null),
                                    List.of(),
                                    told,
                                    null,
                                    Map.of(),
                                    () -> false)
                            .train();
                case DPO ->
                    DpoTrainer.dpo(
                                    policy,
                                    reference,
                                    options(DpoConfig.class, dtype),
                                    DpoRuns.pairs(8, SEED),
                                    List.of(),
                                    null,
                                    told,
                                    null,
                                    Map.of(),
                                    () -> false,
                                    step -> {})
                            .train();
                case KTO ->
                    new KtoTrainer(
                                    policy,
                                    reference,
                                    options(KtoConfig.class, dtype),
                                    KtoTrainerTest.rows(8, SEED),
                                    List.of(),
                                    told,
                                    null,
                                    Map.of(),
                                    () -> false,
                                    step -> {})
                            .train();
                case PPO -> {
                    PpoConfig config = PpoRuns.config(Map.of("max_steps", 3, "bf16", dtype == DType.BF16));
                    new PpoTrainer(
                                    policy,
                                    reference,
                                    scores,
                                    config,
                                    new PpoRuns(folder).rollouts(policy, config, PpoRuns.small(), () -> false),
                                    step -> Map.of(),
                                    told,
                                    null,
                                    Map.of(),
                                    () -> false)
                            .train();
                    told.metrics.forEach(m -> assertThat(Objects.requireNonNull(m.get("val/ratio_first")))
                            .isCloseTo(1, within(dtype == DType.BF16 ? 0.02 : 1e-5)));
                }
            }
            Map<String, Parameter> trained = kind == Kind.REWARD ? scores.trainableByName() : policy.trainableByName();
            boolean coarse = trained.values().stream()
                    .allMatch(p -> GrpoTrainerTest.inBf16(p.value().toFloats()));
            List<Double> losses = told.metrics.stream()
                    .map(m -> m.get("loss"))
                    .filter(Objects::nonNull)
                    .toList();
            double gradNorm = Objects.requireNonNull(told.metrics.getFirst().get("grad_norm"));
            return new Ran(losses, gradNorm, coarse);
        }
    }

    private static <T extends Record> T options(Class<T> type, DType dtype) {
        return Options.with(
                type,
                Map.of(
                        "learning_rate",
                        3e-3,
                        "per_device_train_batch_size",
                        8,
                        "max_steps",
                        12,
                        "bf16",
                        dtype == DType.BF16,
                        "logging_steps",
                        1,
                        "save_steps",
                        0,
                        "seed",
                        SEED));
    }
}
