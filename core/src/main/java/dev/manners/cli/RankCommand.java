package dev.manners.cli;

import dev.manners.BadInput;
import dev.manners.config.Key;
import dev.manners.config.Options;
import dev.manners.feedback.Assignment;
import dev.manners.feedback.FeedbackStore;
import dev.manners.feedback.Ranker;
import dev.manners.feedback.Task;
import dev.manners.parrot.Annotator;
import dev.manners.parrot.ParrotWorld;
import dev.manners.parrot.Prompt;
import dev.manners.parrot.Tastes;
import dev.manners.run.ParrotRecipe;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/// `rank`: simulated annotators rank what is in a store.
final class RankCommand implements Command {

    /// Who ranks.
    enum Annotators {
        PARROT
    }

    record RankOptions(
            @Key(value = "Feedback store", required = true) Path store,

            @Key(value = "Who ranks: the built-in world's simulated people", byDefault = "parrot")
            Annotators annotators,

            @Key("Recipe whose world the questions are from; unset: recipes/parrot.yaml") @Nullable
            Path world,

            @Key(value = "How many annotators there are", byDefault = "3", min = 1, max = 1000)
            int numAnnotators,

            @Key(value = "How many of them rank each task", byDefault = "1", min = 1, max = 1000)
            int perTask,

            @Key(value = "Share of an annotator's tasks that it is asked again", byDefault = "0.05", min = 0, max = 1)
            double repeats,

            @Key("Seed of the annotators; unset: the world's") @Nullable
            Long seed) {}

    @Override
    public String name() {
        return "rank";
    }

    @Override
    public String summary() {
        return "Lets simulated annotators of known tastes and noise rank the answers in a feedback store.";
    }

    @Override
    public String details() {
        return """
                The questions must be of the world that the recipe makes; others are skipped, and said to be. The order in which
                answers are shown is random and recorded. Stopped and started again, it goes on where it was.
                Example:
                  manners rank --annotators parrot --store feedback.db --num-annotators 5 --per-task 2""";
    }

    @Override
    public List<Class<? extends Record>> options() {
        return List.of(RankOptions.class, Tastes.class);
    }

    @Override
    public int run(Call call) {
        List<Record> bound = call.bind();
        RankOptions options = (RankOptions) bound.get(0);
        Tastes tastes = (Tastes) bound.get(1);
        if (options.perTask() > options.numAnnotators()) {
            throw new BadInput("per_task is " + options.perTask() + ", but there are only " + options.numAnnotators()
                    + " annotators; raise num_annotators");
        }
        Path file = options.world() == null ? RunCommand.parrot() : options.world();
        ParrotRecipe recipe = ParrotRecipe.bind(new Options().yaml(file));
        ParrotWorld world = ParrotWorld.create(recipe.top().seed(), recipe.world());
        long seed = options.seed() == null ? recipe.top().seed() : options.seed();
        List<ParrotRanker> rankers = Annotator.team(seed, tastes, options.numAnnotators()).stream()
                .map(annotator -> new ParrotRanker(annotator, world))
                .toList();
        try (FeedbackStore store = openExisting(options.store())) {
            long given = Ranker.rankAll(
                    store,
                    rankers,
                    new Assignment.Terms(options.perTask(), Duration.ofMinutes(30), options.repeats()),
                    done -> {});
            call.out().printf("%d verdicts of %d annotators%n", given, rankers.size());
            long strange = rankers.stream().mapToLong(ranker -> ranker.strange).sum();
            if (strange > 0) {
                call.out().printf("%d were skipped: the question is not of the world of %s%n", strange, file);
            }
            return 0;
        }
    }

    static FeedbackStore openExisting(Path file) {
        if (!java.nio.file.Files.exists(file)) {
            throw new BadInput("--store " + file + ": no such file; manners sample makes one");
        }
        return FeedbackStore.open(file);
    }

    private static final class ParrotRanker implements Ranker {
        private final Annotator annotator;
        private final ParrotWorld world;
        private long strange;

        ParrotRanker(Annotator annotator, ParrotWorld world) {
            this.annotator = annotator;
            this.world = world;
        }

        @Override
        public String name() {
            return annotator.name();
        }

        @Override
        public Optional<int[]> rank(Task task, List<String> answers, int occasion) {
            JsonNode last = task.prompt().get(task.prompt().size() - 1);
            Optional<Prompt> prompt = world.prompt(last.path("content").asString(""));
            strange += prompt.isEmpty() ? 1 : 0;
            return prompt.map(known -> annotator.rank(known, answers, occasion));
        }
    }
}
