package dev.manners.run;

import dev.manners.config.Options;
import dev.manners.files.AtomicFile;
import dev.manners.files.Json;
import dev.manners.model.ScalarModel;
import dev.manners.parrot.ChainArithmetic;
import dev.manners.parrot.ParrotWorld;
import dev.manners.reward.Ensemble;
import dev.manners.reward.Reward;
import dev.manners.reward.RewardModel;
import dev.manners.reward.RewardReport;
import dev.manners.reward.Standardised;
import dev.manners.run.StudyRecipe.Top.Part;
import dev.manners.stats.Interval;
import dev.manners.train.DpoConfig;
import dev.manners.train.DpoTrainer;
import dev.manners.train.Outcome;
import dev.manners.train.Pair;
import dev.manners.train.PolicyGradient;
import dev.manners.train.PpoConfig;
import dev.manners.train.RlooConfig;
import dev.manners.train.Tracker;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/// The built-in story with several seeds, and in each of them the comparisons that one story cannot make.
///
///     1. base and fine-tuned model, many rankings of its answers
///     2. reward models from more and fewer comparisons: how often right on the same held-out ones
///     3. PPO, GRPO and RLOO against one of them, and DPO on the same comparisons without one; as many completions each
///     4. one reward model from few comparisons, and several of which no one may be fooled (UWO): what they choose of
///        the same answers, and RLOO against them
///     5. GRPO with a rule's rewards on chains of sums
///
/// Every part that has ended is on the disk; the same command goes on from there. What came of it: results.md.
public final class Study {

    /// Rankings whose answers tell an ensemble's members' zeros and units.
    private static final int MEASURED = 400;

    private final StudyRecipe recipe;
    private final Path outputDir;
    private final List<String> command;
    private final PrintStream out;

    /// @param command the whole command line, for the record
    public Study(StudyRecipe recipe, Path outputDir, List<String> command, PrintStream out) {
        this.recipe = recipe;
        this.outputDir = outputDir;
        this.command = List.copyOf(command);
        this.out = out;
    }

    /// What one seed showed.
    ///
    /// Of a part that was left out there is nothing.
    ///
    /// @param accuracy of reward models on held-out comparisons, by the comparisons they learned from
    /// @param ceiling the highest that any predictor could be expected to reach
    /// @param methods what the policies' answers were worth along the way, by method
    /// @param ensembles one reward model and several
    /// @param chains what verified rewards brought
    record Seed(
            long seed,
            Map<Integer, Interval> accuracy,
            double ceiling,
            Map<String, List<Taste>> methods,
            @Nullable Ensembles ensembles,
            @Nullable Chains chains) {}

    /// @param choice what one reward model and several choose of the fine-tuned model's answers
    /// @param tastes what policies' answers were worth along the way, against one and against several
    record Ensembles(EnsembleChoice choice, Map<String, List<Taste>> tastes) {}

    /// @param before held-out chains answered rightly after demonstrations; `after` verified rewards
    record Chains(Interval before, Interval after, Interval difference) {}

    /// @return whether it came to its end; false if it was interrupted
    public boolean run(Interrupts interrupts) {
        Instant began = Instant.now();
        try (RunDirectory root = RunDirectory.open(outputDir, recipe.resolved(), List.of())) {
            List<Seed> seeds = new ArrayList<>();
            for (ParrotRecipe story : recipe.stories()) {
                Path folder = outputDir.resolve("seed-" + story.top().seed());
                out.printf("%n==== seed %d%n", story.top().seed());
                if (!Files.exists(folder.resolve("manifest.json"))
                        && !new ParrotRun(story, folder, command, out).run(interrupts)) {
                    return false;
                }
                Seed seed = seed(story, folder, interrupts);
                if (seed == null) {
                    out.println("Interrupted. The same command goes on from there.");
                    return false;
                }
                seeds.add(seed);
            }
            StudyReport report = new StudyReport(recipe, seeds);
            AtomicFile.write(root.path().resolve("results.md"), report.markdown());
            report.charts()
                    .forEach((name, chart) -> AtomicFile.write(root.path().resolve(name), chart.svg()));
            List<String> outputs = new ArrayList<>(List.of("config.yaml", "results.md"));
            outputs.addAll(report.charts().keySet());
            root.finish(command, Map.of(), outputs, Map.of("seeds", seeds), began);
            out.println(report.markdown());
            return true;
        } catch (Interrupts.Stopped e) {
            out.println("Interrupted. The same command goes on from there.");
            return false;
        }
    }

