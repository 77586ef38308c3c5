package dev.manners.train;

import dev.manners.NonFinite;
import dev.manners.files.Json;
import dev.manners.model.Parameter;
import dev.manners.tensor.Tensor;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
import java.util.function.LongToDoubleFunction;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/// The course of a run, the same for every trainer: from the newest checkpoint, or from the start, step after step to
/// the last, with what is due on the way (metrics, evaluation, samples, checkpoints), and a stop where it is asked for.
///
/// What a run did before it was interrupted at a step is not done again: an interrupted and resumed run writes what one
/// that was left alone writes.
final class Course implements AutoCloseable {

    /// What is a trainer's own.
    interface Trainer {

        /// One step: gathers gradients and has [Course#update] apply them, once or several times.
        ///
        /// @param step steps made before, from 0
        /// @return the loss to log, if there was an update; null if it was asked to stop before that
        @Nullable
        Double step(long step, double learningRate);

        /// Metrics since the last call.
        Map<String, Double> metrics();

        /// After the parameters' values changed.
        void refresh();

        /// Evaluates on held-out rows, if there are any.
        ///
        /// @return metrics, none if there is nothing to evaluate on; null if it was asked to stop
        /// before the end
        @Nullable
        Map<String, Double> evaluate(long step);

        /// Shows samples.
        void watch(long step);

        /// What to show beside the progress, `loss` apart.
        default Map<String, Double> shown() {
            return Map.of();
        }

        /// Counters and sums that go with a checkpoint.
        ObjectNode state();

        /// Puts back what [#state] gave.
        void restore(JsonNode state);

        /// What is healthy in its lines of metrics; null: the trainer watches every step of its own.
        default Health.@Nullable Kind healthy() {
            return null;
        }

        /// Tensors that go with a checkpoint beside weights and moments, by name, in place: saved from and restored
        /// into.
        default Map<String, Tensor> tensors() {
            return Map.of();
        }
    }

    private final Trainer trainer;
    private final TrainingConfig config;
    private final double learningRate;
    private final long totalSteps;
    private final @Nullable LongToDoubleFunction epoch;
    private final Tracker tracker;
    private final @Nullable Path checkpoints;
    private final Map<String, String> fingerprint;
    private final BooleanSupplier stop;
    private final Optimizer optimizer;
    private final @Nullable Health health;

    private long steps;
    private double loss;
    private long lossSteps;
    private double totalLoss;
    private long totalLossSteps;
    /// Whether the step at hand has made an update.
    private boolean updated;
    private double gradNorm;
    private double evalLoss = Double.NaN;
    /// Step of the last evaluation; -1 before the first.
    private long evaluated = -1;
    /// Step of the last samples.
    private long watched = -1;

    /// @param trainable what is optimised, by names that are unique in the run
    /// @param epoch of a number of steps, for the metric of this name; null: none is logged
    /// @param checkpoints folder of the run's checkpoints, or null for none
    /// @param fingerprint what must be the same for a run to be resumed
    /// @param stop asked after each step; true: save, return
    Course(
            Trainer trainer,
            TrainingConfig config,
            double learningRate,
            Map<String, Parameter> trainable,
            long totalSteps,
            @Nullable LongToDoubleFunction epoch,
            Tracker tracker,
            @Nullable Path checkpoints,
            Map<String, String> fingerprint,
            BooleanSupplier stop) {
        this.trainer = trainer;
        this.config = config;
        this.learningRate = learningRate;
        this.totalSteps = totalSteps;
        this.epoch = epoch;
        this.tracker = tracker;
        this.checkpoints = checkpoints;
        this.fingerprint = new TreeMap<>(fingerprint);
        this.stop = stop;
        Health.Kind healthy = trainer.healthy();
        this.health = healthy == null ? null : new Health(healthy, false, tracker);
        this.optimizer = new Optimizer(
                trainable,
                config.optim(),
                config.adamBeta1(),
                config.adamBeta2(),
                config.adamEpsilon(),
                config.weightDecay());
    }

    /// Runs to the end, or until it is asked to stop.
    ///
    /// @throws NonFinite if a loss or a gradient is not finite; nothing was updated with it
    Outcome run() {
        begin();
        if (!observe(false)) {
            return interrupted();
        }
        // Nothing to train, or it was stopped while it evaluated after the last step.
        if (steps == totalSteps) {
            save();
        }
        while (steps < totalSteps) {
            // 1. The trainer's step.
            double rate = learningRate * config.lrSchedulerType().factor(steps, config.warmup(totalSteps), totalSteps);
            updated = false;
            Double stepLoss = trainer.step(steps, rate);
            if (stepLoss == null) {
                save();
                return interrupted();
            }
            steps++;
            Map<String, Double> shown = new LinkedHashMap<>();
            if (updated) {
                loss += stepLoss;
                totalLoss += stepLoss;
                lossSteps++;
                totalLossSteps++;
                shown.put("loss", stepLoss);
            }
            // 2. Log, evaluate, show, save.
            shown.putAll(trainer.shown());
            tracker.progress(steps, totalSteps, shown);
            if (steps % config.loggingSteps() == 0 || steps == totalSteps) {
                log(rate);
            }
            boolean asked = stop.getAsBoolean();
            boolean observed = observe(asked);
            if (asked || !observed || steps == totalSteps || due(config.saveSteps())) {
                save();
            }
            if (!observed || (asked && steps < totalSteps)) {
                return interrupted();
            }
        }
        return new Outcome(
                steps,
                false,
                meanLoss(),
                Double.isNaN(evalLoss) ? null : evalLoss,
                health == null ? null : health.conclude());
    }

