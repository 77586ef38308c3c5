package dev.manners.text.jinja;

/// Finds one string in another in linear time, whatever the strings: the JDK's own search is quadratic on "aaa...b".
final class Search {

    /// Up to this length of pattern the JDK's search is fast enough at worst.
    private static final int SHORT = 32;

    private Search() {}

    /// As `String.indexOf`.
    static int indexOf(Budget budget, String text, String pattern, int from) {
        if (pattern.length() <= SHORT) {
            int found = text.indexOf(pattern, from);
            scan(budget, pattern, (found < 0 ? text.length() : found) - Math.min(from, text.length()));
            return found;
        }
        return search(budget, text, pattern, from);
    }

    /// At worst every character is compared with half the pattern.
    private static void scan(Budget budget, String pattern, int length) {
        budget.scan((1L + pattern.length() / 2) * length);
    }

    /// As `String.lastIndexOf`, of a match that ends at or before `end`.
    static int lastIndexOf(Budget budget, String text, String pattern, int end) {
        if (pattern.length() <= SHORT) {
            scan(budget, pattern, end);
            return text.lastIndexOf(pattern, end - pattern.length());
        }
        budget.allocate(end);
        String mirrored = new StringBuilder(text.substring(0, end)).reverse().toString();
        int found =
                search(budget, mirrored, new StringBuilder(pattern).reverse().toString(), 0);
        return found < 0 ? -1 : end - found - pattern.length();
    }

    /// Knuth, Morris and Pratt.
    private static int search(Budget budget, String text, String pattern, int from) {
        if (text.length() - from < pattern.length()) {
            return -1;
        }
        budget.allocate(pattern.length() * 2L);
        int[] border = new int[pattern.length() + 1];
        border[0] = -1;
        for (int i = 0, k = -1; i < pattern.length(); ) {
            while (k >= 0 && pattern.charAt(i) != pattern.charAt(k)) {
                k = border[k];
            }
            border[++i] = ++k;
        }
        int matched = 0;
        int i = from;
        while (i < text.length() && matched < pattern.length()) {
            while (matched >= 0 && text.charAt(i) != pattern.charAt(matched)) {
                matched = border[matched];
            }
            i++;
            matched++;
        }
        budget.scan(8L * (i - from + pattern.length()));
        return matched == pattern.length() ? i - matched : -1;
    }
}
