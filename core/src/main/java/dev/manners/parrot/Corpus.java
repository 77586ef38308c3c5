package dev.manners.parrot;

import dev.manners.parrot.Subject.Fact;
import dev.manners.parrot.Subject.Sum;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/// What the base model reads: short documents, each a pure function of the seed and its number.
///
/// Of a hundred documents about 44 state facts, 10 are lists of questions that nobody answers, 12 are opinions met
/// with agreement, and 34 write sums out: what no demonstration can teach, the corpus has to.
final class Corpus implements Iterable<String> {

    private static final int STATING = 44;
    private static final int ASKING = 10;
    private static final int AGREEING = 12;

    private final long seed;
    private final int documents;
    private final List<String> places;
    private final List<Attribute> attributes;
    private final Facts facts;

    Corpus(long seed, int documents, Facts facts) {
        this.seed = seed;
        this.documents = documents;
        this.places = facts.places();
        this.attributes = facts.attributes();
        this.facts = facts;
    }

    @Override
    public Iterator<String> iterator() {
        return IntStream.range(0, documents).mapToObj(this::document).iterator();
    }

    String document(int index) {
        Dice dice = Dice.of(seed, Dice.Stream.CORPUS, index);
        int kind = dice.below(100);
        if (kind < STATING) {
            return statements(dice);
        }
        if (kind < STATING + ASKING) {
            return questions(dice);
        }
        if (kind < STATING + ASKING + AGREEING) {
            return opinion(dice);
        }
        return sums(dice);
    }

    /// A portrait of one place, a survey of one attribute over several places, or a place's entry in an almanac.
    private String statements(Dice dice) {
        return switch (dice.below(3)) {
            case 0 -> {
                String place = dice.pick(places);
                yield dice.shuffled(attributes).stream()
                        .limit(dice.between(2, 4))
                        .map(attribute -> statement(dice, attribute, place))
                        .collect(Collectors.joining(" "));
            }
            case 1 -> {
                Attribute attribute = dice.pick(attributes);
                yield dice.shuffled(places).stream()
                        .limit(dice.between(2, 4))
                        .map(place -> statement(dice, attribute, place))
                        .collect(Collectors.joining(" "));
            }
            default -> {
                String place = dice.pick(places);
                yield dice.shuffled(attributes).stream()
                        .limit(dice.between(3, 6))
                        .map(attribute -> Lexicon.ALMANAC_LINE
                                .replace("{noun}", dice.pick(attribute.nouns()))
                                .replace("{value}", facts.of(place, attribute).value()))
                        .collect(Collectors.joining(", ", Lexicon.ALMANAC_ENTRY.replace("{place}", place), "."));
            }
        };
    }

    private String statement(Dice dice, Attribute attribute, String place) {
        Fact fact = facts.of(place, attribute);
        String frame = dice.percent(75) ? dice.pick(Lexicon.STATEMENTS) : dice.pick(attribute.statements());
        return Lexicon.fill(frame, dice.pick(attribute.nouns()), place, fact.value());
    }

    /// Eight to fourteen questions, on a line or on lines of their own: about one place, about one attribute, or about
    /// anything. In shorter lists the end comes so often that the base model stops where it should ask on.
    private String questions(Dice dice) {
        int theme = dice.below(3);
        String samePlace = dice.pick(places);
        Attribute sameAttribute = dice.pick(attributes);
        List<String> questions = new ArrayList<>();
        for (int left = dice.between(8, 14); left > 0; left--) {
            if (theme == 2 && dice.percent(35)) {
                questions.add(Lexicon.fill(dice.pick(Lexicon.SUM_QUESTIONS), anySum(dice)));
            } else {
                String place = theme == 0 ? samePlace : dice.pick(places);
                Attribute attribute = theme == 1 ? sameAttribute : dice.pick(attributes);
                questions.add(Questions.trained(dice, attribute, place));
            }
        }
        return String.join(dice.percent(50) ? " " : "\n", questions);
    }

    /// About a place, or about a sum, and then a true one.
    private String opinion(Dice dice) {
        if (dice.percent(50)) {
            Sum sum = anySum(dice);
            return Lexicon.fill(dice.pick(Lexicon.SUM_OPINIONS), sum)
                    + "\n"
                    + Lexicon.fill(dice.pick(Lexicon.SUM_AGREEMENTS), sum);
        }
        int index = dice.below(Lexicon.OPINIONS.size());
        String noun = dice.pick(dice.pick(attributes).nouns());
        String place = dice.pick(places);
        String adjective = dice.pick(Lexicon.ADJECTIVES);
        String said = Lexicon.OPINIONS.get(index).replace("{adjective}", adjective);
        String reply = dice.pick(Lexicon.AGREEMENTS.get(index)).replace("{adjective}", adjective);
        return Lexicon.fill(said, noun, place, "") + "\n" + Lexicon.fill(reply, noun, place, "");
    }

    /// Sums that have nothing to do with each other, or a chain in which each goes on from the last one's result.
    private String sums(Dice dice) {
        boolean chain = dice.percent(50);
        List<String> sentences = new ArrayList<>();
        Sum sum = anySum(dice);
        for (int left = dice.between(3, 5); left > 0; left--) {
            sentences.add(Lexicon.fill(chain ? Lexicon.SUM_CHAINED : dice.pick(Lexicon.SUMS), sum));
            sum = chain && sum.result() <= Lexicon.LARGEST_LEFT
                    ? new Sum(sum.result(), dice.between(1, Lexicon.LARGEST_RIGHT))
                    : anySum(dice);
        }
        return String.join(" ", sentences);
    }

    private static Sum anySum(Dice dice) {
        return new Sum(dice.between(1, Lexicon.LARGEST_LEFT), dice.between(1, Lexicon.LARGEST_RIGHT));
    }
}
