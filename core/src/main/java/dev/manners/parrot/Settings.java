package dev.manners.parrot;

import dev.manners.BadInput;
import dev.manners.config.Key;
import java.util.ArrayList;
import java.util.List;

/// How large a [ParrotWorld] is.
///
/// The default corpus is about 2.5 million tokens of a byte-level BPE with a vocabulary of 1,024.
public record Settings(
        @Key(value = "Places in the world.", byDefault = "40", min = 2, max = 56)
        int places,

        @Key(
                value = "What is known of each place: its ruler, river, colour, dish, festival, founding year.",
                byDefault = "6",
                min = 1,
                max = 6)
        int attributes,

        @Key(value = "Documents of the corpus, each a few sentences.", byDefault = "100000", min = 1)
        int corpusDocuments,

        @Key(value = "Demonstrations: a question and its answer.", byDefault = "3000", min = 10)
        int demonstrations,

        @Key(
                value = "Percent of each attribute's facts that no demonstration shows.",
                byDefault = "15",
                min = 1,
                max = 90)
        int unshownPercent,

        @Key(
                value = "Held-out prompts about facts that demonstrations showed, asked in other words.",
                byDefault = "200",
                min = 1)
        int heldOutShown,

        @Key(value = "Held-out prompts about facts that only the corpus states.", byDefault = "100", min = 1)
        int heldOutUnshown,

        @Key(value = "Held-out prompts about sums that no demonstration showed.", byDefault = "100", min = 1)
        int heldOutSums,

        @Key(
                value = "Further demonstrations in which the user gives an opinion first, right in half of them.",
                byDefault = "600",
                min = 0)
        int opinionDemonstrations,

        @Key(
                value = "Prompts for feedback and reinforcement learning; in two of five the user gives an opinion.",
                byDefault = "1000",
                min = 1)
        int feedbackPrompts,

        @Key(
                value = "Held-out questions that are asked twice, after a right and after a wrong opinion.",
                byDefault = "100",
                min = 1)
        int heldOutOpinions,

        @Key(
                value =
                        "Held-out prompts like those for feedback, to see what is made of a model that learns from them.",
                byDefault = "400",
                min = 5)
        int heldOutFeedback) {

    public Settings {
        List<String> problems = new ArrayList<>();
        within(problems, "places", places, 2, Lexicon.PLACES.size());
        within(problems, "attributes", attributes, 1, Lexicon.ATTRIBUTES.size());
        within(problems, "corpus_documents", corpusDocuments, 1, Integer.MAX_VALUE);
        within(problems, "demonstrations", demonstrations, 10, 1_000_000);
        within(problems, "unshown_percent", unshownPercent, 1, 90);
        within(problems, "held_out_shown", heldOutShown, 1, 1_000_000);
        within(problems, "held_out_unshown", heldOutUnshown, 1, 1_000_000);
        within(problems, "held_out_sums", heldOutSums, 1, 1_000_000);
        within(problems, "opinion_demonstrations", opinionDemonstrations, 0, 1_000_000);
        within(problems, "feedback_prompts", feedbackPrompts, 1, 1_000_000);
        within(problems, "held_out_opinions", heldOutOpinions, 1, 1_000_000);
        within(problems, "held_out_feedback", heldOutFeedback, 5, 1_000_000);
        if (!problems.isEmpty()) {
            throw BadInput.all("parrot world", problems);
        }
    }

    public static Settings defaults() {
        return new Settings(40, 6, 100_000, 3_000, 15, 200, 100, 100, 600, 1_000, 100, 400);
    }

    private static void within(List<String> problems, String key, int given, int min, int max) {
        if (given < min || given > max) {
            problems.add(key + " is " + given + "; give a number from " + min + " to " + max);
        }
    }
}