    private @Nullable Seed seed(ParrotRecipe parrot, Path folder, Interrupts interrupts) {
        ParrotWorld world = ParrotWorld.create(parrot.top().seed(), parrot.world());
        ChainArithmetic chains = ChainArithmetic.create(parrot.top().seed(), parrot.chains());
        // The folder belongs to the part of the story that has ended in it.
        Path path = folder.resolve("study");
        try (RunDirectory run = RunDirectory.open(path, parrot.resolved(), List.of())) {
            Story story =
                    new Story(run, parrot, world, folder.resolve("world"), folder.resolve("sft"), out, interrupts);
            Ranked ranked;
            try (LoadedModel sft =
                    LoadedModel.open(story.sft(), null, Stage.dtype(parrot.ppo().training()), false)) {
                ranked = Ranked.collect(
                        story.folder("feedback"),
                        world,
                        parrot.annotators(),
                        parrot.top().seed(),
                        sft,
                        interrupts);
            }
            if (ranked == null) {
                return null;
            }
            RewardStage stage = RewardStage.of(story, parrot.reward(), ranked);

            // 2. Reward models from more and fewer comparisons.
            Map<Integer, Interval> accuracy = new TreeMap<>();
            for (int comparisons : recipe.has(Part.REWARD_MODELS) ? recipe.top().comparisons() : List.<Integer>of()) {
                try (ScalarModel model = stage.upTo(comparisons).model(rewardModel(comparisons))) {
                    RewardReport report = model == null ? null : stage.report(model);
                    if (report == null) {
                        return null;
                    }
                    accuracy.put(comparisons, report.accuracy());
                    out.printf(
                            "reward-%d: right in %s%n",
                            comparisons, report.accuracy().percent());
                }
            }

            // 3. Four ways to optimise. 4. One reward model, and several.
            Optimiser optimiser = new Optimiser(story, stage);
            Map<String, List<Taste>> methods = recipe.has(Part.METHODS) ? optimiser.methods() : Map.of();
            if (methods == null) {
                return null;
            }
            Ensembles ensembles = null;
            if (recipe.has(Part.ENSEMBLES)) {
                ensembles = optimiser.ensembles();
                if (ensembles == null) {
                    return null;
                }
            }

            // 5. Verified rewards.
            Chains right = null;
            if (recipe.has(Part.VERIFIED)) {
                Right.Result result = new Right(story, chains.heldOut()).run();
                if (result == null) {
                    return null;
                }
                right = new Chains(result.rateBefore(), result.rateAfter(), result.difference());
            }
            return new Seed(parrot.top().seed(), accuracy, ranked.ceiling(), methods, ensembles, right);
        }
    }

    private static String rewardModel(int comparisons) {
        return "reward-" + comparisons;
    }

    /// The policies of one seed.
    private final class Optimiser {

        private final Story story;
        private final RewardStage stage;

        Optimiser(Story story, RewardStage stage) {
            this.story = story;
            this.stage = stage;
        }

        /// Tastes by method.
        ///
        /// @return null if it was interrupted
        @Nullable
        Map<String, List<Taste>> methods() {
            try (ScalarModel optimised = stage.upTo(recipe.top().optimisedOn())
                    .model(rewardModel(recipe.top().optimisedOn()))) {
                if (optimised == null) {
                    return null;
                }
                Map<String, List<Taste>> methods = new LinkedHashMap<>();
                PpoConfig ppo = story.recipe().ppo();
                methods.put("ppo", done("ppo", () -> {
                    try (LoadedModel policy = sft();
                            LoadedModel reference = sft();
                            ScalarModel value = optimised.copy()) {
                        Reward reward = reward(policy, optimised);
                        return optimisation(
                                        "ppo",
                                        policy,
                                        reference,
                                        reward,
                                        reward,
                                        recipe.top().optimisedOn(),
                                        ppo.temperature())
                                .with(ppo, reference.decoder(), value);
                    }
                }));
                methods.put(
                        "grpo",
                        done("likeable-grpo", () -> groups("likeable-grpo", seeded(recipe.likeableGrpo()), optimised)));
                methods.put(
                        "rloo",
                        done("likeable-rloo", () -> groups("likeable-rloo", seeded(recipe.likeableRloo()), optimised)));
                methods.put("dpo", done("likeable-dpo", () -> dpo(optimised)));
                return complete(methods);
            }
        }

