package dev.manners.train;

import dev.manners.data.Prompts;
import dev.manners.data.Sampler;
import dev.manners.reward.Candidate;
import dev.manners.reward.Reward;
import dev.manners.reward.Score;
import dev.manners.reward.WeightedReward;
import dev.manners.rollout.Completion;
import dev.manners.rollout.Sampling;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/// Draws prompts, has the policy complete them, has the completions scored. A rollout is a function of the policy, the
/// seed and its number alone: the same number gives the same prompts and samples again, so that a run which was
/// interrupted amid a rollout draws it anew when it is resumed.
public final class Rollouts {

    /// Prompts of the run that are drawn in place of others have numbers of their own, and so random numbers of their
    /// own.
    private static final long AGAIN = 1L << 40;

    private static final int MOST_GENERATIONS = 100;

    /// What samples: [dev.manners.rollout.Engine#rollout].
    public interface Generator {

        /// Several completions of each prompt, prompt by prompt.
        ///
        /// @param firstPrompt number in the run of the first of these prompts
        /// @return null if it was told to stop
        @Nullable
        List<Completion> rollout(
                List<int[]> prompts, int samples, Sampling sampling, long firstPrompt, BooleanSupplier stop);
    }

    private final Prompts prompts;
    private final Generator generator;
    private final Sampling sampling;
    private final Reward reward;
    private final Sampler.Order order;
    private final BooleanSupplier stop;

    /// @param sampling temperature, longest completion, seed; the whole distribution is sampled from, as
    /// log-probabilities in training are of the whole
    /// @param order in which an epoch goes through the prompts
    /// @param stop asked while sampling
    public Rollouts(
            Prompts prompts,
            Generator generator,
            Sampling sampling,
            Reward reward,
            Sampler.Order order,
            BooleanSupplier stop) {
        if (!sampling.doSample() && sampling.temperature() != 1) {
            throw new IllegalArgumentException("greedy sampling has no temperature");
        }
        if (sampling.topK() != 0 || sampling.topP() != 1 || sampling.minP() != 0 || sampling.repetitionPenalty() != 1) {
            throw new IllegalArgumentException("a policy is trained on samples of its whole distribution: " + sampling);
        }
        this.prompts = prompts;
        this.generator = generator;
        this.sampling = sampling;
        this.reward = reward;
        this.order = order;
        this.stop = stop;
    }

    /// Prompts of the dataset.
    public int prompts() {
        return prompts.size();
    }

    double temperature() {
        return sampling.temperature();
    }

    /// What each part of the reward counts; a reward that is no sum is its own only part.
    private List<Double> weights() {
        return reward instanceof WeightedReward sum ? sum.weights() : List.of(1.0);
    }

    int maxCompletionLength() {
        return sampling.maxNewTokens();
    }

    /// A prompt's tokens.
    int[] prompt(int row) {
        return prompts.get(row).ids();
    }

    /// A rollout.
    ///
    /// @param number of the rollout in the run, from 0
    /// @param count prompts in it
    /// @param group completions of each
    /// @return null if it was told to stop: then nothing has happened
    @Nullable
    Rollout at(long number, int count, int group) {
        return at(number, count, group, 1);
    }

    /// The same, but groups whose rewards are all alike, which teach nothing, are replaced by other prompts' (DAPO's
    /// dynamic sampling, arXiv:2503.14476, section 3.2).
    ///
    /// @param generations most draws; after the last, groups of like rewards stay
    @Nullable
    Rollout at(long number, int count, int group, int generations) {
        if (generations < 1 || generations > MOST_GENERATIONS) {
            throw new IllegalArgumentException(generations + " generations");
        }
        int[] rows = rows(number, count, 0);
        Set<Integer> used = new HashSet<>();
        Arrays.stream(rows).forEach(used::add);
        List<List<Rollout.Sample>> groups = draw(number, rows, group, number * count);
        if (groups == null) {
            return null;
        }
        int done = 1;
        for (; done < generations; done++) {
            List<Integer> dull = new ArrayList<>();
            for (int g = 0; g < count; g++) {
                if (alike(groups.get(g))) {
                    dull.add(g);
                }
            }
            int[] others = Arrays.stream(rows(number, prompts.size(), done))
                    .filter(used::add)
                    .limit(dull.size())
                    .toArray();
            if (others.length == 0) {
                break; // all differ, or every prompt has been tried
            }
            List<List<Rollout.Sample>> fresh = draw(number, others, group, AGAIN * done + number * count);
            if (fresh == null) {
                return null;
            }
            for (int i = 0; i < others.length; i++) {
                groups.set(dull.get(i), fresh.get(i));
            }
        }
        return new Rollout(groups.stream().flatMap(List::stream).toList(), group, weights(), done);
    }

