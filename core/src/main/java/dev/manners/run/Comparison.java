package dev.manners.run;

import dev.manners.files.Json;
import dev.manners.stats.Interval;
import dev.manners.stats.Intervals;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import tools.jackson.databind.node.ObjectNode;

/// Two models' answers to the same prompts.
record Comparison(HeldOut before, HeldOut after) {

    private static final int SHOWN_EACH = 3;
    private static final int SHOWN_LENGTH = 150;

    /// One JSON object a prompt: both answers and what the judge found.
    String lines() {
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < before.answers().size(); i++) {
            HeldOut.Answer a = before.answers().get(i);
            ObjectNode line = Json.MAPPER.createObjectNode();
            line.put("prompt", a.prompt().question());
            line.put("kind", a.prompt().kind().label());
            line.put("truth", a.prompt().answer());
            answer(line.putObject(before.model()), a);
            answer(line.putObject(after.model()), after.answers().get(i));
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

    /// Rates of both and their paired difference, with 95 % intervals.
    Map<String, Object> results() {
        Map<String, Object> results = new LinkedHashMap<>();
        for (HeldOut.Measure measure : HeldOut.Measure.values()) {
            for (HeldOut.Group group : HeldOut.Group.values()) {
                Map<String, Interval> cell = new LinkedHashMap<>();
                cell.put(before.model(), before.rate(measure, group));
                cell.put(after.model(), after.rate(measure, group));
                cell.put("difference", difference(measure, group));
                results.put((measure + "/" + group).toLowerCase(Locale.ROOT), cell);
            }
        }
        return results;
    }

    private Interval difference(HeldOut.Measure measure, HeldOut.Group group) {
        return Intervals.pairedDifference(before.outcomes(measure, group), after.outcomes(measure, group));
    }

    /// The same for people.
    String table() {
        StringBuilder table = new StringBuilder(String.format(
                "%-24s %-30s %-24s %-24s %s%n", "Held-out prompts", "", before.model(), after.model(), "difference"));
        for (HeldOut.Measure measure : HeldOut.Measure.values()) {
            String label = measure.text;
            for (HeldOut.Group group : HeldOut.Group.values()) {
                table.append(String.format(
                        "%-24s %-30s %-24s %-24s %s%n",
                        label,
                        group.text,
                        percent(before.rate(measure, group)),
                        percent(after.rate(measure, group)),
                        percent(difference(measure, group))));
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

    /// A few prompts with both answers.
    String sideBySide() {
        StringBuilder text = new StringBuilder("Held-out prompts, asked of both models (✓ a true answer, ✗ none):\n\n");
        for (HeldOut.Group group : List.of(HeldOut.Group.SHOWN, HeldOut.Group.SUMS, HeldOut.Group.UNSHOWN)) {
            int left = SHOWN_EACH;
            for (int i = 0; i < before.answers().size() && left > 0; i++) {
                HeldOut.Answer a = before.answers().get(i);
                if (group.has.test(a.prompt().kind())) {
                    left--;
                    text.append(a.prompt().question())
                            .append("  (")
                            .append(group.text)
                            .append(")\n");
                    text.append(line(a, before.model()))
                            .append(line(after.answers().get(i), after.model()))
                            .append('\n');
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
