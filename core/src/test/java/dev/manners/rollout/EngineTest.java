package dev.manners.rollout;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.manners.BadInput;
import dev.manners.model.Decoder;
import dev.manners.model.Dropout;
import dev.manners.model.Sequences;
import dev.manners.tensor.DType;
import dev.manners.tensor.NoGrad;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import dev.manners.testing.Tiny;
import dev.manners.text.Tokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Generation: what comes out depends on the prompt, the options and the seed, and ends where it should.
class EngineTest {

    private static final long SEED = Long.getLong("tests.seed", 42);
    private static final int CONTEXT = 64;
    private static final int VOCABULARY = 420;

    private static final Tokenizer TOKENIZER = Tiny.tokenizer(null);
    private static final Decoder LLAMA = Tiny.llama(VOCABULARY, CONTEXT, SEED);

    @AfterAll
    static void close() {
        TOKENIZER.close();
        LLAMA.close();
    }

    private static List<int[]> prompts(int count) {
        Random random = new Random(SEED);
        return IntStream.range(0, count)
                .mapToObj(
                        i -> random.ints(1 + random.nextInt(20), 4, VOCABULARY).toArray())
                .toList();
    }

    static List<Sampling> samplings() {
        return List.of(
                Sampling.greedy(20),
                Sampling.at(1, 20, SEED),
                Sampling.at(0.7, 20, 7),
                new Sampling(20, true, 1.3, 30, 0.9, 0.02, 1.2, List.of(), 3));
    }

    private static Engine engine(int slots, Integer... stopIds) {
        return new Engine(LLAMA, TOKENIZER, Set.of(stopIds), slots);
    }

    /// A fifth of the vocabulary ends a completion, so that places are freed and taken over at all lengths.
    private static final Integer[] MANY_STOPS =
            IntStream.range(0, VOCABULARY).filter(i -> i % 5 == 0).boxed().toArray(Integer[]::new);

    private static void assertSame(Completion found, Completion wanted) {
        assertThat(found.ids()).isEqualTo(wanted.ids());
        assertThat(found.text()).isEqualTo(wanted.text());
        assertThat(found.finish()).isEqualTo(wanted.finish());
        assertClose(found.logps(), wanted.logps());
    }

    private static void assertClose(float[] found, float[] wanted) {
        assertThat(found.length).isEqualTo(wanted.length);
        for (int i = 0; i < wanted.length; i++) {
            assertThat(Math.abs(found[i] - wanted[i]))
                    .as("token %d: %s, expected %s", i, found[i], wanted[i])
                    .isLessThanOrEqualTo(1e-5f * Math.max(1, Math.abs(wanted[i])));
        }
    }

    @ParameterizedTest
    @MethodSource("samplings")
    void inABatchAsAlone(Sampling sampling) {
        List<int[]> prompts = prompts(11);
        List<Completion> together = engine(4, MANY_STOPS).generate(prompts, sampling);
        for (int i = 0; i < prompts.size(); i++) {
            List<Completion> alone =
                    engine(1, MANY_STOPS).rollout(List.of(prompts.get(i)), 1, sampling, i, () -> false);
            assertSame(together.get(i), Objects.requireNonNull(alone).getFirst());
            assertThat(together.get(i).prompt()).isEqualTo(i);
        }
        // The case is there: completions of several lengths, so that neighbours came and went.
        assertThat(together.stream().mapToInt(c -> c.ids().length).distinct().count())
                .isGreaterThan(2);
    }

    @Test
    void placesDoNotMatter() {
        List<int[]> prompts = prompts(9);
        Sampling sampling = Sampling.at(1, 16, SEED);
        List<Completion> wanted = engine(9).generate(prompts, sampling);
        for (int slots : new int[] {1, 2, 5, 100}) {
            List<Completion> found = engine(slots).generate(prompts, sampling);
            for (int i = 0; i < 9; i++) {
                assertSame(found.get(i), wanted.get(i));
            }
        }
    }

    @Test
    void greedyHasNoUseForASeed() {
        List<Completion> found = engine(3).generate(prompts(1), 6, Sampling.greedy(16));
        assertThat(found.stream().map(c -> Arrays.toString(c.ids())).distinct()).hasSize(1);
    }

