package dev.manners.reward;

import java.text.Normalizer;
import java.util.List;
import java.util.Locale;

/// The text expected, letter for letter; runs of white space count as one space, and what Unicode calls canonically
/// equal (é as one character or two) is equal. Look-alikes and invisible characters are not.
///
/// @param column with the text, or a list of texts any of which will do
/// @param ignoreCase whether "paris" is "Paris"
public record ExactMatch(String column, boolean ignoreCase) implements Task {

    private static final int LONGEST = 100_000;

    @Override
    public Key key(Candidate row) {
        List<String> texts = Columns.texts(row, column);
        List<String> expected = texts.stream().map(this::normal).toList();
        return answer -> {
            if (answer.length() > LONGEST) {
                return Finding.unparseable(answer.length() + " characters");
            }
            return expected.contains(normal(answer))
                    ? Finding.right(answer)
                    : Finding.wrong(answer, String.join(" or ", texts));
        };
    }

    private String normal(String text) {
        String normal = Normalizer.normalize(text, Normalizer.Form.NFC).strip().replaceAll("\\s+", " ");
        return ignoreCase ? normal.toLowerCase(Locale.ROOT) : normal;
    }
}
