package dev.manners.reward;

/// How the scoring of one completion went, where there is a right and a wrong.
public enum Verdict {
    /// The answer was found and is right.
    RIGHT,
    /// The answer was found and understood, and is not right.
    WRONG,
    /// No single answer could be found or understood. It earns what a wrong one earns, and is counted apart: many of
    /// these mean that the format is not learnt yet, or that the rule looks in the wrong place.
    UNPARSEABLE,
    /// The row cannot be judged, whatever the completion says: it has no expected answer, or one that makes no sense.
    UNSCORABLE,
    /// The reward itself failed on this row: it threw, or returned something that is no score.
    FAULT
}
