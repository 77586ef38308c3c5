package dev.manners.rollout;

import dev.manners.NonFinite;
import dev.manners.model.Attend;
import dev.manners.model.Decoder;
import dev.manners.model.Dropout;
import dev.manners.model.KvCache;
import dev.manners.model.Sequences;
import dev.manners.tensor.DType;
import dev.manners.tensor.Inference;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/// One worker's part of a call of the [Engine]: samples wait in the order prompt by prompt, are admitted to free
/// places, grow by a token a step, and leave.
final class Rollout {

    private final Engine engine;
    private final Decoder decoder;
    private final List<int[]> prompts;
    private final int[] limits;
    private final int samples;
    private final Sampling sampling;
    private final Chooser chooser;
    private final long firstPrompt;
    private final Engine.@Nullable Listener listener;
    private final int begin;
    private final int end;
    private final Completion[] done;
    private final int places;
    private final KvCache cache;
    /// Samples under way. The place in this list is the place in the cache: there are no holes.
    private final List<Growing> growing = new ArrayList<>();
    /// The next sample to admit, counted prompt by prompt.
    private int next;
    /// The prompt of which some samples still wait, in a place of the cache that no sample takes.
    private @Nullable Shared shared;

    /// @param logits of its first sampled token, [1, V]
    private record Shared(int prompt, Tensor logits) {}

    /// @param begin first of its samples, counted prompt by prompt; `end` behind its last
    /// @param slots completions at a time
    /// @param limits most tokens of each prompt's completions
    /// @param capacity longest prompt and completion together
    Rollout(
            Engine engine,
            int begin,
            int end,
            int slots,
            List<int[]> prompts,
            int[] limits,
            int capacity,
            int samples,
            Sampling sampling,
            long firstPrompt,
            Engine.@Nullable Listener listener) {
        this.engine = engine;
        this.decoder = engine.decoder();
        this.prompts = prompts;
        this.limits = limits;
        this.samples = samples;
        this.sampling = sampling;
        this.chooser = new Chooser(sampling);
        this.firstPrompt = firstPrompt;
        this.listener = listener;
        this.begin = begin;
        this.end = end;
        this.next = begin;
        this.done = new Completion[end - begin];
        this.places = Math.min(slots, done.length);
        this.cache = new KvCache(decoder.config(), samples == 1 ? places : places + 1, capacity);
    }

    /// @return null if it was told to stop
    @Nullable
    List<Completion> run(BooleanSupplier stop) {
        try (cache;
                Inference inference = Inference.on(decoder.config().small())) {
            while (next < end || !growing.isEmpty()) {
                if (stop.getAsBoolean()) {
                    return null;
                }
                if (next < end && growing.size() < places) {
                    admit();
                } else {
                    step();
                }
            }
            return List.of(done);
        } finally {
            share(null);
        }
    }

    /// Fills the free places with waiting samples. Each of their prompts is prefilled once, all of them together, and
    /// copied to its other samples; one whose samples do not all fit is kept.
    private void admit() {
        int count = Math.min(places - growing.size(), end - next);
        try (Scope scope = Scope.open()) {
            // 1. The prompts that have not been through the model.
            int first = next / samples;
            int last = (next + count - 1) / samples;
            boolean begun = shared != null && shared.prompt == first;
            List<Integer> fresh = IntStream.rangeClosed(begun ? first + 1 : first, last)
                    .boxed()
                    .toList();
            // 2. The logits of every prompt's first token, [prompts, V].
            List<Tensor> rows = new ArrayList<>();
            if (shared != null && begun) {
                rows.add(shared.logits);
            }
            if (!fresh.isEmpty()) {
                rows.add(prefill(fresh));
            }
            Tensor logits = rows.size() == 1 ? rows.getFirst() : Tensor.cat(0, rows);
            // 3. What the samples of a prompt share: its keys and values, and those logits.
            int[] row = new int[count];
            for (int i = 0; i < count; i++) {
                int prompt = (next + i) / samples;
                row[i] = prompt - first;
                int place = growing.size() + i;
                int from = prompt == first && begun ? places : placeOf(prompt);
                if (from != place) {
                    cache.copy(from, place, prompts.get(prompt).length);
                }
            }
            Tensor mine = logits.indexSelect(0, Tensor.of(row));
            int after = (next + count) / samples;
            if ((next + count) % samples == 0 || next + count == end) {
                share(null);
            } else if (shared == null || shared.prompt != after) {
                cache.copy(placeOf(after), places, prompts.get(after).length);
                share(new Shared(
                        after,
                        scope.keepForever(
                                logits.narrow(0, after - (long) first, 1).clone())));
            }
            for (int i = 0; i < count; i++, next++) {
                int prompt = next / samples;
                int sample = next % samples;
                growing.add(new Growing(
                        prompt,
                        sample,
                        prompts.get(prompt),
                        limits[prompt],
                        sampling.stop(),
                        sample == 0 ? listener : null,
                        engine.tokenizer()));
            }
            grow(growing.size() - count, mine);
        }
    }

