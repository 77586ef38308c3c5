package dev.manners.text;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/// A token of `added_tokens`: matched as a whole before the text around it is tokenised.
///
/// @param singleWord matches only where no word character touches it
/// @param lstrip takes the white space before it along; `rstrip` that behind it
record AddedToken(int id, String content, boolean singleWord, boolean lstrip, boolean rstrip, boolean special) {

    /// A place in the text that is this token.
    ///
    /// @param begin with the white space that was taken along; `tokenBegin` without
    record Match(AddedToken token, int begin, int tokenBegin, int end) {}

    /// Matches from left to right, the longest first, of tokens whose every character the template wrote.
    static List<Match> matches(List<AddedToken> tokens, String text, BitSet fromContent) {
        List<Match> found = new ArrayList<>();
        int at = 0;
        int free = 0;
        while (at < text.length()) {
            AddedToken best = fromContent.get(at) ? null : longestAt(tokens, text, at, fromContent);
            if (best == null) {
                at++;
                continue;
            }
            int begin = at;
            int end = at + best.content.length();
            if (best.lstrip) {
                while (begin > free && Character.isWhitespace(text.charAt(begin - 1))) {
                    begin--;
                }
            }
            if (best.rstrip) {
                while (end < text.length() && Character.isWhitespace(text.charAt(end))) {
                    end++;
                }
            }
            found.add(new Match(best, begin, at, end));
            at = end;
            free = end;
        }
        return found;
    }

    private static @org.jspecify.annotations.Nullable AddedToken longestAt(
            List<AddedToken> tokens, String text, int at, BitSet fromContent) {
        AddedToken best = null;
        for (AddedToken token : tokens) {
            int end = at + token.content.length();
            if ((best == null || token.content.length() > best.content.length())
                    && text.startsWith(token.content, at)
                    && clear(fromContent, at, end)
                    && (!token.singleWord || alone(text, at, end))) {
                best = token;
            }
        }
        return best;
    }

    private static boolean clear(BitSet fromContent, int begin, int end) {
        int next = fromContent.nextSetBit(begin);
        return next < 0 || next >= end;
    }

    private static boolean alone(String text, int begin, int end) {
        return (begin == 0 || !word(text.codePointBefore(begin)))
                && (end == text.length() || !word(text.codePointAt(end)));
    }

    private static boolean word(int c) {
        return Character.isLetterOrDigit(c) || c == '_';
    }
}
