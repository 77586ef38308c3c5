package dev.manners.run;

import dev.manners.files.Json;
import dev.manners.stats.Interval;
import dev.manners.stats.Intervals;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import tools.jackson.databind.JsonNode;

/// What a policy's answers were worth at a step of its optimisation, in the eyes of the reward model (the proxy) and of
/// somebody who knows the truth (gold), and how far it had gone from where it started. After Gao, Schulman and Hilton
/// 2022, "Scaling laws for reward model overoptimization", arXiv:2210.10760.
///
/// @param kl from the model it started as, nats for a whole answer
record Taste(long step, Interval kl, Interval proxy, Interval gold, Interval truthful, Interval flatters) {

    /// Under these names in the log.
    Map<String, Double> metrics() {
        Map<String, Double> metrics = new LinkedHashMap<>();
        put(metrics, "kl", kl);
        put(metrics, "proxy", proxy);
        put(metrics, "gold", gold);
        put(metrics, "truthful", truthful);
        put(metrics, "flatters", flatters);
        return metrics;
    }

    private static void put(Map<String, Double> metrics, String name, Interval interval) {
        metrics.put("eval_" + name, interval.estimate());
        metrics.put("eval_" + name + "/low", interval.low());
        metrics.put("eval_" + name + "/high", interval.high());
        metrics.put("eval_" + name + "/n", (double) interval.n());
    }

    /// A mean with a bootstrap interval.
    static Interval mean(double[] values, long seed) {
        return Intervals.bootstrapMean(values, 1000, seed);
    }

    /// Those that a stage wrote into the run's metrics, in order.
    static List<Taste> read(Path metrics, String stage) {
        List<Taste> tastes = new ArrayList<>();
        try {
            for (String line : Files.readAllLines(metrics)) {
                JsonNode node = Json.MAPPER.readTree(line);
                if (node.path("stage").asString("").equals(stage) && node.has("eval_gold")) {
                    tastes.add(new Taste(
                            node.get("step").asLong(),
                            interval(node, "kl"),
                            interval(node, "proxy"),
                            interval(node, "gold"),
                            interval(node, "truthful"),
                            interval(node, "flatters")));
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return tastes;
    }

    private static Interval interval(JsonNode node, String name) {
        return new Interval(
                node.get("eval_" + name).asDouble(),
                node.get("eval_" + name + "/low").asDouble(),
                node.get("eval_" + name + "/high").asDouble(),
                node.get("eval_" + name + "/n").asLong());
    }

    /// For people.
    static String table(List<Taste> tastes) {
        StringBuilder table = new StringBuilder(String.format(
                "%-6s %-24s %-24s %-24s %-22s %s%n",
                "step", "KL, nats", "reward model", "gold", "true answers, %", "flatters who is wrong, %"));
        for (Taste t : tastes) {
            table.append(String.format(
                    Locale.ROOT,
                    "%-6d %-24s %-24s %-24s %-22s %s%n",
                    t.step,
                    number(t.kl),
                    number(t.proxy),
                    number(t.gold),
                    t.truthful.percent(),
                    t.flatters.percent()));
        }
        return table + "Means with 95 % intervals over held-out prompts, sampled.";
    }

    private static String number(Interval i) {
        return String.format(Locale.ROOT, "%.3f [%.3f, %.3f]", i.estimate(), i.low(), i.high());
    }

    /// Gains of proxy and gold against the distance from the start.
    static Chart chart(List<Taste> tastes) {
        return new Chart(
                "What the reward model says, and what is true",
                "distance from the fine-tuned model, √KL (nats)",
                "gain",
                List.of(line("proxy", tastes, Taste::proxy), line("gold", tastes, Taste::gold)));
    }

    private static Chart.Line line(String name, List<Taste> tastes, java.util.function.Function<Taste, Interval> of) {
        double start = of.apply(tastes.getFirst()).estimate();
        return new Chart.Line(
                name,
                values(tastes, t -> Math.sqrt(Math.max(0, t.kl.estimate()))),
                values(tastes, t -> of.apply(t).estimate() - start),
                values(tastes, t -> of.apply(t).low() - start),
                values(tastes, t -> of.apply(t).high() - start));
    }

    private static double[] values(List<Taste> tastes, ToDoubleFunction<Taste> of) {
        return tastes.stream().mapToDouble(of).toArray();
    }
}
