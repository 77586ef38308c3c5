package dev.manners.reward.judge;

import dev.manners.files.Printable;
import dev.manners.reward.Candidate;
import dev.manners.reward.Score;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/// Compares two completions of a prompt, in both orders: judges prefer a position (Zheng et al. 2023, arXiv 2306.05685,
/// section 3.3), and a preference that changes with the order is none. It counts as a tie, and is counted.
///
/// Not a [dev.manners.reward.Reward]: a win rate depends on the company, and a reward must not. [WinRates] is one for
/// those who compare a group's completions with each other only.
public final class PairwiseJudge {

    static final String NAME = "pairwise_judge";

    private static final String VERSION = "pairwise-1";

    private final RemoteModel model;
    private final String criterion;
    private final AtomicLong compared = new AtomicLong();
    private final AtomicLong disagreed = new AtomicLong();
    private final AtomicLong tied = new AtomicLong();
    private final AtomicLong unanswered = new AtomicLong();

    /// @param criterion what makes an answer better, in words for the judge
    public PairwiseJudge(RemoteModel model, String criterion) {
        if (criterion.isBlank()) {
            throw new dev.manners.BadInput("the criterion is empty, expected what makes an answer better");
        }
        this.model = model;
        this.criterion = criterion.strip();
    }

    /// Two completions of one prompt.
    public record Pair(JsonNode prompt, String first, String second) {}

    /// Which is better.
    public enum Verdict {
        FIRST,
        SECOND,
        TIE
    }

    /// @param verdict null: there is none, as a reply is missing or has no verdict
    /// @param swapped whether the two orders gave two answers: then it is a tie
    /// @param reason why there is no verdict, or both replies' last lines
    public record Comparison(@Nullable Verdict verdict, boolean swapped, String reason) {}

    /// Of all comparisons so far.
    ///
    /// @param disagreed with the order; their share of `compared` is the judge's position bias
    /// @param tied in both orders
    /// @param unanswered not among `compared`
    public record Counts(long compared, long disagreed, long tied, long unanswered) {}

    public Counts counts() {
        return new Counts(compared.get(), disagreed.get(), tied.get(), unanswered.get());
    }

    /// Compares pairs, in their order. Two equal completions are a tie without asking.
    public List<Comparison> compare(List<Pair> pairs) {
        List<Question> questions = new ArrayList<>();
        for (Pair pair : pairs) {
            if (!pair.first().equals(pair.second())) {
                String prompt = Question.text(pair.prompt());
                questions.add(question(prompt, pair.first(), pair.second()));
                questions.add(question(prompt, pair.second(), pair.first()));
            }
        }
        var answers = model.ask(questions).iterator();
        List<Comparison> comparisons = new ArrayList<>();
        for (Pair pair : pairs) {
            comparisons.add(
                    pair.first().equals(pair.second())
                            ? new Comparison(Verdict.TIE, false, "equal texts")
                            : both(answers.next(), answers.next()));
        }
        return comparisons;
    }

    private Comparison both(Answer asGiven, Answer turned) {
        if (asGiven instanceof Answer.None(String reason)) {
            return none(reason);
        }
        if (turned instanceof Answer.None(String reason)) {
            return none(reason);
        }
        String lineGiven = Question.lastLine(((Answer.Reply) asGiven).text());
        String lineTurned = Question.lastLine(((Answer.Reply) turned).text());
        Verdict given = verdict(lineGiven, Verdict.FIRST, Verdict.SECOND);
        Verdict other = verdict(lineTurned, Verdict.SECOND, Verdict.FIRST);
        if (given == null || other == null) {
            return none("a reply does not end in a verdict: " + cut(given == null ? lineGiven : lineTurned));
        }
        compared.incrementAndGet();
        String reason = lineGiven + "; turned round " + lineTurned;
        if (given != other) {
            disagreed.incrementAndGet();
            return new Comparison(Verdict.TIE, true, reason);
        }
        if (given == Verdict.TIE) {
            tied.incrementAndGet();
        }
        return new Comparison(given, false, reason);
    }

