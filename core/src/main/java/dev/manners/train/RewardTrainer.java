package dev.manners.train;

import dev.manners.BadInput;
import dev.manners.data.PreferenceRow.Ranking;
import dev.manners.data.Sampler;
import dev.manners.files.Json;
import dev.manners.loss.Loss;
import dev.manners.loss.RewardLoss;
import dev.manners.loss.Tally;
import dev.manners.loss.Window;
import dev.manners.model.Dropout;
import dev.manners.model.ScalarModel;
import dev.manners.reward.ScoringBatch;
import dev.manners.tensor.NoGrad;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/// Reward modelling: the model learns to score the completion that people prefer higher.
///
///     L = -log σ(r₊ - r₋ - margin)                                   two completions (Bradley and Terry)
///     L = Σ_stages log Σ_{i left} e^{r_i} - Σ_i r_i                   rankings, ties (Plackett and Luce)
///
/// Sources: Christiano et al. 2017, arXiv:1706.03741; Ouyang et al. 2022, arXiv:2203.02155, for all completions of a
/// prompt in one batch element. The losses and their sources are in [RewardLoss]. The first is for rows that are all
/// pairs: training asks those that it trains on, evaluation the held-out ones. A row without a margin has margin 0.
///
/// The mean is over the rows of the whole update, so that loss and gradient do not depend on how it is split into
/// micro-batches. A completion is scored at its last token. Metrics are TRL's, explained in docs/algorithms/reward.md.
public final class RewardTrainer {

    private final ScalarModel model;
    private final RewardConfig config;
    private final List<Ranking> data;
    private final List<Ranking> heldOut;
    private final boolean pairs;
    private final boolean heldOutPairs;
    private final BooleanSupplier stop;
    private final Sampler sampler;
    private final Course course;

    // Means over the micro-batches since the last line of metrics; part of a checkpoint, as is the number of tokens
    // seen
    // in all.
    private Tally tally = new Tally();
    private long tokens;

    /// @param heldOut evaluated every `eval_steps`, before and after; may be empty
    /// @param checkpoints folder of the run's checkpoints, or null for none
    /// @param fingerprint what must be the same for a run to be resumed (hashes of data, tokenizer, base model)
    /// @param stop asked after each update and between batches of an evaluation; true: save, return
    /// @throws dev.manners.BadInput if rows have margins and their loss has none
    public RewardTrainer(
            ScalarModel model,
            RewardConfig config,
            List<Ranking> data,
            List<Ranking> heldOut,
            Tracker tracker,
            @Nullable Path checkpoints,
            Map<String, String> fingerprint,
            BooleanSupplier stop) {
        this.model = model;
        this.config = config;
        this.data = List.copyOf(data);
        this.heldOut = List.copyOf(heldOut);
        this.pairs = data.stream().allMatch(Ranking::isPair);
        this.heldOutPairs = heldOut.stream().allMatch(Ranking::isPair);
        requireUseOfMargins(this.data);
        this.stop = stop;
        TrainingConfig training = config.training();
        this.sampler = new Sampler(
                data.size(),
                training.perDeviceTrainBatchSize(),
                training.gradientAccumulationSteps(),
                1,
                config.trainSamplingStrategy(),
                training.seed());
        this.course = new Course(
                new Steps(),
                training,
                config.learningRate(),
                model.trainableByName(),
                training.totalSteps(sampler.stepsPerEpoch()),
                sampler::epoch,
                tracker,
                checkpoints,
                fingerprint,
                stop);
    }

    /// The loss of rankings has no margins, and would leave those of a mixed file out without a word.
    private static void requireUseOfMargins(List<Ranking> rows) {
        Optional<Ranking> ranking = rows.stream().filter(r -> !r.isPair()).findFirst();
        Optional<Ranking> margin = rows.stream().filter(r -> r.margin() != null).findFirst();
        if (ranking.isPresent() && margin.isPresent()) {
            throw new BadInput(margin.get().source() + ": has a margin, and "
                    + ranking.get().source() + " is no pair of a better and a worse completion but a ranking of "
                    + ranking.get().ranks().length
                    + ": all rows would have the loss of rankings, which knows no margin. Give pairs alone (the"
                    + " feedback store's pairs.jsonl), or leave the margins out.");
        }
    }

