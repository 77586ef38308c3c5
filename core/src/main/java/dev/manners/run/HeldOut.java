package dev.manners.run;

import dev.manners.data.ModelEncoder;
import dev.manners.files.Json;
import dev.manners.parrot.Judgement;
import dev.manners.parrot.ParrotWorld;
import dev.manners.parrot.Prompt;
import dev.manners.rollout.Completion;
import dev.manners.rollout.Sampling;
import dev.manners.stats.Interval;
import dev.manners.stats.Intervals;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ArrayNode;

/// What a model answered to the world's held-out prompts, greedily, and what the judge found.
///
/// @param model which one answered
record HeldOut(String model, List<Answer> answers) {

    private static final int TOGETHER = 50;
    private static final int LONGEST = 48;

    /// An answer and its judgement.
    record Answer(Prompt prompt, String text, Judgement judgement) {}

    /// What is counted.
    enum Measure {
        ASKS("asks another question"),
        FORM("answers in form"),
        TRUE("answers truly");

        final String text;

        Measure(String text) {
            this.text = text;
        }

        boolean holds(Judgement j) {
            return switch (this) {
                case ASKS -> j.continuedWithQuestion();
                case FORM -> j.wellFormed();
                case TRUE -> j.truthful();
            };
        }
    }

    /// Over which prompts it is counted.
    enum Group {
        TAUGHT("shown facts and sums", kind -> kind != Prompt.Kind.UNSHOWN_FACT),
        SHOWN("shown facts", kind -> kind == Prompt.Kind.SHOWN_FACT),
        SUMS("sums", kind -> kind == Prompt.Kind.SUM),
        UNSHOWN("facts only the corpus states", kind -> kind == Prompt.Kind.UNSHOWN_FACT);

        final String text;
        final Predicate<Prompt.Kind> has;

        Group(String text, Predicate<Prompt.Kind> has) {
            this.text = text;
            this.has = has;
        }
    }

    /// Asks all held-out prompts: as a chat, or as the plain text that a base model continues.
    ///
    /// @return null if it was interrupted
    static @Nullable HeldOut ask(
            LoadedModel model, String name, boolean chat, ParrotWorld world, Interrupts interrupts) {
        List<Prompt> prompts = world.heldOut();
        List<int[]> ids =
                prompts.stream().map(p -> encode(model, p.question(), chat)).toList();
        List<Answer> answers = new ArrayList<>();
        try (Progress progress = Progress.of(name + " answers")) {
            for (int from = 0; from < prompts.size(); from += TOGETHER) {
                if (interrupts.requested()) {
                    return null;
                }
                int to = Math.min(prompts.size(), from + TOGETHER);
                for (Completion c : model.engine(TOGETHER).generate(ids.subList(from, to), Sampling.greedy(LONGEST))) {
                    Prompt prompt = prompts.get(from + c.prompt());
                    answers.add(new Answer(prompt, c.text(), world.judge(prompt, c.text())));
                }
                progress.progress(to, prompts.size(), Map.of());
            }
        }
        return new HeldOut(name, answers);
    }

    /// A question as the model is asked it: as a chat, rendered as for training, or as plain text.
    static int[] encode(LoadedModel model, String question, boolean chat) {
        if (!chat) {
            return model.tokenizer().encodeContentWithSpecial(question);
        }
        ArrayNode messages = Json.MAPPER.createArrayNode();
        messages.addObject().put("role", "user").put("content", question);
        return new ModelEncoder(model.tokenizer()).chat(messages, null, true).ids();
    }

    /// Whether a measure holds, answer by answer.
    boolean[] outcomes(Measure measure, Group group) {
        List<Answer> of =
                answers.stream().filter(a -> group.has.test(a.prompt().kind())).toList();
        boolean[] outcomes = new boolean[of.size()];
        for (int i = 0; i < outcomes.length; i++) {
            outcomes[i] = measure.holds(of.get(i).judgement());
        }
        return outcomes;
    }

    Interval rate(Measure measure, Group group) {
        boolean[] outcomes = outcomes(measure, group);
        int successes = 0;
        for (boolean outcome : outcomes) {
            successes += outcome ? 1 : 0;
        }
        return Intervals.wilson(successes, outcomes.length);
    }

    /// All rates, by "answers truly: sums".
    Map<String, Interval> rates() {
        Map<String, Interval> rates = new LinkedHashMap<>();
        for (Measure measure : Measure.values()) {
            for (Group group : Group.values()) {
                rates.put(measure.text + ": " + group.text, rate(measure, group));
            }
        }
        return rates;
    }

    /// Point estimates for the metrics log: `asks/taught`.
    Map<String, Double> metrics() {
        Map<String, Double> metrics = new LinkedHashMap<>();
        for (Measure measure : Measure.values()) {
            for (Group group : Group.values()) {
                metrics.put(
                        (measure + "/" + group).toLowerCase(java.util.Locale.ROOT),
                        rate(measure, group).estimate());
            }
        }
        return metrics;
    }
}
