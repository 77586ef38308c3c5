package dev.manners.train;

import dev.manners.loss.Advantages;
import dev.manners.loss.KlEstimator;
import dev.manners.loss.Segments;
import dev.manners.loss.Tally;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/// What each completion of a rollout is worth beside the others: the first of the two things that GRPO, RLOO,
/// REINFORCE++ and RAFT differ in; the other is the loss, in [GrpoTrainer].
final class GroupAdvantages {

    private final Rollout rollout;
    private final List<@Nullable Episode> episodes;
    private final boolean[] counted;
    private final Map<String, Double> metrics = new LinkedHashMap<>();

    private GroupAdvantages(Rollout rollout, List<@Nullable Episode> episodes, boolean[] counted) {
        this.rollout = rollout;
        this.episodes = episodes;
        this.counted = counted;
    }

    /// Gives every episode its advantages, in place.
    ///
    /// @param episodes of the rollout's completions; null where one has nothing to teach
    /// @param counted which completions are in the loss's mean over completions; RAFT drops all but the best
    /// @return metrics: `frac_reward_zero_std`, and `kl` where it is part of the reward
    static Map<String, Double> give(
            PolicyGradient config, Rollout rollout, List<@Nullable Episode> episodes, boolean[] counted) {
        GroupAdvantages advantages = new GroupAdvantages(rollout, episodes, counted);
        switch (config) {
            case GrpoConfig c -> advantages.grpo(c);
            case RlooConfig c -> advantages.rloo(c);
            case ReinforceConfig c -> advantages.reinforce(c);
            case RaftConfig c -> advantages.raft();
        }
        return advantages.metrics;
    }

    /// Against the group's mean: of the sum of all rewards, or of each reward by itself.
    private void grpo(GrpoConfig config) {
        each(
                switch (config.multiObjectiveAggregation()) {
                    case SUM_THEN_NORMALIZE ->
                        Advantages.group(rollout.rewards(), rollout.group(), config.scaleRewards());
                    case NORMALIZE_THEN_SUM ->
                        Advantages.normalizeThenSum(rollout.objectives(), rollout.weights(), rollout.group());
                });
    }

    /// Against the mean of the others, the KL of the whole completion in the reward: R - β Σ_t (log π_old - log π_ref).
    private void rloo(RlooConfig config) {
        List<@Nullable Double> penalised = new ArrayList<>();
        Tally tally = new Tally();
        for (int i = 0; i < episodes.size(); i++) {
            Double reward = rollout.rewards().get(i);
            Episode e = episodes.get(i);
            double kl = e == null ? 0 : kl(e, tally);
            penalised.add(reward == null ? null : config.clipped(reward) - config.beta() * kl);
        }
        metrics.putAll(tally.values());
        each(Advantages.leaveOneOut(penalised, rollout.group(), config.normalizeAdvantages()));
    }

    /// Against all tokens of the rollout, the KL of each token in its reward.
    private void reinforce(ReinforceConfig config) {
        List<Episode> all = new ArrayList<>();
        List<@Nullable Double> scores = new ArrayList<>();
        Tally tally = new Tally();
        for (int i = 0; i < episodes.size(); i++) {
            Episode e = episodes.get(i);
            if (e != null) {
                all.add(e);
                scores.add(rollout.rewards().get(i));
                kl(e, tally);
            }
        }
        metrics.putAll(tally.values());
        Segments segments =
                Segments.of(all.stream().mapToInt(e -> e.ids().length).toArray());
        double[] kl = new double[segments.tokens()];
        int at = 0;
        for (Episode e : all) {
            for (int t = 0; t < e.ids().length; t++) {
                kl[at++] = e.refLogps() == null ? 0 : e.oldLogps()[t] - e.refLogps()[t];
            }
        }
        double[] values = segments.tokens() < 2
                ? new double[kl.length]
                : Advantages.reinforcePlusPlus(segments, scores, kl, config.beta());
        int from = 0;
        for (int i = 0; i < episodes.size(); i++) {
            Episode e = episodes.get(i);
            if (e != null) {
                float[] own = new float[e.ids().length];
                for (int t = 0; t < own.length; t++) {
                    own[t] = (float) values[from++];
                }
                episodes.set(i, e.withAdvantages(own));
            }
        }
        alike(Advantages.group(rollout.rewards(), rollout.group(), Advantages.Scale.NONE));
    }

    /// The first of the best is learned, the others are dropped: also from the mean.
    private void raft() {
        int group = rollout.group();
        List<@Nullable Double> rewards = rollout.rewards();
        alike(Advantages.group(rewards, group, Advantages.Scale.NONE));
        for (int g = 0; g < episodes.size(); g += group) {
            int best = -1;
            for (int i = g; i < g + group; i++) {
                Double reward = episodes.get(i) == null ? null : rewards.get(i);
                if (reward != null && (best < 0 || reward > Objects.requireNonNull(rewards.get(best)))) {
                    best = i;
                }
            }
            for (int i = g; i < g + group; i++) {
                counted[i] &= i == best;
                Episode e = episodes.get(i);
                episodes.set(i, i == best && e != null ? e.withAdvantages(1) : null);
            }
        }
    }

    private void each(Advantages.Grouped grouped) {
        for (int i = 0; i < episodes.size(); i++) {
            Episode e = episodes.get(i);
            if (e != null) {
                episodes.set(i, e.withAdvantages((float) grouped.advantages()[i]));
            }
        }
        alike(grouped);
    }

    private void alike(Advantages.Grouped grouped) {
        if (grouped.groups() > 0) {
            metrics.put("frac_reward_zero_std", (double) grouped.alike() / grouped.groups());
        }
    }

    /// Σ_t log π_old - log π_ref of a completion; 0 without a reference.
    private static double kl(Episode e, Tally tally) {
        float[] ref = e.refLogps();
        if (ref == null) {
            return 0;
        }
        double kl = 0;
        for (int t = 0; t < ref.length; t++) {
            kl += KlEstimator.K1.of((double) e.oldLogps()[t] - ref[t]);
        }
        tally.mean("kl", kl, ref.length);
        return kl;
    }
}
