package dev.manners.run;

import dev.manners.run.StudyRecipe.Top.Part;
import dev.manners.stats.Interval;
import dev.manners.stats.Intervals;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import java.util.function.ToDoubleBiFunction;
import java.util.function.ToDoubleFunction;

/// What a [Study] showed, for people: tables with a row for what is compared and a column for each seed, and the mean
/// over the seeds with its 95 % interval (Student's t).
record StudyReport(StudyRecipe recipe, List<Study.Seed> seeds) {

    String markdown() {
        StringBuilder text = new StringBuilder("# Results\n\n");
        text.append("""
                Each number is of one seed: of the world, the weights and all that is drawn. "Mean" is over the seeds, with a 95 %
                interval by Student's t. Numbers of one seed carry 95 % intervals over its held-out prompts.

                """);
        if (recipe.has(Part.REWARD_MODELS)) {
            rewardModels(text);
        }
        if (recipe.has(Part.METHODS)) {
            methods(text);
        }
        if (recipe.has(Part.ENSEMBLES)) {
            ensembles(text);
        }
        if (recipe.has(Part.VERIFIED)) {
            chains(text);
        }
        return text.toString();
    }

    Map<String, Chart> charts() {
        if (!recipe.has(Part.METHODS)) {
            return Map.of();
        }
        Map<String, Chart> charts = new LinkedHashMap<>();
        charts.put(
                "methods.svg",
                new Chart(
                        "Gold against the distance from the start, mean of " + seeds.size() + " seeds",
                        "√KL (nats)",
                        "gain of gold",
                        lines(Study.Seed::methods, Taste::gold)));
        charts.put(
                "methods-proxy.svg",
                new Chart(
                        "The reward model's score against the distance, mean of " + seeds.size() + " seeds",
                        "√KL (nats)",
                        "gain of the reward model's score",
                        lines(Study.Seed::methods, Taste::proxy)));
        return charts;
    }

    private List<Chart.Line> lines(
            Function<Study.Seed, Map<String, List<Taste>>> of, Function<Taste, Interval> measure) {
        return of.apply(seeds.getFirst()).keySet().stream()
                .map(name -> {
                    int points = at(of.apply(seeds.getFirst()), name).size();
                    double[] x = new double[points];
                    double[] y = new double[points];
                    double[] low = new double[points];
                    double[] high = new double[points];
                    for (int i = 0; i < points; i++) {
                        int point = i;
                        x[i] = Math.sqrt(Math.max(
                                0,
                                mean(s -> at(of.apply(s), name).get(point).kl().estimate())
                                        .estimate()));
                        double[] gains = seeds.stream()
                                .mapToDouble(s -> {
                                    List<Taste> tastes = at(of.apply(s), name);
                                    return measure.apply(tastes.get(point)).estimate()
                                            - measure.apply(tastes.getFirst()).estimate();
                                })
                                .toArray();
                        y[i] = Intervals.studentMean(gains).estimate();
                        low[i] = Arrays.stream(gains).min().orElseThrow();
                        high[i] = Arrays.stream(gains).max().orElseThrow();
                    }
                    return new Chart.Line(name, x, y, low, high);
                })
                .toList();
    }

    private void rewardModels(StringBuilder text) {
        text.append("## Reward models and the number of comparisons\n\nHeld-out comparisons told rightly, %.\n\n");
        header(text, "comparisons");
        for (int comparisons : recipe.top().comparisons()) {
            row(
                    text,
                    String.format(Locale.ROOT, "%,d", comparisons),
                    s -> percent(at(s.accuracy(), comparisons)),
                    mean(s -> 100 * at(s.accuracy(), comparisons).estimate()),
                    1);
        }
        row(
                text,
                "noise ceiling",
                s -> String.format(Locale.ROOT, "%.1f", 100 * s.ceiling()),
                mean(s -> 100 * s.ceiling()),
                1);
        text.append('\n');
    }

    private void methods(StringBuilder text) {
        text.append("## Four ways to optimise, at equal budgets\n\n")
                .append(String.format(
                        Locale.ROOT,
                        "%,d completions each; the reward model learned from %,d comparisons, DPO from the same ones.%n%n",
                        recipe.budgets().values().iterator().next(),
                        recipe.top().optimisedOn()));
        tastes(text, Study.Seed::methods);
        text.append("![gold](methods.svg)\n\n![proxy](methods-proxy.svg)\n\n");
    }

