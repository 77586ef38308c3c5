package dev.manners.rollout;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.TreeSet;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// The processors against a reference in double precision, written out one by one, over logits that are known.
class ChooserTest {

    private static final double[] LOGITS = {2.0, -1.0, 0.5, 3.0, -2.5, 1.0, 0.0, 2.5, -0.5, 1.5};

    private static double[] softmax(double[] scores) {
        double most = Arrays.stream(scores).max().orElseThrow();
        double[] p = Arrays.stream(scores).map(s -> Math.exp(s - most)).toArray();
        double sum = Arrays.stream(p).sum();
        return Arrays.stream(p).map(x -> x / sum).toArray();
    }

    /// transformers' order: repetition penalty, temperature, top-k, top-p, min-p.
    private static double[] penalised(Sampling s, int... seen) {
        double[] scores = LOGITS.clone();
        for (int id : new TreeSet<>(Arrays.stream(seen).boxed().toList())) {
            scores[id] = scores[id] > 0 ? scores[id] / s.repetitionPenalty() : scores[id] * s.repetitionPenalty();
        }
        return Arrays.stream(scores).map(x -> x / s.temperature()).toArray();
    }

    private static double[] reference(Sampling s, int... seen) {
        double[] scores = penalised(s, seen);
        Integer[] order = IntStream.range(0, scores.length)
                .boxed()
                .sorted(Comparator.comparingDouble(i -> -scores[i]))
                .toArray(Integer[]::new);
        for (int r = 0; r < order.length; r++) {
            if (s.topK() > 0 && r >= s.topK()) {
                scores[order[r]] = Double.NEGATIVE_INFINITY;
            }
        }
        double[] p = softmax(scores);
        double before = 0;
        for (int i : order) {
            // Kept as long as those before it do not reach p; the first always.
            if (before >= s.topP()) {
                scores[i] = Double.NEGATIVE_INFINITY;
            }
            before += p[i];
        }
        p = softmax(scores);
        double floor = s.minP() * Arrays.stream(p).max().orElseThrow();
        double kept = 0;
        for (int i = 0; i < p.length; i++) {
            p[i] = p[i] < floor ? 0 : p[i];
            kept += p[i];
        }
        double total = kept;
        return Arrays.stream(p).map(x -> x / total).toArray();
    }

    private static Sampling sampling(double temperature, int topK, double topP, double minP, double penalty) {
        return new Sampling(1, true, temperature, topK, topP, minP, penalty, List.of(), 0);
    }

    private static double[] draws(int rows) {
        return IntStream.range(0, rows)
                .mapToDouble(r -> Draw.uniform(42, r, r % 3, r % 7))
                .toArray();
    }

    @ParameterizedTest
    @CsvSource({
        "1.0, 0, 1.0, 0.0, 1.0",
        "0.5, 0, 1.0, 0.0, 1.0",
        "2.0, 0, 1.0, 0.0, 1.0",
        "1.0, 3, 1.0, 0.0, 1.0",
        "1.0, 1, 1.0, 0.0, 1.0",
        "1.0, 50, 1.0, 0.0, 1.0",
        "1.0, 0, 0.7, 0.0, 1.0",
        "1.0, 0, 0.01, 0.0, 1.0",
        "1.0, 0, 1.0, 0.2, 1.0",
        "1.0, 0, 1.0, 1.0, 1.0",
        "1.0, 0, 1.0, 0.0, 1.8",
        "1.0, 0, 1.0, 0.0, 0.6",
        "0.8, 6, 0.85, 0.1, 1.3",
        "1.5, 8, 0.95, 0.05, 0.8"
    })
    void drawsAsTheReference(double temperature, int topK, double topP, double minP, double penalty) {
        Sampling sampling = sampling(temperature, topK, topP, minP, penalty);
        int[] seen = {3, 4, 3, 7};
        double[] p = reference(sampling, seen);
        double[] full = softmax(penalised(sampling, seen));
        int rows = 4000;
        double[] draws = draws(rows);
        int[][] history = new int[rows][];
        float[] logits = new float[rows * LOGITS.length];
        for (int r = 0; r < rows; r++) {
            history[r] = seen;
            for (int v = 0; v < LOGITS.length; v++) {
                logits[r * LOGITS.length + v] = (float) LOGITS[v];
            }
        }
        int[] count = new int[LOGITS.length];
        try (Scope scope = Scope.open()) {
            Chooser.Choice choice =
                    new Chooser(sampling).choose(Tensor.of(logits, rows, LOGITS.length), history, draws);
            for (int r = 0; r < rows; r++) {
                int id = (int) choice.ids()[r];
                double below = IntStream.range(0, id).mapToDouble(v -> p[v]).sum();
                // Its interval of the cumulative distribution holds the row's number, to the rounding of F32.
                assertThat(p[id]).as("token %d", id).isPositive();
                assertThat(draws[r]).isBetween(below - 1e-6, below + p[id] + 1e-6);
                // Under softmax(logits / temperature), before the support was cut.
                assertThat(Math.abs(choice.logps()[r] - Math.log(full[id]))).isLessThan(1e-5);
                count[id]++;
            }
        }
        for (int v = 0; v < p.length; v++) {
            double deviation = Math.sqrt(rows * p[v] * (1 - p[v]));
            assertThat((double) count[v])
                    .as("token %d", v)
                    .isBetween(rows * p[v] - 5 * deviation, rows * p[v] + 5 * deviation);
        }
    }

