package dev.manners.reward;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/// One of several choices, by its letter.
///
/// Read as B are `B`, `b`, `(B)`, `B.`, `B)`; where the row lists its choices also `B. Paris`, if Paris is what B says,
/// and `Paris`, if one choice alone says so. "A or B", "not B", "B. London" and a Cyrillic В are unparseable.
///
/// @param column with the right letter (`B`), or the right number counted from 0 if `choices` is there
/// @param choices column with the list of choices' texts; a row need not have it
public record MultipleChoice(String column, String choices) implements Task {

    private static final int LONGEST = 10_000;
    private static final Pattern LETTER =
            Pattern.compile("(?:\\(([A-Za-z])\\)|([A-Za-z])[.):]?)(?: (.+))?", Pattern.DOTALL);

    @Override
    public Key key(Candidate row) {
        List<String> texts = texts(row);
        char expected = expected(row, texts);
        return answer -> {
            Character given = answer.length() > LONGEST ? null : letter(answer, texts);
            if (given == null) {
                return Finding.unparseable("not one choice: " + Show.text(answer));
            }
            return given == expected ? Finding.right(answer) : Finding.wrong(answer, Character.toString(expected));
        };
    }

    private List<String> texts(Candidate row) {
        JsonNode list = row.columns().get(choices);
        List<String> texts = new ArrayList<>();
        if (list != null && list.isArray()) {
            list.forEach(choice -> texts.add(normal(choice.isString() ? choice.stringValue() : choice.toString())));
        }
        return texts;
    }

    private char expected(Candidate row, List<String> texts) {
        String text = Columns.text(row, column);
        boolean number = Columns.get(row, column).isIntegralNumber();
        Character letter = number ? numbered(text) : letter(text, List.of());
        if (letter == null || !texts.isEmpty() && letter - 'A' >= texts.size()) {
            throw new Unscorable("column " + column + " is " + Show.text(text) + ", expected a letter"
                    + (texts.isEmpty() ? "" : " of " + texts.size() + " choices"));
        }
        return letter;
    }

    private static @Nullable Character numbered(String text) {
        return text.matches("[0-9]|1[0-9]|2[0-5]") ? (char) ('A' + Integer.parseInt(text)) : null;
    }

    private static @Nullable Character letter(String answer, List<String> texts) {
        int only = texts.indexOf(normal(answer));
        if (only >= 0) {
            return only == texts.lastIndexOf(normal(answer)) && only < 26 ? (char) ('A' + only) : null;
        }
        Matcher matcher = LETTER.matcher(answer.strip());
        if (!matcher.matches()) {
            return null;
        }
        String said = matcher.group(1) == null ? matcher.group(2) : matcher.group(1);
        char letter = Objects.requireNonNull(said).toUpperCase(Locale.ROOT).charAt(0);
        int index = letter - 'A';
        if (!texts.isEmpty() && index >= texts.size()) {
            return null;
        }
        String rest = matcher.group(3);
        return rest == null || index < texts.size() && texts.get(index).equals(normal(rest)) ? letter : null;
    }

    private static String normal(String text) {
        String normal = text.strip().replaceAll("\\s+", " ").toLowerCase(Locale.ROOT);
        return normal.endsWith(".") ? normal.substring(0, normal.length() - 1) : normal;
    }
}
