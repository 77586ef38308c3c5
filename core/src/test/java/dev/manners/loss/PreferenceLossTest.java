package dev.manners.loss;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.manners.loss.PreferenceLoss.Divergence;
import dev.manners.loss.PreferenceLoss.Options;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

class PreferenceLossTest {

    /// Chosen and rejected of four pairs.
    private static final int[] LENGTHS = {3, 2, 2, 4, 3, 3, 1, 5};
    private static final float[] LOGPS = Against.normal(21, 23, -1.2, 0.5);
    private static final float[] SQUARES = Against.normal(22, 23, -1.5, 0.3);
    private static final float[] OFF = Against.normal(23, 8, 0, 0.8);
    private static final Window WINDOW = new Window(6, 14);
    private static final double BETA = 0.4;

    private static Options options(
            List<PreferenceLoss.Type> types,
            @Nullable List<Double> weights,
            Divergence divergence,
            double alpha,
            @Nullable Double ldAlpha,
            boolean weighting) {
        boolean smooth = types.stream()
                .allMatch(t -> t == PreferenceLoss.Type.EXO_PAIR
                        || t == PreferenceLoss.Type.ROBUST
                        || t == PreferenceLoss.Type.AOT
                        || t == PreferenceLoss.Type.AOT_UNPAIRED);
        return new Options(types, weights, BETA, smooth ? 0.1 : 0, divergence, alpha, 0.3, ldAlpha, weighting);
    }

    private static Options options(PreferenceLoss.Type type) {
        return options(List.of(type), null, Divergence.REVERSE_KL, 0.5, null, false);
    }

    static Stream<Arguments> everyLoss() {
        List<Arguments> all = new ArrayList<>();
        for (PreferenceLoss.Type type : PreferenceLoss.Type.values()) {
            all.add(Arguments.of(options(type)));
            all.add(Arguments.of(options(List.of(type), List.of(0.7), Divergence.REVERSE_KL, 0.5, 0.25, false)));
            if (!type.couplesPairs()) {
                all.add(Arguments.of(options(List.of(type), null, Divergence.REVERSE_KL, 0.5, null, true)));
            }
            if (type.takesDivergence() && type != PreferenceLoss.Type.SFT) {
                all.add(Arguments.of(options(List.of(type), null, Divergence.FORWARD_KL, 0.5, null, false)));
                all.add(Arguments.of(options(List.of(type), null, Divergence.JS_DIVERGENCE, 0.5, null, false)));
                all.add(Arguments.of(options(List.of(type), null, Divergence.ALPHA_DIVERGENCE, 0.5, null, false)));
                all.add(Arguments.of(options(List.of(type), null, Divergence.ALPHA_DIVERGENCE, 1, null, false)));
            }
        }
        // MPO, arXiv:2411.10442
        all.add(Arguments.of(options(
                List.of(PreferenceLoss.Type.SIGMOID, PreferenceLoss.Type.BCO_PAIR, PreferenceLoss.Type.SFT),
                List.of(0.8, 0.2, 1.0),
                Divergence.REVERSE_KL,
                0.5,
                null,
                false)));
        return all.stream();
    }

    @ParameterizedTest
    @MethodSource("everyLoss")
    void lossAndGradientAreThoseOfTheFormula(Options o) {
        assertThat(o.problems()).isEmpty();
        Against.reference(LOGPS, logps -> loss(logps, o), logps -> plain(logps, o));
    }

    private static Loss loss(Tensor logps, Options o) {
        return PreferenceLoss.of(
                logps,
                Segments.of(LENGTHS),
                Tensor.of(reference(o)),
                o.useWeighting() ? Tensor.of(SQUARES) : null,
                WINDOW,
                o);
    }

    /// Near the policy's, so that all parts of the curves are met.
    private static float[] reference(Options o) {
        double[] sums = sums(Against.doubles(LOGPS), o);
        float[] reference = new float[8];
        for (int i = 0; i < 8; i++) {
            reference[i] = (float) (sums[i] + OFF[i]);
        }
        return reference;
    }

