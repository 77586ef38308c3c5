package dev.manners.train;

import dev.manners.model.Parameter;
import dev.manners.tensor.AdamW;
import dev.manners.tensor.DType;
import dev.manners.tensor.NoGrad;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// AdamW over a model's trainable parameters, with gradient clipping by the global norm.
///
/// Weight decay acts on matrices (linear layers, embeddings, adapters) and not on vectors (norms, biases): that is what
/// transformers' rule by names comes to.
public final class Optimizer implements AutoCloseable {

    private final Map<String, Parameter> named;
    private final List<Parameter> parameters;
    private final List<Tensor> first = new ArrayList<>();
    private final List<Tensor> second = new ArrayList<>();
    private final double beta1;
    private final double beta2;
    private final double epsilon;
    private final double weightDecay;
    private long updates;

    /// @param parameters by the names under which a checkpoint holds them
    public Optimizer(
            Map<String, Parameter> parameters, double beta1, double beta2, double epsilon, double weightDecay) {
        this.named = new LinkedHashMap<>(parameters);
        this.parameters = List.copyOf(named.values());
        this.beta1 = beta1;
        this.beta2 = beta2;
        this.epsilon = epsilon;
        this.weightDecay = weightDecay;
        try (Scope scope = Scope.open()) {
            for (Parameter p : this.parameters) {
                first.add(scope.keepForever(Tensor.zeros(DType.F32, p.value().shape())));
                second.add(scope.keepForever(Tensor.zeros(DType.F32, p.value().shape())));
            }
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

    Tensor firstMoment(int i) {
        return first.get(i);
    }

    Tensor secondMoment(int i) {
        return second.get(i);
    }

    /// Global norm of the gradients; parameters without one count as zero.
    public double gradNorm() {
        double squares = 0;
        for (Parameter p : parameters) {
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
        try (Scope scope = Scope.open();
                NoGrad off = NoGrad.on()) {
            double clip = maxNorm > 0 ? Math.min(1, maxNorm / (gradNorm + 1e-6)) : 1;
            Tensor scale = clip < 1 ? Tensor.full(1 / clip, DType.F32) : null;
            for (boolean decays : new boolean[] {true, false}) {
                List<Tensor> values = new ArrayList<>();
                List<Tensor> grads = new ArrayList<>();
                List<Tensor> m = new ArrayList<>();
                List<Tensor> v = new ArrayList<>();
                List<Tensor> counts = new ArrayList<>();
                for (int i = 0; i < parameters.size(); i++) {
                    Parameter p = parameters.get(i);
                    Tensor grad = p.grad();
                    if (grad == null || p.value().dim() >= 2 != decays) {
                        continue;
                    }
                    values.add(p.value().detach());
                    grads.add(grad);
                    m.add(first.get(i));
                    v.add(second.get(i));
                    counts.add(Tensor.full((double) updates, DType.F32));
                }
                if (!values.isEmpty()) {
                    AdamW.step(
                            values,
                            grads,
                            m,
                            v,
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
        parameters.forEach(Parameter::clearGrad);
    }

    @Override
    public void close() {
        first.forEach(Tensor::close);
        second.forEach(Tensor::close);
    }
}
