package dev.manners.loss;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.manners.loss.PolicyLoss.Batch;
import dev.manners.loss.PolicyLoss.Level;
import dev.manners.loss.PolicyLoss.Options;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.util.Arrays;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

class PolicyLossTest {

    private static final int[] LENGTHS = {3, 1, 4, 2};
    private static final float[] ADVANTAGES = {1.2f, -0.7f, -1.1f, 0.5f};
    private static final float[] LOGPS = Against.normal(1, 10, -1.5, 0.5);
    private static final float[] OLD = near(2, 0.3);
    private static final float[] REF = near(3, 0.5);
    private static final double EPSILON = 0.2;
    private static final double HIGH = 0.28;
    private static final double CISPO_MAX = 1.1;
    private static final int LONGEST = 6;
    private static final Window WINDOW = new Window(7, 23);

    private static float[] near(long seed, double deviation) {
        float[] off = Against.normal(seed, LOGPS.length, 0, deviation);
        for (int i = 0; i < off.length; i++) {
            off[i] += LOGPS[i];
        }
        return off;
    }

    private static Options options(PolicyLoss.Type type, Level level, double beta, boolean corrected) {
        return new Options(
                type,
                level,
                EPSILON,
                HIGH,
                null,
                CISPO_MAX,
                1,
                1.05,
                2,
                3,
                3,
                2,
                beta,
                KlEstimator.K3,
                corrected,
                0,
                LONGEST);
    }

    private static Batch batch(Segments segments, float[] old, float[] ref, float[] advantages) {
        return new Batch(segments, Tensor.of(old), Tensor.of(ref), Tensor.of(advantages), null);
    }

    private static Batch batch() {
        return batch(Segments.of(LENGTHS), OLD, REF, ADVANTAGES);
    }

    static Stream<Arguments> everyLoss() {
        return Stream.of(PolicyLoss.Type.values())
                .flatMap(type -> Stream.of(Level.values())
                        .flatMap(level -> Stream.of(
                                Arguments.of(type, level, 0.0, false),
                                Arguments.of(type, level, 0.3, false),
                                Arguments.of(type, level, 0.3, true))));
    }

    @ParameterizedTest
    @MethodSource("everyLoss")
    void lossAndGradientAreThoseOfTheFormula(PolicyLoss.Type type, Level level, double beta, boolean corrected) {
        Against.reference(
                LOGPS,
                logps -> PolicyLoss.of(logps, batch(), WINDOW, options(type, level, beta, corrected)),
                logps -> plain(logps, type, level, beta, corrected));
    }

    /// Token by token, in double precision. What has no gradient is taken at LOGPS.
    private static double plain(double[] logps, PolicyLoss.Type type, Level level, double beta, boolean corrected) {
        double[] fixed = Against.doubles(LOGPS);
        double loss = 0;
        int begin = 0;
        for (int s = 0; s < LENGTHS.length; s++) {
            int n = LENGTHS[s];
            double a = ADVANTAGES[s];
            double sequence = 0;
            for (int t = begin; t < begin + n; t++) {
                double ratio = ratio(logps, begin, n, t, level);
                double frozen = ratio(fixed, begin, n, t, level);
                double token = switch (type) {
                    case GRPO, BNPO, DR_GRPO, DAPO, LUSPO ->
                        -Math.min(ratio * a, Math.clamp(ratio, 1 - EPSILON, 1 + HIGH) * a);
                    case CISPO -> -Math.min(frozen, CISPO_MAX) * a * logps[t];
                    case SAPO -> {
                        double tau = a > 0 ? 1 : 1.05;
                        yield -4 / tau * Against.sigmoid(tau * (ratio - 1)) * a;
                    }
                    case VESPO -> {
                        double w = Math.exp(n * Math.log(ratio(fixed, begin, n, t, Level.SEQUENCE)));
                        double k = a >= 0 ? 2 : 3;
                        double lambda = a >= 0 ? 3 : 2;
                        double phi = Math.exp(lambda) * Math.pow(w, k) * Math.exp(-lambda * w);
                        yield -phi * a * logps[t];
                    }
                };
                double d = logps[t] - REF[t];
                double kl = Math.exp(-d) - 1 + d;
                token += beta * kl * (corrected ? ratio : 1);
                sequence += token
                        / switch (type) {
                            case GRPO, SAPO -> n * WINDOW.rows();
                            case LUSPO -> WINDOW.rows();
                            case DR_GRPO -> WINDOW.rows() * LONGEST;
                            case BNPO, DAPO, CISPO, VESPO -> WINDOW.tokens();
                        };
            }
            loss += sequence;
            begin += n;
        }
        return loss;
    }

