package dev.manners.data;

/// One sequence for the model: one row, or several packed together.
///
/// Attention stays inside a document and positions start from 0 at each.
///
/// @param ids [T]
/// @param trained [T], whether the token, as a target, carries loss; never true for a document's first token
/// @param lengths tokens of the documents inside, in order; their sum is T
@SuppressWarnings("ArrayRecordComponent") // compared by nobody; a list would box
public record Packed(int[] ids, boolean[] trained, int[] lengths) {

    public Packed {
        int sum = 0;
        for (int length : lengths) {
            if (length < 1 || sum + length > trained.length || trained[sum]) {
                throw new IllegalArgumentException(
                        "document of %d tokens at %d of %d".formatted(length, sum, ids.length));
            }
            sum += length;
        }
        if (sum != ids.length || ids.length != trained.length) {
            throw new IllegalArgumentException(
                    "%d ids, %d mask bits, documents of %d tokens".formatted(ids.length, trained.length, sum));
        }
    }

    /// Sequences of documents that nothing was done to but to line them up: takes the mask bit off the first of each.
    static Packed of(int[] ids, boolean[] labels, int[] lengths) {
        boolean[] trained = labels.clone();
        int at = 0;
        for (int length : lengths) {
            trained[at] = false;
            at += length;
        }
        return new Packed(ids, trained, lengths);
    }

    public int length() {
        return ids.length;
    }

    /// Tokens that carry loss.
    public int trainedTokens() {
        int count = 0;
        for (boolean bit : trained) {
            count += bit ? 1 : 0;
        }
        return count;
    }

    /// [T], counted from 0 in each document.
    public int[] positions() {
        int[] positions = new int[ids.length];
        int at = 0;
        for (int length : lengths) {
            for (int i = 0; i < length; i++) {
                positions[at++] = i;
            }
        }
        return positions;
    }
}
