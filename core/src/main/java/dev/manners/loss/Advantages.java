package dev.manners.loss;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// How much better a completion, or a token, was than expected. Numbers only: no gradient goes through an
/// advantage.
///
/// A reward that is null could not be given: the completion takes no part in any mean or spread, and its
/// advantage is 0, so that it moves nothing.
public final class Advantages {

    private Advantages() {}

    /// How several reward functions become one advantage, TRL's `multi_objective_aggregation`.
    public enum Aggregation {
        /// Their weighted sum, against its group's.
        SUM_THEN_NORMALIZE,
        /// Each against its own group's, then their weighted sum: [#normalizeThenSum].
        NORMALIZE_THEN_SUM
    }

    /// By what rewards are divided, TRL's `scale_rewards`.
    public enum Scale {
        /// The standard deviation of their group.
        GROUP,
        /// That of all.
        BATCH,
        /// Nothing (Dr. GRPO, arXiv:2503.20783: the spread of a group is a bias towards easy and hard prompts).
        NONE
    }

    /// @param advantages of each completion
    /// @param groups groups with two rewards or more
    /// @param alike those of them whose rewards are all alike: they teach nothing. `frac_reward_zero_std` is
    /// their share
    public record Grouped(double[] advantages, int groups, int alike) {}

    /// GRPO: against the mean of the same prompt's completions, A_i = (R_i - mean) / (std + 1e-4), with n - 1 in
    /// the standard deviation.
    ///
    /// Source: DeepSeekMath, arXiv:2402.03300; TRL's constants.
    ///
    /// @param rewards completions of a prompt side by side
    /// @param numGenerations completions of each prompt
    public static Grouped group(List<@Nullable Double> rewards, int numGenerations, Scale scale) {
        requireGroups(rewards, numGenerations);
        double[] advantages = new double[rewards.size()];
        double batch = std(rewards);
        int groups = 0;
        int alike = 0;
        for (int begin = 0; begin < advantages.length; begin += numGenerations) {
            List<@Nullable Double> group = rewards.subList(begin, begin + numGenerations);
            double std = std(group);
            if (Double.isNaN(std)) {
                continue; // no two to compare
            }
            groups++;
            alike += std <= 1e-8 ? 1 : 0;
            double mean = mean(group);
            double divisor = switch (scale) {
                case GROUP -> std + 1e-4;
                case BATCH -> batch + 1e-4;
                case NONE -> 1;
            };
            for (int i = 0; i < numGenerations; i++) {
                Double reward = group.get(i);
                advantages[begin + i] = reward == null ? 0 : (reward - mean) / divisor;
            }
        }
        return new Grouped(advantages, groups, alike);
    }

    /// GDPO: each reward function against its own group's mean and deviation, then their weighted sum, then
    /// that against the mean and deviation of all,
    ///
    ///     z_ik = (R_ik - mean_k) / (std_k + 1e-4),   S_i = Σ_k w_k z_ik,   A_i = (S_i - mean) / (std + 1e-4)
    ///
    /// so that a function with a wide range does not drown the others, and combinations of rewards with the
    /// same sum stay different. What a function could not score, or has nothing to compare with, is left out
    /// of the sum; what none could is in no mean.
    ///
    /// Source: Liu et al. 2026, arXiv:2601.05242; TRL's `multi_objective_aggregation` of `normalize_then_sum`.
    ///
    /// @param rewards of each completion, what each function gave it; completions of a prompt side by side
    /// @param weights of the functions
    public static Grouped normalizeThenSum(
            List<List<@Nullable Double>> rewards, List<Double> weights, int numGenerations) {
        List<@Nullable Double> sums = Arrays.asList(new @Nullable Double[rewards.size()]);
        for (int k = 0; k < weights.size(); k++) {
            List<@Nullable Double> one = new ArrayList<>();
            for (List<@Nullable Double> row : rewards) {
                one.add(row.get(k));
            }
            // Advantages are 0 where there is nothing to compare with: the term is then left out.
            double[] z = group(one, numGenerations, Scale.GROUP).advantages;
            for (int i = 0; i < z.length; i++) {
                if (one.get(i) != null) {
                    Double before = sums.get(i);
                    sums.set(i, (before == null ? 0 : before) + weights.get(k) * z[i]);
                }
            }
        }
        Grouped plain = group(sums, numGenerations, Scale.NONE);
        double mean = mean(sums);
        double std = std(sums) + 1e-4;
        double[] values = sums.stream()
                .mapToDouble(sum -> sum == null || Double.isNaN(std) ? 0 : (sum - mean) / std)
                .toArray();
        return new Grouped(values, plain.groups, plain.alike);
    }

