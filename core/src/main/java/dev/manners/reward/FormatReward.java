package dev.manners.reward;

import dev.manners.text.Tokenizer;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.function.Function;

/// 1 if the completion is `<think>…</think><answer>…</answer>`, 0 otherwise (DeepSeek-R1, arXiv:2501.12948).
///
/// Each tag once and in this order, nothing but white space around and between, and at least one letter or digit inside
/// both: an empty thought is no thought. It says nothing about the answer, and a policy can have it for nothing: weigh
/// it below a verifier.
///
/// Where the prompt ends with `<think>`, and perhaps white space, as many chat templates write it, the completion
/// begins inside it: then it may not come again.
///
/// @param promptText a prompt's tokens as the text that the policy saw, control tokens included
public record FormatReward(Function<int[], String> promptText) implements Reward {

    private static final List<String> TAGS = List.of("<think>", "</think>", "<answer>", "</answer>");

    /// Of prompts that open nothing.
    public FormatReward() {
        this(ids -> "");
    }

    /// Of prompts in a policy's tokens.
    public static FormatReward of(Tokenizer policy) {
        return new FormatReward(ids -> policy.decode(ids, false));
    }

    @Override
    public String name() {
        return "format";
    }

    @Override
    public List<Score> score(List<Candidate> candidates) {
        // Completions of a prompt share its tokens.
        IdentityHashMap<int[], Boolean> opened = new IdentityHashMap<>();
        List<Score> scores = new ArrayList<>();
        for (Candidate candidate : candidates) {
            boolean inside = opened.computeIfAbsent(candidate.promptIds(), this::opens);
            String problem = problem(inside ? "<think>" + candidate.completion() : candidate.completion());
            scores.add(Score.of(name(), problem.isEmpty() ? 1 : 0, problem.isEmpty() ? "well-formed" : problem));
        }
        return scores;
    }

    private boolean opens(int[] prompt) {
        return promptText.apply(prompt).stripTrailing().endsWith("<think>");
    }

    private static String problem(String text) {
        int[] starts = new int[TAGS.size()];
        for (int tag = 0; tag < TAGS.size(); tag++) {
            starts[tag] = text.indexOf(TAGS.get(tag));
            if (starts[tag] < 0) {
                return "no " + TAGS.get(tag);
            }
            if (text.indexOf(TAGS.get(tag), starts[tag] + 1) >= 0) {
                return "more than one " + TAGS.get(tag);
            }
            if (tag > 0 && starts[tag] < starts[tag - 1]) {
                return TAGS.get(tag) + " before " + TAGS.get(tag - 1);
            }
        }
        String before = text.substring(0, starts[0]);
        String thinking = text.substring(starts[0] + TAGS.get(0).length(), starts[1]);
        String between = text.substring(starts[1] + TAGS.get(1).length(), starts[2]);
        String answer = text.substring(starts[2] + TAGS.get(2).length(), starts[3]);
        String after = text.substring(starts[3] + TAGS.get(3).length());
        if (!before.isBlank() || !between.isBlank() || !after.isBlank()) {
            return "text outside the tags";
        }
        return isSaid(thinking) ? isSaid(answer) ? "" : "nothing in <answer>" : "nothing in <think>";
    }

    private static boolean isSaid(String text) {
        return text.codePoints().anyMatch(Character::isLetterOrDigit);
    }
}