    /// What the cache gives, token by token, is what one forward pass over everything gives.
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void theCacheEqualsAFullForward(boolean sampled) {
        List<int[]> prompts = prompts(10);
        double temperature = sampled ? 0.8 : 1;
        Sampling sampling = sampled ? Sampling.at(temperature, 24, SEED) : Sampling.greedy(24);
        for (Completion c : engine(4, MANY_STOPS).generate(prompts, sampling)) {
            int[] prompt = prompts.get(c.prompt());
            int[] all = Arrays.copyOf(prompt, prompt.length + c.ids().length);
            System.arraycopy(c.ids(), 0, all, prompt.length, c.ids().length);
            try (Scope scope = Scope.open();
                    NoGrad off = NoGrad.on()) {
                Tensor hidden = LLAMA.hidden(Tensor.of(all), new Sequences(all.length), Dropout.NONE);
                Tensor logp = LLAMA.logits(hidden).mul(1 / temperature).logSoftmax(-1);
                Tensor predicting = logp.narrow(0, prompt.length - 1, c.ids().length);
                Tensor ids = Tensor.of(c.ids());
                assertClose(c.logps(), predicting.gather(1, ids.unsqueeze(1)).toFloats());
                if (!sampled) {
                    assertThat(predicting.argmax(-1).toLongs()).isEqualTo(ids.toLongs());
                }
            }
        }
    }

    @Test
    void nothingAskedNothingAnswered() {
        assertThat(engine(4).generate(List.of(), Sampling.greedy(5))).isEmpty();
        assertThatThrownBy(() -> engine(4).generate(List.of(new int[] {5}, new int[0]), Sampling.greedy(5)))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("prompt 1 has no token")
                .hasMessageContaining("BOS");
    }

    @Test
    void damagedWeightsAreSaidNotSampled() {
        try (Decoder broken = Tiny.llama(VOCABULARY, CONTEXT, 1);
                Scope scope = Scope.open()) {
            Tensor norm = broken.parameter("model.norm.weight").value().detach();
            norm.narrow(0, 0, 1).copy_(Tensor.full(Double.NaN, DType.F32, 1));
            broken.refresh();
            assertThatThrownBy(() -> new Engine(broken, TOKENIZER, Set.of(), 2)
                            .generate(List.of(new int[] {5}), Sampling.at(1, 5, 1)))
                    .hasMessageContaining("logits: NaN or infinite while sampling");
        }
    }

    // ---- TK16

    /// Longer than the context, exactly as long: an error that says so, before anything is computed. One shorter: one
    /// token fits and is given, and the completion says that it ended for length.
    @Test
    void tk16_promptsAtTheEndOfTheContext() {
        for (int length : new int[] {CONTEXT, CONTEXT + 1, 10 * CONTEXT}) {
            int[] prompt = new Random(SEED).ints(length, 4, VOCABULARY).toArray();
            assertThatThrownBy(() -> engine(2).generate(List.of(new int[] {5}, prompt), Sampling.greedy(5)))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("prompt 1 has " + length + " tokens")
                    .hasMessageContaining("context is 64")
                    .hasMessageContaining("shorten the prompt");
        }
        for (int room : new int[] {1, 2, 7}) {
            int[] prompt = new Random(SEED).ints(CONTEXT - room, 4, VOCABULARY).toArray();
            // A neighbour with more room is not cut short, and does not get the other more.
            List<Completion> two = engine(2).generate(List.of(prompt, new int[] {5}), Sampling.greedy(20));
            assertThat(two.get(0).ids()).hasSize(room);
            assertThat(two.get(0).finish()).isEqualTo(Completion.Finish.LENGTH);
            assertThat(two.get(1).ids()).hasSize(20);
        }
    }

    /// As many tokens as fit, said with the largest number there is.
    @Test
    void tk16_asLongAsTheContextLasts() {
        Completion c = engine(2)
                .generate(List.of(new int[] {5, 6, 7}), Sampling.greedy(Integer.MAX_VALUE))
                .getFirst();
        assertThat(c.ids()).hasSize(CONTEXT - 3);
        assertThat(c.finish()).isEqualTo(Completion.Finish.LENGTH);
    }

    // ---- texts, stops and listeners, with a model that says what is wanted

    private static final String SAID = "the birds 🙂🙃 sing: été, 世界 — e\u0301 👩‍👩‍👧 naïve.";

    private record Heard(Completion completion, List<String> pieces) {
        String text() {
            return String.join("", pieces);
        }
    }

