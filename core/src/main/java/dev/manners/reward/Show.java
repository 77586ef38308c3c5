package dev.manners.reward;

/// Text of a model or a dataset, for a reason: short, on one line, nothing invisible.
final class Show {

    private static final int LONGEST = 120;

    private Show() {}

    static String text(String text) {
        StringBuilder shown = new StringBuilder();
        for (int at = 0; at < text.length() && shown.length() < LONGEST; ) {
            int c = text.codePointAt(at);
            at += Character.charCount(c);
            if (c == '\n' || c == '\t' || c == '\r') {
                shown.append(' ');
            } else if (Invisible.is(c)) {
                shown.append(String.format("\\u%04X", c));
            } else {
                shown.appendCodePoint(c);
            }
            if (shown.length() >= LONGEST && at < text.length()) {
                shown.append("… (").append(text.length()).append(" characters)");
            }
        }
        return shown.toString();
    }
}
