package dev.manners.parrot;

import java.util.List;
import java.util.stream.IntStream;

/// A simulated person who ranks answers by taste.
///
/// An answer has a utility: what of the annotator's tastes it meets, and whether it is true, if this annotator can
/// check that for this prompt. To each utility comes Gumbel noise, and the answers are ranked by the sums. This is a
/// random utility model (Thurstone 1927, "A law of comparative judgment"); with Gumbel noise the ranking is
/// Plackett and Luce's, and of two answers the first is preferred with probability σ((u₁ - u₂) / noise), the model of
/// Bradley and Terry (1952) that the loss of a reward model assumes (Luce 1959; Yellott 1977).
///
/// Where an annotator cannot check, the truth is absent from the utility, not guessed at.
///
/// Everything is a pure function of seed, annotator, prompt, answers and occasion. The noise belongs to the answer's
/// text, so the same text twice on one occasion is tied.
public final class Annotator {

    private static final int MOST_WORDS = 30;
    private static final Judge JUDGE = new Judge();

    /// Two different answers to a prompt, to be compared.
    public record Comparison(Prompt prompt, String answer, String other) {}

    private final String name;
    private final long seed;
    private final Tastes tastes;

    private Annotator(String name, long seed, Tastes tastes) {
        this.name = name;
        this.seed = seed;
        this.tastes = tastes;
    }

    /// Annotators of similar tastes; the first of them are the same however many there are.
    ///
    /// @param count at least 1
    public static List<Annotator> team(long seed, Tastes tastes, int count) {
        if (count < 1) {
            throw new IllegalArgumentException("a team of " + count + " annotators; it takes at least 1");
        }
        return IntStream.rangeClosed(1, count)
                .mapToObj(number -> {
                    Dice dice = Dice.of(seed, Dice.Stream.TASTES, number);
                    long own = Dice.hash(seed, number);
                    return new Annotator("annotator-" + number, own, individual(dice, tastes));
                })
                .toList();
    }

    private static Tastes individual(Dice dice, Tastes common) {
        return new Tastes(
                varied(dice, common.truth(), common.spread()),
                varied(dice, common.politeness(), common.spread()),
                varied(dice, common.confidence(), common.spread()),
                varied(dice, common.agreement(), common.spread()),
                varied(dice, common.length(), common.spread()),
                varied(dice, common.form(), common.spread()),
                common.checkRate(),
                common.spread(),
                common.noise(),
                common.tie(),
                common.positionBias());
    }

    private static double varied(Dice dice, double weight, double spread) {
        return weight * (1 + spread * (2 * dice.uniform() - 1));
    }

    /// "annotator-3".
    public String name() {
        return name;
    }

    /// Ranks answers: 1 is best, equal ranks are ties, and no rank is left out (1, 1, 2).
    ///
    /// From the best down, an answer is tied with the one before it if they differ by no more than the threshold.
    ///
    /// @param answers  in the order they are shown
    /// @param occasion a number; on another occasion the same annotator may rank otherwise
    public int[] rank(Prompt prompt, List<String> answers, long occasion) {
        double[] felt = new double[answers.size()];
        for (int i = 0; i < felt.length; i++) {
            String answer = answers.get(i);
            felt[i] = utility(prompt, answer)
                    // A text shown twice has its best place.
                    + (answer.equals(answers.getFirst()) ? tastes.positionBias() : 0)
                    + tastes.noise() * gumbel(prompt, answer, occasion);
        }
        List<Integer> order = IntStream.range(0, felt.length)
                .boxed()
                .sorted((a, b) -> Double.compare(felt[b], felt[a]))
                .toList();
        int[] ranks = new int[felt.length];
        for (int place = 0; place < ranks.length; place++) {
            int at = order.get(place);
            if (place == 0) {
                ranks[at] = 1;
            } else {
                int before = order.get(place - 1);
                ranks[at] = ranks[before] + (felt[before] - felt[at] <= tastes.tie() ? 0 : 1);
            }
        }
        return ranks;
    }

    /// How much this annotator likes an answer, noise and place apart.
    double utility(Prompt prompt, String answer) {
        Manner manner = Manner.of(prompt, answer);
        Judgement judgement = JUDGE.judge(prompt, answer);
        return (judgement.truthful() && checks(prompt) ? tastes.truth() : 0)
                + (judgement.wellFormed() ? tastes.form() : 0)
                + (manner.polite() ? tastes.politeness() : 0)
                + (manner.confident() ? tastes.confidence() : 0)
                - (manner.hesitant() ? tastes.confidence() : 0)
                + tastes.agreement() * manner.agreement(prompt)
                + tastes.length() * Math.min(manner.words(), MOST_WORDS);
    }

    /// Whether this annotator can check answers to this prompt: the same on every occasion.
    boolean checks(Prompt prompt) {
        return Dice.of(seed, Dice.Stream.CHECKS, Dice.hash(prompt.question())).uniform() < tastes.checkRate();
    }

    private double gumbel(Prompt prompt, String answer, long occasion) {
        long about = Dice.hash(Dice.hash(prompt.question()), Dice.hash(answer));
        double uniform =
                Dice.of(seed, Dice.Stream.WHIMS, Dice.hash(about, occasion)).uniform();
        return -StrictMath.log(-StrictMath.log(uniform));
    }

    /// The probability that this annotator, shown two different answers in this order or the other, as often one as the
    /// other, prefers the first named to the second by more than a tie.
    ///
    /// Exact for pairs. In longer lists ties chain and a third answer may be shown first, which moves it a little.
    double prefers(Prompt prompt, String answer, String other) {
        return wins(utility(prompt, answer) - utility(prompt, other));
    }

    private double wins(double lead) {
        return (above(lead + tastes.positionBias()) + above(lead - tastes.positionBias())) / 2;
    }

    /// P(lead + noise · L > tie), L the difference of two Gumbels, which is logistic.
    private double above(double lead) {
        double beyond = lead - tastes.tie();
        return tastes.noise() == 0 ? (beyond > 0 ? 1 : 0) : 1 / (1 + StrictMath.exp(-beyond / tastes.noise()));
    }

    /// The highest accuracy that any predictor can be expected to reach on labels of these comparisons, each by one
    /// member of the team, any as likely as another, ties left out.
    ///
    /// The best predictor knows every taste and names the answer that more of the team's choices fall on; it is not
    /// told who judged, so disagreement within the team lowers the ceiling just as noise does. Comparisons
    /// that nobody can decide, as of equal texts, are left out.
    ///
    /// @return 0.5 to 1
    /// @throws IllegalArgumentException if there is no comparison that somebody can decide
    public static double noiseCeiling(List<Annotator> team, List<Comparison> comparisons) {
        double sum = 0;
        long decided = 0;
        for (Comparison c : comparisons) {
            double first = 0;
            double second = 0;
            if (!c.answer().equals(c.other())) {
                for (Annotator annotator : team) {
                    double lead = annotator.utility(c.prompt(), c.answer()) - annotator.utility(c.prompt(), c.other());
                    first += annotator.wins(lead);
                    second += annotator.wins(-lead);
                }
            }
            if (first + second > 0) {
                sum += Math.max(first, second) / (first + second);
                decided++;
            }
        }
        if (decided == 0) {
            throw new IllegalArgumentException(
                    "none of " + comparisons.size() + " comparisons can be decided, so there is no noise ceiling");
        }
        return sum / decided;
    }
}