    /// Applies the gradients that the parameters hold, clipped by their global norm.
    ///
    /// @param loss what they are the gradients of
    /// @throws NonFinite if loss or gradients are not finite: nothing that is not finite reaches the weights
    void update(double loss, double learningRate) {
        gradNorm = optimizer.gradNorm();
        requireFinite("loss", loss);
        requireFinite("grad_norm", gradNorm);
        optimizer.step(learningRate, gradNorm, config.maxGradNorm());
        updated = true;
        trainer.refresh();
    }

    /// The global norm of the last update's gradients, before clipping.
    double gradNorm() {
        return gradNorm;
    }

    /// Stops the run if a value is not finite.
    void requireFinite(String what, double value) {
        if (!Double.isFinite(value)) {
            optimizer.parameters().values().forEach(Parameter::clearGrad);
            tracker.event("non_finite", Map.of("where", what, "value", String.valueOf(value), "step", steps + 1));
            throw new NonFinite(
                    what,
                    "is " + value + " at update " + (steps + 1) + " of " + totalSteps
                            + "; the update was not made and the weights are those of update " + steps
                            + ". A lower learning_rate or max_grad_norm, or f32, usually helps.");
        }
    }

    private void begin() {
        Path from = checkpoints == null
                ? null
                : Checkpoint.newest(checkpoints, w -> tracker.event("checkpoint_skipped", Map.of("message", w)));
        if (from == null) {
            tracker.event("started", Map.of());
            return;
        }
        JsonNode state = Checkpoint.restore(from, optimizer, trainer.tensors(), fingerprint);
        steps = state.path("steps").asLong();
        loss = state.path("loss").asDouble();
        lossSteps = state.path("loss_steps").asLong();
        totalLoss = state.path("total_loss").asDouble();
        totalLossSteps = state.path("total_loss_steps").asLong();
        gradNorm = state.path("grad_norm").asDouble();
        evalLoss = state.path("eval_loss").asDouble(Double.NaN);
        evaluated = state.path("evaluated").asLong();
        watched = state.path("watched").asLong();
        trainer.restore(state.path("trainer"));
        if (health != null) {
            health.restore(state.path("health"));
        }
        trainer.refresh();
        tracker.event("resumed", Map.of("step", steps, "evaluated", evaluated == steps, "watched", watched == steps));
    }

    /// Evaluates and shows samples where this step is due to: the first, the last, and every so many.
    ///
    /// @param asked whether the run was asked to stop: then nothing is begun
    /// @return whether all was done that was due
    private boolean observe(boolean asked) {
        boolean end = steps == 0 || steps == totalSteps;
        if (evaluated != steps && (end || due(config.evalSteps()))) {
            Map<String, Double> metrics = asked ? null : trainer.evaluate(steps);
            if (metrics == null) {
                return false;
            }
            if (!metrics.isEmpty()) {
                tracker.metrics(steps, metrics);
                evalLoss = metrics.getOrDefault("eval_loss", Double.NaN);
            }
            evaluated = steps;
        }
        if (watched != steps && (end || due(config.sampleSteps()))) {
            if (asked) {
                return false;
            }
            trainer.watch(steps);
            watched = steps;
        }
        return true;
    }

    private boolean due(long every) {
        return every > 0 && steps % every == 0;
    }

    private Outcome interrupted() {
        tracker.event("interrupted", Map.of("step", steps));
        return new Outcome(steps, true, meanLoss(), null, null);
    }

    /// NaN: of no update.
    private double meanLoss() {
        return totalLossSteps == 0 ? Double.NaN : totalLoss / totalLossSteps;
    }

    private void log(double rate) {
        Map<String, Double> metrics = new LinkedHashMap<>();
        // Steps without an update have no loss and no gradient.
        if (lossSteps > 0) {
            metrics.put("loss", loss / lossSteps);
            metrics.put("grad_norm", gradNorm);
        }
        metrics.put("learning_rate", rate);
        metrics.putAll(trainer.metrics());
        if (epoch != null) {
            metrics.put("epoch", epoch.applyAsDouble(steps));
        }
        tracker.metrics(steps, metrics);
        if (health != null) {
            health.see(steps, metrics);
        }
        loss = 0;
        lossSteps = 0;
    }

    private void save() {
        if (checkpoints == null) {
            return;
        }
        ObjectNode state = Json.MAPPER.createObjectNode();
        state.put("steps", steps);
        state.put("loss", loss);
        state.put("loss_steps", lossSteps);
        state.put("total_loss", totalLoss);
        state.put("total_loss_steps", totalLossSteps);
        state.put("grad_norm", gradNorm);
        if (!Double.isNaN(evalLoss)) {
            state.put("eval_loss", evalLoss);
        }
        state.put("evaluated", evaluated);
        state.put("watched", watched);
        state.set("trainer", trainer.state());
        if (health != null) {
            state.set("health", health.state());
        }
        Path made = Checkpoint.save(checkpoints, steps, optimizer, trainer.tensors(), state, fingerprint);
        tracker.event("saved", Map.of("checkpoint", String.valueOf(made.getFileName())));
        Checkpoint.rotate(checkpoints, config.saveTotalLimit());
    }

    @Override
    public void close() {
        optimizer.close();
    }
}
