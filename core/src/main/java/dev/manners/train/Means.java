package dev.manners.train;

import dev.manners.files.Json;
import java.util.LinkedHashMap;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/// Means of the steps' metrics since the last line of the log: each step counts once, as in TRL. What a step has no
/// value for is not in its mean.
final class Means {

    private final Map<String, double[]> sums = new LinkedHashMap<>();

    void add(Map<String, Double> step) {
        step.forEach((name, value) -> {
            double[] sum = sums.computeIfAbsent(name, n -> new double[2]);
            sum[0] += value;
            sum[1]++;
        });
    }

    /// The means, and begins anew.
    Map<String, Double> take() {
        Map<String, Double> means = new LinkedHashMap<>();
        sums.forEach((name, sum) -> means.put(name, sum[0] / sum[1]));
        sums.clear();
        return means;
    }

    /// For a checkpoint.
    ObjectNode state() {
        ObjectNode state = Json.MAPPER.createObjectNode();
        sums.forEach((name, sum) -> state.putArray(name).add(sum[0]).add(sum[1]));
        return state;
    }

    void restore(JsonNode state) {
        sums.clear();
        state.properties()
                .forEach(entry -> sums.put(entry.getKey(), new double[] {
                    entry.getValue().get(0).asDouble(), entry.getValue().get(1).asDouble()
                }));
    }
}
