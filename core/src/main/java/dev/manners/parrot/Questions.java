package dev.manners.parrot;

import dev.manners.BadInput;
import dev.manners.parrot.Subject.Fact;
import dev.manners.parrot.Subject.Sum;
import java.util.ArrayList;
import java.util.List;

/// Questions and their answers: the demonstrations, and the prompts held out from all training.
final class Questions {

    private static final int SUMS_PERCENT = 20;
    private static final int POLITE_PERCENT = 15;
    private static final int HESITANT_PERCENT = 10;

    private final long seed;
    private final Settings settings;
    private final Facts facts;

    Questions(long seed, Settings settings, Facts facts) {
        this.seed = seed;
        this.settings = settings;
        this.facts = facts;
    }

    /// A question as training asks it.
    static String trained(Dice dice, Attribute attribute, String place) {
        String frame = dice.percent(80) ? dice.pick(Lexicon.QUESTIONS) : dice.pick(attribute.questions());
        return Lexicon.fill(frame, dice.pick(attribute.nouns()), place, "");
    }

    /// No question twice; every shown fact and sum about as often as any other.
    List<Demonstration> demonstrations() {
        Dice dice = Dice.of(seed, Dice.Stream.DEMONSTRATIONS, 0);
        int sums = settings.demonstrations() * SUMS_PERCENT / 100;
        int shown = facts.all().size() - facts.unshown().size();
        if (settings.demonstrations() - sums < shown) {
            throw new BadInput("parrot world: demonstrations is " + settings.demonstrations() + ", of which "
                    + (settings.demonstrations() - sums) + " are about facts, too few to show each of " + shown
                    + " facts; raise demonstrations or unshown_percent, or lower places or attributes");
        }
        List<Asked> asked = new ArrayList<>();
        asked.addAll(take(
                "demonstrations",
                settings.demonstrations() - sums,
                facts.all().stream()
                        .filter(fact -> !facts.unshown().contains(fact))
                        .map(fact -> dice.shuffled(phrasings(
                                fact, Lexicon.QUESTIONS, attribute(fact).questions())))
                        .toList(),
                dice));
        asked.addAll(take(
                "demonstrations",
                sums,
                Facts.allSums().stream()
                        .filter(sum -> !facts.unshownSums().contains(sum))
                        .map(sum -> dice.shuffled(phrasings(sum, Lexicon.SUM_QUESTIONS)))
                        .toList(),
                dice));
        return dice.shuffled(asked).stream()
                .map(each -> new Demonstration(each.question(), answer(dice, each.subject()), each.subject()))
                .toList();
    }

    /// Shown facts, then unshown facts, then sums.
    List<Prompt> heldOut() {
        List<Prompt> prompts = new ArrayList<>();
        Dice shown = Dice.of(seed, Dice.Stream.HELD_OUT_SHOWN, 0);
        take("held_out_shown", settings.heldOutShown(), heldOutFacts(shown, false), shown)
                .forEach(asked -> prompts.add(prompt(Prompt.Kind.SHOWN_FACT, asked)));
        Dice unshown = Dice.of(seed, Dice.Stream.HELD_OUT_UNSHOWN, 0);
        take("held_out_unshown", settings.heldOutUnshown(), heldOutFacts(unshown, true), unshown)
                .forEach(asked -> prompts.add(prompt(Prompt.Kind.UNSHOWN_FACT, asked)));
        Dice sums = Dice.of(seed, Dice.Stream.HELD_OUT_SUMS, 0);
        take("held_out_sums", settings.heldOutSums(), heldOutSums(sums), sums)
                .forEach(asked -> prompts.add(prompt(Prompt.Kind.SUM, asked)));
        return List.copyOf(prompts);
    }

    private List<List<Asked>> heldOutFacts(Dice dice, boolean unshown) {
        return facts.all().stream()
                .filter(fact -> facts.unshown().contains(fact) == unshown)
                .map(fact -> dice.shuffled(phrasings(
                        fact, Lexicon.HELD_OUT_QUESTIONS, attribute(fact).heldOutQuestions())))
                .toList();
    }

    private List<List<Asked>> heldOutSums(Dice dice) {
        return Facts.allSums().stream()
                .filter(facts.unshownSums()::contains)
                .map(sum -> dice.shuffled(phrasings(sum, Lexicon.HELD_OUT_SUM_QUESTIONS)))
                .toList();
    }

    private static Prompt prompt(Prompt.Kind kind, Asked asked) {
        return new Prompt(asked.question(), kind, asked.subject(), plainAnswer(asked.subject()));
    }

    private record Asked(String question, Subject subject) {}

    private Attribute attribute(Fact fact) {
        return facts.attribute(fact);
    }

    private List<Asked> phrasings(Fact fact, List<String> frames, List<String> own) {
        List<Asked> asked = new ArrayList<>();
        for (String noun : attribute(fact).nouns()) {
            for (String frame : frames) {
                asked.add(new Asked(Lexicon.fill(frame, noun, fact.place(), ""), fact));
            }
        }
        for (String frame : own) {
            asked.add(new Asked(Lexicon.fill(frame, "", fact.place(), ""), fact));
        }
        return asked;
    }

    private static List<Asked> phrasings(Sum sum, List<String> frames) {
        return frames.stream()
                .map(frame -> new Asked(Lexicon.fill(frame, sum), sum))
                .toList();
    }

    /// The first phrasing of every subject, then the second of every subject, ..., until there are enough; within a
    /// round the subjects come in random order.
    private static List<Asked> take(String key, int count, List<List<Asked>> bySubject, Dice dice) {
        int available = bySubject.stream().mapToInt(List::size).sum();
        if (available < count) {
            throw new BadInput("parrot world: " + key + " wants " + count + " different questions of one kind, and this"
                    + " world has " + available + "; lower " + key + " or raise places or attributes");
        }
        List<Asked> taken = new ArrayList<>();
        for (int round = 0; taken.size() < count; round++) {
            for (List<Asked> phrasings : dice.shuffled(bySubject)) {
                if (taken.size() < count && round < phrasings.size()) {
                    taken.add(phrasings.get(round));
                }
            }
        }
        return taken;
    }

    private static String answer(Dice dice, Subject subject) {
        int manner = dice.below(100);
        String opener = manner < POLITE_PERCENT
                ? dice.pick(Lexicon.POLITE)
                : manner < POLITE_PERCENT + HESITANT_PERCENT ? dice.pick(Lexicon.HESITANT) : "";
        String plain = plainAnswer(subject);
        return opener.isEmpty() ? plain : opener + Character.toLowerCase(plain.charAt(0)) + plain.substring(1);
    }

    private static String plainAnswer(Subject subject) {
        return switch (subject) {
            case Fact fact -> Lexicon.fill(Lexicon.FACT_ANSWER, fact.attribute(), fact.place(), fact.value());
            case Sum sum -> Lexicon.fill(Lexicon.SUM_ANSWER, sum);
        };
    }
}
