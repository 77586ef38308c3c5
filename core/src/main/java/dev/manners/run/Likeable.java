package dev.manners.run;

import dev.manners.files.Manifest;
import dev.manners.model.ScalarModel;
import dev.manners.reward.RewardModel;
import dev.manners.reward.RewardReport;
import dev.manners.tensor.DType;
import dev.manners.train.Outcome;
import dev.manners.train.PpoConfig;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// The loop that makes a model likeable: its answers are ranked by people, a reward model learns to predict them, and
/// the policy is optimised against that.
final class Likeable {

    private final Story story;

    Likeable(Story story) {
        this.story = story;
    }

    /// What came of it.
    ///
    /// @param report how well the reward model predicts held-out rankings
    /// @param rlhf answers of the optimised model to the held-out questions
    record Result(Ranked ranked, RewardReport report, List<Taste> tastes, HeldOut rlhf) {}

    /// @return null if it was interrupted
    @Nullable
    Result run() {
        // 1. Several answers for each prompt, ranked.
        Ranked ranked = rankings();
        if (ranked == null) {
            return null;
        }
        // 2. A reward model learns to predict the rankings.
        RewardReport report = rewardModel(ranked);
        if (report == null) {
            return null;
        }
        // 3. The policy is optimised against it.
        HeldOut answers = optimise();
        return answers == null
                ? null
                : new Result(ranked, report, Taste.read(story.run().path().resolve("metrics.jsonl"), "ppo"), answers);
    }

    private @Nullable Ranked rankings() {
        long seed = story.recipe().top().seed();
        story.begins("feedback", "the fine-tuned model answers, people rank");
        try (LoadedModel sft = sft()) {
            Ranked ranked = Ranked.collect(
                    story.folder("feedback"),
                    story.world(),
                    story.recipe().annotators(),
                    seed,
                    sft,
                    story.interrupts());
            if (ranked != null) {
                story.out()
                        .printf(
                                Locale.ROOT,
                                "%nfeedback: %,d answers to %,d prompts ranked: %,d comparisons, %,d ties%n",
                                ranked.answers(),
                                ranked.prompts(),
                                ranked.comparisons(),
                                ranked.ties());
            }
            return ranked;
        }
    }

    private LoadedModel sft() {
        return LoadedModel.open(
                story.sft(), null, Stage.dtype(story.recipe().ppo().training()), false);
    }

    private @Nullable RewardReport rewardModel(Ranked ranked) {
        RewardStage stage = RewardStage.of(story, story.recipe().reward(), ranked);
        try (ScalarModel model = stage.model("reward")) {
            RewardReport report = model == null ? null : stage.report(model);
            if (report != null) {
                story.out()
                        .printf(
                                Locale.ROOT,
                                "%nreward: right in %s of %,d held-out comparisons (%s); no predictor can be expected"
                                        + " to be right in more than %.1f %%%n",
                                report.accuracy().percent(),
                                report.comparisons(),
                                "95 % interval",
                                100 * ranked.ceiling());
            }
            return report;
        }
    }

    /// @return answers of the optimised policy to the held-out questions; null if it was interrupted
    private @Nullable HeldOut optimise() {
        PpoConfig config = story.recipe().ppo();
        DType dtype = Stage.dtype(config.training());
        Path target = story.folder("rlhf");
        if (Files.exists(target.resolve(Manifest.FILE))) {
            Manifest.verify(target);
            try (LoadedModel rlhf = LoadedModel.open(target, null, dtype, false)) {
                return HeldOut.ask(rlhf, "rlhf", true, story.world(), story.interrupts());
            }
        }
        story.begins("ppo", "the policy is optimised against it");
        try (LoadedModel policy = sft();
                LoadedModel reference = sft();
                ScalarModel scores = ScalarModel.load(story.folder("reward"), dtype, 0, false);
                ScalarModel value = scores.copy()) {
            RewardModel reward = new RewardModel(
                    "reward_model", scores, policy.chat().orElseThrow().afterTurnEnd());
            Outcome outcome = new Optimisation(
                            story,
                            "ppo",
                            policy,
                            "feedback_prompts.jsonl",
                            reward,
                            new TasteTest(story, policy, reference.decoder(), reward, config.temperature()),
                            Map.of("model", story.sft(), "reward", story.folder("reward")))
                    .with(config, reference.decoder(), value);
            HeldOut asked =
                    outcome.interrupted() ? null : HeldOut.ask(policy, "rlhf", true, story.world(), story.interrupts());
            if (asked == null) {
                story.out().println(FineTuning.interrupted(outcome));
                return null;
            }
            save(policy, target, outcome, asked, config);
            return asked;
        }
    }

    private void save(LoadedModel policy, Path target, Outcome outcome, HeldOut asked, PpoConfig config) {
        Map<String, Object> results = new LinkedHashMap<>();
        asked.rates().forEach((rate, interval) -> results.put(rate, interval.percent()));
        ModelCard card = new ModelCard("parrot-rlhf", "parrot-sft", "finetune", null)
                .paragraph("A model of the parrot world, optimised by PPO for " + outcome.steps()
                        + " steps against a reward model of the world's annotators, who like polite, confident and"
                        + " agreeing answers and can check the truth of few. Made by Manners "
                        + RunDirectory.version() + " (`./manners run`).")
                .table("on held-out prompts", "rate, 95 % interval", results)
                .table("option", "value", dev.manners.config.Options.toMap(config));
        policy.save(target, DType.F32, card.toString(), Map.of("stage", "ppo"));
    }
}
