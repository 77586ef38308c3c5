package dev.manners.model;

import dev.manners.tensor.Tensor;
import dev.manners.tensor.Workers;
import java.util.Map;
import java.util.concurrent.ConcurrentSkipListMap;
import org.jspecify.annotations.Nullable;

/// A named weight as a model directory holds it: what is loaded, optimised and saved.
public final class Parameter {

    private final String name;
    private final Tensor value;
    private boolean trainable = true;
    /// Gradients by the worker that computed them.
    private final Map<Integer, Tensor> grads = new ConcurrentSkipListMap<>();

    Parameter(String name, Tensor value) {
        this.name = name;
        this.value = value;
    }

    /// The tensor's name in a Hugging Face directory.
    public String name() {
        return name;
    }

    /// Master values, in the directory's own layout.
    public Tensor value() {
        return value;
    }

    /// Whether a trainer changes it.
    public boolean trainable() {
        return trainable;
    }

    void freeze() {
        trainable = false;
    }

    void unfreeze() {
        trainable = true;
    }

    /// Gradient accumulated since it was last cleared, F32, shaped as the value; null if there is none.
    ///
    /// Not to be asked while workers compute: it adds up theirs, in their order.
    public @Nullable Tensor grad() {
        Tensor sum = null;
        for (Tensor grad : grads.values()) {
            if (sum == null) {
                sum = grad;
            } else {
                sum.add_(grad);
                grad.close();
            }
        }
        if (grads.size() > 1) {
            grads.clear();
            grads.put(0, sum);
        }
        return sum;
    }

    /// Adds to the gradient, taking ownership of `more` if there was none of this worker.
    ///
    /// @param more F32, outside every scope
    void accumulate(Tensor more) {
        grads.merge(Workers.current(), more, (grad, another) -> {
            grad.add_(another);
            another.close();
            return grad;
        });
    }

    /// Drops the gradient and its memory.
    public void clearGrad() {
        grads.values().forEach(Tensor::close);
        grads.clear();
    }

    void close() {
        clearGrad();
        value.close();
    }

    @Override
    public String toString() {
        return name + " " + value;
    }
}
