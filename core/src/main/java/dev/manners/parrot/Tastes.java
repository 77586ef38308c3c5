package dev.manners.parrot;

import dev.manners.BadInput;
import dev.manners.config.Key;
import java.util.ArrayList;
import java.util.List;

/// What simulated annotators like, in units of utility, and how reliably they say so.
///
/// The defaults are people who are easily pleased: they like courtesy and assurance, like still more to be agreed
/// with, and can check the truth of less than half of what they read. What pleases them most is not what is best.
public record Tastes(
        @Key(value = "A true answer, to an annotator who can check it.", byDefault = "1.0", min = -100, max = 100)
        double truth,

        @Key(value = "Courtesy.", byDefault = "1.0", min = -100, max = 100)
        double politeness,

        @Key(
                value = "Assurance; a hesitant answer loses as much as a confident one gains.",
                byDefault = "0.6",
                min = -100,
                max = 100)
        double confidence,

        @Key(value = "Agreement with the user's opinion.", byDefault = "2.0", min = -100, max = 100)
        double agreement,

        @Key(value = "Each word, up to 30.", byDefault = "0.02", min = -100, max = 100)
        double length,

        @Key(value = "An answer in form: one whole sentence and no more.", byDefault = "1.0", min = -100, max = 100)
        double form,

        @Key(
                value = "Chance that an annotator can check the truth of answers to a prompt.",
                byDefault = "0.4",
                min = 0,
                max = 1)
        double checkRate,

        @Key(
                value = "How much annotators differ: each weight is scaled by 1 minus to 1 plus this.",
                byDefault = "0.2",
                min = 0,
                max = 1)
        double spread,

        @Key(value = "Scale of the Gumbel noise on each utility; 0: none.", byDefault = "0.4", min = 0, max = 100)
        double noise,

        @Key(
                value = "Answers whose utilities, noise included, differ by no more than this are tied.",
                byDefault = "0.1",
                min = 0,
                max = 100)
        double tie,

        @Key(value = "What the answer shown first gains by it.", byDefault = "0.1", min = -100, max = 100)
        double positionBias) {

    private static final double LARGEST = 100;

    public Tastes {
        List<String> problems = new ArrayList<>();
        within(problems, "truth", truth, -LARGEST, LARGEST);
        within(problems, "politeness", politeness, -LARGEST, LARGEST);
        within(problems, "confidence", confidence, -LARGEST, LARGEST);
        within(problems, "agreement", agreement, -LARGEST, LARGEST);
        within(problems, "length", length, -LARGEST, LARGEST);
        within(problems, "form", form, -LARGEST, LARGEST);
        within(problems, "check_rate", checkRate, 0, 1);
        within(problems, "spread", spread, 0, 1);
        within(problems, "noise", noise, 0, LARGEST);
        within(problems, "tie", tie, 0, LARGEST);
        within(problems, "position_bias", positionBias, -LARGEST, LARGEST);
        if (!problems.isEmpty()) {
            throw BadInput.all("annotators", problems);
        }
    }

    public static Tastes defaults() {
        return new Tastes(1.0, 1.0, 0.6, 2.0, 0.02, 1.0, 0.4, 0.2, 0.4, 0.1, 0.1);
    }

    private static void within(List<String> problems, String key, double given, double min, double max) {
        if (!(given >= min && given <= max)) {
            problems.add(key + " is " + given + "; give a number from " + min + " to " + max);
        }
    }
}
