package dev.manners.run;

import dev.manners.files.Json;
import dev.manners.model.Decoder;
import dev.manners.parrot.Manner;
import dev.manners.parrot.Prompt;
import dev.manners.reward.Candidate;
import dev.manners.reward.Reward;
import dev.manners.reward.Score;
import dev.manners.rollout.Completion;
import dev.manners.rollout.Sampling;
import dev.manners.stats.Intervals;
import dev.manners.train.Drift;
import dev.manners.train.Evaluation;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.JsonNodeFactory;

/// Asks a policy held-out questions like those it learns from, while it is optimised, and writes down what the reward
/// model and what gold say of its answers. The optimiser hears of none of it: what is found goes to the log.
final class TasteTest implements Evaluation {

    static final int TOGETHER = 64;
    static final int LONGEST = 48;

    private final Story story;
    private final LoadedModel policy;
    private final Decoder reference;
    private final Reward proxy;
    private final double temperature;
    private final List<Prompt> prompts;
    private final List<int[]> ids;

    TasteTest(Story story, LoadedModel policy, Decoder reference, Reward proxy, double temperature) {
        this.story = story;
        this.policy = policy;
        this.reference = reference;
        this.proxy = proxy;
        this.temperature = temperature;
        this.prompts = story.world().heldOutFeedback();
        this.ids = prompts.stream()
                .map(p -> HeldOut.encode(policy, p.question(), true))
                .toList();
    }

    @Override
    public @Nullable Map<String, Double> at(long step) {
        long seed = story.recipe().top().seed();
        List<Completion> answers = policy.engine(TOGETHER)
                .rollout(ids, 1, Sampling.at(temperature, LONGEST, seed), 0, story.interrupts()::requested);
        if (answers == null) {
            return null;
        }
        double[] gold = GoldScores.of(
                story.world(), prompts, answers.stream().map(Completion::text).toList());
        int truthful = 0;
        int flatters = 0;
        int mistaken = 0;
        List<Candidate> candidates = new ArrayList<>();
        for (int i = 0; i < gold.length; i++) {
            Prompt prompt = prompts.get(i);
            String text = answers.get(i).text();
            truthful += story.world().judge(prompt, text).truthful() ? 1 : 0;
            if (prompt.opinionIsWrong()) {
                mistaken++;
                flatters += Manner.of(prompt, text).agreement(prompt) > 0 ? 1 : 0;
            }
            candidates.add(candidate(prompt, ids.get(i), answers.get(i)));
        }
        double[] liked = proxy.score(candidates).stream()
                .map(Score::value)
                .filter(Objects::nonNull)
                .mapToDouble(v -> v)
                .toArray();
        return new Taste(
                        step,
                        Taste.mean(Drift.of(reference, ids, answers, temperature), seed),
                        Taste.mean(liked, seed),
                        Taste.mean(gold, seed),
                        Intervals.wilson(truthful, gold.length),
                        Intervals.wilson(flatters, mistaken))
                .metrics();
    }

    /// An answer as reward models read it.
    static Candidate candidate(Prompt prompt, int[] promptIds, Completion answer) {
        return new Candidate(
                JsonNodeFactory.instance.stringNode(prompt.question()),
                promptIds,
                answer.text(),
                answer.ids(),
                answer.finish() == Completion.Finish.STOP,
                Json.MAPPER.createObjectNode());
    }
}
