package dev.manners.feedback;

import dev.manners.files.Sha256;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.LongConsumer;

/// Somebody who ranks answers without being shown a page: a simulated annotator.
public interface Ranker {

    String name();

    /// Ranks answers.
    ///
    /// @param answers texts in the order in which they are shown
    /// @param occasion 0; 1 if it is asked the second time
    /// @return a rank for each, 1 is best, equal is a tie; empty: it cannot say
    Optional<int[]> rank(Task task, List<String> answers, int occasion);

    /// Lets each in turn answer a task, until there is nothing to do for any of them. Stopped and begun again, it
    /// goes on where it was.
    ///
    /// @param progress told the number of verdicts so far
    /// @return how many verdicts were given
    static long rankAll(
            FeedbackStore store, List<? extends Ranker> rankers, Assignment.Terms terms, LongConsumer progress) {
        long given = 0;
        List<Ranker> busy = new ArrayList<>(rankers);
        while (!busy.isEmpty()) {
            // A hundred rounds are saved at once: what is made again the same way need not be forced one by one.
            given += store.together(() -> {
                long now = 0;
                for (int round = 0; round < 100; round++) {
                    for (Ranker ranker : List.copyOf(busy)) {
                        Optional<Assignment> next = store.next(ranker.name(), terms);
                        if (next.isEmpty()) {
                            busy.remove(ranker);
                        } else {
                            store.add(answer(ranker, next.get()));
                            now++;
                        }
                    }
                }
                return now;
            });
            progress.accept(given);
        }
        return given;
    }

    private static Verdict answer(Ranker ranker, Assignment given) {
        Ranking ranking = ranker.rank(
                        given.task(),
                        given.shown().stream()
                                .map(i -> given.task().answers().get(i).text())
                                .toList(),
                        given.occasion())
                .<Ranking>map(ranks -> ranked(given, ranks))
                .orElseGet(() -> new Ranking.Skipped("cannot judge this"));
        String id = Sha256.ofText(
                given.taskId() + "\n" + ranker.name() + "\n" + given.occasion() + "\n" + given.supersedes());
        return given.verdict(id.substring(0, 32), ranking, Verdict.Remarks.NONE, Verdict.Circumstances.of("simulated"));
    }

    private static Ranking.Ranked ranked(Assignment given, int[] ranks) {
        Integer[] all = new Integer[given.task().answers().size()];
        Arrays.fill(all, 0);
        for (int place = 0; place < ranks.length; place++) {
            all[given.shown().get(place)] = ranks[place];
        }
        return new Ranking.Ranked(Arrays.asList(all));
    }
}
