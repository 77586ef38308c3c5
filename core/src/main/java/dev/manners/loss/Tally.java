package dev.manners.loss;

import dev.manners.files.Json;
import java.util.LinkedHashMap;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/// Metrics of a part of a batch, kept so that those of the parts make those of the whole: a mean as sum and
/// count.
///
/// A mean of nothing has no value: it is absent, not NaN and not 0.
public final class Tally {

    private sealed interface Entry {

        record Sum(double sum) implements Entry {}

        record Mean(double sum, double count) implements Entry {}

        record Min(double value) implements Entry {}

        record Max(double value) implements Entry {}

        record Difference(String of, String minus) implements Entry {}

        static Entry both(Entry a, Entry b) {
            return switch (a) {
                case Sum(double sum) when b instanceof Sum(double more) -> new Sum(sum + more);
                case Mean(double sum, double n)
                when b instanceof Mean(double more, double m) -> new Mean(sum + more, n + m);
                case Min(double value) when b instanceof Min(double other) -> new Min(Math.min(value, other));
                case Max(double value) when b instanceof Max(double other) -> new Max(Math.max(value, other));
                case Difference d when d.equals(b) -> d;
                default -> throw new IllegalArgumentException(a + " and " + b + " are not the same metric");
            };
        }
    }

    private final Map<String, Entry> entries = new LinkedHashMap<>();

    private Tally put(String name, Entry entry) {
        entries.merge(name, entry, Entry::both);
        return this;
    }

    /// A share of something that adds up, as a loss does.
    public Tally sum(String name, double value) {
        return put(name, new Entry.Sum(value));
    }

    /// The sum over `count` observations whose mean is the metric.
    public Tally mean(String name, double sum, double count) {
        return put(name, new Entry.Mean(sum, count));
    }

    public Tally min(String name, double value) {
        return put(name, new Entry.Min(value));
    }

    public Tally max(String name, double value) {
        return put(name, new Entry.Max(value));
    }

    /// The difference of two other metrics, where both have a value.
    public Tally difference(String name, String of, String minus) {
        return put(name, new Entry.Difference(of, minus));
    }

    /// Takes in what was seen in another part.
    public Tally add(Tally part) {
        part.entries.forEach(this::put);
        return this;
    }

    /// Values by name, in the order in which the names came up.
    public Map<String, Double> values() {
        Map<String, Double> values = new LinkedHashMap<>();
        entries.forEach((name, entry) -> {
            switch (entry) {
                case Entry.Sum(double sum) -> values.put(name, sum);
                case Entry.Mean(double sum, double count) -> {
                    if (count > 0) {
                        values.put(name, sum / count);
                    }
                }
                case Entry.Min(double value) -> values.put(name, value);
                case Entry.Max(double value) -> values.put(name, value);
                case Entry.Difference(String of, String minus) -> {
                    Double a = values.get(of);
                    Double b = values.get(minus);
                    if (a != null && b != null) {
                        values.put(name, a - b);
                    }
                }
            }
        });
        return values;
    }

    /// All of it, for a checkpoint.
    public ObjectNode state() {
        ObjectNode state = Json.MAPPER.createObjectNode();
        entries.forEach((name, entry) -> {
            ArrayNode fields = state.putArray(name);
            switch (entry) {
                case Entry.Sum(double sum) -> fields.add("sum").add(sum);
                case Entry.Mean(double sum, double count) ->
                    fields.add("mean").add(sum).add(count);
                case Entry.Min(double value) -> fields.add("min").add(value);
                case Entry.Max(double value) -> fields.add("max").add(value);
                case Entry.Difference(String of, String minus) ->
                    fields.add("difference").add(of).add(minus);
            }
        });
        return state;
    }

    /// What [#state] gave, as a tally again.
    public static Tally of(JsonNode state) {
        Tally tally = new Tally();
        state.properties().forEach(e -> {
            String name = e.getKey();
            JsonNode fields = e.getValue();
            double value = fields.path(1).asDouble(Double.NaN);
            switch (fields.path(0).asString()) {
                case "sum" -> tally.sum(name, value);
                case "mean" -> tally.mean(name, value, fields.path(2).asDouble());
                case "min" -> tally.min(name, value);
                case "max" -> tally.max(name, value);
                case "difference" ->
                    tally.difference(
                            name, fields.path(1).asString(), fields.path(2).asString());
                default -> throw new IllegalArgumentException(name + ": " + fields + " is no metric");
            }
        });
        return tally;
    }
}
