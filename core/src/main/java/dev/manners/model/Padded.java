package dev.manners.model;

import dev.manners.tensor.Tensor;
import java.util.List;

/// A batch that is computed with more rows than it has tokens, where round numbers are cheaper
/// ([dev.manners.tensor.MatrixProduct#roundRows]). The further rows are token 0 at position 0; they see nothing and
/// nothing sees them.
///
/// @param tokens of the batch itself; `rows` with the further ones
record Padded(Attend batch, long tokens, long rows) implements Attend {

    /// @param first [tokens, ...]
    /// @return [rows, ...], the further ones zero
    Tensor fill(Tensor first) {
        long[] shape = first.shape();
        shape[0] = rows - tokens;
        return Tensor.cat(0, List.of(first, Tensor.zeros(first.dtype(), shape)));
    }

    @Override
    public Tensor positions() {
        return fill(batch.positions());
    }

    @Override
    public int maxPosition() {
        return batch.maxPosition();
    }

    @Override
    public Tensor attend(
            int layer, Tensor queries, Tensor keys, Tensor values, double scale, Dropout dropout, double p) {
        return fill(batch.attend(layer, own(queries), own(keys), own(values), scale, dropout, p));
    }

    private Tensor own(Tensor all) {
        return all.narrow(0, 0, tokens);
    }
}
