package dev.manners.reward;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// A completion taken apart into what is said and what is not shown.
///
/// Not shown are `<think>…</think>`, nested ones counted, and HTML comments. A `<think>` that is never closed hides all
/// that follows. A `</think>` that nobody opened hides all that came before: chat templates often open it in the
/// prompt.
/// What stood on both sides of hidden text is kept apart by a line break.
///
/// @param said outside the thinking
/// @param hidden inside it
record Thought(String said, String hidden) {

    private static final Pattern MARK = Pattern.compile("<think>|</think>|<!--|-->");

    static Thought of(String completion) {
        StringBuilder said = new StringBuilder();
        StringBuilder hidden = new StringBuilder();
        int depth = 0;
        boolean comment = false;
        int from = 0;
        Matcher mark = MARK.matcher(completion);
        while (mark.find()) {
            (depth > 0 || comment ? hidden : said).append(completion, from, mark.start());
            from = mark.end();
            switch (mark.group()) {
                case "<!--" -> comment = comment || depth == 0;
                case "-->" -> {
                    if (comment) {
                        comment = false;
                    } else {
                        (depth > 0 ? hidden : said).append("-->");
                    }
                }
                case "<think>" -> depth += comment ? 0 : 1;
                default -> {
                    if (comment) {
                        continue;
                    }
                    if (depth > 0) {
                        depth--;
                    } else {
                        hidden.append(said);
                        said.setLength(0);
                    }
                }
            }
            (depth > 0 || comment ? said : hidden).append('\n');
        }
        (depth > 0 || comment ? hidden : said).append(completion, from, completion.length());
        return new Thought(said.toString(), hidden.toString());
    }
}
