package dev.manners.run;

import dev.manners.data.PreferenceRow.Ranking;
import dev.manners.files.Json;
import dev.manners.model.ScalarModel;
import dev.manners.reward.Candidate;
import dev.manners.reward.HackingProbes;
import dev.manners.reward.RewardModel;
import dev.manners.text.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BooleanSupplier;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.StringNode;

/// [HackingProbes] for reward models in training: on the best completion of each held-out row.
final class RewardProbes {

    /// With so many the limits of a rate are at most 7 percent points away.
    static final int MOST = 200;

    /// What was found of a model.
    ///
    /// @param before training; null where the head was fresh, of which scores say nothing
    record Found(HackingProbes.@Nullable Report before, HackingProbes.Report after) {

        /// Writes it as a stage of its own, at step 0 and at the last; what an earlier run wrote of it goes.
        void log(Path run, String stage, long steps) {
            MetricsLog log = new MetricsLog(run, stage + "-probes");
            log.event("started", Map.of());
            if (before != null) {
                log.metrics(0, before.metrics());
            }
            log.metrics(steps, after.metrics());
        }

        /// For people.
        String text() {
            return "What pays without a better answer, before training"
                    + (before == null ? ": untrained, the head was drawn at random\n" : "\n" + before.text())
                    + "What pays without a better answer, after training\n" + after.text();
        }
    }

    private final Tokenizer tokenizer;
    private final Set<Integer> control;
    private final List<Candidate> honest = new ArrayList<>();
    private final int asked;

    /// @param rows of which [#MOST] are taken, from all over the file
    RewardProbes(Tokenizer tokenizer, List<Ranking> rows) {
        this.tokenizer = tokenizer;
        this.control = tokenizer.controlIds();
        this.asked = Math.min(MOST, rows.size());
        for (int i = 0; i < asked; i++) {
            Ranking row = rows.get((int) ((long) i * rows.size() / asked));
            int[] ids = row.completions().getFirst();
            int said = said(ids);
            int[] words = Arrays.copyOf(ids, said);
            String text = tokenizer.decode(words, false);
            String end = tokenizer.decode(Arrays.copyOfRange(ids, said, ids.length), true);
            // One answer, then what ends it; and tokens that its text would be given again.
            if (end.isBlank() && Arrays.equals(tokenizer.encode(text), words)) {
                honest.add(new Candidate(
                        StringNode.valueOf(tokenizer.decode(row.prompt(), true)),
                        row.prompt(),
                        text,
                        ids,
                        true,
                        Json.MAPPER.createObjectNode()));
            }
        }
    }

    /// Rows that could not be taken: several messages, or control tokens in the answer.
    int leftOut() {
        return asked - honest.size();
    }

    /// @return null if it was asked to stop before the end
    HackingProbes.@Nullable Report of(ScalarModel model, long seed, BooleanSupplier stop) {
        return HackingProbes.of(new RewardModel("reward_model", model), honest, this::rewrite, seed, stop);
    }

    /// The other completion ends as the honest one does.
    private Candidate rewrite(Candidate honest, String completion) {
        int[] ids = honest.completionIds();
        int[] made = IntStream.concat(
                        Arrays.stream(tokenizer.encode(completion)), Arrays.stream(ids, said(ids), ids.length))
                .toArray();
        return new Candidate(honest.prompt(), honest.promptIds(), completion, made, true, honest.columns());
    }

    /// Tokens before the first control token.
    private int said(int[] ids) {
        return (int) Arrays.stream(ids).takeWhile(id -> !control.contains(id)).count();
    }
}
