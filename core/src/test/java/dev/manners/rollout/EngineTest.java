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
import java.util.concurrent.atomic.AtomicInteger;
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

    // ---- several samples of a prompt

    /// All samples of the first prompt, all of the second, ..., whatever the places: fewer than samples, so that a
    /// prompt is begun in one admission and ended in another, or more.
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 5, 16, 100})
    void samplesOfAPrompt(int slots) {
        List<int[]> prompts = prompts(5);
        Sampling sampling = Sampling.at(1, 12, SEED);
        List<Completion> found = engine(slots, MANY_STOPS).generate(prompts, 4, sampling);
        assertThat(found).hasSize(20);
        for (int i = 0; i < 20; i++) {
            assertThat(found.get(i).prompt()).isEqualTo(i / 4);
            assertThat(found.get(i).sample()).isEqualTo(i % 4);
        }
        // As each prompt by itself, numbered as it was; and sample 0 as if it were the only one.
        for (int p = 0; p < 5; p++) {
            List<Completion> alone = rollout(engine(2, MANY_STOPS), prompts.subList(p, p + 1), 4, sampling, p);
            for (int s = 0; s < 4; s++) {
                assertSame(found.get(4 * p + s), alone.get(s));
            }
            assertSame(
                    found.get(4 * p),
                    rollout(engine(1, MANY_STOPS), prompts.subList(p, p + 1), 1, sampling, p)
                            .getFirst());
        }
    }

    /// The same prompt sixteen times over and as samples: all differ, as their numbers do.
    @Test
    void rl07_samplesOfOnePromptDiffer() {
        List<int[]> prompts = java.util.Collections.nCopies(4, prompts(1).getFirst());
        List<Completion> found = engine(5).generate(prompts, 4, Sampling.at(1, 16, SEED));
        assertThat(found.stream().map(c -> Arrays.toString(c.ids())).distinct()).hasSize(16);
        // The next sixteen of the run are new ones too; the first again are the first again.
        List<Completion> later = rollout(engine(5), prompts, 4, Sampling.at(1, 16, SEED), 4);
        assertThat(java.util.stream.Stream.concat(found.stream(), later.stream())
                        .map(c -> Arrays.toString(c.ids()))
                        .distinct())
                .hasSize(32);
    }

    /// Alone, and in a batch of sixteen of all lengths: the same tokens. Log-probabilities to 1e-5: attention adds up
    /// over as many keys as the longest neighbour has.
    @Test
    void rl07_companyDoesNotMatter() {
        List<int[]> prompts = prompts(16);
        Sampling sampling = Sampling.at(1.3, 30, SEED);
        List<Completion> together = engine(16).generate(prompts, sampling);
        for (int i = 0; i < 16; i++) {
            assertSame(
                    together.get(i),
                    rollout(engine(1), prompts.subList(i, i + 1), 1, sampling, i)
                            .getFirst());
        }
    }

    /// The same call gives the same bits, as a worker that takes over from a dead one needs them.
    @Test
    void rl10_repeatedTheSameBits() {
        List<Completion> first = engine(3, MANY_STOPS).generate(prompts(7), 3, Sampling.at(0.9, 16, SEED));
        List<Completion> again = engine(3, MANY_STOPS).generate(prompts(7), 3, Sampling.at(0.9, 16, SEED));
        for (int i = 0; i < first.size(); i++) {
            assertThat(again.get(i).ids()).isEqualTo(first.get(i).ids());
            assertThat(again.get(i).logps()).isEqualTo(first.get(i).logps());
        }
    }

    @Test
    void stopsPromptlyWhenAsked() {
        for (int after : new int[] {0, 1, 5}) {
            ThreadLocal<Integer> asked = ThreadLocal.withInitial(() -> 0);
            AtomicInteger most = new AtomicInteger();
            assertThat(engine(4).rollout(prompts(4), 2, Sampling.at(1, 20, SEED), 0, () -> {
                        int before = asked.get();
                        asked.set(before + 1);
                        most.accumulateAndGet(before + 1, Math::max);
                        return before >= after;
                    }))
                    .isNull();
            // By each worker.
            assertThat(most).hasValue(after + 1);
        }
    }

    @Test
    void eachPromptsOwnLimit() {
        List<Completion> found = engine(2).generate(prompts(4), new int[] {3, 1, 50, 7}, Sampling.at(1, 10, SEED));
        assertThat(found.stream().map(c -> c.ids().length)).containsExactly(3, 1, 10, 7);
    }

    private static List<Completion> rollout(
            Engine engine, List<int[]> prompts, int samples, Sampling sampling, long firstPrompt) {
        return Objects.requireNonNull(engine.rollout(prompts, samples, sampling, firstPrompt, () -> false));
    }

    // ---- the sampler's numbers are the model's

    /// What the cache gives, token by token, is what one forward pass over everything gives.
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void rl06_theCacheEqualsAFullForward(boolean sampled) {
        double temperature = sampled ? 0.8 : 1;
        Sampling sampling = sampled ? Sampling.at(temperature, 24, SEED) : Sampling.greedy(24);
        List<int[]> prompts = prompts(10);
        for (Completion c : engine(4, MANY_STOPS).generate(prompts, 3, sampling)) {
            try (Scope scope = Scope.open();
                    NoGrad off = NoGrad.on()) {
                Tensor logp = fullForward(LLAMA, prompts.get(c.prompt()), c, temperature);
                Tensor ids = Tensor.of(c.ids());
                assertClose(c.logps(), logp.gather(1, ids.unsqueeze(1)).toFloats());
                if (!sampled) {
                    assertThat(logp.argmax(-1).toLongs()).isEqualTo(ids.toLongs());
                }
            }
        }
    }

    /// In BF16 weights and activations carry eight bits, and the two paths round at other places. Measured here:
    /// mostly the same bits, a mean difference of 0.00013 and a largest of 0.036.
    @Test
    void rl06_inBf16() {
        double sum = 0;
        double largest = 0;
        int tokens = 0;
        try (Decoder decoder = Tiny.llama(VOCABULARY, CONTEXT, SEED, DType.BF16)) {
            List<int[]> prompts = prompts(10);
            for (Completion c :
                    new Engine(decoder, TOKENIZER, Set.of(), 4).generate(prompts, 3, Sampling.at(0.8, 24, SEED))) {
                try (Scope scope = Scope.open();
                        NoGrad off = NoGrad.on()) {
                    float[] full = fullForward(decoder, prompts.get(c.prompt()), c, 0.8)
                            .gather(1, Tensor.of(c.ids()).unsqueeze(1))
                            .toFloats();
                    for (int t = 0; t < full.length; t++) {
                        double difference = Math.abs(full[t] - c.logps()[t]);
                        sum += difference;
                        largest = Math.max(largest, difference);
                        tokens++;
                    }
                }
            }
        }
        assertThat(sum / tokens).isLessThan(0.002);
        assertThat(largest).isLessThan(0.15);
    }

    /// Log-probabilities of a completion's places from one forward pass without a cache, [length, V].
    private static Tensor fullForward(Decoder decoder, int[] prompt, Completion c, double temperature) {
        int[] all = Arrays.copyOf(prompt, prompt.length + c.ids().length);
        System.arraycopy(c.ids(), 0, all, prompt.length, c.ids().length);
        Tensor hidden = decoder.hidden(Tensor.of(all), new Sequences(all.length), Dropout.NONE);
        return decoder.logits(hidden)
                .to(DType.F32)
                .mul(1 / temperature)
                .logSoftmax(-1)
                .narrow(0, prompt.length - 1, c.ids().length);
    }

    /// The weights are laid out for generation; what an optimizer changes afterwards is what the next call samples
    /// from, and gradients flow as before.
    @Test
    void followsTheWeights() {
        List<int[]> prompts = prompts(3);
        Sampling greedy = Sampling.greedy(12);
        try (Decoder changing = Tiny.llama(VOCABULARY, CONTEXT, SEED);
                Decoder other = Tiny.llama(VOCABULARY, CONTEXT, SEED + 1)) {
            Engine engine = new Engine(changing, TOKENIZER, Set.of(), 2);
            assertSame(
                    engine.generate(prompts, greedy).getLast(),
                    engine(2).generate(prompts, greedy).getLast());
            for (var parameter : other.parameters()) {
                changing.parameter(parameter.name())
                        .value()
                        .detach()
                        .copy_(parameter.value().detach());
            }
            changing.refresh();
            List<Completion> wanted = new Engine(other, TOKENIZER, Set.of(), 2).generate(prompts, greedy);
            assertThat(wanted.getLast().ids())
                    .isNotEqualTo(engine(2).generate(prompts, greedy).getLast().ids());
            for (int i = 0; i < 3; i++) {
                assertSame(engine.generate(prompts, greedy).get(i), wanted.get(i));
            }
            try (Scope scope = Scope.open()) {
                Tensor hidden = changing.hidden(
                        Tensor.of(prompts.getFirst()), new Sequences(prompts.getFirst().length), Dropout.NONE);
                changing.logits(hidden).square().sum().backward();
                changing.collectGradients();
            }
            assertThat(changing.parameters()).allMatch(p -> p.grad() != null);
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
