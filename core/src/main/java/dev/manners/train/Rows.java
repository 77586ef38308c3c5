package dev.manners.train;

import dev.manners.data.Packed;
import dev.manners.data.Tokenised;

/// The sequences of a dataset, in its own order.
public interface Rows {

    int size();

    Packed get(int i);

    /// A tokenised dataset, packed as its options say.
    static Rows of(Tokenised data) {
        return new Rows() {
            @Override
            public int size() {
                return data.packing().size();
            }

            @Override
            public Packed get(int i) {
                return data.packing().read(data, i);
            }
        };
    }
}
