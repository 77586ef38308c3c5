package dev.manners.feedback;

import dev.manners.BadInput;
import java.util.List;
import java.util.stream.IntStream;

/// What an annotator said about a task's answers.
public sealed interface Ranking {

    /// An order with ties.
    ///
    /// @param ranks one for each answer of the task: 1 is best, equal is a tie, 0 was not ranked
    record Ranked(List<Integer> ranks) implements Ranking {
        public Ranked {
            ranks = List.copyOf(ranks);
        }

        /// Indexes of the answers that were ranked.
        public List<Integer> ranked() {
            return IntStream.range(0, ranks.size())
                    .filter(i -> ranks.get(i) > 0)
                    .boxed()
                    .toList();
        }

        /// Indexes of the best: several if they are tied.
        public List<Integer> best() {
            int best = ranked().stream().mapToInt(ranks::get).min().orElse(1);
            return ranked().stream().filter(i -> ranks.get(i) == best).toList();
        }

        /// 1 if answer `a` was found better than `b`, -1 if worse, 0 if they are tied. Both must be ranked.
        public int compare(int a, int b) {
            return Integer.compare(ranks.get(b), ranks.get(a));
        }

        void requireFits(List<Answer> answers, String what) {
            if (ranks.size() != answers.size()) {
                throw new BadInput(what + ": " + ranks.size() + " ranks for " + answers.size()
                        + " answers; give each one, 0 to those that are not ranked");
            }
            if (ranks.stream().anyMatch(rank -> rank < 0 || rank > ranks.size())) {
                throw new BadInput(what + ": ranks are " + ranks + "; expected 1 for the best up to " + ranks.size()
                        + ", or 0 for not ranked");
            }
            if (ranked().size() < 2) {
                throw new BadInput(what + ": ranks are " + ranks + "; two answers or more must be ranked");
            }
            for (int i : ranked()) {
                if (!answers.get(i).servable()) {
                    throw new BadInput(
                            what + ": answer " + i + " is empty or an error, and cannot be ranked; give it 0");
                }
            }
        }
    }

    /// No answer is good enough to be learnt from. It says nothing about their order.
    record AllBad() implements Ranking {}

    /// Left to others.
    ///
    /// @param reason why; may be empty
    record Skipped(String reason) implements Ranking {}

    /// Taken back. The verdict it supersedes counts no more; the annotator may be asked again.
    ///
    /// @param reason why; may be empty
    record Withdrawn(String reason) implements Ranking {}

    /// Names of the four, as the store and files write them.
    enum Kind {
        RANKED,
        ALL_BAD,
        SKIPPED,
        WITHDRAWN
    }

    default Kind kind() {
        return switch (this) {
            case Ranked _ -> Kind.RANKED;
            case AllBad _ -> Kind.ALL_BAD;
            case Skipped _ -> Kind.SKIPPED;
            case Withdrawn _ -> Kind.WITHDRAWN;
        };
    }

    /// Whether it fills one of a task's places.
    default boolean counts() {
        return this instanceof Ranked || this instanceof AllBad;
    }
}