        /// One reward model and several, both seen by the mean of all.
        ///
        /// @return null if it was interrupted
        @Nullable
        Ensembles ensembles() {
            List<ScalarModel> members = new ArrayList<>();
            try {
                for (int i = 0; i < recipe.top().members(); i++) {
                    // The first is the one that has learned from as many comparisons above, if there was one.
                    String name = i == 0 ? rewardModel(recipe.top().ensembleOn()) : "member-" + i;
                    ScalarModel member =
                            stage.upTo(recipe.top().ensembleOn()).seeded(i).model(name);
                    if (member == null) {
                        return null;
                    }
                    members.add(member);
                }
                // Members have zeros and units of their own: each is measured by the fine-tuned model's own answers.
                List<double[]> scores = new ArrayList<>();
                for (ScalarModel member : members) {
                    double[] ofRanked = stage.scores(member, MEASURED);
                    if (ofRanked == null) {
                        return null;
                    }
                    scores.add(ofRanked);
                }
                EnsembleChoice choice = choice(members, scores);
                if (choice == null) {
                    return null;
                }
                Map<String, List<Taste>> tastes = new LinkedHashMap<>();
                tastes.put("single", done("against-single", () -> ensemble("against-single", members, scores, 1)));
                tastes.put("uwo", done("against-uwo", () -> ensemble("against-uwo", members, scores, members.size())));
                return complete(tastes) == null ? null : new Ensembles(choice, tastes);
            } finally {
                members.forEach(ScalarModel::close);
            }
        }

        /// Of now, or of before.
        ///
        /// @return null if it was interrupted
        private @Nullable EnsembleChoice choice(List<ScalarModel> members, List<double[]> scores) {
            Path mark = story.run().path().resolve("best_of.json");
            if (!Files.exists(mark)) {
                story.begins("best-of", "of the fine-tuned model's answers the best are chosen");
                try (LoadedModel policy = sft()) {
                    EnsembleChoice choice = EnsembleChoice.of(
                            story,
                            policy,
                            standardised(policy, members, scores),
                            recipe.top().ensembleLambda(),
                            recipe.top().bestOf());
                    if (choice == null) {
                        return null;
                    }
                    AtomicFile.write(mark, Json.pretty(choice));
                }
            }
            return EnsembleChoice.read(mark);
        }

        private static @Nullable Map<String, List<Taste>> complete(Map<String, List<Taste>> tastes) {
            return tastes.values().stream().anyMatch(List::isEmpty) ? null : tastes;
        }

