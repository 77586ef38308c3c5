package dev.manners.feedback;

import dev.manners.BadInput;
import dev.manners.files.Json;
import dev.manners.files.Printable;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/// What one annotator said on one occasion. Never changed: a correction is another verdict that names this one.
///
/// @param id chosen by who submits it, such as a UUID made when the task is shown: submitted twice it is stored
///     once
/// @param task the task's id
/// @param annotator who
/// @param occasion 0; 1 if the annotator was asked about the same task a second time
/// @param shown indexes of the answers that were shown, in the order in which they stood; empty if that is not
///     known
/// @param supersedes the verdict this one takes the place of, or null
public record Verdict(
        String id,
        String task,
        String annotator,
        int occasion,
        List<Integer> shown,
        Ranking ranking,
        Remarks remarks,
        Circumstances circumstances,
        @Nullable String supersedes) {

    private static final Pattern ID = Pattern.compile("[A-Za-z0-9_.-]{1,100}");
    private static final int LONGEST_NAME = 100;
    private static final int LONGEST_TEXT = 10_000;

    /// What was said beside the ranking.
    ///
    /// @param strength how much better the best is, from 1 to 4; null: not said
    /// @param flags of an answer, by its index: "hallucination", "harmful"
    /// @param ratings of an answer, by its index, from 1 to 5
    /// @param rationale in the annotator's words; may be empty
    public record Remarks(
            @Nullable Integer strength,
            Map<Integer, Set<String>> flags,
            Map<Integer, Integer> ratings,
            String rationale) {

        public static final Remarks NONE = new Remarks(null, Map.of(), Map.of(), "");

        public Remarks {
            Map<Integer, Set<String>> sorted = new TreeMap<>();
            flags.forEach((answer, set) -> sorted.put(answer, new TreeSet<>(set)));
            flags = sorted;
            ratings = new TreeMap<>(ratings);
        }
    }

    /// How a verdict came about.
    ///
    /// @param msToFirstAction milliseconds from showing the task to the first key or click; null: not known
    /// @param msTotal milliseconds from showing the task to submitting; null: not known
    /// @param uiVersion what the annotator worked with
    /// @param guidelineHash SHA-256 of the guideline the annotator was given; empty: none
    /// @param extra columns of the file it was imported from that have no place here
    public record Circumstances(
            @Nullable Long msToFirstAction,
            @Nullable Long msTotal,
            String uiVersion,
            String guidelineHash,
            ObjectNode extra) {

        /// Nothing but what the annotator worked with is known.
        public static Circumstances of(String uiVersion) {
            return new Circumstances(null, null, uiVersion, "", Json.MAPPER.createObjectNode());
        }
    }

    public Verdict {
        shown = List.copyOf(shown);
    }

    /// This verdict corrected.
    public Verdict corrected(String newId, Ranking newRanking) {
        return new Verdict(newId, task, annotator, occasion, shown, newRanking, remarks, circumstances, id);
    }

    /// Whether the best answer is the one that is certainly the best; null where the task has no gold ranks, or the
    /// annotator ranked nothing.
    public static @Nullable Boolean goldPassed(Task task, Ranking ranking) {
        return task.gold() != null && ranking instanceof Ranking.Ranked ranked
                ? ranked.best().equals(new Ranking.Ranked(task.gold()).best())
                : null;
    }

    /// @throws BadInput if it does not fit the task or holds what no page would send
    void check(Task of) {
        String what = "verdict " + Printable.escape(id.length() > 100 ? id.substring(0, 100) : id);
        if (!ID.matcher(id).matches()) {
            throw new BadInput(what + ": the id must be 1 to 100 letters, digits, points, hyphens or underscores");
        }
        requireName(annotator);
        if (occasion < 0 || occasion > 1) {
            throw new BadInput(what + ": occasion is " + occasion + "; expected 0, or 1 for a repeated task");
        }
        Set<Integer> distinct = new TreeSet<>(shown);
        if (distinct.size() != shown.size() || !of.servable().containsAll(distinct)) {
            throw new BadInput(what + ": shown is " + shown + "; expected indexes of answers that may be shown, "
                    + of.servable() + ", each once at most");
        }
        if (ranking instanceof Ranking.Ranked ranked) {
            ranked.requireFits(of.answers(), what);
            if (!shown.isEmpty() && !distinct.containsAll(ranked.ranked())) {
                throw new BadInput(
                        what + ": ranks " + ranked.ranks() + " are given to answers that were not shown, " + shown);
            }
        }
        if (remarks.strength() != null && (remarks.strength() < 1 || remarks.strength() > 4)) {
            throw new BadInput(what + ": strength is " + remarks.strength() + "; expected 1 to 4");
        }
        List<Integer> servable = of.servable();
        if (!servable.containsAll(remarks.flags().keySet())
                || !servable.containsAll(remarks.ratings().keySet())) {
            throw new BadInput(what + ": flags or ratings are given to answers that cannot have been shown");
        }
        if (remarks.ratings().values().stream().anyMatch(rating -> rating < 1 || rating > 5)) {
            throw new BadInput(what + ": ratings are " + remarks.ratings() + "; expected 1 to 5");
        }
        if (remarks.rationale().length() > LONGEST_TEXT) {
            throw new BadInput(what + ": the rationale has "
                    + remarks.rationale().length() + " characters; shorten it to " + LONGEST_TEXT);
        }
    }

    /// @throws BadInput if it is empty, long, or holds characters that cannot be seen
    static void requireName(String annotator) {
        if (annotator.isBlank()
                || annotator.length() > LONGEST_NAME
                || annotator.indexOf('\n') >= 0
                || annotator.indexOf('\t') >= 0
                || !Printable.escape(annotator).equals(annotator)) {
            String shown = annotator.length() > LONGEST_NAME ? annotator.substring(0, LONGEST_NAME) + "…" : annotator;
            throw new BadInput("annotator \"" + Printable.escape(shown) + "\": expected 1 to " + LONGEST_NAME
                    + " visible characters");
        }
    }
}
