package dev.manners.rollout;

import dev.manners.BadInput;
import dev.manners.model.Decoder;
import dev.manners.tensor.Workers;
import dev.manners.text.Tokenizer;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/// Generates completions for many prompts: a fixed number of places, each taken by the next sample as soon as its
/// completion has ended, over one preallocated key-value cache. A prompt goes through the model once, however many
/// samples are drawn of it. With a small model the samples and the places are shared out to [Workers].
///
/// A sample depends on its prompt and on the numbers (seed, prompt, sample) alone, not on its neighbours, their number
/// or its place: its random numbers are a function of them, and where weights are packed
/// ([dev.manners.tensor.PackedWeight]) a row of a matrix product has the same bits in every batch. What remains is the
/// last bit of attention's sums: in prompts, and where there are no kernels ([dev.manners.tensor.Inference]) in every
/// step.
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

    /// One completion of each prompt, in the prompts' order.
    public List<Completion> generate(List<int[]> prompts, Sampling sampling) {
        return generate(prompts, 1, sampling);
    }

    /// Several completions of each prompt: all of the first, all of the second, ...
    public List<Completion> generate(List<int[]> prompts, int samples, Sampling sampling) {
        return generate(prompts, samples, sampling, null);
    }

    /// @param listener hears the text of every prompt's sample 0 as it grows, or null
    public List<Completion> generate(List<int[]> prompts, int samples, Sampling sampling, @Nullable Listener listener) {
        return Objects.requireNonNull(rollout(prompts, samples, sampling, null, 0, listener, () -> false));
    }

    /// One completion of each prompt with a limit of its own, where that is below `max_new_tokens`.
    public List<Completion> generate(List<int[]> prompts, int[] limits, Sampling sampling) {
        return Objects.requireNonNull(rollout(prompts, 1, sampling, limits, 0, null, () -> false));
    }

    /// Samples for a trainer: prompts are numbered through the whole run, so that no two of its steps share random
    /// numbers, and the same step draws the same when it is repeated.
    ///
    /// @param firstPrompt number in the run of the first of these prompts
    /// @param stop asked before every token; once it says yes, null is returned
    public @Nullable List<Completion> rollout(
            List<int[]> prompts, int samples, Sampling sampling, long firstPrompt, BooleanSupplier stop) {
        return rollout(prompts, samples, sampling, null, firstPrompt, null, stop);
    }

    private @Nullable List<Completion> rollout(
            List<int[]> prompts,
            int samples,
            Sampling sampling,
            int @Nullable [] limits,
            long firstPrompt,
            @Nullable Listener listener,
            BooleanSupplier stop) {
        if (samples < 1 || samples > Draw.MOST) {
            throw new BadInput("samples of a prompt must be in [1, " + Draw.MOST + "], not " + samples);
        }
        int empty = sampling.stop().indexOf("");
        if (empty >= 0) {
            throw new BadInput("stop string " + empty + " is empty: it would end every completion before its first"
                    + " token; leave it out");
        }
        int context = decoder.config().maxPositions();
        int[] most = new int[prompts.size()];
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
            most[i] = Math.min(context - length, sampling.maxNewTokens());
            if (limits != null) {
                most[i] = Math.clamp(limits[i], 1, most[i]);
            }
            capacity = Math.max(capacity, length + most[i]);
        }
        if (prompts.isEmpty()) {
            return List.of();
        }
        int all = Math.multiplyExact(prompts.size(), samples);
        int workers = listener == null ? Math.min(decoder.config().workers(), Math.min(slots, all)) : 1;
        List<Rollout> shares = new ArrayList<>();
        for (int w = 0; w < workers; w++) {
            shares.add(new Rollout(
                    this,
                    Math.toIntExact((long) all * w / workers),
                    Math.toIntExact((long) all * (w + 1) / workers),
                    slots * (w + 1) / workers - slots * w / workers,
                    prompts,
                    most,
                    capacity,
                    samples,
                    sampling,
                    firstPrompt,
                    listener));
        }
        try (Decoder.Generating generating = decoder.generating()) {
            var done = Workers.map(workers, shares, share -> Optional.ofNullable(share.run(stop)));
            return done.stream().allMatch(Optional::isPresent)
                    ? done.stream()
                            .flatMap(Optional::stream)
                            .flatMap(List::stream)
                            .toList()
                    : null;
        }
    }

    Decoder decoder() {
        return decoder;
    }

    Tokenizer tokenizer() {
        return tokenizer;
    }

    boolean stopsAt(int id) {
        return stopIds.contains(id);
    }
}
