package dev.manners.model;

import dev.manners.tensor.DType;
import dev.manners.tensor.NoGrad;
import dev.manners.tensor.PackedWeight;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import dev.manners.tensor.Workers;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentSkipListMap;
import org.jspecify.annotations.Nullable;

/// What the forward pass multiplies with: one or more [Parameter]s brought into the layout and the dtype of the
/// computation.
///
/// A directory stores weights as its family's code wants them: q, k and v apart or fused, per head or per kind, inputs
/// first or outputs first. The computation has one layout, so the families' differences end here: each part is
/// transposed or its rows reordered when it is copied in, and its gradient is brought back the same way.
/// Where nothing differs, the working tensor is the parameter's own and no copy is made.
final class Weight {

    /// One parameter's place in the working tensor.
    ///
    /// @param transposed the directory holds [in, out] (GPT-2's Conv1D)
    /// @param rows working row i is the directory's row rows[i]; null: as they are
    record Part(Parameter parameter, boolean transposed, int @Nullable [] rows) {
        static Part of(Parameter parameter) {
            return new Part(parameter, false, null);
        }
    }

    private final List<Part> parts;
    private final DType dtype;
    private @Nullable Tensor working;
    /// The working tensor of every worker but the first, by its number: the same values, a gradient of its own.
    private final Map<Integer, Tensor> aliases = new ConcurrentSkipListMap<>();
    private @Nullable PackedWeight packed;
    private final List<@Nullable Tensor> rowIndex = new ArrayList<>();
    private final List<Long> partRows = new ArrayList<>();

    Weight(List<Part> parts, DType dtype) {
        this.parts = List.copyOf(parts);
        this.dtype = dtype;
        for (Part part : parts) {
            rowIndex.add(part.rows == null ? null : unscoped(Tensor.of(part.rows)));
            partRows.add(part.parameter.value().size(part.transposed ? 1 : 0));
        }
        refresh();
    }

    static Weight of(Parameter parameter, DType dtype) {
        return new Weight(List.of(Part.of(parameter)), dtype);
    }

    private static Tensor unscoped(Tensor tensor) {
        try (Scope scope = Scope.open()) {
            return scope.keepForever(tensor);
        }
    }

    List<Part> parts() {
        return parts;
    }

    /// Rows of the working tensor that part i fills.
    long rows(int part) {
        return partRows.get(part);
    }

    /// The tensor to compute with, [out, in] or [out].
    Tensor get() {
        int worker = Workers.current();
        return worker == 0
                ? own()
                : aliases.computeIfAbsent(worker, number -> {
                    Tensor working = own();
                    return unscoped(working.detach().setRequiresGrad(working.requiresGrad()));
                });
    }

    private Tensor own() {
        if (working == null) {
            throw new IllegalStateException("closed");
        }
        return working;
    }

    /// x Wᵀ + b.
    Tensor linear(Tensor x, @Nullable Tensor bias) {
        return packed == null ? x.linear(get(), bias) : packed.linear(x, bias);
    }

    boolean packed() {
        return packed != null;
    }

    /// Until [#unpack] [#linear] is fast for few rows and records no gradients.
    ///
    /// @param small whether the model is ([DecoderConfig#small])
    void pack(boolean small) {
        if (packed == null) {
            packed = PackedWeight.of(get(), small);
        }
    }

    void unpack() {
        if (packed != null) {
            packed.close();
            packed = null;
        }
    }

    private boolean isParameterItself() {
        Part first = parts.getFirst();
        return parts.size() == 1
                && !first.transposed
                && first.rows == null
                && first.parameter.value().dtype() == dtype;
    }

    /// Takes over the parameters' present values, and whether they are trainable.
    void refresh() {
        unpack();
        dropAliases();
        boolean trainable = parts.stream().anyMatch(part -> part.parameter.trainable());
        try (Scope scope = Scope.open();
                NoGrad off = NoGrad.on()) {
            if (isParameterItself()) {
                Tensor value = parts.getFirst().parameter.value();
                working = value;
                value.setRequiresGrad(trainable);
                return;
            }
            if (working == null) {
                long[] shape = parts.getFirst().parameter.value().shape();
                long[] working = shape.clone();
                if (parts.getFirst().transposed) {
                    working[0] = shape[1];
                    working[1] = shape[0];
                }
                working[0] = partRows.stream().mapToLong(n -> n).sum();
                this.working = scope.keepForever(Tensor.empty(dtype, working));
            }
            Tensor target = own().detach();
            long row = 0;
            for (int i = 0; i < parts.size(); i++) {
                Tensor value = parts.get(i).parameter.value().detach();
                if (parts.get(i).transposed) {
                    value = value.transpose(0, 1);
                }
                Tensor index = rowIndex.get(i);
                target.narrow(0, row, rows(i)).copy_(index == null ? value : value.indexSelect(0, index));
                row += rows(i);
            }
            own().setRequiresGrad(trainable);
        }
    }

    /// Moves the gradient of this worker's working tensor to the parameters that are trainable.
    void collect() {
        Tensor working = get();
        try (Scope scope = Scope.open();
                NoGrad off = NoGrad.on()) {
            Tensor grad = working.grad();
            if (grad == null) {
                return;
            }
            long row = 0;
            for (int i = 0; i < parts.size(); i++) {
                Part part = parts.get(i);
                if (part.parameter.trainable()) {
                    Tensor mine = parts.size() == 1 ? grad : grad.narrow(0, row, rows(i));
                    if (part.transposed) {
                        mine = mine.transpose(0, 1);
                    }
                    Tensor index = rowIndex.get(i);
                    boolean shares =
                            parts.size() == 1 && index == null && mine.dtype() == DType.F32 && !part.transposed;
                    Tensor moved = shares ? mine : Tensor.empty(DType.F32, mine.shape());
                    if (index != null) {
                        if (part.transposed) {
                            moved.transpose(0, 1)
                                    .indexCopy_(0, index, mine.transpose(0, 1).to(DType.F32));
                        } else {
                            moved.indexCopy_(0, index, mine.to(DType.F32));
                        }
                    } else if (!shares) {
                        moved.copy_(mine);
                    }
                    part.parameter.accumulate(scope.keepForever(moved));
                }
                row += rows(i);
            }
            working.clearGrad();
        }
    }

    private void dropAliases() {
        aliases.values().forEach(Tensor::close);
        aliases.clear();
    }

    void close() {
        unpack();
        dropAliases();
        for (Tensor index : rowIndex) {
            if (index != null) {
                index.close();
            }
        }
        if (working != null && !isParameterItself()) {
            working.close();
        }
        working = null;
    }
}