    private static double[] sums(double[] logps, Options o) {
        double[] sums = new double[8];
        int t = 0;
        for (int s = 0; s < 8; s++) {
            int shared = Math.min(LENGTHS[s], LENGTHS[s % 2 == 0 ? s + 1 : s - 1]);
            for (int i = 0; i < LENGTHS[s]; i++, t++) {
                sums[s] += logps[t] * (i < shared || o.ldAlpha() == null ? 1 : o.ldAlpha());
            }
        }
        return sums;
    }

    private static double plain(double[] logps, Options o) {
        float[] reference = reference(o);
        double[] sums = sums(logps, o);
        double[] nll = sums(logps, options(PreferenceLoss.Type.SIGMOID));
        double[] weights = weights();
        double[] now = new double[4];
        double[] before = new double[4];
        double[] won = new double[4];
        double[] lost = new double[4];
        for (int p = 0; p < 4; p++) {
            now[p] = sums[2 * p] - sums[2 * p + 1];
            before[p] = (double) reference[2 * p] - reference[2 * p + 1];
            won[p] = sums[2 * p] - reference[2 * p];
            lost[p] = sums[2 * p + 1] - reference[2 * p + 1];
        }
        double[] sortedNow = now.clone();
        Arrays.sort(sortedNow);
        double[] sortedBefore = before.clone();
        Arrays.sort(sortedBefore);
        double[] sortedWon = won.clone();
        Arrays.sort(sortedWon);
        double[] sortedLost = lost.clone();
        Arrays.sort(sortedLost);
        double e = o.labelSmoothing();
        double loss = 0;
        for (int k = 0; k < o.lossType().size(); k++) {
            for (int p = 0; p < 4; p++) {
                double c = won[p];
                double r = lost[p];
                double fc = divergence(c, o);
                double fr = divergence(r, o);
                double x = BETA * (fc - fr);
                double mean = fc / LENGTHS[2 * p] - fr / LENGTHS[2 * p + 1];
                double pair = switch (o.lossType().get(k)) {
                    case SIGMOID -> -Against.logSigmoid(x);
                    case HINGE -> Math.max(0, 1 - x);
                    case IPO -> Math.pow(mean - 1 / (2 * BETA), 2);
                    case EXO_PAIR -> {
                        double q = Against.sigmoid(x);
                        yield q * Math.log(q / (1 - e)) + (1 - q) * Math.log((1 - q) / e);
                    }
                    case NCA_PAIR ->
                        -Against.logSigmoid(BETA * c)
                                - 0.5 * Against.logSigmoid(-BETA * c)
                                - 0.5 * Against.logSigmoid(-BETA * r);
                    case ROBUST -> (-(1 - e) * Against.logSigmoid(x) + e * Against.logSigmoid(-x)) / (1 - 2 * e);
                    case BCO_PAIR -> -Against.logSigmoid(BETA * c) - Against.logSigmoid(-BETA * r);
                    case SPPO_HARD -> Math.pow(c - 0.5 / BETA, 2) + Math.pow(r + 0.5 / BETA, 2);
                    case AOT -> smoothed(BETA * (sortedNow[p] - sortedBefore[p]), e);
                    case AOT_UNPAIRED -> smoothed(BETA * (sortedWon[p] - sortedLost[p]), e);
                    case APO_ZERO -> 1 - Against.sigmoid(BETA * c) + Against.sigmoid(BETA * r);
                    case APO_DOWN -> Against.sigmoid(BETA * c) + 1 - Against.sigmoid(BETA * (c - r));
                    case DISCOPOP -> {
                        double m = Against.sigmoid(x / 0.3);
                        yield -(1 - m) * Against.logSigmoid(x) + m * Math.exp(-x);
                    }
                    // Σ over chosen tokens / those of the window, and no mean over pairs
                    case SFT -> -nll[2 * p] * WINDOW.rows() / WINDOW.tokens();
                    case SIGMOID_NORM -> -Against.logSigmoid(BETA * mean);
                };
                loss += pair
                        * (o.useWeighting() ? weights[p] : 1)
                        * (o.lossWeights() == null ? 1 : o.lossWeights().get(k))
                        / WINDOW.rows();
            }
        }
        return loss;
    }

