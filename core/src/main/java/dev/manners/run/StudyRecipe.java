package dev.manners.run;

import dev.manners.BadInput;
import dev.manners.config.Checked;
import dev.manners.config.Key;
import dev.manners.config.Options;
import dev.manners.train.DpoConfig;
import dev.manners.train.GrpoConfig;
import dev.manners.train.PolicyGradient;
import dev.manners.train.PpoConfig;
import dev.manners.train.RlooConfig;
import dev.manners.train.RolloutConfig;
import dev.manners.train.TrainingConfig;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// The recipe of a study: the built-in story with several seeds, and in each of them what the story tells only once is
/// compared: reward models from more and fewer comparisons, four ways to optimise against one, one reward model and
/// several.
///
/// @param stories the story's recipe for each seed
/// @param ensembleRloo how policies are optimised against one reward model and against several
public record StudyRecipe(
        Top top,
        List<ParrotRecipe> stories,
        DpoConfig likeableDpo,
        GrpoConfig likeableGrpo,
        RlooConfig likeableRloo,
        RlooConfig ensembleRloo) {

    /// What stands outside all sections.
    public record Top(
            @Key(value = "Kind of recipe", required = true) Kind recipe,

            @Key(value = "Recipe of the story, beside this one", byDefault = "parrot.yaml")
            Path story,

            @Key(value = "Seeds of the stories", byDefault = "[42, 1, 2]")
            List<Long> seeds,

            @Key(
                    value = "Parts of the study that are done",
                    byDefault = "[reward_models, methods, ensembles, verified]")
            List<Part> parts,

            @Key(value = "Comparisons that reward models learn from, rising", byDefault = "[500, 2000, 8000]")
            List<Integer> comparisons,

            @Key(
                    value = "Comparisons behind the reward models that policies are optimised against",
                    byDefault = "8000",
                    min = 1)
            int optimisedOn,

            @Key(
                    value = "Comparisons behind the reward models of an ensemble; few, so that they differ",
                    byDefault = "500",
                    min = 1)
            int ensembleOn,

            @Key(value = "Reward models of an ensemble, of different seeds", byDefault = "4", min = 2)
            int members,

            @Key(value = "λ of the ensemble: mean less λ times the variance", byDefault = "1.0", min = 0)
            double ensembleLambda,

            @Key(
                    value = "Answers to each held-out prompt of which an ensemble and its members choose",
                    byDefault = "64",
                    min = 2,
                    max = 4096)
            int bestOf)
            implements Checked {

        /// Kinds of recipe.
        public enum Kind {
            STUDY
        }

        /// What a study compares.
        public enum Part {
            /// reward models from more and fewer comparisons
            REWARD_MODELS,
            /// four ways to optimise against one
            METHODS,
            /// one reward model and several
            ENSEMBLES,
            /// rewards that a rule verifies, before and after
            VERIFIED
        }

        @Override
        public List<String> problems() {
            List<String> problems = new ArrayList<>();
            if (seeds.isEmpty() || seeds.stream().distinct().count() < seeds.size()) {
                problems.add("seeds is " + seeds + ", expected different seeds, three or more for intervals");
            }
            if (parts.isEmpty() || parts.stream().distinct().count() < parts.size()) {
                problems.add(
                        "parts is " + parts + ", expected one or more of reward_models, methods, ensembles, verified");
            }
            if (comparisons.isEmpty() || comparisons.getFirst() < 1) {
                problems.add("comparisons is " + comparisons + ", expected numbers from 1");
            }
            return problems;
        }
    }

    private static final List<String> SECTIONS =
            List.of("likeable_dpo", "likeable_grpo", "likeable_rloo", "ensemble_rloo");

    /// Binds a study's options and those of its story; what the study says of the story goes before.
    ///
    /// @param folder where the recipe lies
    public static StudyRecipe bind(Options options, Path folder) {
        Options own = options.top();
        Top top = own.bind(Top.class);
        Path story = folder.resolve(top.story());
        if (!Files.exists(story)) {
            throw new BadInput("story: there is no recipe " + story);
        }
        List<ParrotRecipe> stories = new ArrayList<>();
        for (long seed : top.seeds()) {
            Options told = new Options().yaml(story);
            for (String key : options.keys()) {
                int dot = key.indexOf('.');
                if (dot >= 0 && !SECTIONS.contains(key.substring(0, dot))) {
                    options.copy(key, told);
                }
            }
            told.set("seed", seed, "seeds");
            told.set("until", "sft", "study");
            stories.add(ParrotRecipe.bind(told));
        }
        StudyRecipe recipe = new StudyRecipe(
                top,
                List.copyOf(stories),
                options.section(SECTIONS.get(0)).bind(DpoConfig.class),
                options.section(SECTIONS.get(1)).bind(GrpoConfig.class),
                options.section(SECTIONS.get(2)).bind(RlooConfig.class),
                options.section(SECTIONS.get(3)).bind(RlooConfig.class));
        if (recipe.has(Top.Part.METHODS)) {
            recipe.requireEqualBudgets();
        }
        return recipe;
    }

    boolean has(Top.Part part) {
        return top.parts().contains(part);
    }

    /// Completions that each way of optimising learns from.
    Map<String, Long> budgets() {
        Map<String, Long> budgets = new LinkedHashMap<>();
        PpoConfig ppo = stories.getFirst().ppo();
        budgets.put("ppo", ppo.training().maxSteps() * ppo.episodes());
        budgets.put("grpo", completions(likeableGrpo));
        budgets.put("rloo", completions(likeableRloo));
        // A pair is two completions.
        TrainingConfig dpo = likeableDpo.training();
        budgets.put("dpo", 2 * dpo.maxSteps() * RolloutConfig.perUpdate(dpo));
        return budgets;
    }

    private static long completions(PolicyGradient config) {
        return config.training().maxSteps()
                * RolloutConfig.perUpdate(config.training())
                / config.rollout().numIterations();
    }

    private void requireEqualBudgets() {
        if (budgets().values().stream().distinct().count() > 1) {
            throw new BadInput("study: ppo, grpo, rloo and dpo are compared at equal budgets, and learn from "
                    + budgets() + " completions; change max_steps or per_device_train_batch_size of their sections");
        }
    }

    /// All options by their full keys.
    Map<String, Object> resolved() {
        Map<String, Object> resolved = new LinkedHashMap<>(stories.getFirst().resolved());
        resolved.remove("seed");
        resolved.putAll(Options.toMap(top));
        Options.toMap(likeableDpo).forEach((key, value) -> resolved.put("likeable_dpo." + key, value));
        Options.toMap(likeableGrpo).forEach((key, value) -> resolved.put("likeable_grpo." + key, value));
        Options.toMap(likeableRloo).forEach((key, value) -> resolved.put("likeable_rloo." + key, value));
        Options.toMap(ensembleRloo).forEach((key, value) -> resolved.put("ensemble_rloo." + key, value));
        return resolved;
    }
}