    private void tastes(StringBuilder text, Function<Study.Seed, Map<String, List<Taste>>> of) {
        for (Measure measure : Measure.values()) {
            text.append("**").append(measure.title).append("**\n\n");
            header(text, "method");
            if (measure.atStart) {
                row(
                        text,
                        "start",
                        s -> measure.show(of.apply(s).values().iterator().next().getFirst()),
                        mean(s -> measure.value.applyAsDouble(
                                of.apply(s).values().iterator().next().getFirst())),
                        measure.digits);
            }
            for (String name : of.apply(seeds.getFirst()).keySet()) {
                row(
                        text,
                        name,
                        s -> measure.show(at(of.apply(s), name).getLast()),
                        mean(s -> measure.value.applyAsDouble(
                                at(of.apply(s), name).getLast())),
                        measure.digits);
                if (measure == Measure.GOLD) {
                    row(
                            text,
                            name + ", at its best",
                            s -> {
                                Taste best = best(at(of.apply(s), name));
                                return String.format(
                                        Locale.ROOT,
                                        "%.3f (step %d)",
                                        best.gold().estimate(),
                                        best.step());
                            },
                            mean(s -> best(at(of.apply(s), name)).gold().estimate()),
                            measure.digits);
                }
            }
            text.append('\n');
        }
    }

    private static Taste best(List<Taste> tastes) {
        Taste best = tastes.getFirst();
        for (Taste taste : tastes) {
            best = taste.gold().estimate() > best.gold().estimate() ? taste : best;
        }
        return best;
    }

    /// What is told of a policy.
    private enum Measure {
        PROXY("Score of the reward model, at the end", t -> t.proxy().estimate(), 2, true),
        GOLD("Gold, at the end and at its best", t -> t.gold().estimate(), 3, true),
        TRUE("True answers at the end, %", t -> 100 * t.truthful().estimate(), 1, true),
        FLATTERS(
                "Agrees with users who are wrong, at the end, %",
                t -> 100 * t.flatters().estimate(), 1, true),
        KL("KL from the start, at the end, nats an answer", t -> t.kl().estimate(), 2, false);

        final String title;
        final ToDoubleFunction<Taste> value;
        final int digits;
        final boolean atStart;

        Measure(String title, ToDoubleFunction<Taste> value, int digits, boolean atStart) {
            this.title = title;
            this.value = value;
            this.digits = digits;
            this.atStart = atStart;
        }

        String show(Taste taste) {
            return String.format(Locale.ROOT, "%." + digits + "f", value.applyAsDouble(taste));
        }
    }

    private void ensembles(StringBuilder text) {
        text.append("## One reward model and several\n\n")
                .append(String.format(
                        Locale.ROOT,
                        "%d reward models that learned from the same %,d comparisons with other seeds, each standardised on the same"
                                + " answers: one of them alone, and all (UWO, λ = %s). Both are scored by the mean of"
                                + " all.%n%n",
                        recipe.top().members(),
                        recipe.top().ensembleOn(),
                        recipe.top().ensembleLambda()));
        choices(text);
        text.append("### Optimised\n\nRLOO, hard, against the first member and against all.\n\n");
        tastes(text, s -> ensembles(s).tastes());
        text.append(
                "**Gold at the same gain of that score**, the largest both have reached, between the nearest evaluations\n\n");
        compared(text, (s, name) -> optimised(s, name).goldAt(commonGain(s)));
        text.append("**Gold on the way there**, the mean over all gains from none to that\n\n");
        compared(text, (s, name) -> optimised(s, name).goldUpTo(commonGain(s)));
    }