    /// The model says `text`, then the end of the turn, then the text again.
    private static Heard say(String text, int most, Set<Integer> stopIds, List<String> stops) {
        int[] ids = TOKENIZER.encode(text);
        int[] script = Arrays.copyOf(ids, 2 * ids.length + 2);
        script[ids.length] = 3;
        System.arraycopy(ids, 0, script, ids.length + 1, ids.length);
        try (Decoder decoder = Tiny.saying(script, VOCABULARY)) {
            List<String> pieces = new ArrayList<>();
            Sampling sampling = new Sampling(most, false, 1, 0, 1, 0, 1, stops, 0);
            Completion c = new Engine(decoder, TOKENIZER, stopIds, 2)
                    .generate(List.of(new int[] {4}), 1, sampling, (prompt, piece) -> pieces.add(piece))
                    .getFirst();
            return new Heard(c, pieces);
        }
    }

    @Test
    void tk07_theListenerHearsWholeCharacters() {
        Heard heard = say(SAID, 1000, Set.of(3), List.of());
        assertThat(heard.completion.text()).isEqualTo(SAID);
        assertThat(heard.text()).isEqualTo(SAID);
        assertThat(heard.pieces).noneMatch(piece -> piece.contains("\uFFFD"));
        assertThat(heard.pieces).noneMatch(String::isEmpty).hasSizeGreaterThan(15);
        // Cut off anywhere: only the last piece, when nothing can follow, may show that a character is missing.
        int tokens = heard.completion.ids().length;
        for (int most = 1; most < tokens; most++) {
            Heard cut = say(SAID, most, Set.of(3), List.of());
            assertThat(cut.completion.finish()).isEqualTo(Completion.Finish.LENGTH);
            assertThat(cut.completion.ids()).hasSize(most);
            assertThat(cut.text()).isEqualTo(cut.completion.text());
            assertThat(cut.pieces.subList(0, Math.max(0, cut.pieces.size() - 1)))
                    .noneMatch(piece -> piece.contains("\uFFFD"));
        }
    }

    @Test
    void stopIdsEndIt() {
        Heard heard = say(SAID, 1000, Set.of(1, 3), List.of());
        assertThat(heard.completion.finish()).isEqualTo(Completion.Finish.STOP);
        // The stop token is among the ids, as training wants it, and not in the text.
        assertThat(heard.completion.ids()).endsWith(3).hasSize(TOKENIZER.encode(SAID).length + 1);
        assertThat(heard.completion.text()).isEqualTo(SAID);
        // Stopping on the very last token allowed is stopping.
        int exactly = heard.completion.ids().length;
        assertThat(say(SAID, exactly, Set.of(3), List.of()).completion.finish()).isEqualTo(Completion.Finish.STOP);
        assertThat(say(SAID, exactly - 1, Set.of(3), List.of()).completion.finish())
                .isEqualTo(Completion.Finish.LENGTH);
        // Without it the text goes on; special tokens are not shown.
        Heard on = say(SAID, 1000, Set.of(), List.of());
        assertThat(on.completion.text()).startsWith(SAID + SAID);
        assertThat(on.completion.finish()).isEqualTo(Completion.Finish.LENGTH);
    }

    /// Every piece of the text of 1 to 6 characters as a stop string: within a token, over tokens, within the bytes of
    /// several. Nothing of it, and nothing behind it, is in the text or was ever told.
    @Test
    void stopStringsAreNeverTold() {
        String text = SAID;
        int inside = 0;
        for (int begin = 0; begin < text.length(); begin += 2) {
            for (int length = 1; length <= 6 && begin + length <= text.length(); length++) {
                if (Character.isLowSurrogate(text.charAt(begin))
                        || Character.isHighSurrogate(text.charAt(begin + length - 1))) {
                    continue;
                }
                String stop = text.substring(begin, begin + length);
                // The other one never comes, though all of it but the last character does.
                Heard heard = say(text, 1000, Set.of(3), List.of(stop + "\0", stop));
                assertThat(heard.completion.text()).as(stop).isEqualTo(text.substring(0, text.indexOf(stop)));
                assertThat(heard.text()).as(stop).isEqualTo(heard.completion.text());
                assertThat(heard.completion.finish()).isEqualTo(Completion.Finish.STOP);
                inside += heard.completion.ids().length < TOKENIZER.encode(text).length ? 1 : 0;
            }
        }
        assertThat(inside).isGreaterThan(50);
    }

    @Test
    void aStopStringThatNeverComesChangesNothing() {
        Heard heard = say(SAID, 1000, Set.of(3), List.of("birds 🙂🙃 sings", "naïve.!"));
        assertThat(heard.completion.text()).isEqualTo(SAID);
        assertThat(heard.text()).isEqualTo(SAID);
        assertThatThrownBy(() -> say(SAID, 10, Set.of(3), List.of("x", "")))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("stop string 1 is empty");
    }
}
