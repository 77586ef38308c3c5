package dev.manners.reward;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import tools.jackson.databind.JsonNode;

/// Reads what a row expects; what is not there makes the row unscorable.
final class Columns {

    private Columns() {}

    static JsonNode get(Candidate row, String column) {
        JsonNode value = row.columns().get(column);
        if (value == null || value.isNull()) {
            throw new Task.Unscorable("the row has no column " + column + "; it has "
                    + row.columns().propertyNames());
        }
        return value;
    }

    /// A string, or a number written out.
    static String text(Candidate row, String column) {
        return text(get(row, column), column);
    }

    private static String text(JsonNode value, String column) {
        if (value.isString() || value.isNumber()) {
            String text = value.isString() ? value.stringValue() : value.toString();
            if (!text.isBlank()) {
                return text.strip();
            }
        }
        throw new Task.Unscorable(
                "column " + column + " is " + Show.text(value.toString()) + ", expected a string or a number");
    }

    /// One text, or a list of texts any of which will do.
    static List<String> texts(Candidate row, String column) {
        JsonNode value = get(row, column);
        if (!value.isArray()) {
            return List.of(text(value, column));
        }
        List<String> texts = new ArrayList<>();
        value.forEach(item -> texts.add(text(Objects.requireNonNull(item), column)));
        if (texts.isEmpty()) {
            throw new Task.Unscorable("column " + column + " is an empty list");
        }
        return texts;
    }
}
