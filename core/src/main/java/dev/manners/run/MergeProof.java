package dev.manners.run;

import dev.manners.BadInput;
import dev.manners.model.Decoder;
import dev.manners.model.DecoderConfig;
import dev.manners.model.Dropout;
import dev.manners.model.ScalarModel;
import dev.manners.model.Sequences;
import dev.manners.tensor.DType;
import dev.manners.tensor.NoGrad;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import dev.manners.text.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/// How far a model that was written is from the one it was written from: probe texts through both, and the largest
/// difference of a number.
///
/// @param what the numbers are: `logits` or `scores`
/// @param probes texts
/// @param difference the largest, as a share of the largest number; for scores at least of 1, as a model may well score
/// everything near 0
/// @param tolerance the largest difference allowed, by the dtype that is stored
public record MergeProof(String what, int probes, double difference, double tolerance) {

    private static final Map<DType, Double> TOLERANCE = Map.of(DType.F32, 1e-4, DType.BF16, 3e-2, DType.F16, 5e-3);

    private static final List<String> TEXTS = List.of(
            "Once upon a time",
            "The capital of France is",
            "1, 2, 3, 4,",
            "def add(a, b):",
            "I think that you are right",
            "### Instruction:\nSay hello.\n\n### Response:\n");

    /// The probe texts as tokens, as far as the model reads.
    ///
    /// @param more further texts
    public static List<int[]> probes(Tokenizer tokenizer, List<String> more, DecoderConfig config) {
        return Stream.concat(TEXTS.stream(), more.stream())
                .map(tokenizer::encodeContentWithSpecial)
                .filter(ids -> ids.length > 0)
                .map(ids -> Arrays.copyOf(ids, Math.min(ids.length, config.maxPositions())))
                .toList();
    }

    /// Every token's logits, for each probe.
    public static List<float[]> logits(Decoder model, List<int[]> probes) {
        return numbers(probes, (ids, attend) -> model.logits(model.hidden(ids, attend, Dropout.NONE)));
    }

    /// Every token's score, for each probe.
    public static List<float[]> scores(ScalarModel model, List<int[]> probes) {
        return numbers(probes, (ids, attend) -> model.values(ids, attend, Dropout.NONE));
    }

    private interface Forward {
        Tensor of(Tensor ids, Sequences attend);
    }

    private static List<float[]> numbers(List<int[]> probes, Forward forward) {
        List<float[]> numbers = new ArrayList<>();
        for (int[] ids : probes) {
            try (Scope scope = Scope.open();
                    NoGrad off = NoGrad.on()) {
                numbers.add(
                        forward.of(Tensor.of(ids), new Sequences(ids.length)).toFloats());
            }
        }
        return numbers;
    }

    /// @param stored dtype of the weights that were written
    public static MergeProof ofLogits(List<float[]> before, List<float[]> after, DType stored) {
        return of("logits", before, after, 0, stored);
    }

    /// As for [#ofLogits].
    public static MergeProof ofScores(List<float[]> before, List<float[]> after, DType stored) {
        return of("scores", before, after, 1, stored);
    }

    /// @param unit what the difference is at least a share of
    private static MergeProof of(String what, List<float[]> before, List<float[]> after, double unit, DType stored) {
        double largest = unit;
        double off = 0;
        for (int p = 0; p < before.size(); p++) {
            for (int i = 0; i < before.get(p).length; i++) {
                largest = Math.max(largest, Math.abs(before.get(p)[i]));
                off = Math.max(off, Math.abs(before.get(p)[i] - after.get(p)[i]));
            }
        }
        return new MergeProof(what, before.size(), off / largest, TOLERANCE.getOrDefault(stored, 0.0));
    }

    /// @param target what was to be written
    /// @throws BadInput if the difference is above the tolerance, or no number
    public MergeProof require(Path target) {
        if (!(difference <= tolerance)) {
            throw new BadInput(target + " was not written: its " + what + " would differ by " + difference + " of the "
                    + unit() + " from those before the merge; the tolerance for weights stored so is " + tolerance);
        }
        return this;
    }

    private String unit() {
        return what.equals("scores") ? "largest (or of 1, if all are below)" : "largest";
    }

    /// For a manifest and a model card.
    public Map<String, Object> toMap() {
        Map<String, Object> proof = new LinkedHashMap<>();
        proof.put("probes", probes);
        proof.put("largest_relative_difference", difference);
        proof.put("tolerance", tolerance);
        return proof;
    }

    @Override
    public String toString() {
        return "over " + probes + " probe prompts the " + what + " differ by at most " + difference + " of the "
                + unit() + " (tolerance " + tolerance + ")";
    }
}
