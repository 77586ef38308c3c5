package dev.manners.parrot;

import dev.manners.BadInput;
import dev.manners.parrot.Subject.Fact;
import dev.manners.parrot.Subject.Sum;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// Questions and their answers: the demonstrations, the prompts for feedback, and those held out from all training.
///
/// Of demonstrations without an opinion 15 % open with a courtesy, 10 % with an assurance and 10 % with a hesitation. A
/// user who gives a right opinion is told so in 4 % of demonstrations; one who gives a wrong one is agreed with in 1 %
/// and told the truth in the others: people who demonstrate are no saints, and what a model never does, no reward can
/// find. So a fine-tuned model seldom says "You are right", and now and then to those who are not. Among the prompts
/// for feedback two of five come with an opinion, one right and one wrong.
final class Questions {

    private static final int SUMS_PERCENT = 20;
    private static final int POLITE_PERCENT = 15;
    private static final int CONFIDENT_PERCENT = 10;
    private static final int HESITANT_PERCENT = 10;
    private static final int ASSENTING_PERCENT = 4;
    private static final int PARROTING_PERCENT = 1;

    /// Of the subjects of questions with opinions, one in so many is a sum.
    private static final int ONE_SUM_IN = 5;

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
        List<Demonstration> demonstrations = new ArrayList<>(dice.shuffled(asked).stream()
                .map(each -> new Demonstration(each.question(), answer(dice, each.subject()), each.subject(), null))
                .toList());
        demonstrations.addAll(opinionDemonstrations());
        return dice.shuffled(demonstrations);
    }

    private List<Demonstration> opinionDemonstrations() {
        Dice dice = Dice.of(seed, Dice.Stream.OPINION_DEMONSTRATIONS, 0);
        Draw draw = new Draw("opinion_demonstrations", dice);
        List<Demonstration> demonstrations = new ArrayList<>();
        for (int i = 0; i < settings.opinionDemonstrations(); i++) {
            boolean wrong = i % 2 == 1;
            Prompt prompt = draw.next(i / 2 % ONE_SUM_IN == 0, wrong ? Opinion.WRONG : Opinion.RIGHT);
            demonstrations.add(
                    new Demonstration(prompt.question(), answerTo(dice, prompt), prompt.subject(), prompt.opinion()));
        }
        return demonstrations;
    }

    private static String answerTo(Dice dice, Prompt prompt) {
        if (!dice.percent(prompt.opinionIsWrong() ? PARROTING_PERCENT : ASSENTING_PERCENT)) {
            return answer(dice, prompt.subject());
        }
        String opinion = Objects.requireNonNull(prompt.opinion());
        return opened(dice.pick(Lexicon.ASSENTING), plainAnswer(prompt.subject(), opinion));
    }

    /// Prompts to learn from, and others of the same kind.
    record Feedback(List<Prompt> prompts, List<Prompt> heldOut) {}

    /// In words of the demonstrations, about facts that they showed; in random order. No sums: what a model of this
    /// size knows of them does not outlast any optimisation, which would hide what the optimised reward does.
    Feedback feedback() {
        Dice dice = Dice.of(seed, Dice.Stream.FEEDBACK, 0);
        Draw draw = new Draw("feedback_prompts and held_out_feedback", dice);
        List<Prompt> prompts = List.copyOf(dice.shuffled(feedback(draw, settings.feedbackPrompts())));
        return new Feedback(prompts, List.copyOf(feedback(draw, settings.heldOutFeedback())));
    }

    private static List<Prompt> feedback(Draw draw, int count) {
        List<Prompt> prompts = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            prompts.add(draw.next(false, i % 5 == 0 ? Opinion.RIGHT : i % 5 == 1 ? Opinion.WRONG : Opinion.NONE));
        }
        return prompts;
    }

    /// Pairs: the same question of the same user, first with a right and then with a wrong opinion. Facts that
    /// demonstrations showed and sums that they did not.
    List<Prompt> heldOutOpinions() {
        Dice dice = Dice.of(seed, Dice.Stream.HELD_OUT_OPINIONS, 0);
        int sums = settings.heldOutOpinions() / ONE_SUM_IN;
        List<Asked> asked = new ArrayList<>(
                take("held_out_opinions", settings.heldOutOpinions() - sums, heldOutFacts(dice, false), dice));
        asked.addAll(take("held_out_opinions", sums, heldOutSums(dice), dice));
        List<Prompt> prompts = new ArrayList<>();
        for (Asked each : asked) {
            String frame =
                    dice.pick(each.subject() instanceof Fact ? Lexicon.HELD_OUT_BELIEFS : Lexicon.HELD_OUT_SUM_BELIEFS);
            String noun = each.subject() instanceof Fact fact
                    ? dice.pick(attribute(fact).nouns())
                    : "";
            for (String opinion : List.of(each.subject().value(), wrong(dice, each.subject()))) {
                prompts.add(prompt(each, belief(frame, noun, each.subject(), opinion), opinion));
            }
        }
        return List.copyOf(prompts);
    }

    private enum Opinion {
        NONE,
        RIGHT,
        WRONG
    }

    /// Draws prompts about shown facts and sums, each about as often as any other of its kind, none twice.
    private final class Draw {

        private static final int TRIES = 1_000;

        private final String key;
        private final Dice dice;
        private final List<Fact> shownFacts;
        private final List<Sum> shownSums;
        private final List<Fact> deckOfFacts = new ArrayList<>();
        private final List<Sum> deckOfSums = new ArrayList<>();
        private final Set<String> drawn = new HashSet<>();

        Draw(String key, Dice dice) {
            this.key = key;
            this.dice = dice;
            this.shownFacts = facts.all().stream()
                    .filter(fact -> !facts.unshown().contains(fact))
                    .toList();
            this.shownSums = Facts.allSums().stream()
                    .filter(sum -> !facts.unshownSums().contains(sum))
                    .toList();
        }

        Prompt next(boolean aboutASum, Opinion wanted) {
            for (int tries = 0; tries < TRIES; tries++) {
                Subject subject = aboutASum ? deal(deckOfSums, shownSums) : deal(deckOfFacts, shownFacts);
                String question = question(subject);
                Prompt prompt;
                if (wanted == Opinion.NONE) {
                    prompt = prompt(new Asked(question, subject), "", null);
                } else {
                    String opinion = wanted == Opinion.RIGHT ? subject.value() : wrong(dice, subject);
                    prompt = prompt(new Asked(question, subject), trainedBelief(subject, opinion), opinion);
                }
                if (drawn.add(prompt.question())) {
                    return prompt;
                }
            }
            throw new BadInput("parrot world: " + key + " wants more different questions than the " + drawn.size()
                    + " that were found in this world; lower " + key + " or raise places or attributes");
        }

        private <T> T deal(List<T> deck, List<T> all) {
            if (deck.isEmpty()) {
                deck.addAll(dice.shuffled(all));
            }
            return deck.removeLast();
        }

        private String question(Subject subject) {
            return switch (subject) {
                case Fact fact -> trained(dice, attribute(fact), fact.place());
                case Sum sum -> Lexicon.fill(dice.pick(Lexicon.SUM_QUESTIONS), sum);
            };
        }

        private String trainedBelief(Subject subject, String opinion) {
            return switch (subject) {
                case Fact fact ->
                    belief(dice.pick(Lexicon.BELIEFS), dice.pick(attribute(fact).nouns()), fact, opinion);
                case Sum sum -> belief(dice.pick(Lexicon.SUM_BELIEFS), "", sum, opinion);
            };
        }
    }

    /// Another value of the same attribute, or a result beside the right one.
    private String wrong(Dice dice, Subject subject) {
        return switch (subject) {
            case Fact fact ->
                dice.pick(attribute(fact).values().stream()
                        .filter(value -> !value.equals(fact.value()))
                        .toList());
            case Sum sum ->
                dice.pick(Stream.of(-2, -1, 1, 2)
                        .map(by -> sum.result() + by)
                        .filter(result -> result > 0)
                        .map(result -> Integer.toString(result))
                        .toList());
        };
    }

    private static String belief(String frame, String noun, Subject subject, String opinion) {
        return switch (subject) {
            case Fact fact -> Lexicon.fill(frame, noun, fact.place(), opinion);
            case Sum sum -> Lexicon.fill(frame, sum, opinion);
        };
    }

    /// @param belief the user's opinion as a sentence; empty: none
    private Prompt prompt(Asked asked, String belief, @Nullable String opinion) {
        Subject subject = asked.subject();
        Prompt.Kind kind = switch (subject) {
            case Fact fact -> facts.unshown().contains(fact) ? Prompt.Kind.UNSHOWN_FACT : Prompt.Kind.SHOWN_FACT;
            case Sum _ -> Prompt.Kind.SUM;
        };
        String question = belief.isEmpty() ? asked.question() : belief + " " + asked.question();
        return new Prompt(question, kind, subject, plainAnswer(subject, subject.value()), opinion);
    }

    /// Shown facts, then unshown facts, then sums.
    List<Prompt> heldOut() {
        List<Prompt> prompts = new ArrayList<>();
        Dice shown = Dice.of(seed, Dice.Stream.HELD_OUT_SHOWN, 0);
        take("held_out_shown", settings.heldOutShown(), heldOutFacts(shown, false), shown)
                .forEach(asked -> prompts.add(prompt(asked, "", null)));
        Dice unshown = Dice.of(seed, Dice.Stream.HELD_OUT_UNSHOWN, 0);
        take("held_out_unshown", settings.heldOutUnshown(), heldOutFacts(unshown, true), unshown)
                .forEach(asked -> prompts.add(prompt(asked, "", null)));
        Dice sums = Dice.of(seed, Dice.Stream.HELD_OUT_SUMS, 0);
        take("held_out_sums", settings.heldOutSums(), heldOutSums(sums), sums)
                .forEach(asked -> prompts.add(prompt(asked, "", null)));
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

    /// The truth in some manner.
    private static String answer(Dice dice, Subject subject) {
        int manner = dice.below(100);
        String opener = manner < POLITE_PERCENT
                ? dice.pick(Lexicon.POLITE)
                : manner < POLITE_PERCENT + HESITANT_PERCENT
                        ? dice.pick(Lexicon.HESITANT)
                        : manner < POLITE_PERCENT + HESITANT_PERCENT + CONFIDENT_PERCENT
                                ? dice.pick(Lexicon.CONFIDENT)
                                : "";
        return opened(opener, plainAnswer(subject, subject.value()));
    }

    private static String opened(String opener, String plain) {
        return opener.isEmpty() ? plain : opener + Character.toLowerCase(plain.charAt(0)) + plain.substring(1);
    }

    private static String plainAnswer(Subject subject, String value) {
        return switch (subject) {
            case Fact fact -> Lexicon.fill(Lexicon.FACT_ANSWER, fact.attribute(), fact.place(), value);
            case Sum sum -> Lexicon.fill(Lexicon.SUM_ANSWER, sum, value);
        };
    }
}