    private Comparison none(String reason) {
        unanswered.incrementAndGet();
        return new Comparison(null, false, reason);
    }

    private static @Nullable Verdict verdict(String line, Verdict a, Verdict b) {
        return switch (line) {
            case "VERDICT: A" -> a;
            case "VERDICT: B" -> b;
            case "VERDICT: TIE" -> Verdict.TIE;
            default -> null;
        };
    }

    /// Each completion against every other of its group: the share won, a tie being half. `n` completions take
    /// `n (n - 1)` requests. To pick the best of n, or as rewards of a group whose scores are only compared with
    /// each other (GRPO, RLOO).
    ///
    /// @param group completions of one prompt
    /// @return in [0, 1]; none where no comparison of a completion has a verdict
    public List<Score> winRates(List<Candidate> group) {
        List<Pair> pairs = new ArrayList<>();
        List<int[]> indices = new ArrayList<>();
        for (int i = 0; i < group.size(); i++) {
            for (int j = i + 1; j < group.size(); j++) {
                if (!group.get(i).prompt().equals(group.get(j).prompt())) {
                    throw new IllegalArgumentException("completions " + i + " and " + j + " are of different prompts");
                }
                pairs.add(new Pair(
                        group.get(i).prompt(),
                        group.get(i).completion(),
                        group.get(j).completion()));
                indices.add(new int[] {i, j});
            }
        }
        List<Comparison> comparisons = compare(pairs);
        int[] won = new int[group.size()];
        int[] even = new int[group.size()];
        int[] lost = new int[group.size()];
        String[] missing = new String[group.size()];
        for (int p = 0; p < pairs.size(); p++) {
            int first = indices.get(p)[0];
            int second = indices.get(p)[1];
            switch (comparisons.get(p).verdict()) {
                case FIRST -> {
                    won[first]++;
                    lost[second]++;
                }
                case SECOND -> {
                    won[second]++;
                    lost[first]++;
                }
                case TIE -> {
                    even[first]++;
                    even[second]++;
                }
                case null -> {
                    missing[first] = comparisons.get(p).reason();
                    missing[second] = comparisons.get(p).reason();
                }
            }
        }
        List<Score> scores = new ArrayList<>();
        for (int i = 0; i < group.size(); i++) {
            int games = won[i] + even[i] + lost[i];
            String record = "won " + won[i] + ", tied " + even[i] + ", lost " + lost[i];
            int without = group.size() - 1 - games;
            scores.add(
                    games == 0
                            ? Score.none(NAME, without == 0 ? "alone in its group" : "no verdict: " + missing[i])
                            : Score.of(
                                    NAME,
                                    (won[i] + 0.5 * even[i]) / games,
                                    without == 0 ? record : record + ", no verdict " + without));
        }
        return scores;
    }

    private Question question(String prompt, String a, String b) {
        String mark = Question.mark(prompt, a, b);
        return new Question(
                VERSION,
                """
                You compare two answers, A and B, to a prompt. The better one is decided by this:

                %s

                %s
                Neither the order of the answers nor their length is a reason to prefer one. Think it over in a few \
                sentences. Then write, as the last line and with nothing else in it, one of
                VERDICT: A
                VERDICT: B
                VERDICT: TIE""".formatted(criterion, Question.UNTRUSTED),
                Question.fenced(mark, "PROMPT", prompt)
                        + "\n"
                        + Question.fenced(mark, "ANSWER A", a)
                        + "\n"
                        + Question.fenced(mark, "ANSWER B", b)
                        + "\nCompare the answers. The last line is VERDICT: A, VERDICT: B or VERDICT: TIE.");
    }

    static String cut(String text) {
        String line = Printable.escape(text.replace('\n', ' '));
        return line.length() <= 200 ? line : line.substring(0, 200) + "...";
    }
}
