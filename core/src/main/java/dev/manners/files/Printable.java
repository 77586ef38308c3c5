package dev.manners.files;

/// Text of models and datasets made safe for a terminal.
public final class Printable {

    private Printable() {}

    /// Control characters other than line feed and tab are written out: an escape sequence in a model's answer
    /// must not move the cursor, hide text or set the window's title. Marks that turn the direction of writing are
    /// written out too.
    public static String escape(String text) {
        StringBuilder out = null;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            boolean bad = c < 0x20 && c != '\n' && c != '\t'
                    || c >= 0x7F && c < 0xA0
                    || c >= 0x202A && c <= 0x202E
                    || c >= 0x2066 && c <= 0x2069;
            if (bad && out == null) {
                out = new StringBuilder(text.length() + 16).append(text, 0, i);
            }
            if (out != null) {
                if (bad) {
                    out.append(String.format("\\u%04x", (int) c));
                } else {
                    out.append(c);
                }
            }
        }
        return out == null ? text : out.toString();
    }
}
