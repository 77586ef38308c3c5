package dev.manners.data;

/// A row as tokens.
///
/// @param ids [T]
/// @param trained [T], whether the token, as a target, carries loss. The first has nothing before it to be predicted
///     from: it counts only where packing as one stream (`wrapped`) puts another row in front
/// @param source `file:line`
@SuppressWarnings("ArrayRecordComponent") // compared by nobody; a list would box
public record Example(int[] ids, boolean[] trained, String source) {

    public Example {
        if (ids.length != trained.length) {
            throw new IllegalArgumentException(ids.length + " ids, " + trained.length + " mask bits");
        }
    }

    public int length() {
        return ids.length;
    }
}
