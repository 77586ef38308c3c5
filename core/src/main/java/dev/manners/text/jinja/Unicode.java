package dev.manners.text.jinja;

import java.util.Locale;

/// Python's view of characters, where it is not Java's.
final class Unicode {

    private Unicode() {}

    /// `str.isspace` of one character, which is also what `strip()` strips and `\s` matches.
    static boolean isSpace(int c) {
        return (c >= 0x09 && c <= 0x0d)
                || (c >= 0x1c && c <= 0x20)
                || c == 0x85
                || c == 0xa0
                || c == 0x1680
                || (c >= 0x2000 && c <= 0x200a)
                || c == 0x2028
                || c == 0x2029
                || c == 0x202f
                || c == 0x205f
                || c == 0x3000;
    }

    /// Whether there is nothing but space; true of nothing.
    static boolean isSpace(String text) {
        return skipSpace(text, 0) == text.length();
    }

    static int skipSpace(String text, int from) {
        int i = from;
        while (i < text.length() && isSpace(text.charAt(i))) {
            i++;
        }
        return i;
    }

    static int endWithoutSpace(String text) {
        int end = text.length();
        while (end > 0 && isSpace(text.charAt(end - 1))) {
            end--;
        }
        return end;
    }

    /// Where `splitlines` splits; "\r\n" counts once, which the caller sees to.
    static boolean isLineBreak(int c) {
        return (c >= 0x0a && c <= 0x0d) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == 0x2029;
    }

    static String upper(String text) {
        return text.toUpperCase(Locale.ROOT);
    }

    static String lower(String text) {
        return text.toLowerCase(Locale.ROOT);
    }

    static boolean isCased(int c) {
        return Character.isUpperCase(c) || Character.isLowerCase(c) || Character.isTitleCase(c);
    }

    /// The first character in title case, the others in lower case.
    static String capitalize(String text) {
        if (text.isEmpty()) {
            return text;
        }
        int rest = text.offsetByCodePoints(0, 1);
        return title(text.codePointAt(0)) + lower(text.substring(rest));
    }

    /// One character in title case: U+01C6 has one of its own, the others that grow become several capitals.
    static String title(int c) {
        int title = Character.toTitleCase(c);
        String upper = upper(Character.toString(c));
        return title != c || upper.codePointCount(0, upper.length()) == 1
                ? Character.toString(title)
                : capitalizeExpanded(upper);
    }

    private static String capitalizeExpanded(String upper) {
        int rest = upper.offsetByCodePoints(0, 1);
        return upper.substring(0, rest) + lower(upper.substring(rest));
    }

    /// `str.isprintable` of one character, which decides what `repr` escapes.
    static boolean isPrintable(int c) {
        if (c == ' ') {
            return true;
        }
        return switch (Character.getType(c)) {
            case Character.CONTROL,
                    Character.FORMAT,
                    Character.SURROGATE,
                    Character.PRIVATE_USE,
                    Character.UNASSIGNED,
                    Character.LINE_SEPARATOR,
                    Character.PARAGRAPH_SEPARATOR,
                    Character.SPACE_SEPARATOR -> false;
            default -> true;
        };
    }
}
