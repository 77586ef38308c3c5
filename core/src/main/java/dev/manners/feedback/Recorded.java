package dev.manners.feedback;

import dev.manners.files.Json;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/// A verdict as the store keeps it.
///
/// @param number place in the order of arrival, from 1
/// @param late whether the task had all its verdicts when this one came: kept, and not counted
/// @param at when it was stored, to the millisecond
public record Recorded(long number, Verdict verdict, boolean late, Instant at) {

    /// Everything, as one line of `verdicts.jsonl`.
    ObjectNode json() {
        ObjectNode json = Json.MAPPER.createObjectNode();
        json.put("verdict_id", verdict.id())
                .put("task_id", verdict.task())
                .put("annotator", verdict.annotator())
                .put("occasion", verdict.occasion())
                .put("verdict", Fields.name(verdict.ranking().kind()));
        json.setAll(content(verdict));
        json.put("supersedes", verdict.supersedes()).put("late", late).put("created_at", at.toString());
        return json;
    }

    static Recorded of(Fields json, long number) {
        return new Recorded(
                number,
                verdict(
                        json,
                        json.text("verdict_id"),
                        json.text("task_id"),
                        json.text("annotator"),
                        Math.toIntExact(json.number("occasion")),
                        json.choice("verdict", Ranking.Kind.class),
                        json.textOr("supersedes", null)),
                json.flag("late"),
                instant(json));
    }

    private static Instant instant(Fields json) {
        try {
            return Instant.parse(json.text("created_at"));
        } catch (DateTimeException e) {
            throw json.bad("created_at", "a time such as 2026-11-25T12:00:00Z: " + e.getMessage());
        }
    }

    /// What the store keeps in one column.
    static ObjectNode content(Verdict verdict) {
        ObjectNode json = Json.MAPPER.createObjectNode();
        json.set("shown_order", Fields.ints(verdict.shown()));
        switch (verdict.ranking()) {
            case Ranking.Ranked(var ranks) -> json.set("ranks", Fields.ints(ranks));
            case Ranking.Skipped(String reason) -> json.put("reason", reason);
            case Ranking.Withdrawn(String reason) -> json.put("reason", reason);
            case Ranking.AllBad() -> {}
        }
        Verdict.Remarks remarks = verdict.remarks();
        json.put("strength", remarks.strength());
        ObjectNode flags = json.putObject("flags");
        remarks.flags().forEach((answer, set) -> {
            ArrayNode array = flags.putArray(answer.toString());
            set.forEach(array::add);
        });
        ObjectNode ratings = json.putObject("ratings");
        remarks.ratings().forEach((answer, rating) -> ratings.put(answer.toString(), rating));
        Verdict.Circumstances how = verdict.circumstances();
        json.put("rationale", remarks.rationale())
                .put("ms_to_first_action", how.msToFirstAction())
                .put("ms_total", how.msTotal())
                .put("ui_version", how.uiVersion())
                .put("guideline_hash", how.guidelineHash());
        json.set("extra", how.extra());
        return json;
    }

    static Verdict verdict(
            Fields content,
            String id,
            String task,
            String annotator,
            int occasion,
            Ranking.Kind kind,
            @Nullable String supersedes) {
        Ranking ranking = switch (kind) {
            case RANKED -> new Ranking.Ranked(content.ints("ranks"));
            case ALL_BAD -> new Ranking.AllBad();
            case SKIPPED -> new Ranking.Skipped(content.text("reason"));
            case WITHDRAWN -> new Ranking.Withdrawn(content.text("reason"));
        };
        Map<Integer, Set<String>> flags = new TreeMap<>();
        for (Map.Entry<String, JsonNode> flag : content.object("flags").properties()) {
            Set<String> set = new LinkedHashSet<>();
            flag.getValue().forEach(each -> set.add(each.asString("")));
            flags.put(index(content, "flags", flag.getKey()), set);
        }
        Map<Integer, Integer> ratings = new TreeMap<>();
        for (Map.Entry<String, JsonNode> rating : content.object("ratings").properties()) {
            ratings.put(
                    index(content, "ratings", rating.getKey()),
                    rating.getValue().intValue(0));
        }
        return new Verdict(
                id,
                task,
                annotator,
                occasion,
                content.ints("shown_order"),
                ranking,
                new Verdict.Remarks(content.intOrNull("strength"), flags, ratings, content.text("rationale")),
                new Verdict.Circumstances(
                        content.numberOrNull("ms_to_first_action"),
                        content.numberOrNull("ms_total"),
                        content.text("ui_version"),
                        content.text("guideline_hash"),
                        content.object("extra")),
                supersedes);
    }

    private static int index(Fields content, String key, String text) {
        if (!text.matches("\\d{1,4}")) {
            throw content.bad(key, "indexes of answers");
        }
        return Integer.parseInt(text);
    }
}