    private static double ratio(double[] logps, int begin, int n, int t, Level level) {
        if (level == Level.TOKEN) {
            return Math.exp(logps[t] - OLD[t]);
        }
        double sum = 0;
        for (int i = begin; i < begin + n; i++) {
            sum += logps[i] - OLD[i];
        }
        return Math.exp(sum / n);
    }

    /// Loss, gradient and metrics of two parts add up to those of the whole.
    @ParameterizedTest
    @MethodSource("everyLoss")
    void howABatchIsSplitDoesNotMatter(PolicyLoss.Type type, Level level, double beta, boolean corrected) {
        Options o = options(type, level, beta, corrected);
        Against.Taken whole = Against.take(LOGPS, logps -> PolicyLoss.of(logps, batch(), WINDOW, o));
        Tally tally = new Tally();
        Against.Taken first = part(0, 1, 0, 3, o, tally);
        Against.Taken rest = part(1, 4, 3, 10, o, tally);
        assertThat(first.loss() + rest.loss()).isCloseTo(whole.loss(), within(1e-6));
        float[] gradient = Arrays.copyOf(first.gradient(), LOGPS.length);
        System.arraycopy(rest.gradient(), 0, gradient, 3, rest.gradient().length);
        assertThat(gradient).containsExactly(whole.gradient(), within(1e-7f));
        Map<String, Double> metrics = tally.values();
        assertThat(metrics.keySet()).isEqualTo(whole.metrics().keySet());
        metrics.forEach((name, value) ->
                assertThat(value).as(name).isCloseTo(whole.metrics().get(name), within(1e-6)));
    }

    private static Against.Taken part(int from, int to, int begin, int end, Options o, Tally tally) {
        return Against.take(Arrays.copyOfRange(LOGPS, begin, end), logps -> {
            Loss loss = PolicyLoss.of(
                    logps,
                    batch(
                            Segments.of(Arrays.copyOfRange(LENGTHS, from, to)),
                            Arrays.copyOfRange(OLD, begin, end),
                            Arrays.copyOfRange(REF, begin, end),
                            Arrays.copyOfRange(ADVANTAGES, from, to)),
                    WINDOW,
                    o);
            tally.add(loss.metrics());
            return loss;
        });
    }

    /// Masked tokens are not there: whatever their numbers, NaN too, and with no gradient.
    @ParameterizedTest
    @MethodSource("everyLoss")
    void maskedTokensDoNotMatter(PolicyLoss.Type type, Level level, double beta, boolean corrected) {
        Options o = options(type, level, beta, corrected);
        int[] places = {0, 2, 3, 4, 5, 7, 8, 9, 11, 12}; // of 13
        boolean[] mask = new boolean[13];
        for (int place : places) {
            mask[place] = true;
        }
        Segments segments = Segments.of(new int[] {4, 1, 5, 3}, mask);
        Against.Taken with = Against.take(
                spread(LOGPS, places),
                logps -> PolicyLoss.of(
                        logps, batch(segments, spread(OLD, places), spread(REF, places), ADVANTAGES), WINDOW, o));
        Against.Taken without = Against.take(LOGPS, logps -> PolicyLoss.of(logps, batch(), WINDOW, o));
        assertThat(with.loss()).isEqualTo(without.loss());
        assertThat(with.metrics()).isEqualTo(without.metrics());
        float[] gradient = new float[13];
        for (int i = 0; i < places.length; i++) {
            gradient[places[i]] = without.gradient()[i];
        }
        assertThat(with.gradient()).containsExactly(gradient);
    }

    private static float[] spread(float[] values, int[] places) {
        float[] spread = new float[13];
        Arrays.fill(spread, Float.NaN);
        for (int i = 0; i < places.length; i++) {
            spread[places[i]] = values[i];
        }
        return spread;
    }

