package dev.manners.run;

import dev.manners.NonFinite;
import dev.manners.rollout.Completion;
import dev.manners.rollout.Sampling;
import dev.manners.train.Tracker;
import java.util.List;
import java.util.Map;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/// A few prompts whose greedy completions are shown while a model learns.
record Samples(LoadedModel policy, List<int[]> prompts, Tracker tracker) {

    private static final int SHOWN = 3;
    private static final int SHOWN_TOKENS = 64;

    /// @param asked texts to complete; none: the prompts of the first rows that have one
    /// @param rows how many rows there are
    /// @param prompt of a row; empty if it has none
    static Samples of(LoadedModel policy, List<String> asked, int rows, IntFunction<int[]> prompt, Tracker tracker) {
        int room = policy.decoder().config().maxPositions() - 1;
        Stream<int[]> prompts = asked.isEmpty()
                ? IntStream.range(0, Math.min(rows, 100))
                        .mapToObj(prompt)
                        .filter(ids -> ids.length > 0)
                        .limit(SHOWN)
                : asked.stream().map(policy.tokenizer()::encodeContentWithSpecial);
        return new Samples(
                policy,
                prompts.filter(ids -> ids.length > 0 && ids.length <= room).toList(),
                tracker);
    }

    void show(long step) {
        try {
            for (Completion c : policy.engine(SHOWN).generate(prompts, Sampling.greedy(SHOWN_TOKENS))) {
                String prompt = policy.tokenizer().decode(prompts.get(c.prompt()), false);
                tracker.sample(step, prompt, c.text(), Map.of());
            }
        } catch (NonFinite e) {
            tracker.event("non_finite", Map.of("where", e.where(), "step", step));
            throw e;
        }
    }
}
