package dev.manners.train;

import dev.manners.model.Parameter;
import dev.manners.tensor.AdamW;
import dev.manners.tensor.DType;
import dev.manners.tensor.NoGrad;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import dev.manners.tensor.Workers;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Pattern;

/// Updates a model's trainable parameters, by [AdamW] alone or by [Muon] and AdamW, and clips their gradients by the
/// global norm.
///
/// Weight decay acts on matrices (linear layers, embeddings, adapters) and not on vectors (norms, biases): that is what
/// transformers' rule by names comes to.
public final class Optimizer implements AutoCloseable {

    /// Names of what is in a numbered layer: no embedding and no head.
    private static final Pattern IN_LAYER = Pattern.compile("\\.\\d+\\.");

    private static final String FIRST = "exp_avg.";
    private static final String SECOND = "exp_avg_sq.";
    private static final String MOMENTUM = "momentum_buffer.";

    private final Map<String, Parameter> named;
    /// By the names that PyTorch's optimizers have for them, before those of the parameters.
    private final Map<String, Tensor> moments = new LinkedHashMap<>();
    private final double beta1;
    private final double beta2;
    private final double epsilon;
    private final double weightDecay;
    private long updates;

    /// @param parameters by the names under which a checkpoint holds them
    public Optimizer(
            Map<String, Parameter> parameters,
            Optim optim,
            double beta1,
            double beta2,
            double epsilon,
            double weightDecay) {
        this.named = new LinkedHashMap<>(parameters);
        this.beta1 = beta1;
        this.beta2 = beta2;
        this.epsilon = epsilon;
        this.weightDecay = weightDecay;
        try (Scope scope = Scope.open()) {
            named.forEach((name, p) -> {
                boolean byMuon = optim == Optim.MUON
                        && p.value().dim() == 2
                        && IN_LAYER.matcher(p.name()).find();
                for (String moment : byMuon ? List.of(MOMENTUM) : List.of(FIRST, SECOND)) {
                    moments.put(
                            moment + name,
                            scope.keepForever(Tensor.zeros(DType.F32, p.value().shape())));
                }
            });
        }
    }

    /// Updates made so far.
    public long updates() {
        return updates;
    }

    void updates(long updates) {
        this.updates = updates;
    }

    Map<String, Parameter> parameters() {
        return Collections.unmodifiableMap(named);
    }

    /// What it remembers of earlier gradients, by the names under which a checkpoint holds it.
    Map<String, Tensor> moments() {
        return Collections.unmodifiableMap(moments);
    }

    /// Global norm of the gradients; parameters without one count as zero.
    public double gradNorm() {
        double squares = 0;
        for (Parameter p : named.values()) {
            Tensor grad = p.grad();
            if (grad != null) {
                try (Scope scope = Scope.open()) {
                    double norm = grad.normAll().item();
                    squares += norm * norm;
                }
            }
        }
        return Math.sqrt(squares);
    }

    /// One update with the gradients clipped to `maxNorm` (0: not clipped), which are dropped afterwards.
    ///
    /// @param gradNorm what [#gradNorm] gave; it must be finite
    public void step(double learningRate, double gradNorm, double maxNorm) {
        if (!Double.isFinite(gradNorm)) {
            throw new IllegalArgumentException("gradient norm " + gradNorm);
        }
        updates++;
        double clip = maxNorm > 0 ? Math.min(1, maxNorm / (gradNorm + 1e-6)) : 1;
        Map<String, Tensor> byAdamW = new LinkedHashMap<>();
        Map<String, Tensor> byMuon = new LinkedHashMap<>();
        named.forEach((name, p) -> {
            Tensor grad = p.grad();
            if (grad != null) {
                (moments.containsKey(MOMENTUM + name) ? byMuon : byAdamW).put(name, grad);
            }
        });
        adamW(byAdamW, learningRate, clip);
        muon(byMuon, learningRate, clip);
        named.values().forEach(Parameter::clearGrad);
    }

    private void adamW(Map<String, Tensor> gradients, double learningRate, double clip) {
        try (Scope scope = Scope.open();
                NoGrad off = NoGrad.on()) {
            Tensor scale = clip < 1 ? Tensor.full(1 / clip, DType.F32) : null;
            for (boolean decays : new boolean[] {true, false}) {
                List<Tensor> values = new ArrayList<>();
                List<Tensor> grads = new ArrayList<>();
                List<Tensor> first = new ArrayList<>();
                List<Tensor> second = new ArrayList<>();
                List<Tensor> counts = new ArrayList<>();
                gradients.forEach((name, grad) -> {
                    if (grad.dim() >= 2 == decays) {
                        values.add(value(name));
                        grads.add(grad);
                        first.add(moment(FIRST, name));
                        second.add(moment(SECOND, name));
                        counts.add(Tensor.full((double) updates, DType.F32));
                    }
                });
                if (!values.isEmpty()) {
                    AdamW.step(
                            values,
                            grads,
                            first,
                            second,
                            counts,
                            learningRate,
                            beta1,
                            beta2,
                            decays ? weightDecay : 0,
                            epsilon,
                            scale);
                }
            }
        }
    }

    private void muon(Map<String, Tensor> gradients, double learningRate, double clip) {
        Workers.map(Workers.count(), List.copyOf(gradients.entrySet()), gradient -> {
            try (Scope scope = Scope.open();
                    NoGrad off = NoGrad.on()) {
                String name = gradient.getKey();
                Tensor clipped = gradient.getValue().mul_(clip);
                Muon.step(value(name), clipped, moment(MOMENTUM, name), learningRate, weightDecay);
            }
            return gradient;
        });
    }

    private Tensor value(String name) {
        return Objects.requireNonNull(named.get(name)).value().detach();
    }

    private Tensor moment(String moment, String name) {
        return Objects.requireNonNull(moments.get(moment + name));
    }

    @Override
    public void close() {
        moments.values().forEach(Tensor::close);
    }
}