    private void choices(StringBuilder text) {
        text.append(String.format(
                Locale.ROOT,
                "### Best of n%n%nOf %d answers of the fine-tuned model to each held-out prompt the best of n is chosen, by one member"
                        + " (mean over the members) or by all. Gold of the choice:%n%n",
                recipe.top().bestOf()));
        header(text, "n, chosen by");
        for (int n = 1; n <= recipe.top().bestOf(); n *= 4) {
            int at = n - 1;
            for (String name : List.of("single", "uwo")) {
                ToDoubleFunction<Study.Seed> gold = s -> chosen(s, name).gold().get(at);
                row(
                        text,
                        n + ", " + name,
                        s -> String.format(Locale.ROOT, "%.3f", gold.applyAsDouble(s)),
                        mean(gold),
                        3);
            }
        }
        text.append("\n**Gold at the same score**, the largest both reach\n\n");
        compared(text, (s, name) -> chosen(s, name).goldAt(ensembles(s).choice().common()));
    }

    private static Curve chosen(Study.Seed seed, String name) {
        EnsembleChoice choice = ensembles(seed).choice();
        return name.equals("uwo") ? choice.uwo() : choice.single();
    }

    private static Study.Ensembles ensembles(Study.Seed seed) {
        return Objects.requireNonNull(seed.ensembles());
    }

    private void compared(StringBuilder text, ToDoubleBiFunction<Study.Seed, String> gold) {
        header(text, "against");
        for (String name : List.of("single", "uwo")) {
            row(
                    text,
                    name,
                    s -> String.format(Locale.ROOT, "%.3f", gold.applyAsDouble(s, name)),
                    mean(s -> gold.applyAsDouble(s, name)),
                    3);
        }
        ToDoubleFunction<Study.Seed> difference = s -> gold.applyAsDouble(s, "uwo") - gold.applyAsDouble(s, "single");
        row(
                text,
                "difference",
                s -> String.format(Locale.ROOT, "%+.3f", difference.applyAsDouble(s)),
                mean(difference),
                3);
        text.append('\n');
    }

    private static Curve optimised(Study.Seed seed, String name) {
        return Curve.of(at(ensembles(seed).tastes(), name));
    }

    /// What both runs have gained.
    private static double commonGain(Study.Seed seed) {
        return ensembles(seed).tastes().values().stream()
                .mapToDouble(tastes -> Curve.of(tastes).reaches())
                .min()
                .orElseThrow();
    }

    private void chains(StringBuilder text) {
        text.append("## Verified rewards\n\nHeld-out chains of sums answered rightly, greedily, %.\n\n");
        header(text, "after");
        row(
                text,
                "demonstrations",
                s -> percent(chains(s).before()),
                mean(s -> 100 * chains(s).before().estimate()),
                1);
        row(
                text,
                "GRPO with verified rewards",
                s -> percent(chains(s).after()),
                mean(s -> 100 * chains(s).after().estimate()),
                1);
        row(
                text,
                "difference",
                s -> percent(chains(s).difference()),
                mean(s -> 100 * chains(s).difference().estimate()),
                1);
    }

    private static Study.Chains chains(Study.Seed seed) {
        return Objects.requireNonNull(seed.chains());
    }

    private static <K, V> V at(Map<K, V> map, K key) {
        return Objects.requireNonNull(map.get(key));
    }

    // ---- tables

    private Interval mean(ToDoubleFunction<Study.Seed> of) {
        return Intervals.studentMean(seeds.stream().mapToDouble(of).toArray());
    }

    private void header(StringBuilder text, String first) {
        text.append("| ").append(first).append(" |");
        seeds.forEach(s -> text.append(" seed ").append(s.seed()).append(" |"));
        text.append(" mean |\n|---|").append("---|".repeat(seeds.size() + 1)).append('\n');
    }

    private void row(StringBuilder text, String name, Function<Study.Seed, String> each, Interval mean, int digits) {
        text.append("| ").append(name).append(" |");
        seeds.forEach(s -> text.append(' ').append(each.apply(s)).append(" |"));
        String format = "%." + digits + "f";
        text.append(' ').append(String.format(Locale.ROOT, format, mean.estimate()));
        if (seeds.size() > 1) {
            text.append(String.format(Locale.ROOT, " [" + format + ", " + format + "]", mean.low(), mean.high()));
        }
        text.append(" |\n");
    }

    private static String percent(Interval i) {
        return String.format(Locale.ROOT, "%.1f [%.1f, %.1f]", 100 * i.estimate(), 100 * i.low(), 100 * i.high());
    }
}
