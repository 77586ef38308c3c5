package dev.manners.model;

import dev.manners.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// A named weight as a model directory holds it: what is loaded, optimised and saved.
public final class Parameter {

    private final String name;
    private final Tensor value;
    private boolean trainable = true;
    private @Nullable Tensor grad;

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
    public @Nullable Tensor grad() {
        return grad;
    }

    /// Adds to the gradient, taking ownership of `more` if there was none.
    ///
    /// @param more F32, outside every scope
    void accumulate(Tensor more) {
        if (grad == null) {
            grad = more;
        } else {
            grad.add_(more);
            more.close();
        }
    }

    /// Drops the gradient and its memory.
    public void clearGrad() {
        if (grad != null) {
            grad.close();
            grad = null;
        }
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
