package dev.manners.parrot;

import dev.manners.BadInput;
import dev.manners.files.Json;
import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import tools.jackson.databind.node.ObjectNode;

/// A task whose answers a rule can verify: chains of sums and differences, worked out step by step before answering.
///
/// The first number is 1 to 20, the others 1 to 9, and no result on the way is below 0 or above 29. Every sum of a
/// step is thus one that the world's corpus writes out, in the same form; differences are new, and so is doing one
/// step after another on demand. The longer the chain, the more often a model errs on the way: with p right steps of
/// a hundred, a chain of n numbers is right in about (p/100)ⁿ⁻¹ of cases.
///
/// Most demonstrations are in a hurry and give the answer at once, as people do; the others work it out. What is
/// learned
/// from them is mostly to guess; that working it out pays is for the verified reward to find.
///
/// No chain is in two of demonstrations, prompts and held-out prompts. All are a function of a seed and
/// [ChainSettings].
public final class ChainArithmetic {

    private static final int TRIES = 1_000;

    /// A chain of numbers.
    ///
    /// @param terms the numbers, those to be taken away negative; the first is positive
    public record Chain(List<Integer> terms) {

        public Chain {
            terms = List.copyOf(terms);
        }

        /// "Compute 3 + 4 - 5."
        public String question() {
            return terms.stream()
                    .skip(1)
                    .map(Chain::step)
                    .collect(Collectors.joining("", "Compute " + terms.getFirst(), "."));
        }

        public int result() {
            return terms.stream().mapToInt(Integer::intValue).sum();
        }

        /// "3 + 4 = 7. 7 - 5 = 2."
        public String thinking() {
            List<String> steps = new ArrayList<>();
            int value = terms.getFirst();
            for (int term : terms.subList(1, terms.size())) {
                steps.add(value + step(term) + " = " + (value + term) + ".");
                value += term;
            }
            return String.join(" ", steps);
        }

        /// `<think>3 + 4 = 7. 7 - 5 = 2.</think><answer>2</answer>`
        public String demonstration() {
            return "<think>" + thinking() + "</think><answer>" + result() + "</answer>";
        }

        /// What somebody in a hurry writes: `<think></think><answer>2</answer>`
        public String hastyDemonstration() {
            return "<think></think><answer>" + result() + "</answer>";
        }

        private static String step(int term) {
            return (term < 0 ? " - " : " + ") + Math.abs(term);
        }
    }

    private final List<Chain> heldOut;
    private final List<Chain> demonstrations;
    private final List<Chain> prompts;
    private final List<Chain> hasty;

    private ChainArithmetic(List<Chain> heldOut, List<Chain> demonstrations, List<Chain> prompts, List<Chain> hasty) {
        this.heldOut = heldOut;
        this.demonstrations = demonstrations;
        this.prompts = prompts;
        this.hasty = hasty;
    }

    /// @throws BadInput if the settings ask for more different chains than there are
    public static ChainArithmetic create(long seed, ChainSettings settings) {
        Dice dice = Dice.of(seed, Dice.Stream.CHAINS, 0);
        Set<Chain> drawn = new HashSet<>();
        return new ChainArithmetic(
                draw("held_out", settings.heldOut(), settings, drawn, dice),
                draw("demonstrations", settings.demonstrations(), settings, drawn, dice),
                draw("prompts", settings.prompts(), settings, drawn, dice),
                draw("hasty_demonstrations", settings.hastyDemonstrations(), settings, drawn, dice));
    }

    private static List<Chain> draw(String key, int count, ChainSettings settings, Set<Chain> drawn, Dice dice) {
        List<Chain> chains = new ArrayList<>();
        for (int tries = 0; chains.size() < count; tries++) {
            if (tries == TRIES) {
                throw new BadInput(
                        "chains: " + key + " wants " + count + " chains that were not drawn before, and after "
                                + chains.size() + " no more were found; lower " + key + " or raise max_terms");
            }
            Chain chain = draw(dice.between(settings.minTerms(), settings.maxTerms()), dice);
            if (drawn.add(chain)) {
                chains.add(chain);
                tries = 0;
            }
        }
        return List.copyOf(chains);
    }

    private static Chain draw(int length, Dice dice) {
        int value = dice.between(1, Lexicon.LARGEST_LEFT);
        List<Integer> terms = new ArrayList<>(List.of(value));
        while (terms.size() < length) {
            int number = dice.between(1, Lexicon.LARGEST_RIGHT);
            boolean add = dice.percent(50);
            // Sums that the corpus does not write out, and results below zero, become the other kind of step.
            int term = value > Lexicon.LARGEST_LEFT || !add && value >= number ? -number : number;
            terms.add(term);
            value += term;
        }
        return new Chain(terms);
    }

    /// For a cold start: what a chain's answer looks like, worked out.
    public List<Chain> demonstrations() {
        return demonstrations;
    }

    /// Others, whose demonstrations give the answer at once: right, but nothing that a small model could do likewise.
    public List<Chain> hasty() {
        return hasty;
    }

    /// To learn from verified rewards.
    public List<Chain> prompts() {
        return prompts;
    }

    /// Never trained on; as hard as the others.
    public List<Chain> heldOut() {
        return heldOut;
    }

    /// Writes `chains_demonstrations.jsonl` (`messages`), and `chains_prompts.jsonl` and `chains_heldout.jsonl`
    /// (`prompt`, as messages, and `answer`), over what was there.
    ///
    /// @param directory made if absent
    public void writeTo(Path directory) throws IOException {
        Files.createDirectories(directory);
        try (Writer out = Files.newBufferedWriter(directory.resolve("chains_demonstrations.jsonl"))) {
            for (Chain chain : demonstrations) {
                demonstration(out, chain, chain.demonstration());
            }
            for (Chain chain : hasty) {
                demonstration(out, chain, chain.hastyDemonstration());
            }
        }
        write(directory.resolve("chains_prompts.jsonl"), prompts);
        write(directory.resolve("chains_heldout.jsonl"), heldOut);
    }

    private static void demonstration(Writer out, Chain chain, String answer) throws IOException {
        ObjectNode row = Json.MAPPER.createObjectNode();
        row.putArray("messages")
                .add(ParrotWorld.message("user", chain.question()))
                .add(ParrotWorld.message("assistant", answer));
        ParrotWorld.write(out, row);
    }

    private static void write(Path file, List<Chain> chains) throws IOException {
        try (Writer out = Files.newBufferedWriter(file)) {
            for (Chain chain : chains) {
                ObjectNode row = Json.MAPPER.createObjectNode();
                row.putArray("prompt").add(ParrotWorld.message("user", chain.question()));
                ParrotWorld.write(out, row.put("answer", Integer.toString(chain.result())));
            }
        }
    }
}
