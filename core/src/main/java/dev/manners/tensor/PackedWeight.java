package dev.manners.tensor;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.bytedeco.pytorch.CompilationUnit;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueVector;
import org.bytedeco.pytorch.QualifiedName;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/// A linear layer's weight laid out for products with few rows and without gradients: as oneDNN wants it, or, for small
/// models, as our own kernel does ([Panels]).
///
/// An ordinary weight is laid out anew with every product, which is cheap beside hundreds of rows and dear beside the
/// sixteen of a decoding step. A copy of the weight: it does not follow later changes. A row of the product has the
/// same bits whatever other rows there are.
public final class PackedWeight implements AutoCloseable {

    /// The layout is chosen for this many rows, and serves any number.
    private static final int ROWS = 16;

    private static final Map<DType, Boolean> AVAILABLE = new ConcurrentHashMap<>();

    private final @Nullable Tensor packed;
    private final @Nullable Panels panels;

    private PackedWeight(@Nullable Tensor packed, @Nullable Panels panels) {
        this.packed = packed;
        this.panels = panels;
    }

    /// @param weight [out, in]
    /// @param small whether its model is, so that one thread computes a product best by itself
    /// @return null where this processor and build have no such layout for the weight's dtype
    public static @Nullable PackedWeight of(Tensor weight, boolean small) {
        if (small && weight.dtype() == DType.F32 && Inference.available()) {
            return new PackedWeight(null, new Panels(weight));
        }
        return AVAILABLE.computeIfAbsent(weight.dtype(), PackedWeight::works) ? reordered(weight) : null;
    }

    /// Asked by doing it: it depends on the platform's build and on the processor, and libtorch only says so by
    /// failing.
    private static boolean works(DType dtype) {
        if (dtype != DType.F32 && dtype != DType.BF16) {
            return false;
        }
        try (Scope scope = Scope.open();
                NoGrad off = NoGrad.on();
                PackedWeight probe = reordered(Tensor.full(1, dtype, 16, 32))) {
            return probe.linear(Tensor.full(1, dtype, 2, 32), null).sum().item() == 2 * 16 * 32;
        } catch (RuntimeException e) {
            return false;
        }
    }

    private static PackedWeight reordered(Tensor weight) {
        try (Scope scope = Scope.open();
                NoGrad off = NoGrad.on()) {
            Tensor packed = Dispatch.call("mkldnn::_reorder_linear_weight", "", weight.detach(), ROWS);
            if (packed == null) {
                throw new IllegalStateException("mkldnn::_reorder_linear_weight gave no tensor");
            }
            return new PackedWeight(scope.keepForever(packed), null);
        }
    }

    /// x Wᵀ + b.
    ///
    /// @param x [N, in]
    /// @return [N, out]
    public Tensor linear(Tensor x, @Nullable Tensor bias) {
        if (panels != null) {
            return panels.linear(x, bias);
        }
        Tensor product = Dispatch.call(
                "mkldnn::_linear_pointwise",
                "",
                x,
                packed,
                bias,
                Arguments.NONE,
                Arguments.NO_SCALARS,
                Arguments.EMPTY);
        if (product == null) {
            throw new IllegalStateException("mkldnn::_linear_pointwise gave no tensor");
        }
        return product;
    }

    /// Arguments that are the same with every call.
    private static final class Arguments {
        static final IValue NONE = lasting(new IValue("none"));
        static final IValue EMPTY = lasting(new IValue(""));
        /// An empty `Scalar?[]`: the binding has no name for the element's type, TorchScript has.
        static final IValue NO_SCALARS = noScalars();

        private static IValue noScalars() {
            try (Scope scope = Scope.open()) {
                CompilationUnit unit = torch.compile("""
                        def no_scalars() -> List[Optional[number]]:
                            none: List[Optional[number]] = []
                            return none
                        """);
                return lasting(
                        unit.find_function(new QualifiedName("no_scalars")).apply(new IValueVector()));
            }
        }

        private static IValue lasting(IValue value) {
            value.retainReference();
            return value;
        }
    }

    @Override
    public void close() {
        if (packed != null) {
            packed.close();
        }
        if (panels != null) {
            panels.close();
        }
    }
}
