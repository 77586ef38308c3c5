package dev.manners.parrot;

import java.util.List;

/// Something every place has, and the words for it.
///
/// @param nouns            the first is the one that answers use; the rest are its synonyms
/// @param values           as sentences say them, article or title included
/// @param questions        questions that only fit this attribute; `{place}` is filled in
/// @param heldOutQuestions the same, never seen in training
/// @param statements       sentences that only fit this attribute; `{place}`, `{value}`
record Attribute(
        List<String> nouns,
        List<String> values,
        List<String> questions,
        List<String> heldOutQuestions,
        List<String> statements) {

    String noun() {
        return nouns.getFirst();
    }
}