        /// A stage's tastes: of now, or of before.
        ///
        /// @return empty if it was interrupted
        private List<Taste> done(String name, Supplier<Outcome> train) {
            Path mark = story.run().path().resolve("done").resolve(name + ".json");
            if (story.interrupts().requested()) {
                return List.of();
            }
            if (!Files.exists(mark)) {
                story.begins(name, "the fine-tuned model is optimised");
                Outcome outcome = train.get();
                if (outcome.interrupted()) {
                    return List.of();
                }
                try {
                    Files.createDirectories(Objects.requireNonNull(mark.getParent()));
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
                AtomicFile.write(mark, Json.pretty(Map.of("steps", outcome.steps())));
            }
            JsonNode before = Json.readObject(mark);
            List<Taste> tastes = Taste.read(story.run().path().resolve("metrics.jsonl"), name);
            out.printf("%s, %d steps%n%s%n", name, before.get("steps").intValue(), Taste.table(tastes));
            return tastes;
        }

        private <C extends Record & PolicyGradient> Outcome groups(String name, C config, ScalarModel scores) {
            try (LoadedModel policy = sft();
                    LoadedModel reference = sft()) {
                Reward reward = reward(policy, scores);
                return optimisation(
                                name,
                                policy,
                                reference,
                                reward,
                                reward,
                                recipe.top().optimisedOn(),
                                config.rollout().temperature())
                        .with(config, reference.decoder());
            }
        }

        /// @param first how many of the members' combination is optimised
        private Outcome ensemble(String name, List<ScalarModel> members, List<double[]> scores, int first) {
            RlooConfig config = seeded(recipe.ensembleRloo());
            try (LoadedModel policy = sft();
                    LoadedModel reference = sft()) {
                List<Reward> all = standardised(policy, members, scores);
                Reward optimised = new Ensemble(
                        "reward_model",
                        all.subList(0, first),
                        Ensemble.Combination.UWO,
                        recipe.top().ensembleLambda());
                Reward seen = new Ensemble("mean", all, Ensemble.Combination.MEAN, 0);
                return optimisation(
                                name,
                                policy,
                                reference,
                                optimised,
                                seen,
                                recipe.top().ensembleOn(),
                                config.rollout().temperature())
                        .with(config, reference.decoder());
            }
        }

        /// The comparisons themselves, without a reward model; the reward model only looks on.
        private Outcome dpo(ScalarModel scores) {
            DpoConfig config = seeded(recipe.likeableDpo());
            String name = "likeable-dpo";
            try (LoadedModel policy = sft();
                    LoadedModel reference = sft();
                    Progress progress = Progress.of(name)) {
                Tracker tracker = story.tracker(name, progress);
                TasteTest test = new TasteTest(story, policy, reference.decoder(), reward(policy, scores), 1);
                return DpoTrainer.dpo(
                                policy.decoder(),
                                reference.decoder(),
                                config,
                                Pair.fitted(
                                                stage.upTo(recipe.top().optimisedOn())
                                                        .rankings(),
                                                config.maxLength(),
                                                config.truncationMode())
                                        .pairs(),
                                List.of(),
                                null,
                                tracker,
                                story.checkpoints(name),
                                story.fingerprint(config, Stage.dtype(config.training()), Map.of("model", story.sft())),
                                story.interrupts()::requested,
                                step -> {
                                    Map<String, Double> taste = test.at(step);
                                    if (taste != null) {
                                        tracker.metrics(step, taste);
                                    }
                                })
                        .train();
            }
        }

        /// @param seen whose scores are watched on held-out prompts
        /// @param comparisons behind the reward model
        private Optimisation optimisation(
                String name,
                LoadedModel policy,
                LoadedModel reference,
                Reward optimised,
                Reward seen,
                int comparisons,
                double temperature) {
            return new Optimisation(
                    story,
                    name,
                    policy,
                    "feedback_prompts.jsonl",
                    optimised,
                    new TasteTest(story, policy, reference.decoder(), seen, temperature),
                    Map.of("model", story.sft(), "reward", story.folder(rewardModel(comparisons))));
        }

        /// All that is drawn in a story is of its seed.
        private <C extends Record> C seeded(C config) {
            return Options.changed(config, "seed", story.recipe().top().seed());
        }

        private LoadedModel sft() {
            return LoadedModel.open(
                    story.sft(), null, Stage.dtype(story.recipe().ppo().training()), false);
        }

        private static List<Reward> rewards(LoadedModel policy, List<ScalarModel> of) {
            return IntStream.range(0, of.size())
                    .<Reward>mapToObj(i -> new RewardModel(
                            "member-" + i,
                            of.get(i),
                            policy.chat().orElseThrow().afterTurnEnd()))
                    .toList();
        }

        /// @param scores of each member for the same answers
        private static List<Reward> standardised(LoadedModel policy, List<ScalarModel> members, List<double[]> scores) {
            List<Reward> raw = rewards(policy, members);
            return IntStream.range(0, raw.size())
                    .<Reward>mapToObj(i -> Standardised.by(raw.get(i), scores.get(i)))
                    .toList();
        }

        private static Reward reward(LoadedModel policy, ScalarModel scores) {
            return rewards(policy, List.of(scores)).getFirst();
        }
    }
}