    /// On the first pass every ratio is 1: the gradient is that of -A log π, and nothing is clipped.
    @ParameterizedTest
    @EnumSource(
            value = PolicyLoss.Type.class,
            names = {"DAPO", "BNPO", "CISPO", "SAPO", "VESPO"})
    void whereThePolicyHasNotMovedTheGradientIsTheAdvantage(PolicyLoss.Type type) {
        Options o = Options.of(type, Level.TOKEN, 0, LONGEST);
        Against.Taken taken = Against.take(
                LOGPS, logps -> PolicyLoss.of(logps, batch(Segments.of(LENGTHS), LOGPS, REF, ADVANTAGES), WINDOW, o));
        int t = 0;
        for (int s = 0; s < LENGTHS.length; s++) {
            for (int i = 0; i < LENGTHS[s]; i++, t++) {
                double tokenMean = -ADVANTAGES[s] / WINDOW.tokens();
                double wanted = type == PolicyLoss.Type.SAPO ? tokenMean * 23 / 7 / LENGTHS[s] : tokenMean;
                assertThat((double) taken.gradient()[t]).isCloseTo(wanted, within(1e-6));
            }
        }
        if (type == PolicyLoss.Type.DAPO) {
            assertThat(taken.metrics()).containsEntry("clip_ratio/region_mean", 0.0);
        }
    }

    /// Two completions: of the first (A > 0) two of four ratios are above 1 + ε_high, of the second (A < 0) one
    /// of two is below 1 - ε. Those on the other side are not clipped.
    @Test
    void clipRatiosOfTokensAndOfCompletions() {
        float[] logps = log(1.3, 1.5, 0.5, 1.0, 0.7, 2.0);
        float[] old = new float[6];
        for (Level level : Level.values()) {
            Against.Taken taken = Against.take(
                    logps,
                    leaf -> PolicyLoss.of(
                            leaf,
                            batch(Segments.of(4, 2), old, old, new float[] {1, -1}),
                            new Window(2, 6),
                            options(PolicyLoss.Type.DAPO, level, 0, true)));
            Map<String, Double> seen = taken.metrics();
            if (level == Level.TOKEN) {
                assertThat(seen.get("clip_ratio/low_mean")).isCloseTo(1.0 / 6, within(1e-6));
                assertThat(seen.get("clip_ratio/high_mean")).isCloseTo(2.0 / 6, within(1e-6));
                assertThat(seen.get("clip_ratio/region_mean")).isCloseTo(3.0 / 6, within(1e-6));
                assertThat(seen.get("clip_ratio/low_min")).isEqualTo(0);
                assertThat(seen.get("clip_ratio/high_max")).isCloseTo(0.5, within(1e-6));
                // -(1.28 + 1.28 + 0.5 + 1) + (0.8 + 2)
                assertThat(taken.loss()).isCloseTo((-4.06 + 2.8) / 6, within(1e-6));
                assertThat(taken.gradient())
                        .containsExactly(new float[] {0, 0, -0.5f / 6, -1f / 6, 0, 2f / 6}, within(1e-6f));
            } else {
                // (1.3 · 1.5 · 0.5)^¼ and √1.4: neither is clipped
                assertThat(seen.get("clip_ratio/region_mean")).isEqualTo(0);
            }
        }
    }

    private static float[] log(double... ratios) {
        float[] logs = new float[ratios.length];
        for (int i = 0; i < logs.length; i++) {
            logs[i] = (float) Math.log(ratios[i]);
        }
        return logs;
    }

    /// Where A < 0 clipping from above never acts; delta does.
    @Test
    void deltaBoundsTheRatioOfWhatWasBad() {
        Options o = new Options(
                PolicyLoss.Type.DAPO,
                Level.TOKEN,
                0.2,
                null,
                1.5,
                5,
                1,
                1.05,
                2,
                3,
                3,
                2,
                0,
                KlEstimator.K3,
                true,
                0,
                LONGEST);
        Against.Taken taken = Against.take(
                log(4, 1.4),
                logps -> PolicyLoss.of(
                        logps,
                        batch(Segments.of(1, 1), new float[2], new float[2], new float[] {-1, -1}),
                        new Window(2, 2),
                        o));
        assertThat(taken.loss()).isCloseTo((1.5 + 1.4) / 2, within(1e-6));
        assertThat(taken.gradient()).containsExactly(new float[] {0, 0.7f}, within(1e-6f));
        assertThat(o.problems()).isEmpty();
    }