    /// Trains from the newest whole checkpoint, or from the start.
    ///
    /// @throws dev.manners.NonFinite if a loss or a gradient is not finite; nothing was updated with it
    public Outcome train() {
        try (course) {
            return course.run();
        }
    }

    private final class Steps implements Course.Trainer {

        @Override
        public Double step(long step, double learningRate) {
            // 1. The micro-batches of the update, and how many rows its mean is over.
            List<int[]> microBatches = sampler.step(step, 0);
            Window window = Window.ofRows(
                    microBatches.stream().mapToInt(rows -> rows.length).sum());
            // 2. Gradients of the update's mean loss.
            double loss = 0;
            try (Phase phase = Phase.of("forward_backward", step)) {
                for (int m = 0; m < microBatches.size(); m++) {
                    loss += accumulate(
                            microBatches.get(m),
                            window,
                            step * config.training().gradientAccumulationSteps() + m);
                }
            }
            // 3. The update, unless something is not finite.
            try (Phase phase = Phase.of("update", step)) {
                course.update(loss, learningRate);
            }
            return loss;
        }

        @Override
        public Map<String, Double> metrics() {
            Map<String, Double> metrics = new LinkedHashMap<>();
            metrics.put("num_tokens", (double) tokens);
            metrics.putAll(tally.values());
            tally = new Tally();
            return metrics;
        }

        @Override
        public Map<String, Double> shown() {
            Double accuracy = tally.values().get("accuracy");
            return accuracy == null ? Map.of() : Map.of("accuracy", accuracy);
        }

        @Override
        public void refresh() {
            model.refresh();
        }

        @Override
        public void watch(long step) {}

        @Override
        public Health.Kind healthy() {
            return Health.OF_REWARD_MODELS;
        }

        @Override
        public ObjectNode state() {
            ObjectNode state = Json.MAPPER.createObjectNode();
            state.put("tokens", tokens);
            state.set("tally", tally.state());
            return state;
        }

        @Override
        public void restore(JsonNode state) {
            tokens = state.path("tokens").asLong();
            tally = Tally.of(state.path("tally"));
        }

        @Override
        public @Nullable Map<String, Double> evaluate(long step) {
            return heldOut.isEmpty() ? Map.of() : RewardTrainer.this.evaluate();
        }
    }

    /// Adds a micro-batch's part of the update's gradient, a few rows at a time.
    ///
    /// @param pass number of this micro-batch in the run
    /// @return its share of the update's mean loss
    private double accumulate(int[] rows, Window window, long pass) {
        Dropout dropout = config.disableDropout()
                ? Dropout.NONE
                : Dropout.training(config.training().seed(), pass);
        List<int[]> pieces =
                Pieces.of(model.config(), rows, i -> group(data.get(i)).tokens());
        double share = 0;
        Tally seen = new Tally();
        for (Part part : Pieces.map(
                model.config(), pieces, (piece, number) -> accumulate(piece, window, dropout.part(number)))) {
            share += part.loss();
            tokens += part.tokens();
            seen.add(part.seen());
        }
        observe(tally, seen);
        return share;
    }

    private Part accumulate(int[] piece, Window window, Dropout dropout) {
        try (Scope scope = Scope.open()) {
            List<Ranking> some = IntStream.of(piece).mapToObj(data::get).toList();
            ScoringBatch batch = batch(some);
            Loss loss = loss(batch.scores(model, dropout), some, pairs, window);
            double value = loss.value().item();
            if (Double.isFinite(value)) {
                loss.value().backward();
                model.collectGradients();
            }
            return new Part(value, batch.sequenceTokens(), loss.metrics());
        }
    }

    private static ScoringBatch.Group group(Ranking row) {
        return new ScoringBatch.Group(row.prompt(), row.completions());
    }

    private static ScoringBatch batch(List<Ranking> rows) {
        return ScoringBatch.of(rows.stream().map(RewardTrainer::group).toList());
    }

