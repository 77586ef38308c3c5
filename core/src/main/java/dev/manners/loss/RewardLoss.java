package dev.manners.loss;

import dev.manners.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/// Losses of a reward model, on the scores of completions of one prompt that were compared.
///
/// Comparisons say nothing of a score's zero. `center_rewards_coefficient` c keeps it near: + c (r₊ + r₋)², which
/// for a ranking of K is c (2/K Σ r)² (Eisenstein et al. 2023, arXiv:2312.09244).
public final class RewardLoss {

    private RewardLoss() {}

    /// Bradley-Terry: -log σ(r₊ - r₋ - margin).
    ///
    /// Sources: Bradley and Terry 1952; the margin Touvron et al. 2023, arXiv:2307.09288, section 3.2.2. As TRL's
    /// RewardTrainer.
    ///
    /// @param scores r₊ and r₋ of the first pair, of the second, ..., [2P], a leaf
    /// @param margins by how much the chosen one is better at least, [P], or null
    /// @param centerRewardsCoefficient c, or null
    /// @param window pairs of the whole update
    public static Loss bradleyTerry(
            Tensor scores, @Nullable Tensor margins, @Nullable Double centerRewardsCoefficient, Window window) {
        Tensor pairs = scores.view(-1, 2); // [P, 2]
        Tensor margin = pairs.select(1, 0).sub(pairs.select(1, 1)); // [P]
        Tensor loss =
                (margins == null ? margin : margin.sub(margins)).logSigmoid().neg();
        if (centerRewardsCoefficient != null) {
            loss = loss.add(pairs.sum(1, false).square().mul(centerRewardsCoefficient));
        }
        List<int[]> rankings = new ArrayList<>();
        for (long p = 0; p < pairs.size(0); p++) {
            rankings.add(new int[] {0, 1});
        }
        return new Loss(loss.sum().mul(1 / window.rows()), metrics(scores, rankings));
    }

    /// Plackett-Luce: the best is drawn from all, the second from those left, and so on, each with probability
    /// softmax(r). Of two without a tie it is Bradley-Terry.
    ///
    ///     -log P = Σ_stages log Σ_{i left} e^{r_i} - Σ_i r_i
    ///
    /// Ties by Efron's rule: d completions of one rank are drawn in d stages, in each of which all of the tie are
    /// left with the same share: of stage j (from 0), e^r of each counts 1 - j/d. This is the mean over the
    /// orders of the tie but for the mean being taken inside the logarithm. A tie pulls its scores together.
    ///
    /// Sources: Plackett 1975; Luce 1959; Efron 1977, "The Efficiency of Cox's Likelihood Function for Censored
    /// Data", JASA 72; for rankings Allison and Christakis 1994, "Logit Models for Sets of Ranked Items".
    ///
    /// @param scores of the completions of the first ranking, of the second, ..., [N], a leaf
    /// @param rankings rank of each completion, small is good, the same number is a tie; two or more of each
    /// @param centerRewardsCoefficient c, or null
    /// @param window rankings of the whole update
    public static Loss plackettLuce(
            Tensor scores, List<int[]> rankings, @Nullable Double centerRewardsCoefficient, Window window) {
        long[] sizes = rankings.stream().mapToLong(r -> r.length).toArray();
        if (Arrays.stream(sizes).anyMatch(k -> k < 2) || Arrays.stream(sizes).sum() != scores.numel()) {
            throw new IllegalArgumentException("rankings of " + Arrays.toString(sizes)
                    + " completions, two or more each," + " where there are " + scores.numel() + " scores");
        }
        List<Tensor> losses = new ArrayList<>();
        List<Tensor> parts = scores.split(0, sizes);
        for (int n = 0; n < parts.size(); n++) {
            Tensor r = parts.get(n); // [K]
            Tensor loss = r.unsqueeze(0)
                    .add(stages(rankings.get(n)))
                    .logsumexp(1)
                    .sub(r) // as many stages as scores
                    .sum();
            if (centerRewardsCoefficient != null) {
                Tensor centre = r.sum().mul(2.0 / sizes[n]);
                loss = loss.add(centre.square().mul(centerRewardsCoefficient));
            }
            losses.add(loss);
        }
        Tensor loss = Tensor.stack(0, losses).sum().mul(1 / window.rows());
        return new Loss(loss, metrics(scores, rankings));
    }

    /// Logarithm of the share with which each completion is still there at each stage, [K stages, K].
    private static Tensor stages(int[] ranks) {
        int k = ranks.length;
        float[] logShares = new float[k * k];
        int stage = 0;
        for (int rank : IntStream.of(ranks).sorted().distinct().toArray()) {
            long tied = IntStream.of(ranks).filter(r -> r == rank).count();
            for (int j = 0; j < tied; j++, stage++) {
                for (int i = 0; i < k; i++) {
                    logShares[stage * k + i] = ranks[i] < rank
                            ? Float.NEGATIVE_INFINITY
                            : ranks[i] == rank ? (float) Math.log1p(-(double) j / tied) : 0;
                }
            }
        }
        return Tensor.of(logShares, k, k);
    }

    /// Accuracy and margin are over pairs that are not tied.
    private static Tally metrics(Tensor scores, List<int[]> rankings) {
        float[] values = scores.toFloats();
        Tally metrics = new Tally();
        int begin = 0;
        for (int[] ranks : rankings) {
            for (int i = 0; i < ranks.length; i++) {
                float a = values[begin + i];
                metrics.min("min_reward", a).mean("mean_reward", a, 1).max("max_reward", a);
                for (int j = 0; j < ranks.length; j++) {
                    if (ranks[i] < ranks[j]) {
                        float b = values[begin + j];
                        metrics.mean("accuracy", a > b ? 1 : 0, 1).mean("margin", a - b, 1);
                    }
                }
            }
            begin += ranks.length;
        }
        return metrics;
    }
}
