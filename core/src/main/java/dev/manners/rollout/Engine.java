package dev.manners.rollout;

import dev.manners.BadInput;
import dev.manners.NonFinite;
import dev.manners.model.Attend;
import dev.manners.model.Decoder;
import dev.manners.model.Dropout;
import dev.manners.model.KvCache;
import dev.manners.model.Sequences;
import dev.manners.tensor.DType;
import dev.manners.tensor.NoGrad;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import dev.manners.text.StreamingDecoder;
import dev.manners.text.Tokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// Generates completions for many prompts: a fixed number of places, each taken by the next prompt as soon as its
/// completion has ended, over one preallocated key-value cache.
///
/// A sample depends on its prompt, its seed and the number of the token alone, not on its neighbours, as far as the
/// library's matrix products give the same last bits for another batch.
public final class Engine {

    private final Decoder decoder;
    private final Tokenizer tokenizer;
    private final Set<Integer> stopIds;
    private final int slots;

    /// Hears the text of a completion as it grows.
    public interface Listener {
        /// @param prompt index of the prompt
        /// @param text complete characters that came since the last call
        void text(int prompt, String text);
    }

    /// @param stopIds tokens that end a completion
    /// @param slots completions at a time
    public Engine(Decoder decoder, Tokenizer tokenizer, Set<Integer> stopIds, int slots) {
        this.decoder = decoder;
        this.tokenizer = tokenizer;
        this.stopIds = Set.copyOf(stopIds);
        this.slots = slots;
    }

    /// One completion of each prompt, in the prompts' order. The seed of prompt i is `sampling.seed() + i`.
    public List<Completion> generate(List<int[]> prompts, Sampling sampling) {
        return generate(prompts, sampling, null);
    }

    /// @param listener hears texts as they grow, or null
    public List<Completion> generate(List<int[]> prompts, Sampling sampling, @Nullable Listener listener) {
        int empty = sampling.stop().indexOf("");
        if (empty >= 0) {
            throw new BadInput("stop string " + empty + " is empty: it would end every completion before its first"
                    + " token; leave it out");
        }
        int context = decoder.config().maxPositions();
        int capacity = 0;
        for (int i = 0; i < prompts.size(); i++) {
            int length = prompts.get(i).length;
            if (length == 0) {
                throw new BadInput("prompt " + i + " has no token; give at least one, such as the BOS token");
            }
            if (length >= context) {
                throw new BadInput("prompt " + i + " has " + length + " tokens; the model's context is " + context
                        + " and a completion needs at least one: shorten the prompt");
            }
            capacity = Math.max(capacity, length + Math.min(context - length, sampling.maxNewTokens()));
        }
        Completion[] done = new Completion[prompts.size()];
        int places = Math.min(slots, prompts.size());
        if (places == 0) {
            return List.of();
        }
        Chooser chooser = new Chooser(sampling);
        @Nullable Growing[] growing = new Growing[places];
        int next = 0;
        try (NoGrad off = NoGrad.on();
                KvCache cache = new KvCache(decoder.config(), places, capacity)) {
            while (true) {
                next = admit(prompts, next, growing, cache, chooser, sampling, listener, done);
                if (Arrays.stream(growing).allMatch(g -> g == null)) {
                    return List.of(done);
                }
                step(growing, cache, chooser, sampling, listener, done);
            }
        }
    }

    /// A completion under way.
    private static final class Growing {
        final int prompt;
        final int[] promptIds;
        final long seed;
        final int limit;
        final int[] ids;
        final float[] logps;
        int length;
        final @Nullable StreamingDecoder decoding;
        final StringBuilder text = new StringBuilder();
        int told;

        Growing(int prompt, int[] promptIds, long seed, int limit, @Nullable StreamingDecoder decoding) {
            this.prompt = prompt;
            this.promptIds = promptIds;
            this.seed = seed;
            this.limit = limit;
            this.ids = new int[limit];
            this.logps = new float[limit];
            this.decoding = decoding;
        }

        int[] seen() {
            int[] all = Arrays.copyOf(promptIds, promptIds.length + length);
            System.arraycopy(ids, 0, all, promptIds.length, length);
            return all;
        }
    }

    /// Prefills waiting prompts into free places, all at once, and chooses their first tokens.
    private int admit(
            List<int[]> prompts,
            int next,
            @Nullable Growing[] growing,
            KvCache cache,
            Chooser chooser,
            Sampling sampling,
            @Nullable Listener listener,
            Completion[] done) {
        while (next < prompts.size() && Arrays.stream(growing).anyMatch(g -> g == null)) {
            List<Growing> fresh = new ArrayList<>();
            List<Integer> places = new ArrayList<>();
            for (int s = 0; s < growing.length && next < prompts.size(); s++) {
                if (growing[s] == null) {
                    int[] ids = prompts.get(next);
                    int limit =
                            Math.min(sampling.maxNewTokens(), decoder.config().maxPositions() - ids.length);
                    boolean text = listener != null || !sampling.stop().isEmpty();
                    Growing g = new Growing(
                            next, ids, sampling.seed() + next, limit, text ? tokenizer.streamingDecoder(true) : null);
                    growing[s] = g;
                    fresh.add(g);
                    places.add(s);
                    next++;
                }
            }
            try (Scope scope = Scope.open()) {
                int[] lengths = fresh.stream().mapToInt(g -> g.promptIds.length).toArray();
                int[] flat = fresh.stream()
                        .flatMapToInt(g -> Arrays.stream(g.promptIds))
                        .toArray();
                Attend attend = cache.prefill(
                        new Sequences(lengths), places.stream().mapToInt(i -> i).toArray());
                Tensor hidden = decoder.hidden(Tensor.of(flat), attend, Dropout.NONE);
                int[] last = new int[lengths.length];
                int end = -1;
                for (int i = 0; i < lengths.length; i++) {
                    end += lengths[i];
                    last[i] = end;
                }
                Tensor logits = decoder.logits(hidden.indexSelect(0, Tensor.of(last)));
                take(fresh, places, choose(chooser, logits, fresh, sampling), growing, cache, sampling, listener, done);
            }
        }
        return next;
    }