    /// RLOO: against the mean of the others, A_i = R_i - Σ_{j≠i} R_j / (n - 1).
    ///
    /// Source: Ahmadian et al. 2024, "Back to Basics", arXiv:2402.14740.
    ///
    /// @param rewards completions of a prompt side by side, penalties already in them
    /// @param normalise (A - mean) / (std + 1e-4) over all that have a reward
    public static Grouped leaveOneOut(List<@Nullable Double> rewards, int numGenerations, boolean normalise) {
        Grouped plain = group(rewards, numGenerations, Scale.NONE);
        List<@Nullable Double> advantages = Arrays.asList(new @Nullable Double[rewards.size()]);
        for (int begin = 0; begin < rewards.size(); begin += numGenerations) {
            List<@Nullable Double> group = rewards.subList(begin, begin + numGenerations);
            long n = group.stream().filter(r -> r != null).count();
            for (int i = begin; n > 1 && i < begin + numGenerations; i++) {
                if (rewards.get(i) != null) {
                    // R - (S - R) / (n - 1) = (R - S / n) n / (n - 1)
                    advantages.set(i, plain.advantages[i] * n / (n - 1));
                }
            }
        }
        double mean = normalise ? mean(advantages) : 0;
        double std = normalise ? std(advantages) + 1e-4 : 1;
        double[] values = advantages.stream()
                .mapToDouble(a -> a == null ? 0 : (a - mean) / std)
                .toArray();
        return new Grouped(values, plain.groups, plain.alike);
    }

    /// What each token earned, as PPO and REINFORCE++ see it: the penalty for leaving the reference, and the
    /// score on the last token.
    ///
    /// @param scores of each segment; null: not scored, its tokens earn the penalty alone
    /// @param kl estimate of each token's KL, [M]
    /// @return [M], 0 at masked tokens
    public static double[] tokenRewards(Segments segments, List<@Nullable Double> scores, double[] kl, double klCoef) {
        require(scores.size() == segments.count(), scores.size() + " scores of " + segments.count() + " completions");
        requireTokens(segments, kl);
        double[] rewards = new double[kl.length];
        for (int k = 0; k < segments.tokens(); k++) {
            int at = segments.place(k);
            rewards[at] = -klCoef * kl[at];
            Double score = scores.get(segments.owner(k));
            if (score != null && last(segments, k)) {
                rewards[at] += score;
            }
        }
        return rewards;
    }

    /// @param advantages [M], 0 at masked tokens
    /// @param returns advantages plus values: what the value function should have said, [M]
    public record Estimated(double[] advantages, double[] returns) {}

    /// Generalised advantage estimation, from the last token of each segment to its first:
    ///
    ///     δ_t = r_t + γ V_{t+1} - V_t,   A_t = δ_t + γλ A_{t+1},   V after the last token = 0
    ///
    /// Masked tokens are stepped over.
    ///
    /// Source: Schulman et al. 2015, arXiv:1506.02438.
    ///
    /// @param rewards [M]
    /// @param values [M]
    public static Estimated gae(Segments segments, double[] rewards, double[] values, double gamma, double lam) {
        requireTokens(segments, rewards);
        requireTokens(segments, values);
        double[] advantages = new double[values.length];
        double[] returns = values.clone();
        double next = 0;
        double after = 0;
        for (int k = segments.tokens() - 1; k >= 0; k--) {
            if (last(segments, k)) {
                next = 0;
                after = 0;
            }
            int at = segments.place(k);
            after = rewards[at] + gamma * next - values[at] + gamma * lam * after;
            next = values[at];
            advantages[at] = after;
            returns[at] = after + values[at];
        }
        return new Estimated(advantages, returns);
    }