    /// TRL's default caps every CISPO ratio at 0.2; here a ratio of 1 stays one.
    @Test
    void cisposCapIsNotEpsilon() {
        Options o = Options.of(PolicyLoss.Type.CISPO, Level.TOKEN, 0, LONGEST);
        Against.Taken taken = Against.take(
                log(1, 2, 9),
                logps -> PolicyLoss.of(
                        logps,
                        batch(Segments.of(3), new float[3], new float[3], new float[] {1}),
                        new Window(1, 1),
                        o));
        assertThat(taken.gradient()).containsExactly(new float[] {-1, -2, -5}, within(1e-5f));
        assertThat(taken.metrics().get("cispo_clip_ratio")).isCloseTo(1.0 / 3, within(1e-6));
    }

    @Test
    void entropyIsRewardedAndMeasured() {
        Options o = new Options(
                PolicyLoss.Type.GRPO,
                Level.TOKEN,
                0.2,
                null,
                null,
                5,
                1,
                1.05,
                2,
                3,
                3,
                2,
                0,
                KlEstimator.K3,
                true,
                0.1,
                LONGEST);
        try (Scope scope = Scope.open()) {
            Tensor logps = Tensor.of(LOGPS).setRequiresGrad(true);
            Tensor entropies =
                    Tensor.of(new float[] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}).setRequiresGrad(true);
            Batch batch = new Batch(Segments.of(LENGTHS), Tensor.of(OLD), null, Tensor.of(ADVANTAGES), entropies);
            Loss loss = PolicyLoss.of(logps, batch, WINDOW, o);
            loss.value().backward();
            float[] wanted = new float[10];
            Arrays.fill(wanted, -0.1f / 23);
            assertThat(Objects.requireNonNull(entropies.grad()).toFloats()).containsExactly(wanted, within(1e-8f));
            Map<String, Double> seen = loss.metrics().values();
            assertThat(seen.get("entropy")).isCloseTo(5.5, within(1e-6));
            assertThat(loss.value().item())
                    .isCloseTo(Objects.requireNonNull(seen.get("policy_loss")) - 0.1 * 55 / 23, within(1e-6));
        }
    }

    /// As published it is a micro-batch's own mean, so it does depend on the split; the window says so.
    @Test
    void bnpoIsTheMeanOfMicroBatches() {
        Options o = options(PolicyLoss.Type.BNPO, Level.TOKEN, 0, true);
        double first = part(0, 1, 0, 3, o, Window.ofMicroBatch(1, 3, 2));
        double rest = part(1, 4, 3, 10, o, Window.ofMicroBatch(3, 7, 2));
        double alone = part(0, 1, 0, 3, o, new Window(1, 3));
        double others = part(1, 4, 3, 10, o, new Window(3, 7));
        assertThat(first + rest).isCloseTo((alone + others) / 2, within(1e-6));
    }

    private static double part(int from, int to, int begin, int end, Options o, Window window) {
        return Against.take(
                        Arrays.copyOfRange(LOGPS, begin, end),
                        logps -> PolicyLoss.of(
                                logps,
                                batch(
                                        Segments.of(Arrays.copyOfRange(LENGTHS, from, to)),
                                        Arrays.copyOfRange(OLD, begin, end),
                                        Arrays.copyOfRange(REF, begin, end),
                                        Arrays.copyOfRange(ADVANTAGES, from, to)),
                                window,
                                o))
                .loss();
    }

    @Test
    void whatIsMissingOrContradictoryIsSaid() {
        try (Scope scope = Scope.open()) {
            Batch batch = new Batch(Segments.of(LENGTHS), Tensor.of(OLD), null, Tensor.of(ADVANTAGES), null);
            assertThatThrownBy(() -> PolicyLoss.of(
                            Tensor.of(LOGPS),
                            batch,
                            WINDOW,
                            Options.of(PolicyLoss.Type.DAPO, Level.TOKEN, 0.1, LONGEST)))
                    .hasMessageContaining("reference");
            assertThatThrownBy(() -> PolicyLoss.of(
                            Tensor.of(new float[3]),
                            batch,
                            WINDOW,
                            Options.of(PolicyLoss.Type.DAPO, Level.TOKEN, 0, LONGEST)))
                    .hasMessageContaining("10 tokens");
        }
        assertThat(Options.of(PolicyLoss.Type.DR_GRPO, Level.TOKEN, 0, 0).problems())
                .singleElement()
                .asString()
                .contains("max_completion_length is 0");
        assertThatThrownBy(() -> Window.ofRows(3).tokens()).hasMessageContaining("no token");
        assertThatThrownBy(() -> Window.ofRows(0)).hasMessageContaining("0.0 rows");
    }
}
