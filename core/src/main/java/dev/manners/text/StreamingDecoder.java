package dev.manners.text;

import java.util.ArrayList;
import java.util.List;

/// Decodes a growing sequence of tokens and gives out complete characters only.
///
/// A token may hold a part of a character, and what a token reads as may depend on the one before it (a leading space).
/// So a window of the last tokens is decoded with and without the newest, and the difference is given out once it does
/// not end in a replacement character.
public final class StreamingDecoder {

    private final Tokenizer tokenizer;
    private final boolean skipSpecial;
    private final List<Integer> ids = new ArrayList<>();
    private int windowBegin;
    private int given;

    StreamingDecoder(Tokenizer tokenizer, boolean skipSpecial) {
        this.tokenizer = tokenizer;
        this.skipSpecial = skipSpecial;
    }

    /// @return the characters that this token completed, maybe none
    public String next(int id) {
        ids.add(id);
        String before = decode(windowBegin, given);
        String now = decode(windowBegin, ids.size());
        // Four bytes make the longest character: a replacement that stays longer is the text's own.
        if (now.endsWith("\uFFFD") && ids.size() - given < 4) {
            return "";
        }
        windowBegin = given;
        given = ids.size();
        return now.startsWith(before) ? now.substring(before.length()) : "";
    }

    /// @return what is left, with replacement characters where bytes are missing
    public String finish() {
        String before = decode(windowBegin, given);
        String now = decode(windowBegin, ids.size());
        given = ids.size();
        windowBegin = given;
        return now.startsWith(before) ? now.substring(before.length()) : "";
    }

    private String decode(int from, int to) {
        return tokenizer.decode(ids.subList(from, to).stream().mapToInt(i -> i).toArray(), skipSpecial);
    }
}