    private static double smoothed(double x, double e) {
        return -(1 - e) * Against.logSigmoid(x) - e * Against.logSigmoid(-x);
    }

    private static double divergence(double c, Options o) {
        return switch (o.fDivergenceType()) {
            case REVERSE_KL -> c;
            case FORWARD_KL -> 1 - Math.exp(-c);
            case JS_DIVERGENCE -> Math.log(2) + Against.logSigmoid(c);
            case ALPHA_DIVERGENCE -> {
                double a = o.fAlphaDivergenceCoef() - 1;
                yield a == 0 ? c : (Math.exp(a * c) - 1) / a;
            }
        };
    }

    /// Of pairs, at LOGPS: they have no gradient.
    private static double[] weights() {
        double[] weights = {1, 1, 1, 1};
        int t = 0;
        for (int s = 0; s < 8; s++) {
            double sum = 0;
            for (int i = 0; i < LENGTHS[s]; i++, t++) {
                sum += LOGPS[t] - SQUARES[t];
            }
            weights[s / 2] *= Math.exp(sum / LENGTHS[s]);
        }
        return weights;
    }

    /// Two parts of two pairs each make the whole, but for what sorts the batch: that does depend on it.
    @ParameterizedTest
    @EnumSource(PreferenceLoss.Type.class)
    void howABatchIsSplitMattersOnlyWhereItSaysSo(PreferenceLoss.Type type) {
        Options o = options(type);
        Against.Taken whole = Against.take(LOGPS, logps -> loss(logps, o));
        Tally tally = new Tally();
        Against.Taken first = part(0, 4, 0, 11, o, tally);
        Against.Taken rest = part(4, 8, 11, 23, o, tally);
        if (type.couplesPairs()) {
            assertThat(first.loss() + rest.loss()).isNotCloseTo(whole.loss(), within(1e-4));
            assertThat(o.couplesPairs()).isTrue();
            return;
        }
        assertThat(first.loss() + rest.loss()).isCloseTo(whole.loss(), within(1e-6 * Math.max(1, whole.loss())));
        float[] gradient = Arrays.copyOf(first.gradient(), 23);
        System.arraycopy(rest.gradient(), 0, gradient, 11, 12);
        assertThat(gradient).containsExactly(whole.gradient(), within(1e-6f));
        tally.values()
                .forEach((name, value) ->
                        assertThat(value).as(name).isCloseTo(whole.metrics().get(name), within(1e-5)));
    }

    private static Against.Taken part(int from, int to, int begin, int end, Options o, Tally tally) {
        return Against.take(Arrays.copyOfRange(LOGPS, begin, end), logps -> {
            Loss loss = PreferenceLoss.of(
                    logps,
                    Segments.of(Arrays.copyOfRange(LENGTHS, from, to)),
                    Tensor.of(Arrays.copyOfRange(reference(o), from, to)),
                    null,
                    WINDOW,
                    o);
            tally.add(loss.metrics());
            return loss;
        });
    }

    /// At the start policy and reference are one: DPO is log 2, whatever the pair, and its gradient pulls the
    /// chosen up as it pushes the rejected down.
    @Test
    void dpoStartsAtLogTwo() {
        Against.Taken taken = Against.take(
                new float[] {-1, -2, -3},
                logps -> PreferenceLoss.of(
                        logps,
                        Segments.of(1, 2),
                        Tensor.of(new float[] {-1, -5}),
                        null,
                        Window.ofRows(1),
                        Options.of(PreferenceLoss.Type.SIGMOID, 0.1)));
        assertThat(taken.loss()).isCloseTo(Math.log(2), within(1e-6));
        assertThat(taken.gradient()).containsExactly(new float[] {-0.05f, 0.05f, 0.05f}, within(1e-7f));
        assertThat(taken.metrics())
                .containsEntry("rewards/accuracies", 0.0)
                .containsEntry("logps/chosen", -1.0)
                .containsEntry("logps/rejected", -5.0);
    }