    /// Metrics of one completion of every prompt, in the dataset's order.
    ///
    /// @param number of the rollout: the same gives the same samples, as far as the policy is the same
    /// @return null if it was told to stop
    public @Nullable Map<String, Double> measure(long number) {
        int[] rows = new int[prompts.size()];
        Arrays.setAll(rows, i -> i);
        List<List<Rollout.Sample>> groups = draw(number, rows, 1, number * rows.length);
        return groups == null
                ? null
                : new Rollout(groups.stream().flatMap(List::stream).toList(), 1, weights(), 1).metrics();
    }

    /// Rows of a rollout's prompts: those of one epoch after the other, without a gap.
    private int[] rows(long number, int count, int attempt) {
        int[] rows = new int[count];
        long epoch = -1;
        int[] permutation = {};
        for (int i = 0; i < count; i++) {
            long at = number * count + i;
            if (at / prompts.size() != epoch) {
                epoch = at / prompts.size();
                permutation = Sampler.order(order, sampling.seed() + AGAIN * attempt, epoch, prompts.size());
            }
            rows[i] = permutation[(int) (at % prompts.size())];
        }
        return rows;
    }

    /// Whether a group teaches nothing: what could not be scored is no difference.
    private static boolean alike(List<Rollout.Sample> group) {
        return group.stream()
                        .map(Rollout.Sample::reward)
                        .filter(Objects::nonNull)
                        .distinct()
                        .count()
                < 2;
    }

    private @Nullable List<List<Rollout.Sample>> draw(long step, int[] rows, int group, long firstPrompt) {
        List<Prompts.Prompt> asked = Arrays.stream(rows).mapToObj(prompts::get).toList();
        List<Completion> completions;
        try (Phase phase = Phase.of("rollout", step)) {
            completions = generator.rollout(
                    asked.stream().map(Prompts.Prompt::ids).toList(), group, sampling, firstPrompt, stop);
        }
        if (completions == null) {
            return null;
        }
        if (completions.size() != rows.length * group) {
            throw new IllegalStateException(completions.size() + " completions of " + rows.length + " prompts, where "
                    + group + " of each were asked for");
        }
        List<Candidate> candidates = new ArrayList<>();
        for (int i = 0; i < completions.size(); i++) {
            Completion c = completions.get(i);
            if (c.prompt() != i / group || c.sample() != i % group) {
                throw new IllegalStateException("completion " + i + " is sample " + c.sample() + " of prompt "
                        + c.prompt() + ": groups are mixed up");
            }
            Prompts.Prompt p = asked.get(c.prompt());
            candidates.add(new Candidate(
                    p.prompt(), p.ids(), c.text(), c.ids(), c.finish() == Completion.Finish.STOP, p.columns()));
        }
        List<Score> scores;
        try (Phase phase = Phase.of("reward", step)) {
            scores = reward.score(candidates);
        }
        if (scores.size() != candidates.size()) {
            throw new IllegalStateException("reward " + reward.name() + " gave " + scores.size() + " scores to "
                    + candidates.size() + " completions");
        }
        List<List<Rollout.Sample>> groups = new ArrayList<>();
        for (int i = 0; i < completions.size(); i++) {
            if (i % group == 0) {
                groups.add(new ArrayList<>());
            }
            Completion c = completions.get(i);
            Prompts.Prompt p = asked.get(c.prompt());
            groups.getLast()
                    .add(new Rollout.Sample(
                            rows[c.prompt()],
                            p.ids(),
                            p.text(),
                            c.ids(),
                            c.logps(),
                            c.text(),
                            c.finish() == Completion.Finish.STOP,
                            scores.get(i)));
        }
        return groups;
    }
}
