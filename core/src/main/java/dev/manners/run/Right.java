package dev.manners.run;

import dev.manners.files.Json;
import dev.manners.files.Manifest;
import dev.manners.parrot.ChainArithmetic.Chain;
import dev.manners.reward.AnswerRule;
import dev.manners.reward.Candidate;
import dev.manners.reward.ChainArithmetic;
import dev.manners.reward.FormatReward;
import dev.manners.reward.Reward;
import dev.manners.reward.Score;
import dev.manners.reward.WeightedReward;
import dev.manners.rollout.Completion;
import dev.manners.rollout.Sampling;
import dev.manners.stats.Interval;
import dev.manners.stats.Intervals;
import dev.manners.tensor.DType;
import dev.manners.train.GrpoConfig;
import dev.manners.train.Outcome;
import dev.manners.train.SftConfig;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/// The loop that makes a model right: shown a few chains of sums worked out in `<think>`, it goes on learning from
/// whether its own answers are correct, which a rule can check.
final class Right {

    private static final int SLOTS = 64;
    private static final int LONGEST = 96;
    private static final double FORMAT_WEIGHT = 0.1;

    private final Story story;
    private final List<Chain> heldOut;

    /// @param heldOut chains that nothing is learned from
    Right(Story story, List<Chain> heldOut) {
        this.story = story;
        this.heldOut = List.copyOf(heldOut);
    }

    /// Held-out chains answered rightly, greedily: after the demonstrations, and after learning from verified rewards.
    record Result(boolean[] before, boolean[] after) {

        Interval rateBefore() {
            return rate(before);
        }

        Interval rateAfter() {
            return rate(after);
        }

        Interval difference() {
            return Intervals.pairedDifference(before, after);
        }

        private static Interval rate(boolean[] right) {
            int n = 0;
            for (boolean r : right) {
                n += r ? 1 : 0;
            }
            return Intervals.wilson(n, right.length);
        }
    }

    /// What the policy is rewarded for: a right answer in its place, and a little for the form.
    static Reward reward() {
        return new WeightedReward(
                List.of(new ChainArithmetic(AnswerRule.ANSWER_TAG, "answer"), new FormatReward()),
                List.of(1.0, FORMAT_WEIGHT));
    }

    /// @return null if it was interrupted
    @Nullable
    Result run() {
        // 1. A cold start from demonstrations.
        boolean[] before = coldStart();
        if (before == null) {
            return null;
        }
        story.out().printf(Locale.ROOT, "%nchains: %s right after the demonstrations%n", rate(before));
        // 2. Verified rewards.
        boolean[] after = verified();
        if (after == null) {
            return null;
        }
        story.out().printf(Locale.ROOT, "%ngrpo: %s right after verified rewards%n", rate(after));
        return new Result(before, after);
    }

    private static String rate(boolean[] right) {
        return new Result(right, right).rateAfter().percent();
    }

    private boolean @Nullable [] coldStart() {
        SftConfig config = story.recipe().chainSft();
        DType dtype = Stage.dtype(config.training());
        Path target = story.folder("reasoner");
        if (Files.exists(target.resolve(Manifest.FILE))) {
            Manifest.verify(target);
            try (LoadedModel model = LoadedModel.open(target, null, dtype, false)) {
                return ask(model);
            }
        }
        story.begins("chains", "demonstrations of sums worked out in steps");
        try (LoadedModel policy = LoadedModel.open(story.sft(), null, dtype, false);
                Stage.Data train = Stage.Data.open(
                        story.rows().resolve("chains_demonstrations.jsonl").toString(),
                        policy,
                        config,
                        false,
                        story.folder(".tokenised"),
                        story.interrupts())) {
            Outcome outcome = new Stage(
                            story.run(),
                            "chains",
                            story.checkpoints("chains"),
                            policy,
                            LoadedModel.hashes(story.sft()),
                            config,
                            train,
                            null,
                            List.of())
                    .train(story.interrupts());
            boolean[] right = outcome.interrupted() ? null : ask(policy);
            if (right == null) {
                story.out().println(FineTuning.interrupted(outcome));
                return null;
            }
            save(
                    policy,
                    target,
                    "chains",
                    "parrot-sft",
                    "fine-tuned on demonstrations of chains of sums",
                    right,
                    config);
            return right;
        }
    }

