package dev.manners.parrot;

import java.util.Locale;

/// A held-out question.
///
/// @param question what is asked; to a base model this is the whole prompt, as plain text
/// @param kind     what training had to do with it
/// @param subject  what it is about
/// @param answer   the plain true answer
public record Prompt(String question, Kind kind, Subject subject, String answer) {

    /// Apart in every report. No kind's phrasing occurs anywhere in training.
    public enum Kind {
        /// A fact that demonstrations showed in other words.
        SHOWN_FACT,
        /// A fact that the corpus states and no demonstration showed.
        UNSHOWN_FACT,
        /// A sum that the corpus writes out and no demonstration showed.
        SUM;

        /// "shown_fact".
        public String label() {
            return name().toLowerCase(Locale.ROOT);
        }
    }
}
