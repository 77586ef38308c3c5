package dev.manners.feedback;

import dev.manners.files.Sha256;
import dev.manners.stats.Agreement;
import dev.manners.stats.Interval;
import dev.manners.stats.Intervals;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/// How good the feedback in a store is: how far its annotators agree, and what each of them tends to.
///
/// Agreement is on pairs. Each pair of a task's answers is a unit, and an annotator who ranked both gives it one of
/// three values in an order: worse, tie, better. So rankings of any length, with ties, count alike, and whoever
/// ranked only some of the answers counts for these. Which answer of a pair comes first is decided by a hash of
/// the two texts, which has nothing to do with quality: otherwise a file of chosen and rejected answers would
/// hold one category only. The pairs of a task hang together, so intervals draw whole tasks. Verdicts that are
/// late, repeated, skipped or "all bad" are not about an order that others judged too, and are left out.
///
/// @param alpha Krippendorff's, ordinal
/// @param nominalAlpha Krippendorff's with a tie as far from better as worse is
/// @param kappa Fleiss', of the pairs that exactly `kappaAnnotators` judged
/// @param kappaAnnotators the most frequent number of annotators of a pair, from 2; 0 if no pair has two
/// @param raw share of annotators' pairs that said the same
/// @param annotators by name
public record Quality(
        Interval alpha,
        Interval nominalAlpha,
        Interval kappa,
        int kappaAnnotators,
        Interval raw,
        List<Annotator> annotators) {

    private static final int RESAMPLES = 2_000;

    /// A rate, and what it would be if the thing it looks at played no part.
    public record Bias(Interval rate, double byChance) {

        /// Whether chance does not explain it: it lies outside the 95 % interval.
        public boolean isApart() {
            return rate.isDefined() && (byChance < rate.low() || byChance > rate.high());
        }
    }

    /// What one annotator tends to. All rates look at which answer a verdict puts first, so each verdict counts
    /// once and verdicts are independent.
    ///
    /// @param verdicts that stand, on the first occasion
    /// @param ranked of these
    /// @param allBad of these
    /// @param skipped of these
    /// @param firstWins how often the answer that was shown first is the best, where one is; by chance 1 of K
    /// @param longerWins how often the longest answer is the best, where one of each is. Longer answers may well be
    ///     better: this is a bias only as far as they are not
    /// @param ties how often several answers share the first place
    /// @param consistent how often the same answers are best when a task is asked again in the opposite order
    /// @param goldPassed how often the best answer of a gold task is found
    /// @param medianMs median time of a verdict in milliseconds; null where no time is known
    public record Annotator(
            String name,
            long verdicts,
            long ranked,
            long allBad,
            long skipped,
            Bias firstWins,
            Bias longerWins,
            Interval ties,
            Interval consistent,
            Interval goldPassed,
            @Nullable Long medianMs) {}

    /// What stood when verdict `through` had come.
    public static Quality of(Snapshot snapshot, long through, long seed) {
        Map<String, Map<String, int[]>> pairsByTask = new LinkedHashMap<>();
        Map<String, Counting> counting = new TreeMap<>();
        snapshot.forEachStanding(through, (task, recorded) -> {
            Verdict verdict = recorded.verdict();
            counting.computeIfAbsent(verdict.annotator(), name -> new Counting())
                    .count(task, verdict);
            if (verdict.occasion() == 0 && !recorded.late() && verdict.ranking() instanceof Ranking.Ranked ranked) {
                Map<String, int[]> pairs = pairsByTask.computeIfAbsent(verdict.task(), id -> new LinkedHashMap<>());
                addPairs(task, ranked, pairs);
            }
        });
        List<List<int[]>> groups = pairsByTask.values().stream()
                .map(pairs -> List.copyOf(pairs.values()))
                .toList();
        int annotators = mostFrequentCount(groups);
        return new Quality(
                Agreement.krippendorff(groups, Agreement.Level.ORDINAL, RESAMPLES, seed),
                Agreement.krippendorff(groups, Agreement.Level.NOMINAL, RESAMPLES, seed),
                annotators == 0 ? Interval.undefined() : Agreement.fleiss(groups, annotators, RESAMPLES, seed),
                annotators,
                Agreement.raw(groups, RESAMPLES, seed),
                counting.entrySet().stream()
                        .map(entry -> entry.getValue().report(entry.getKey()))
                        .toList());
    }

    private static void addPairs(Task task, Ranking.Ranked ranked, Map<String, int[]> pairs) {
        List<Integer> all = ranked.ranked();
        for (int a = 0; a < all.size(); a++) {
            for (int b = a + 1; b < all.size(); b++) {
                int i = all.get(a);
                int j = all.get(b);
                String first = task.answers().get(i).text();
                String second = task.answers().get(j).text();
                int value = ranked.compare(i, j) * (Sha256.ofText(first).compareTo(Sha256.ofText(second)) < 0 ? 1 : -1);
                pairs.merge(i + " " + j, new int[] {value}, (before, one) -> {
                    int[] more = Arrays.copyOf(before, before.length + 1);
                    more[before.length] = one[0];
                    return more;
                });
            }
        }
    }

    private static int mostFrequentCount(List<List<int[]>> groups) {
        Map<Integer, Long> units = new TreeMap<>();
        groups.forEach(group -> group.forEach(unit -> units.merge(unit.length, 1L, Long::sum)));
        units.remove(1);
        return units.entrySet().stream()
                .max(Map.Entry.comparingByValue())
                .map(Map.Entry::getKey)
                .orElse(0);
    }

    /// One annotator's verdicts as they come.
    private static final class Counting {
        private long verdicts;
        private long ranked;
        private long allBad;
        private long skipped;
        private final Share first = new Share();
        private final Share longest = new Share();
        private final Share tied = new Share();
        private final Share same = new Share();
        private final Share gold = new Share();
        private final List<Long> times = new ArrayList<>();
        private final Map<String, List<Integer>> bestByTask = new LinkedHashMap<>();

        void count(Task task, Verdict verdict) {
            if (verdict.occasion() > 0) {
                if (verdict.ranking() instanceof Ranking.Ranked again) {
                    compare(verdict.task(), again.best());
                }
                return;
            }
            Long time = verdict.circumstances().msTotal();
            if (time != null) {
                times.add(time);
            }
            verdicts++;
            switch (verdict.ranking()) {
                case Ranking.AllBad _ -> allBad++;
                case Ranking.Skipped _ -> skipped++;
                case Ranking.Withdrawn _ -> verdicts--;
                case Ranking.Ranked it -> rank(task, verdict, it);
            }
        }

        private void rank(Task task, Verdict verdict, Ranking.Ranked it) {
            ranked++;
            List<Integer> all = it.ranked();
            List<Integer> best = it.best();
            compare(verdict.task(), best);
            tied.add(best.size() > 1, 0);
            Boolean passed = Verdict.goldPassed(task, it);
            if (passed != null) {
                gold.add(passed, 0);
            }
            if (best.size() > 1) {
                return;
            }
            double chance = 1.0 / all.size();
            verdict.shown().stream()
                    .filter(all::contains)
                    .findFirst()
                    .ifPresent(shownFirst -> first.add(best.getFirst().equals(shownFirst), chance));
            int most = all.stream().mapToInt(i -> length(task, i)).max().orElse(0);
            List<Integer> longestOnes =
                    all.stream().filter(i -> length(task, i) == most).toList();
            if (longestOnes.size() == 1) {
                longest.add(best.equals(longestOnes), chance);
            }
        }

        private static int length(Task task, int answer) {
            String text = task.answers().get(answer).text();
            return text.codePointCount(0, text.length());
        }

        /// The two occasions of a task may come in either order: a first verdict may be corrected after the second.
        private void compare(String task, List<Integer> best) {
            List<Integer> other = bestByTask.putIfAbsent(task, best);
            if (other != null) {
                same.add(other.equals(best), 0);
            }
        }

        Annotator report(String name) {
            List<Long> sorted = times.stream().sorted().toList();
            return new Annotator(
                    name,
                    verdicts,
                    ranked,
                    allBad,
                    skipped,
                    first.bias(),
                    longest.bias(),
                    tied.rate(),
                    same.rate(),
                    gold.rate(),
                    sorted.isEmpty() ? null : sorted.get(sorted.size() / 2));
        }
    }

    private static final class Share {
        private long hits;
        private long n;
        private double chance;

        void add(boolean hit, double byChance) {
            hits += hit ? 1 : 0;
            n++;
            chance += byChance;
        }

        Interval rate() {
            return Intervals.wilson(hits, n);
        }

        Bias bias() {
            return new Bias(rate(), n == 0 ? 0 : chance / n);
        }
    }
}
