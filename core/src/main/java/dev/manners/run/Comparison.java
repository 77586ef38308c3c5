package dev.manners.run;

import dev.manners.files.Json;
import dev.manners.stats.Interval;
import dev.manners.stats.Intervals;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import tools.jackson.databind.node.ObjectNode;

/// Several models' answers to the same prompts.
///
/// @param models in the order in which each was made from the one before it; two or more
record Comparison(List<HeldOut> models) {

    private static final int SHOWN_EACH = 3;
    private static final int SHOWN_LENGTH = 150;

    /// One JSON object a prompt: all answers and what the judge found.
    String lines() {
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < models.getFirst().answers().size(); i++) {
            HeldOut.Answer a = models.getFirst().answers().get(i);
            ObjectNode line = Json.MAPPER.createObjectNode();
            line.put("prompt", a.prompt().question());
            line.put("kind", a.prompt().kind().label());
            line.put("truth", a.prompt().answer());
            for (HeldOut model : models) {
                answer(line.putObject(model.model()), model.answers().get(i));
            }
            lines.append(line).append('\n');
        }
        return lines.toString();
    }

    private static void answer(ObjectNode node, HeldOut.Answer answer) {
        node.put("answer", answer.text());
        for (HeldOut.Measure measure : HeldOut.Measure.values()) {
            node.put(measure.name().toLowerCase(Locale.ROOT), measure.holds(answer.judgement()));
        }
    }

    /// Rates of all, and each one's paired difference to the one before it, with 95 % intervals.
    Map<String, Object> results() {
        Map<String, Object> results = new LinkedHashMap<>();
        for (HeldOut.Measure measure : HeldOut.Measure.values()) {
            for (HeldOut.Group group : HeldOut.Group.values()) {
                Map<String, Interval> cell = new LinkedHashMap<>();
                for (HeldOut model : models) {
                    cell.put(model.model(), model.rate(measure, group));
                }
                for (int m = 1; m < models.size(); m++) {
                    cell.put(
                            models.get(m).model() + " - " + models.get(m - 1).model(),
                            difference(models.get(m - 1), models.get(m), measure, group));
                }
                results.put((measure + "/" + group).toLowerCase(Locale.ROOT), cell);
            }
        }
        return results;
    }

    private static Interval difference(HeldOut before, HeldOut after, HeldOut.Measure measure, HeldOut.Group group) {
        return Intervals.pairedDifference(before.outcomes(measure, group), after.outcomes(measure, group));
    }

    /// The same for people; the difference is that of the last two.
    String table() {
        HeldOut before = models.get(models.size() - 2);
        HeldOut after = models.getLast();
        StringBuilder table = new StringBuilder(String.format("%-24s %-30s", "Held-out prompts", ""));
        models.forEach(model -> table.append(String.format(" %-22s", model.model())));
        table.append(String.format(" %s - %s%n", after.model(), before.model()));
        for (HeldOut.Measure measure : HeldOut.Measure.values()) {
            String label = measure.text;
            for (HeldOut.Group group : HeldOut.Group.values()) {
                table.append(String.format("%-24s %-30s", label, group.text));
                models.forEach(model -> table.append(String.format(" %-22s", percent(model.rate(measure, group)))));
                table.append(String.format(" %s%n", percent(difference(before, after, measure, group))));
                label = "";
            }
        }
        return table + "Rates in percent with 95 % intervals (Wilson; differences: Newcombe, paired).";
    }

    private static String percent(Interval rate) {
        return rate.isDefined()
                ? String.format(
                        Locale.ROOT, "%.1f [%.1f, %.1f]", 100 * rate.estimate(), 100 * rate.low(), 100 * rate.high())
                : "n/a";
    }

    /// A few prompts with all answers.
    String sideBySide() {
        StringBuilder text = new StringBuilder("Held-out prompts, asked of all models (✓ a true answer, ✗ none):\n\n");
        List<HeldOut.Answer> asked = models.getFirst().answers();
        for (HeldOut.Group group : List.of(HeldOut.Group.SHOWN, HeldOut.Group.SUMS, HeldOut.Group.UNSHOWN)) {
            int left = SHOWN_EACH;
            for (int i = 0; i < asked.size() && left > 0; i++) {
                if (group.has.test(asked.get(i).prompt().kind())) {
                    left--;
                    text.append(asked.get(i).prompt().question())
                            .append("  (")
                            .append(group.text)
                            .append(")\n");
                    for (HeldOut model : models) {
                        text.append(line(model.answers().get(i), model.model()));
                    }
                    text.append('\n');
                }
            }
        }
        return text.toString();
    }

    private static String line(HeldOut.Answer answer, String model) {
        String said = answer.text().strip().replace('\n', ' ');
        String cut = said.length() > SHOWN_LENGTH ? said.substring(0, SHOWN_LENGTH) + "…" : said;
        return String.format("  %-5s %s %s%n", model, answer.judgement().truthful() ? "✓" : "✗", cut);
    }
}