    @Test
    void metricsAreRewardsOfPairs() {
        Against.Taken taken = Against.take(
                new float[] {-1, -2, -3, -4},
                logps -> PreferenceLoss.of(
                        logps,
                        Segments.of(1, 1, 1, 1),
                        Tensor.of(new float[] {-3, -1, -3, -5}),
                        null,
                        Window.ofRows(2),
                        Options.of(PreferenceLoss.Type.SIGMOID, 0.5)));
        // log-ratios 2, -1 and 0, 1
        assertThat(taken.metrics())
                .containsEntry("rewards/chosen", 0.5)
                .containsEntry("rewards/rejected", 0.0)
                .containsEntry("rewards/accuracies", 0.5)
                .containsEntry("rewards/margins", 0.5);
    }

    /// A masked token in either completion changes neither the loss nor what counts as its length.
    @Test
    void maskedTokensDoNotMatter() {
        Options o = options(List.of(PreferenceLoss.Type.IPO), null, Divergence.REVERSE_KL, 0.5, 0.3, true);
        boolean[] mask = {true, false, true, true, true, false};
        float[] squares = {-1, Float.NaN, -1, -1.5f, -1, Float.NaN};
        Against.Taken with = Against.take(
                new float[] {-1, Float.NaN, -2, -1, -3, Float.NaN},
                logps -> PreferenceLoss.of(
                        logps,
                        Segments.of(new int[] {2, 4}, mask),
                        Tensor.of(new float[] {-1, -5}),
                        Tensor.of(squares),
                        Window.ofRows(1),
                        o));
        Against.Taken without = Against.take(
                new float[] {-1, -2, -1, -3},
                logps -> PreferenceLoss.of(
                        logps,
                        Segments.of(1, 3),
                        Tensor.of(new float[] {-1, -5}),
                        Tensor.of(new float[] {-1, -1, -1.5f, -1}),
                        Window.ofRows(1),
                        o));
        assertThat(with.loss()).isEqualTo(without.loss());
        assertThat(with.gradient()[1]).isEqualTo(0);
        assertThat(with.gradient()[5]).isEqualTo(0);
        assertThat(with.gradient()[4]).isEqualTo(without.gradient()[3]);
    }

    /// The chosen has one token, the rejected three: two of them are beyond the shared length.
    @Test
    void ldAlphaWeighsTheTail() {
        try (Scope scope = Scope.open()) {
            Tensor sums = PreferenceLoss.completionLogps(
                    Tensor.of(new float[] {-1, -2, -4, -8, -1, -2, -3}), Segments.of(1, 3, 2, 1), 0.5);
            assertThat(sums.toFloats()).containsExactly(-1, -2 - 6, -1 - 1, -3);
        }
    }

    @Test
    void contradictionsAreSaid() {
        assertThat(options(List.of(PreferenceLoss.Type.APO_ZERO), null, Divergence.FORWARD_KL, 0.5, null, false)
                        .problems())
                .singleElement()
                .asString()
                .contains("f_divergence_type", "apo_zero");
        assertThat(Options.of(PreferenceLoss.Type.EXO_PAIR, 0.1).problems())
                .singleElement()
                .asString()
                .contains("1e-3");
        assertThat(options(List.of(PreferenceLoss.Type.AOT), null, Divergence.REVERSE_KL, 0.5, null, true)
                        .problems())
                .singleElement()
                .asString()
                .contains("use_weighting");
        // One of the losses has it: that the other has not is no contradiction.
        assertThat(new Options(
                                List.of(PreferenceLoss.Type.SIGMOID, PreferenceLoss.Type.EXO_PAIR),
                                null,
                                0.1,
                                0.1,
                                Divergence.REVERSE_KL,
                                0.5,
                                0.05,
                                null,
                                false)
                        .problems())
                .isEmpty();
        assertThat(new Options(
                                List.of(PreferenceLoss.Type.SIGMOID, PreferenceLoss.Type.SFT),
                                List.of(1.0),
                                0.1,
                                0.1,
                                Divergence.REVERSE_KL,
                                0.5,
                                0.05,
                                null,
                                false)
                        .problems())
                .hasSize(2)
                .first()
                .asString()
                .contains("loss_weights has 1 entries and loss_type 2");
    }
}
