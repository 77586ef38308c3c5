package dev.manners.reward;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

/// Where in a completion its answer stands.
///
/// All rules but [#LAST_NUMBER] are strict: an answer counts if it stands **once**, outside the thinking (see
/// [Thought]), in the form the rule asks for. Two answers do not count, not even if they are the same; nor does an
/// answer inside the thinking or in an HTML comment, nor one that is begun and not ended. What stands there is the
/// answer as a whole: "42 or 43" and "one of 41, 42" are found, and no verifier can read them as a number.
public enum AnswerRule {

    /// Between `<answer>` and `</answer>`: one pair, neither nested nor left open.
    ANSWER_TAG {
        @Override
        Answer search(String text) {
            int opened = count(text, "<answer>");
            int closed = count(text, "</answer>");
            if (opened == 0 && closed == 0) {
                return new Answer.Missing("no <answer> tag");
            }
            if (opened != closed) {
                return new Answer.Missing(opened + " <answer> but " + closed + " </answer>");
            }
            int start = text.indexOf("<answer>") + "<answer>".length();
            int end = text.indexOf("</answer>");
            return opened > 1
                    ? new Answer.Several(opened)
                    : end < start ? new Answer.Missing("</answer> before <answer>") : found(text.substring(start, end));
        }
    },

    /// In `\boxed{…}` or `\fbox{…}`, braces balanced.
    BOXED {
        @Override
        Answer search(String text) {
            List<MatchResult> boxes = BOX.matcher(text).results().toList();
            if (boxes.size() != 1) {
                return boxes.isEmpty() ? new Answer.Missing("no \\boxed{}") : new Answer.Several(boxes.size());
            }
            int start = boxes.getFirst().end();
            int depth = 1;
            for (int at = start; at < text.length(); at++) {
                char c = text.charAt(at);
                if (c == '\\') {
                    at++; // \{ and \} do not nest
                } else if (c == '{') {
                    depth++;
                } else if (c == '}' && --depth == 0) {
                    return found(text.substring(start, at));
                }
            }
            return new Answer.Missing("\\boxed{ is never closed");
        }
    },

    /// GSM8K's form: the last line, after `####`; or after `A:`, as in the solutions that were recorded for its paper
    /// (Cobbe et al. 2021, arXiv:2110.14168). No other line may begin like that.
    ///
    /// The paper's own code takes the first match of `A: number` anywhere, which "the total at Job A: 2000 hours"
    /// satisfies. The recorded labels are those of the last line.
    GSM8K {
        @Override
        Answer search(String text) {
            List<String> marked = new ArrayList<>();
            boolean last = false;
            for (String line : (Iterable<String>) text.lines()::iterator) {
                String answer =
                        line.startsWith("####") ? line.substring(4) : line.startsWith("A:") ? line.substring(2) : null;
                if (answer != null) {
                    marked.add(answer);
                    last = true;
                } else if (!line.isBlank()) {
                    last = false;
                }
            }
            if (marked.size() > 1) {
                return new Answer.Several(marked.size());
            }
            return marked.isEmpty()
                    ? new Answer.Missing("no line that begins with ####")
                    : last ? found(marked.getFirst()) : new Answer.Missing("text after the answer's line");
        }
    },

    /// "The answer is 42.", the last sentence; also "So the final answer is:" and "Answer:". Nothing but the answer may
    /// follow, and nothing may come before it in the sentence ("nobody thinks that the answer is 42").
    THE_ANSWER_IS {
        @Override
        Answer search(String text) {
            List<MatchResult> said = ANSWER_IS.matcher(text).results().toList();
            if (said.size() != 1) {
                return said.isEmpty() ? new Answer.Missing("no \"The answer is\"") : new Answer.Several(said.size());
            }
            int start = said.getFirst().start();
            if (!LEAD.matcher(sentenceUpTo(text, start)).matches()) {
                return new Answer.Missing("\"answer is\" inside a longer sentence");
            }
            String answer = text.substring(said.getFirst().end()).strip();
            String bare = answer.endsWith(".") ? answer.substring(0, answer.length() - 1) : answer;
            return SENTENCE_END.matcher(bare).find()
                    ? new Answer.Missing("text after the answer's sentence")
                    : found(bare);
        }
    },

    /// Everything outside the thinking.
    WHOLE {
        @Override
        Answer search(String text) {
            return found(text);
        }
    },

    /// Lenient, for models that were never shown a form: the last number outside the thinking. It can be gamed (by
    /// ending on a likely number, or on a list) and misses what follows ("42 million"); the others cannot.
    LAST_NUMBER {
        @Override
        Answer search(String text) {
            String last = null;
            var numbers = NUMBER.matcher(text);
            while (numbers.find()) {
                last = numbers.group();
            }
            return last == null ? new Answer.Missing("no number") : found(last);
        }
    };

    private static final Pattern BOX = Pattern.compile("\\\\(?:boxed|fbox)\\s?\\{");
    private static final Pattern ANSWER_IS =
            Pattern.compile("(?<![\\p{L}\\p{M}\\p{N}])answer(?: is\\b:?|:)", Pattern.CASE_INSENSITIVE);
    private static final Pattern LEAD = Pattern.compile(
            "(?:(?:so|thus|therefore|hence|finally),? )?(?:(?:the|my|our) )?(?:final |correct )?",
            Pattern.CASE_INSENSITIVE);
    private static final Pattern SENTENCE_END = Pattern.compile("[.!?](?=\\s)|\\R");
    private static final Pattern NUMBER = Pattern.compile("-?[0-9]++(?:,[0-9]{3})*+(?:\\.[0-9]++)?");

    /// Finds the answer of a completion.
    public Answer find(String completion) {
        Thought thought = Thought.of(completion);
        Answer answer = search(thought.said());
        return answer instanceof Answer.Missing && !(search(thought.hidden()) instanceof Answer.Missing)
                ? new Answer.InsideThinking()
                : answer;
    }

    /// Looks through text that holds no thinking; linear in its length.
    abstract Answer search(String text);

    private static Answer found(String text) {
        String answer = text.strip();
        return answer.isEmpty() ? new Answer.Missing("the answer is empty") : new Answer.Found(answer);
    }

    /// From the beginning of the sentence that `end` is in.
    private static String sentenceUpTo(String text, int end) {
        // A lead is a few words; whatever is longer than this is none.
        int furthest = Math.max(0, end - 100);
        for (int at = end - 1; at >= furthest; at--) {
            if (text.charAt(at) == '\n'
                    || Character.isWhitespace(text.charAt(at)) && at > 0 && ".!?".indexOf(text.charAt(at - 1)) >= 0) {
                return text.substring(at + 1, end).stripLeading();
            }
        }
        return text.substring(furthest, end);
    }

    private static int count(String text, String part) {
        int count = 0;
        for (int at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length())) {
            count++;
        }
        return count;
    }
}
