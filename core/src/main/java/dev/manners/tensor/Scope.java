package dev.manners.tensor;

import org.bytedeco.javacpp.PointerScope;

/// Frees every tensor made inside it, by its thread, when it closes; those that are to live on are taken out with
/// [#keep]. One per micro-step, per decoding step, per function that makes tensors nobody returns.
///
/// There is no garbage collection behind it: a tensor made outside any scope lives until somebody closes it.
public final class Scope implements AutoCloseable {

    static {
        LibTorch.load();
    }

    private final PointerScope pointers = new PointerScope();

    private Scope() {}

    public static Scope open() {
        return new Scope();
    }

    /// Takes a tensor out of this scope and gives it to the enclosing one, if there is one; otherwise it lives until
    /// it is closed.
    public Tensor keep(Tensor tensor) {
        pointers.detach(tensor.pointer());
        PointerScope outer = outer();
        if (outer != null) {
            outer.attach(tensor.pointer());
        }
        return tensor;
    }

    /// Takes a tensor out of this scope and every enclosing one: it lives until it is closed.
    public Tensor keepForever(Tensor tensor) {
        pointers.detach(tensor.pointer());
        return tensor;
    }

    private @org.jspecify.annotations.Nullable PointerScope outer() {
        PointerScope outer = null;
        var all = PointerScope.getScopeIterator();
        if (all != null) {
            boolean passed = false;
            while (all.hasNext()) {
                PointerScope next = all.next();
                if (passed) {
                    outer = next;
                    break;
                }
                passed = next == pointers;
            }
        }
        return outer;
    }

    @Override
    public void close() {
        pointers.close();
    }
}
