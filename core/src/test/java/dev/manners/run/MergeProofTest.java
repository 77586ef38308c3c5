package dev.manners.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.manners.BadInput;
import dev.manners.tensor.DType;
import dev.manners.testing.TinyModel;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

/// What lets a merged model pass.
class MergeProofTest {

    private static List<float[]> numbers(float... numbers) {
        return List.of(numbers, new float[] {0});
    }

    @Test
    void theLargestDifferenceIsAShareOfTheLargestNumber() {
        MergeProof proof = MergeProof.ofLogits(numbers(2, -40, 1), numbers(2, -40.002f, 1.001f), DType.F32);
        assertThat(proof.difference()).isCloseTo(5e-5, within(1e-6));
        assertThat(proof.require(Path.of("x"))).isEqualTo(proof);
        assertThat(proof.toMap()).containsKeys("probes", "largest_relative_difference", "tolerance");
    }

    @Test
    void mergesThatChangeTheModelAreRefused() {
        for (MergeProof proof : List.of(
                MergeProof.ofLogits(numbers(2, -40), numbers(2, -40.01f), DType.F32),
                MergeProof.ofScores(numbers(2, -4), numbers(2, -4.001f), DType.F32),
                MergeProof.ofScores(numbers(2, -4), numbers(2, -4.2f), DType.BF16),
                MergeProof.ofScores(numbers(2, -4), numbers(Float.NaN, -4), DType.BF16))) {
            assertThatThrownBy(() -> proof.require(Path.of("merged")))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("merged was not written: its " + proof.what() + " would differ by ");
        }
    }

    /// A value model of a policy that earns nothing expects nothing: rounding is not large beside that.
    @Test
    void scoresNearZeroAreComparedAsTheyAre() {
        MergeProof.ofScores(numbers(1e-3f, -2e-3f), numbers(1e-3f, -2.001e-3f), DType.F32)
                .require(Path.of("x"));
        assertThatThrownBy(() -> MergeProof.ofScores(numbers(1e-3f), numbers(2e-3f), DType.F32)
                        .require(Path.of("x")))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("or of 1, if all are below");
    }

    @Test
    void probesAreNoLongerThanTheModelReads() {
        try (LoadedModel model = TinyModel.make(7)) {
            List<int[]> probes = MergeProof.probes(
                    model.tokenizer(),
                    List.of("x ".repeat(500)),
                    model.decoder().config());
            assertThat(probes).hasSize(7);
            assertThat(probes.getLast()).hasSize(model.decoder().config().maxPositions());
            assertThat(MergeProof.logits(model.decoder(), probes)).hasSize(7);
        }
    }
}