    /// REINFORCE++: no value function and no group; a token's return is the score minus the penalties from it on,
    /// made mean 0 and variance 1 over all tokens of the batch.
    ///
    /// Source: Hu et al. 2025, arXiv:2501.03262. Its loss is [PpoLoss#policy].
    ///
    /// @param scores of each segment; null: not scored, its tokens get 0 and are in no mean
    /// @param kl K1 of each token, [M]
    /// @return [M]
    public static double[] reinforcePlusPlus(
            Segments segments, List<@Nullable Double> scores, double[] kl, double klCoef) {
        double[] rewards = tokenRewards(segments, scores, kl, klCoef);
        Segments scored = segments.where(s -> scores.get(s) != null);
        double[] returns = gae(scored, rewards, new double[kl.length], 1, 1).advantages;
        return whiten(scored, returns, true);
    }

    /// Variance 1, (x - mean) / √(var + 1e-8), with n - 1 in the variance, over all tokens that count.
    ///
    /// @param shiftMean whether the mean becomes 0 (advantages) or stays (rewards)
    /// @return [M], 0 at masked tokens
    /// @throws IllegalArgumentException if fewer than two tokens count: they have no variance
    public static double[] whiten(Segments segments, double[] values, boolean shiftMean) {
        requireTokens(segments, values);
        int n = segments.tokens();
        require(n > 1, "the variance of " + n + " tokens: it takes two at least");
        double mean = 0;
        for (int k = 0; k < n; k++) {
            mean += values[segments.place(k)] / n;
        }
        double variance = 0;
        for (int k = 0; k < n; k++) {
            double off = values[segments.place(k)] - mean;
            variance += off * off / (n - 1);
        }
        double[] whitened = new double[values.length];
        for (int k = 0; k < n; k++) {
            int at = segments.place(k);
            whitened[at] = (values[at] - mean) / Math.sqrt(variance + 1e-8) + (shiftMean ? 0 : mean);
        }
        return whitened;
    }

    private static boolean last(Segments segments, int k) {
        return k == segments.tokens() - 1 || segments.owner(k + 1) != segments.owner(k);
    }

    private static double mean(List<@Nullable Double> values) {
        double sum = 0;
        int n = 0;
        for (Double value : values) {
            if (value != null) {
                sum += value;
                n++;
            }
        }
        return n == 0 ? Double.NaN : sum / n;
    }

    /// With n - 1; NaN below two values.
    private static double std(List<@Nullable Double> values) {
        double mean = mean(values);
        double sum = 0;
        int n = 0;
        for (Double value : values) {
            if (value != null) {
                sum += (value - mean) * (value - mean);
                n++;
            }
        }
        return n < 2 ? Double.NaN : Math.sqrt(sum / (n - 1));
    }

    private static void requireGroups(List<@Nullable Double> rewards, int numGenerations) {
        require(
                numGenerations > 0 && rewards.size() % numGenerations == 0,
                rewards.size() + " rewards are no whole groups of " + numGenerations);
        for (Double reward : rewards) {
            require(reward == null || Double.isFinite(reward), "a reward of " + reward);
        }
    }

    private static void requireTokens(Segments segments, double[] values) {
        require(values.length == segments.all(), values.length + " values for " + segments.all() + " tokens");
    }

    private static void require(boolean holds, String what) {
        if (!holds) {
            throw new IllegalArgumentException(what);
        }
    }
}
