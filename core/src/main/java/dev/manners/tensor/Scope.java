package dev.manners.tensor;

import org.bytedeco.javacpp.PointerScope;
import org.jspecify.annotations.Nullable;

/// Frees every tensor made inside it, by its thread, when it closes; those that are to live on are taken out with
/// [#keep]. One per micro-step, per decoding step, per function that makes tensors nobody returns.
///
/// There is no garbage collection behind it: a tensor made outside any scope lives until somebody closes it.
public final class Scope implements AutoCloseable {

    static {
        LibTorch.load();
    }

    private final @Nullable PointerScope outer = PointerScope.getInnerScope();

    private final PointerScope pointers = new PointerScope();

    private Scope() {}

    public static Scope open() {
        return new Scope();
    }

    /// Takes a tensor out of this scope and gives it to the enclosing one, if there is one; otherwise it lives until
    /// it is closed.
    public Tensor keep(Tensor tensor) {
        if (outer != null) {
            outer.attach(tensor.pointer());
        } else {
            tensor.pointer().retainReference();
        }
        return tensor;
    }

    /// Takes a tensor out of this scope and every enclosing one: it lives until it is closed.
    public Tensor keepForever(Tensor tensor) {
        // Closing releases the scope's reference; this one is the keeper's.
        tensor.pointer().retainReference();
        return tensor;
    }

    @Override
    public void close() {
        pointers.close();
    }
}
