package dev.manners.run;

import dev.manners.BadInput;
import dev.manners.data.DatasetFile;
import dev.manners.stats.Interval;
import dev.manners.stats.Intervals;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/// Whether comparisons look as if somebody had read what was compared, as far as their rows tell: columns
/// `annotator`, `shown_order` (places of the completions, of a pair 0 for the chosen one, in the order in which they
/// were shown), `ms` (time the verdict took) and `gold_passed`. Rows without `annotator` tell nothing and pass.
///
/// It is a gate for what is plainly wrong: it asks only about annotators of whom there are enough rows, and a tendency
/// must be more than half way from chance to always, its 95 % interval included.
///
/// @param problems one line each; none: nothing speaks against the rows
record QualityGate(List<String> problems) {

    private static final int FEWEST_ROWS = 20;
    private static final double FEWEST_SHARE = 0.1;

    /// Nobody reads two answers in less.
    private static final double FASTEST_MS = 3_000;

    private static final double LEAST_GOLD = 0.5;

    /// What one annotator did.
    private static final class Annotator {
        private int rows;
        private int placed;
        private int firstBest;
        private int lastBest;
        private double byChance;
        private int gold;
        private int goldPassed;
        private final List<Double> ms = new ArrayList<>();

        void add(ObjectNode row) {
            rows++;
            if (row.path("ms").isNumber()) {
                ms.add(row.path("ms").doubleValue());
            }
            if (row.path("gold_passed").isBoolean()) {
                gold++;
                goldPassed += row.path("gold_passed").booleanValue() ? 1 : 0;
            }
            // Of a pair the chosen one stands first.
            int[] ranks = row.has("chosen") && row.has("rejected") ? new int[] {1, 2} : ints(row.path("ranks"));
            int[] shown = ints(row.path("shown_order"));
            int least = Arrays.stream(ranks).min().orElse(0);
            IntPredicate isBest = i -> i >= 0 && i < ranks.length && ranks[i] == least;
            if (shown.length >= 2
                    && shown.length == ranks.length
                    && IntStream.range(0, ranks.length).filter(isBest).count() == 1) {
                placed++;
                firstBest += isBest.test(shown[0]) ? 1 : 0;
                lastBest += isBest.test(shown[shown.length - 1]) ? 1 : 0;
                byChance += 1.0 / ranks.length;
            }
        }

        private static int[] ints(JsonNode list) {
            return IntStream.range(0, list.size())
                    .map(i -> list.get(i).asInt(-1))
                    .toArray();
        }

        void judge(String name, List<String> problems) {
            place(name, "first", firstBest, problems);
            place(name, "last", lastBest, problems);
            double[] sorted = ms.stream().mapToDouble(t -> t).sorted().toArray();
            if (sorted.length >= FEWEST_ROWS && sorted[sorted.length / 2] < FASTEST_MS) {
                problems.add(String.format(
                        Locale.ROOT,
                        "annotator %s takes %.1f s for a verdict in the median: nobody reads two answers in less than %.0f s",
                        name,
                        sorted[sorted.length / 2] / 1000,
                        FASTEST_MS / 1000));
            }
            Interval passed = Intervals.wilson(goldPassed, gold);
            if (passed.isDefined() && passed.high() < LEAST_GOLD) {
                problems.add("annotator " + name + " passes " + passed.percent() + " of the tasks with a known answer");
            }
        }

        private void place(String name, String place, int best, List<String> problems) {
            if (placed < FEWEST_ROWS) {
                return;
            }
            double chance = byChance / placed;
            Interval rate = Intervals.wilson(best, placed);
            if (rate.low() > (1 + chance) / 2) {
                problems.add(String.format(
                        Locale.ROOT,
                        "annotator %s prefers the answer that is shown %s: %s, by chance %.0f %%",
                        name,
                        place,
                        rate.percent(),
                        100 * chance));
            }
        }
    }

    static QualityGate of(DatasetFile file) {
        Map<String, Annotator> annotators = new TreeMap<>();
        int rows = 0;
        for (int i = 0; i < file.size(); i++) {
            try {
                ObjectNode row = file.row(i).fields();
                if (row.path("annotator").isString()) {
                    rows++;
                    annotators
                            .computeIfAbsent(row.path("annotator").asString(), a -> new Annotator())
                            .add(row);
                }
            } catch (BadInput e) {
                // Named, or left out, where rows are read to be trained on.
            }
        }
        List<String> problems = new ArrayList<>();
        for (Map.Entry<String, Annotator> entry : annotators.entrySet()) {
            Annotator annotator = entry.getValue();
            if (annotator.rows >= FEWEST_ROWS && annotator.rows >= FEWEST_SHARE * rows) {
                annotator.judge(entry.getKey(), problems);
            }
        }
        return new QualityGate(problems);
    }
}
