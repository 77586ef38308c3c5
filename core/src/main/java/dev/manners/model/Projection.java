package dev.manners.model;

import dev.manners.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// One or several linear layers on the same input, as one matrix product: q, k and v; gate and up; or just one.
final class Projection {

    private final Weight weight;
    private final @Nullable Weight bias;
    /// Module names of the parts in a Hugging Face model: what adapters attach to, `model.layers.0.self_attn.q_proj`.
    private final List<String> modules;
    private final @Nullable Adapter[] adapters;

    private final List<int @Nullable []> rows;

    /// @param rows for each part the order of its rows in the computation, or null
    Projection(List<String> modules, Weight weight, @Nullable Weight bias, List<int @Nullable []> rows) {
        this.modules = List.copyOf(modules);
        this.weight = weight;
        this.bias = bias;
        this.rows = rows;
        this.adapters = new Adapter[modules.size()];
    }

    List<String> modules() {
        return modules;
    }

    Weight weight() {
        return weight;
    }

    @Nullable
    Weight bias() {
        return bias;
    }

    int @Nullable [] rows(int part) {
        return rows.get(part);
    }

    @Nullable
    Adapter adapter(int part) {
        return adapters[part];
    }

    void attach(int part, Adapter adapter) {
        adapters[part] = adapter;
    }

    void detach(int part) {
        adapters[part] = null;
    }

    /// @param x [N, in]
    /// @return [N, out], the parts side by side
    Tensor forward(Tensor x, Dropout dropout) {
        Tensor y = weight.linear(x, bias == null ? null : bias.get());
        if (!adapted()) {
            return y;
        }
        List<Tensor> parts = new ArrayList<>();
        long row = 0;
        for (int i = 0; i < adapters.length; i++) {
            Tensor part = adapters.length == 1 ? y : y.narrow(1, row, weight.rows(i));
            Adapter adapter = adapters[i];
            parts.add(adapter != null && adapter.enabled() ? part.add(adapter.forward(x, dropout)) : part);
            row += weight.rows(i);
        }
        return parts.size() == 1 ? parts.getFirst() : Tensor.cat(1, parts);
    }

    private boolean adapted() {
        for (Adapter adapter : adapters) {
            if (adapter != null && adapter.enabled()) {
                return true;
            }
        }
        return false;
    }
}