    private boolean @Nullable [] verified() {
        GrpoConfig config = story.recipe().grpo();
        DType dtype = Stage.dtype(config.training());
        Path target = story.folder("verified");
        if (Files.exists(target.resolve(Manifest.FILE))) {
            Manifest.verify(target);
            try (LoadedModel model = LoadedModel.open(target, null, dtype, false)) {
                return ask(model);
            }
        }
        Path start = story.folder("reasoner");
        story.begins("grpo", "rewards that a rule verifies");
        try (LoadedModel policy = LoadedModel.open(start, null, dtype, false);
                LoadedModel reference = config.beta() == 0 ? null : LoadedModel.open(start, null, dtype, false)) {
            Outcome outcome = new Optimisation(
                            story,
                            "grpo",
                            policy,
                            "chains_prompts.jsonl",
                            reward(),
                            step -> evaluate(policy),
                            Map.of("model", start))
                    .with(config, reference == null ? null : reference.decoder());
            boolean[] right = outcome.interrupted() ? null : ask(policy);
            if (right == null) {
                story.out().println(FineTuning.interrupted(outcome));
                return null;
            }
            save(policy, target, "grpo", "parrot-reasoner", "trained by GRPO on verified rewards", right, config);
            return right;
        }
    }

    private @Nullable Map<String, Double> evaluate(LoadedModel policy) {
        boolean[] right = ask(policy);
        if (right == null) {
            return null;
        }
        Interval rate = new Result(right, right).rateAfter();
        Map<String, Double> metrics = new LinkedHashMap<>();
        metrics.put("eval_accuracy", rate.estimate());
        metrics.put("eval_accuracy/low", rate.low());
        metrics.put("eval_accuracy/high", rate.high());
        return metrics;
    }

    /// Which held-out chains are answered rightly, greedily; null if it was interrupted.
    private boolean @Nullable [] ask(LoadedModel model) {
        List<int[]> ids = heldOut.stream()
                .map(c -> HeldOut.encode(model, c.question(), true))
                .toList();
        List<Completion> answers =
                model.engine(SLOTS).rollout(ids, 1, Sampling.greedy(LONGEST), 0, story.interrupts()::requested);
        if (answers == null) {
            return null;
        }
        List<Candidate> candidates = new ArrayList<>();
        for (int i = 0; i < answers.size(); i++) {
            ObjectNode columns = Json.MAPPER.createObjectNode();
            columns.put("answer", Integer.toString(heldOut.get(i).result()));
            JsonNode prompt =
                    Json.MAPPER.getNodeFactory().stringNode(heldOut.get(i).question());
            candidates.add(new Candidate(
                    prompt,
                    ids.get(i),
                    answers.get(i).text(),
                    answers.get(i).ids(),
                    answers.get(i).finish() == Completion.Finish.STOP,
                    columns));
        }
        List<Score> scores = new ChainArithmetic(AnswerRule.ANSWER_TAG, "answer").score(candidates);
        boolean[] right = new boolean[scores.size()];
        for (int i = 0; i < right.length; i++) {
            Double value = scores.get(i).value();
            right[i] = value != null && value == 1;
        }
        return right;
    }

    private static void save(
            LoadedModel policy, Path target, String stage, String base, String how, boolean[] right, Record config) {
        ModelCard card = new ModelCard("parrot-" + target.getFileName(), base, "finetune", null)
                .paragraph("A model of the parrot world, " + how + ". Made by Manners " + RunDirectory.version()
                        + " (`./manners run`).")
                .table("on held-out chains", "rate, 95 % interval", Map.of("right", rate(right)))
                .table("option", "value", dev.manners.config.Options.toMap(config));
        policy.save(target, DType.F32, card.toString(), Map.of("stage", stage));
    }
}
