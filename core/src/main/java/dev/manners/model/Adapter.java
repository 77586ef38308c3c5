package dev.manners.model;

import dev.manners.tensor.DType;
import dev.manners.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// Low-rank adapter of one linear layer (Hu et al. 2021, arXiv:2106.09685): y = W x + scaling · B A x.
///
/// scaling = alpha / r; with `rslora` (Kalajdzievski 2023, arXiv:2312.03732) alpha / √r.
final class Adapter {

    private final Parameter a;
    private final Parameter b;
    private final Weight workingA;
    private final Weight workingB;
    private final double scaling;
    private final double dropout;
    private final Switch on;

    /// Shared by all adapters of a model: switched off, the base is what remains. Every thread has its own, as one
    /// worker may ask the policy while another asks the reference.
    static final class Switch {
        private final ThreadLocal<Boolean> enabled = ThreadLocal.withInitial(() -> true);

        /// @return what it was before
        boolean set(boolean on) {
            boolean before = enabled.get();
            enabled.set(on);
            return before;
        }
    }

    /// @param a [r, in]
    /// @param b [out, r], in the directory's row order
    /// @param rows the order of the part's rows in the computation, or null
    Adapter(Parameter a, Parameter b, int @Nullable [] rows, double scaling, double dropout, Switch on, DType dtype) {
        this.a = a;
        this.b = b;
        this.workingA = Weight.of(a, dtype);
        this.workingB = new Weight(java.util.List.of(new Weight.Part(b, false, rows)), dtype);
        this.scaling = scaling;
        this.dropout = dropout;
        this.on = on;
    }

    boolean enabled() {
        return on.enabled.get();
    }

    Parameter a() {
        return a;
    }

    Parameter b() {
        return b;
    }

    Weight workingA() {
        return workingA;
    }

    Weight workingB() {
        return workingB;
    }

    void close() {
        workingA.close();
        workingB.close();
    }

    /// @param x [N, in]
    /// @return [N, out]
    Tensor forward(Tensor x, Dropout mask) {
        return mask.apply(x, dropout)
                .linear(workingA.get(), null)
                .linear(workingB.get(), null)
                .mul(scaling);
    }

    /// What merging adds to the base weight, F32, [out, in] in the directory's row order.
    Tensor delta() {
        return b.value()
                .detach()
                .to(DType.F32)
                .matmul(a.value().detach().to(DType.F32))
                .mul(scaling);
    }
}
