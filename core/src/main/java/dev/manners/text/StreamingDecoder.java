package dev.manners.text;

import java.util.ArrayList;
import java.util.List;

/// Decodes a growing sequence of tokens and gives out complete characters only.
///
/// A token may end within a character, or hold the end of one and the beginning of the next, and what a token reads as
/// may depend on the one before it (a leading space). So a window of the last tokens is decoded, and what is new in it
/// is given out, up to where it ends in replacement characters: whether those stand for bytes still to come or for the
/// text's own is known when something else follows, or at the end.
public final class StreamingDecoder {

    private static final char REPLACEMENT = '\uFFFD';

    private final Tokenizer tokenizer;
    private final boolean skipSpecial;
    private final List<Integer> ids = new ArrayList<>();
    /// The window begins one stretch of complete characters before `border`, the end of the last such stretch.
    private int windowBegin;

    private int border;
    /// What the window read as when something was last given out.
    private String given = "";

    StreamingDecoder(Tokenizer tokenizer, boolean skipSpecial) {
        this.tokenizer = tokenizer;
        this.skipSpecial = skipSpecial;
    }

    /// @return the characters that this token completed, maybe none
    public String next(int id) {
        ids.add(id);
        String now = decode(windowBegin, ids.size());
        int end = now.length();
        while (end > 0 && now.charAt(end - 1) == REPLACEMENT) {
            end--;
        }
        if (end == now.length()) {
            return complete(now);
        }
        String certain = now.substring(0, end);
        if (certain.length() <= given.length() || !certain.startsWith(given)) {
            return "";
        }
        String fresh = certain.substring(given.length());
        given = certain;
        return fresh;
    }

    /// @return what is left, with replacement characters where bytes are missing
    public String finish() {
        return complete(decode(windowBegin, ids.size()));
    }

    /// Gives out all of the window and moves it on.
    private String complete(String now) {
        // Where bytes are tokens, one wrong byte makes replacements of the good ones before it (decoder ByteFallback).
        // Those were given out: what follows them is decoded by itself.
        String fresh = now.startsWith(given) ? now.substring(given.length()) : decode(border, ids.size());
        windowBegin = border;
        border = ids.size();
        given = decode(windowBegin, border);
        return fresh;
    }

    private String decode(int from, int to) {
        return tokenizer.decode(ids.subList(from, to).stream().mapToInt(i -> i).toArray(), skipSpecial);
    }
}
