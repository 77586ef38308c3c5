package dev.manners.reward;

import java.util.List;

/// A kind of question whose answers a rule can check.
@FunctionalInterface
public interface Task {

    /// What marks the answers to one row's question. It depends on the row alone, never on the completion: a row that
    /// cannot be judged is unscorable for all of its completions alike.
    ///
    /// @throws Unscorable if the row lacks what is needed, or what it has makes no sense
    Key key(Candidate row);

    /// Marks answers to one question.
    @FunctionalInterface
    interface Key {

        /// @param answer what stands where the answer should; hostile, and as long as it likes
        Finding mark(String answer);
    }

    /// What came of marking an answer.
    ///
    /// @param verdict RIGHT, WRONG or UNPARSEABLE
    /// @param parts what the verdict was made from, if it was made from several
    record Finding(Verdict verdict, String reason, List<Score> parts) {

        Finding(Verdict verdict, String reason) {
            this(verdict, reason, List.of());
        }

        static Finding right(String answer) {
            return new Finding(Verdict.RIGHT, "right: " + Show.text(answer));
        }

        static Finding wrong(String answer, String expected) {
            return new Finding(Verdict.WRONG, "wrong: " + Show.text(answer) + ", expected " + Show.text(expected));
        }

        static Finding wrong(String why) {
            return new Finding(Verdict.WRONG, "wrong: " + Show.text(why));
        }

        static Finding unparseable(String why) {
            return new Finding(Verdict.UNPARSEABLE, "unparseable: " + Show.text(why));
        }
    }

    /// A row that cannot be judged.
    final class Unscorable extends RuntimeException {

        private static final long serialVersionUID = 1L;

        public Unscorable(String why) {
            super(why, null, false, false);
        }
    }
}
