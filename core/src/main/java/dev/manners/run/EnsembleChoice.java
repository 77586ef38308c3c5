package dev.manners.run;

import dev.manners.files.Json;
import dev.manners.parrot.Prompt;
import dev.manners.reward.Candidate;
import dev.manners.reward.Ensemble;
import dev.manners.reward.Reward;
import dev.manners.reward.Score;
import dev.manners.rollout.Completion;
import dev.manners.rollout.Sampling;
import dev.manners.stats.BestOfN;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/// The best of n answers of the fine-tuned model, chosen by one reward model or by several. All choose among the same
/// answers to held-out prompts, so that what differs is the choice alone.
///
/// @param single chosen by one member, the mean over the members; the proxy is the mean of all members' scores
/// @param uwo chosen by all
record EnsembleChoice(Curve single, Curve uwo) {

    /// The largest mean of the members' scores that both choices reach.
    double common() {
        return Math.min(single.reaches(), uwo.reaches());
    }

    /// @param members scores of one scale
    /// @param most answers of each prompt
    /// @return null if it was interrupted
    static @Nullable EnsembleChoice of(Story story, LoadedModel policy, List<Reward> members, double lambda, int most) {
        List<Prompt> prompts = story.world().heldOutFeedback();
        List<int[]> ids = prompts.stream()
                .map(p -> HeldOut.encode(policy, p.question(), true))
                .toList();
        long seed = story.recipe().top().seed();
        List<Completion> answers = policy.engine(TasteTest.TOGETHER)
                .rollout(ids, most, Sampling.at(1, TasteTest.LONGEST, seed), 0, story.interrupts()::requested);
        if (answers == null) {
            return null;
        }
        List<Prompt> asked = IntStream.range(0, answers.size())
                .mapToObj(i -> prompts.get(i / most))
                .toList();
        double[] gold = GoldScores.of(
                story.world(), asked, answers.stream().map(Completion::text).toList());
        List<Candidate> candidates = IntStream.range(0, answers.size())
                .mapToObj(i -> TasteTest.candidate(asked.get(i), ids.get(i / most), answers.get(i)))
                .toList();
        List<Score> scores = new Ensemble("uwo", members, Ensemble.Combination.UWO, lambda).score(candidates);
        List<Curve> alone = IntStream.range(0, members.size())
                .mapToObj(m -> curve(scores, gold, most, s -> value(s.parts().get(m))))
                .toList();
        return new EnsembleChoice(mean(alone), curve(scores, gold, most, EnsembleChoice::value));
    }

    private static double value(Score score) {
        return Objects.requireNonNull(score.value(), score.reason());
    }

    private static Curve curve(List<Score> scores, double[] gold, int most, ToDoubleFunction<Score> chooses) {
        double[] worth = new double[most];
        double[] liked = new double[most];
        int prompts = scores.size() / most;
        for (int p = 0; p < prompts; p++) {
            List<Double> by = new ArrayList<>();
            List<Double> golds = new ArrayList<>();
            List<Double> means = new ArrayList<>();
            for (int i = p * most; i < (p + 1) * most; i++) {
                by.add(chooses.applyAsDouble(scores.get(i)));
                golds.add(gold[i]);
                means.add(scores.get(i).parts().stream()
                        .mapToDouble(EnsembleChoice::value)
                        .average()
                        .orElseThrow());
            }
            add(worth, BestOfN.expected(new BestOfN.Scored(by, golds)), prompts);
            add(liked, BestOfN.expected(new BestOfN.Scored(by, means)), prompts);
        }
        return new Curve(list(worth), list(liked));
    }

    private static void add(double[] sum, double[] more, int parts) {
        for (int n = 0; n < sum.length; n++) {
            sum[n] += more[n] / parts;
        }
    }

    private static Curve mean(List<Curve> curves) {
        double[] gold = new double[curves.getFirst().gold().size()];
        double[] proxy = new double[gold.length];
        for (Curve curve : curves) {
            add(gold, curve.gold().stream().mapToDouble(v -> v).toArray(), curves.size());
            add(proxy, curve.proxy().stream().mapToDouble(v -> v).toArray(), curves.size());
        }
        return new Curve(list(gold), list(proxy));
    }

    private static List<Double> list(double... values) {
        return IntStream.range(0, values.length).mapToObj(i -> values[i]).toList();
    }

    static EnsembleChoice read(Path file) {
        JsonNode node = Json.readObject(file);
        return new EnsembleChoice(curve(node.path("single")), curve(node.path("uwo")));
    }

    private static Curve curve(JsonNode node) {
        return new Curve(numbers(node.path("gold")), numbers(node.path("proxy")));
    }

    private static List<Double> numbers(JsonNode array) {
        return IntStream.range(0, array.size())
                .mapToObj(i -> array.get(i).doubleValue())
                .toList();
    }
}