    /// One token for every completion under way.
    private void step(
            @Nullable Growing[] growing,
            KvCache cache,
            Chooser chooser,
            Sampling sampling,
            @Nullable Listener listener,
            Completion[] done) {
        try (Scope scope = Scope.open()) {
            long[] latest = new long[growing.length];
            List<Growing> active = new ArrayList<>();
            List<Integer> places = new ArrayList<>();
            for (int s = 0; s < growing.length; s++) {
                Growing g = growing[s];
                if (g != null) {
                    latest[s] = g.ids[g.length - 1];
                    active.add(g);
                    places.add(s);
                }
            }
            Tensor hidden = decoder.hidden(Tensor.of(latest), cache.next(), Dropout.NONE);
            if (active.size() < growing.length) {
                hidden = hidden.indexSelect(
                        0, Tensor.of(places.stream().mapToInt(i -> i).toArray()));
            }
            Tensor logits = decoder.logits(hidden);
            take(active, places, choose(chooser, logits, active, sampling), growing, cache, sampling, listener, done);
        }
    }

    private static Chooser.Choice choose(Chooser chooser, Tensor logits, List<Growing> rows, Sampling sampling) {
        if (logits.dtype() != DType.F32) {
            logits = logits.to(DType.F32);
        }
        Tensor finite = logits.sum();
        if (!Double.isFinite(finite.item()) && logits.nonFinite() > 0) {
            throw new NonFinite(
                    "logits", "NaN or infinite while sampling: the weights are damaged, or training has diverged");
        }
        return chooser.choose(
                logits,
                sampling.repetitionPenalty() == 1
                        ? null
                        : rows.stream().map(Growing::seen).toArray(int[][]::new),
                rows.stream().mapToLong(g -> g.seed).toArray(),
                rows.stream().mapToInt(g -> g.length).toArray());
    }

    private void take(
            List<Growing> rows,
            List<Integer> places,
            Chooser.Choice choice,
            @Nullable Growing[] growing,
            KvCache cache,
            Sampling sampling,
            @Nullable Listener listener,
            Completion[] done) {
        for (int i = 0; i < rows.size(); i++) {
            Growing g = rows.get(i);
            int id = (int) choice.ids()[i];
            g.ids[g.length] = id;
            g.logps[g.length] = choice.logps()[i];
            g.length++;
            boolean stopped = stopIds.contains(id);
            if (g.decoding != null && !stopped) {
                g.text.append(g.decoding.next(id));
            }
            int cut = stopAt(g.text, sampling.stop());
            boolean full = g.length == g.limit;
            boolean ended = stopped || cut >= 0 || full;
            if (ended && g.decoding != null && cut < 0) {
                g.text.append(g.decoding.finish());
                cut = stopAt(g.text, sampling.stop());
            }
            if (listener != null) {
                tell(g, cut, ended, sampling.stop(), listener);
            }
            if (ended) {
                int[] ids = Arrays.copyOf(g.ids, g.length);
                String text = cut >= 0 ? g.text.substring(0, cut) : decode(ids, stopped);
                done[g.prompt] = new Completion(
                        g.prompt,
                        ids,
                        Arrays.copyOf(g.logps, g.length),
                        text,
                        stopped || cut >= 0 ? Completion.Finish.STOP : Completion.Finish.LENGTH);
                growing[places.get(i)] = null;
                cache.free(places.get(i));
            }
        }
    }

    private String decode(int[] ids, boolean stopped) {
        return tokenizer.decode(stopped ? Arrays.copyOf(ids, ids.length - 1) : ids, true);
    }

    private static int stopAt(StringBuilder text, List<String> stops) {
        int first = -1;
        for (String stop : stops) {
            int at = text.indexOf(stop);
            if (at >= 0 && (first < 0 || at < first)) {
                first = at;
            }
        }
        return first;
    }

    /// Tells what is certain to stay: nothing that may turn out to be the beginning of a stop string.
    private static void tell(Growing g, int cut, boolean ended, List<String> stops, Listener listener) {
        int end = cut >= 0 ? cut : g.text.length();
        if (!ended) {
            int held = 0;
            for (String stop : stops) {
                for (int n = Math.min(stop.length() - 1, g.text.length()); n > held; n--) {
                    if (g.text.toString().endsWith(stop.substring(0, n))) {
                        held = n;
                        break;
                    }
                }
            }
            end -= held;
        }
        if (end > g.told) {
            listener.text(g.prompt, g.text.substring(g.told, end));
            g.told = end;
        }
    }
}