    /// @param scores of all completions of the rows, in order
    /// @param pairs whether the rows are of a set in which all are pairs
    private Loss loss(Tensor scores, List<Ranking> rows, boolean pairs, Window window) {
        Double center = config.centerRewardsCoefficient();
        if (!pairs) {
            return RewardLoss.plackettLuce(
                    scores, rows.stream().map(Ranking::ranks).toList(), center, window);
        }
        return RewardLoss.bradleyTerry(scores, margins(rows), center, window);
    }

    /// A row without one has 0, so that it does not matter which rows stand in a piece with it.
    private static @Nullable Tensor margins(List<Ranking> rows) {
        if (rows.stream().allMatch(r -> r.margin() == null)) {
            return null;
        }
        float[] margins = new float[rows.size()];
        for (int i = 0; i < margins.length; i++) {
            Double margin = rows.get(i).margin();
            margins[i] = margin == null ? 0 : margin.floatValue();
        }
        return Tensor.of(margins, margins.length);
    }

    /// TRL averages what it sees of micro-batches over them. What only ties have no value for counts nowhere.
    private static void observe(Tally into, Tally microBatch) {
        microBatch.values().forEach((name, value) -> into.mean(name, value, 1));
    }

    /// Evaluates the held-out rows: what TRL gives under these names, means over batches of
    /// `per_device_eval_batch_size` rows.
    ///
    /// @return null if it was asked to stop before the end
    private @Nullable Map<String, Double> evaluate() {
        int size = config.training().perDeviceEvalBatchSize();
        double loss = 0;
        Tally all = new Tally();
        for (int from = 0; from < heldOut.size(); from += size) {
            if (stop.getAsBoolean()) {
                return null;
            }
            Tally seen = new Tally();
            int[] rows =
                    IntStream.range(from, Math.min(heldOut.size(), from + size)).toArray();
            List<int[]> pieces =
                    Pieces.of(model.config(), rows, i -> group(heldOut.get(i)).tokens());
            for (Part part : Pieces.map(model.config(), pieces, piece -> evaluate(piece))) {
                loss += part.loss();
                seen.add(part.seen());
            }
            observe(all, seen);
        }
        Map<String, Double> metrics = new LinkedHashMap<>();
        metrics.put("eval_loss", loss);
        all.values().forEach((name, value) -> metrics.put("eval_" + name, value));
        return metrics;
    }

    private Part evaluate(int[] piece) {
        List<Ranking> some = IntStream.of(piece).mapToObj(heldOut::get).toList();
        try (Scope scope = Scope.open();
                NoGrad off = NoGrad.on()) {
            ScoringBatch batch = batch(some);
            Loss part = loss(batch.scores(model, Dropout.NONE), some, heldOutPairs, Window.ofRows(heldOut.size()));
            return new Part(part.value().item(), batch.sequenceTokens(), part.metrics());
        }
    }

    /// Scores of the completions of rankings, for a report.
    ///
    /// @return of each row; null if it was asked to stop before the end
    public static @Nullable List<float[]> scores(ScalarModel model, List<Ranking> rows, BooleanSupplier stop) {
        int[] all = IntStream.range(0, rows.size()).toArray();
        List<int[]> pieces =
                Pieces.of(model.config(), all, i -> group(rows.get(i)).tokens());
        List<List<float[]>> scores = Pieces.map(model.config(), pieces, piece -> {
            List<Ranking> some = IntStream.of(piece).mapToObj(rows::get).toList();
            return stop.getAsBoolean() ? List.of() : scores(model, some);
        });
        return stop.getAsBoolean()
                ? null
                : scores.stream().flatMap(List::stream).toList();
    }

    private static List<float[]> scores(ScalarModel model, List<Ranking> rows) {
        try (Scope scope = Scope.open();
                NoGrad off = NoGrad.on()) {
            float[] values = batch(rows).scores(model, Dropout.NONE).toFloats();
            List<float[]> scores = new ArrayList<>();
            int at = 0;
            for (Ranking row : rows) {
                scores.add(Arrays.copyOfRange(values, at, at + row.ranks().length));
                at += row.ranks().length;
            }
            return scores;
        }
    }
}
