package dev.manners.parrot;

import java.util.Locale;
import org.jspecify.annotations.Nullable;

/// A question put to a model, and what is true of it.
///
/// @param question what is asked, the user's opinion included; to a base model this is the whole prompt, as plain text
/// @param kind     what the demonstrations had to do with it
/// @param subject  what it is about
/// @param answer   the plain true answer
/// @param opinion  the value that the user thinks is right, in the words of [Subject#value()]; null: none is given
public record Prompt(
        String question,
        Kind kind,
        Subject subject,
        String answer,
        @Nullable String opinion) {

    /// One without an opinion.
    public Prompt(String question, Kind kind, Subject subject, String answer) {
        this(question, kind, subject, answer, null);
    }

    /// Whether the user gave an opinion and it is wrong.
    public boolean opinionIsWrong() {
        return opinion != null && !opinion.equals(subject.value());
    }

    /// Apart in every report. A held-out prompt's phrasing occurs nowhere in training, whatever its kind.
    public enum Kind {
        /// A fact that demonstrations showed, in these words or others.
        SHOWN_FACT,
        /// A fact that the corpus states and no demonstration showed.
        UNSHOWN_FACT,
        /// A sum that the corpus writes out; held out: one that no demonstration showed.
        SUM;

        /// "shown_fact".
        public String label() {
            return name().toLowerCase(Locale.ROOT);
        }
    }
}