    /// Known by hand: probabilities 0.5, 0.25, 0.15, 0.1.
    @ParameterizedTest
    @CsvSource({
        "0, 0.4, 0, 1",
        "0, 0.6, 0, 2",
        "0, 0.7, 0, 2",
        "0, 0.8, 0, 3",
        "0, 0.95, 0, 4",
        "0, 1.0, 0.51, 1",
        "0, 1.0, 0.49, 2",
        "0, 1.0, 0.31, 2",
        "0, 1.0, 0.29, 3",
        "2, 1.0, 0, 2",
        "3, 0.8, 0, 2",
        "4, 0.8, 0, 3"
    })
    void keepsThisMany(int topK, double topP, double minP, int kept) {
        double[] p = {0.15, 0.5, 0.1, 0.25};
        int[] byProbability = {1, 3, 0, 2};
        int rows = 2000;
        float[] logits = new float[rows * 4];
        for (int i = 0; i < logits.length; i++) {
            logits[i] = (float) Math.log(p[i % 4]);
        }
        try (Scope scope = Scope.open()) {
            Chooser.Choice choice =
                    new Chooser(sampling(1, topK, topP, minP, 1)).choose(Tensor.of(logits, rows, 4), null, draws(rows));
            assertThat(Arrays.stream(choice.ids()).distinct().sorted().toArray())
                    .isEqualTo(Arrays.stream(byProbability, 0, kept)
                            .asLongStream()
                            .sorted()
                            .toArray());
        }
    }

    /// Greedy takes the first of the largest after the penalty, whatever the other options say.
    @Test
    void greedyHeedsThePenaltyOnly() {
        Sampling greedy = new Sampling(1, false, 0.3, 2, 0.5, 0.5, 1.5, List.of(), 0);
        float[] logits = new float[LOGITS.length];
        for (int v = 0; v < logits.length; v++) {
            logits[v] = (float) LOGITS[v];
        }
        try (Scope scope = Scope.open()) {
            Tensor one = Tensor.of(logits, 1, logits.length);
            Chooser chooser = new Chooser(greedy);
            assertThat(chooser.choose(one, new int[][] {{0}}, new double[1]).ids())
                    .containsExactly(3);
            assertThat(chooser.choose(one, new int[][] {{3, 3}}, new double[1]).ids())
                    .containsExactly(7);
            // The caller's logits are as they were.
            assertThat(one.toFloats()).isEqualTo(logits);
        }
    }

    /// Tokens without probability are not drawn by the smallest number, nor by the largest.
    @Test
    void drawsAtTheEdgesOfTheDistribution() {
        int rows = 20_000;
        int vocabulary = 5;
        float[] logits = new float[rows * vocabulary];
        for (int r = 0; r < rows; r++) {
            logits[r * vocabulary] = -200;
            logits[r * vocabulary + 2] = -200;
            logits[r * vocabulary + 4] = -200;
        }
        try (Scope scope = Scope.open()) {
            Chooser.Choice choice =
                    new Chooser(sampling(1, 0, 1, 0, 1)).choose(Tensor.of(logits, rows, vocabulary), null, draws(rows));
            assertThat(Arrays.stream(choice.ids()).distinct().sorted().toArray())
                    .containsExactly(1, 3);
        }
    }
}
