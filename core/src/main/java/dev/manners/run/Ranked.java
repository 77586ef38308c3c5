package dev.manners.run;

import dev.manners.BadInput;
import dev.manners.config.Key;
import dev.manners.data.Sampler;
import dev.manners.files.AtomicDirectory;
import dev.manners.files.AtomicFile;
import dev.manners.files.Json;
import dev.manners.files.Manifest;
import dev.manners.parrot.Annotator;
import dev.manners.parrot.ParrotWorld;
import dev.manners.parrot.Prompt;
import dev.manners.parrot.Tastes;
import dev.manners.rollout.Completion;
import dev.manners.rollout.Sampling;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/// Rankings of a model's answers by the parrot world's annotators, in a folder of their own.
///
/// @param folder `rankings.jsonl` to train on, `heldout.jsonl` to measure on, of other prompts
/// @param comparisons pairs of which one was ranked better, in both
/// @param ceiling the highest accuracy that any predictor could be expected to reach on the held-out ones
record Ranked(Path folder, int prompts, int answers, int comparisons, int ties, double ceiling) {

    private static final int TOGETHER = 64;
    private static final int LONGEST = 48;

    /// How answers are sampled and who ranks them.
    record Plan(
            @Key(value = "Annotators", byDefault = "5", min = 1, max = 1000)
            int annotators,

            @Key(value = "Answers sampled for each prompt", byDefault = "4", min = 2, max = 64)
            int answers,

            @Key(value = "Temperature of sampling", byDefault = "1.0", min = 0, aboveMin = true, max = 100)
            double temperature,

            @Key(value = "Percent of the prompts whose rankings are held out", byDefault = "15", min = 1, max = 90)
            int heldOutPercent,

            Tastes tastes) {}

    /// Has the model answer every prompt for feedback several times and the annotators rank the answers: identical ones
    /// are one; empty ones, those cut off and those with a NUL in them are not shown.
    ///
    /// @return null if it was interrupted
    static @Nullable Ranked collect(
            Path target, ParrotWorld world, Plan plan, long seed, LoadedModel model, Interrupts interrupts) {
        List<Prompt> prompts = world.feedback();
        List<Annotator> team = Annotator.team(seed, plan.tastes(), plan.annotators());
        if (!Files.exists(target.resolve(Manifest.FILE))) {
            List<int[]> ids = prompts.stream()
                    .map(p -> HeldOut.encode(model, p.question(), true))
                    .toList();
            List<List<String>> answers = sample(model, ids, plan, seed, interrupts);
            if (answers == null) {
                return null;
            }
            write(target, prompts, answers, team, plan, seed);
        }
        Manifest.verify(target);
        ObjectNode counts = Json.readObject(target.resolve("counts.json"));
        return new Ranked(
                target,
                counts.get("prompts").intValue(),
                counts.get("answers").intValue(),
                counts.get("comparisons").intValue(),
                counts.get("ties").intValue(),
                counts.get("noise_ceiling").doubleValue());
    }

    private static @Nullable List<List<String>> sample(
            LoadedModel model, List<int[]> prompts, Plan plan, long seed, Interrupts interrupts) {
        List<List<String>> answers = new ArrayList<>();
        try (Progress progress = Progress.of("answers")) {
            for (int from = 0; from < prompts.size(); from += TOGETHER) {
                int to = Math.min(prompts.size(), from + TOGETHER);
                List<Completion> some = model.engine(TOGETHER)
                        .rollout(
                                prompts.subList(from, to),
                                plan.answers(),
                                Sampling.at(plan.temperature(), LONGEST, seed),
                                from,
                                interrupts::requested);
                if (some == null) {
                    return null;
                }
                for (int p = from; p < to; p++) {
                    int prompt = p - from;
                    answers.add(some.stream()
                            .filter(c -> c.prompt() == prompt && c.finish() == Completion.Finish.STOP)
                            .map(c -> c.text().strip())
                            .filter(text -> !text.isEmpty() && text.indexOf(0) < 0)
                            .distinct()
                            .toList());
                }
                progress.progress(to, prompts.size(), Map.of());
            }
        }
        return answers;
    }

    private static void write(
            Path target, List<Prompt> prompts, List<List<String>> answers, List<Annotator> team, Plan plan, long seed) {
        StringBuilder train = new StringBuilder();
        StringBuilder heldOut = new StringBuilder();
        List<Annotator.Comparison> comparisons = new ArrayList<>();
        int firstHeldOut = prompts.size() - prompts.size() * plan.heldOutPercent() / 100;
        int ranked = 0;
        int shown = 0;
        int decided = 0;
        int ties = 0;
        for (int p = 0; p < prompts.size(); p++) {
            if (answers.get(p).size() < 2) {
                continue;
            }
            // Each prompt is ranked once, by one annotator after the other, in an order drawn for it.
            Annotator annotator = team.get(p % team.size());
            int[] order =
                    Sampler.order(Sampler.Order.RANDOM, seed, p, answers.get(p).size());
            List<String> asShown = new ArrayList<>();
            for (int i : order) {
                asShown.add(answers.get(p).get(i));
            }
            int[] ranks = annotator.rank(prompts.get(p), asShown, p);
            ranked++;
            shown += ranks.length;
            for (int i = 0; i < ranks.length; i++) {
                for (int j = i + 1; j < ranks.length; j++) {
                    decided += ranks[i] == ranks[j] ? 0 : 1;
                    ties += ranks[i] == ranks[j] ? 1 : 0;
                    if (p >= firstHeldOut && ranks[i] != ranks[j]) {
                        comparisons.add(new Annotator.Comparison(prompts.get(p), asShown.get(i), asShown.get(j)));
                    }
                }
            }
            (p < firstHeldOut ? train : heldOut)
                    .append(row(prompts.get(p), asShown, ranks, annotator))
                    .append('\n');
        }
        if (comparisons.isEmpty() || train.isEmpty()) {
            throw new BadInput(
                    "feedback: of " + prompts.size() + " prompts " + ranked + " got two different answers that"
                            + " came to an end, too few to train a reward model on and to measure it: raise"
                            + " world.feedback_prompts or annotators.answers, or fine-tune longer");
        }
        Map<String, Object> counts = new LinkedHashMap<>();
        counts.put("prompts", ranked);
        counts.put("answers", shown);
        counts.put("comparisons", decided);
        counts.put("ties", ties);
        counts.put("noise_ceiling", Annotator.noiseCeiling(team, comparisons));
        try (AtomicDirectory folder = AtomicDirectory.create(target)) {
            AtomicFile.write(folder.path().resolve("rankings.jsonl"), train.toString());
            AtomicFile.write(folder.path().resolve("heldout.jsonl"), heldOut.toString());
            AtomicFile.write(folder.path().resolve("counts.json"), Json.pretty(counts));
            folder.commit(counts);
        }
    }

    private static ObjectNode row(Prompt prompt, List<String> answers, int[] ranks, Annotator annotator) {
        ObjectNode row = Json.MAPPER.createObjectNode();
        message(row.putArray("prompt"), "user", prompt.question());
        ArrayNode completions = row.putArray("completions");
        answers.forEach(answer -> message(completions.addArray(), "assistant", answer));
        ArrayNode places = row.putArray("ranks");
        for (int rank : ranks) {
            places.add(rank);
        }
        return row.put("annotator", annotator.name());
    }

    private static void message(ArrayNode messages, String role, String content) {
        messages.addObject().put("role", role).put("content", content);
    }
}
