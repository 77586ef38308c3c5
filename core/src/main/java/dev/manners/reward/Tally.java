package dev.manners.reward;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;

/// Counts of what one reward gave, for `rewards/{name}/mean`, `rewards/{name}/std` and the rates of each verdict.
public final class Tally {

    private final Map<Verdict, Long> verdicts = new LinkedHashMap<>();
    private long rows;
    private long scored;
    // Welford's: the mean so far, and the sum of squared distances to it.
    private double mean;
    private double squares;

    /// One tally for each name among the scores and their immediate parts, in the order they come.
    public static Map<String, Tally> of(List<Score> scores) {
        Map<String, Tally> tallies = new LinkedHashMap<>();
        for (Score score : scores) {
            tallies.computeIfAbsent(score.name(), name -> new Tally()).add(score);
            score.parts()
                    .forEach(part -> tallies.computeIfAbsent(part.name(), name -> new Tally())
                            .add(part));
        }
        return tallies;
    }

    public void add(Score score) {
        rows++;
        if (score.verdict() != null) {
            verdicts.merge(score.verdict(), 1L, Long::sum);
        }
        Double value = score.value();
        if (value != null) {
            scored++;
            double off = value - mean;
            mean += off / scored;
            squares += off * (value - mean);
        }
    }

    /// Rows seen, with a score or without.
    public long rows() {
        return rows;
    }

    /// Rows that have a score.
    public long scored() {
        return scored;
    }

    public long count(Verdict verdict) {
        return verdicts.getOrDefault(verdict, 0L);
    }

    /// Over the rows that have a score; empty if none has.
    public OptionalDouble mean() {
        return scored == 0 ? OptionalDouble.empty() : OptionalDouble.of(mean);
    }

    /// Over the rows that have a score, divided by n - 1 as TRL does; empty for fewer than two.
    public OptionalDouble std() {
        return scored < 2 ? OptionalDouble.empty() : OptionalDouble.of(Math.sqrt(squares / (scored - 1)));
    }
}