    /// Where a prompt whose first sample is being admitted goes.
    private int placeOf(int prompt) {
        return growing.size() + Math.max(0, prompt * samples - next);
    }

    /// @return logits of each prompt's first token, [prompts, V]
    private Tensor prefill(List<Integer> fresh) {
        int[] places = fresh.stream().mapToInt(this::placeOf).toArray();
        int[] lengths = fresh.stream().mapToInt(p -> prompts.get(p).length).toArray();
        int[] ids =
                fresh.stream().flatMapToInt(p -> Arrays.stream(prompts.get(p))).toArray();
        int[] last = lengths.clone();
        Arrays.parallelPrefix(last, Integer::sum);
        Arrays.setAll(last, i -> last[i] - 1);
        Attend attend = cache.prefill(new Sequences(lengths), places);
        Tensor hidden = decoder.hidden(Tensor.of(ids), attend, Dropout.NONE);
        return decoder.logits(hidden.indexSelect(0, Tensor.of(last)));
    }

    private void share(@Nullable Shared now) {
        if (shared != null) {
            shared.logits.close();
        }
        shared = now;
    }

    /// One token for every sample under way.
    private void step() {
        try (Scope scope = Scope.open()) {
            int[] latest = growing.stream().mapToInt(Growing::last).toArray();
            Tensor hidden = decoder.hidden(Tensor.of(latest), cache.next(latest.length), Dropout.NONE);
            grow(0, decoder.logits(hidden));
        }
    }

    /// Chooses the next token of the samples from this place on, and lets go of those that it ended.
    ///
    /// @param logits a row for each, [samples, V]
    private void grow(int from, Tensor logits) {
        Chooser.Choice choice = choose(growing.subList(from, growing.size()), logits);
        for (int place = growing.size() - 1; place >= from; place--) {
            Growing g = growing.get(place);
            int id = (int) choice.ids()[place - from];
            Completion completion = g.take(id, choice.logps()[place - from], engine.stopsAt(id), engine.tokenizer());
            if (completion != null) {
                done[g.prompt() * samples + g.sample() - begin] = completion;
                leave(place);
            }
        }
    }

    private Chooser.Choice choose(List<Growing> samples, Tensor logits) {
        logits = logits.to(DType.F32);
        if (!Double.isFinite(logits.sum().item()) && logits.nonFinite() > 0) {
            throw new NonFinite(
                    "logits", "NaN or infinite while sampling: the weights are damaged, or training has diverged");
        }
        int[][] seen = sampling.repetitionPenalty() == 1
                ? null
                : samples.stream().map(Growing::seen).toArray(int[][]::new);
        double[] draws = samples.stream()
                .mapToDouble(g -> Draw.uniform(sampling.seed(), firstPrompt + g.prompt(), g.sample(), g.length()))
                .toArray();
        return chooser.choose(logits, seen, draws);
    }

    /// Frees a place: the last sample moves into it, so that no empty place is computed.
    private void leave(int place) {
        Growing last = growing.removeLast();
        int from = growing.size();
        if (place < from) {
            cache.copy(from, place, cache.length(from));
            growing.set(place, last);
        }
    }
}
