package dev.manners.model;

import dev.manners.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Whole sequences laid end to end without padding: each token sees itself and what precedes it in its own sequence.
///
/// Sequences may share a beginning ([#sharing]): its tokens then go through the model once, whatever hangs on them.
///
/// Linear layers, norms and the loss run over the N real tokens. Only attention wants rectangles: sequences of similar
/// length are gathered into one, padded on the right, where causality hides the padding from every real token.
public final class Sequences implements Attend {

    /// Rectangles may be this much larger than what they hold before a further one is opened.
    private static final double WASTE = 1.25;

    /// Of the sequences, shared beginnings counted in each.
    private final int[] lengths;
    private final int tokens;
    private final Tensor positions;
    private final List<Rectangle> rectangles = new ArrayList<>();
    private final @Nullable Tensor backToFlat;

    /// @param rows how many sequences; @param length padded length
    /// @param index flat token of each cell, [rows * length]; null if the flat order already is this rectangle
    private record Rectangle(int rows, int length, @Nullable Tensor index) {}

    /// @param lengths of the sequences, in order, each at least 1
    public Sequences(int... lengths) {
        this(oneEach(lengths), true);
    }

    /// Groups of sequences with a common beginning, laid out as prefix, rest, rest, ..., prefix, rest, ...: a prompt
    /// and
    /// its completions.
    ///
    /// @param groups of each group, the length of the prefix and those of the rests; each at least 1
    public static Sequences sharing(List<Group> groups) {
        return new Sequences(groups, false);
    }

    /// A common beginning and what follows it.
    ///
    /// @param prefix its length; `rests` theirs
    public record Group(int prefix, int... rests) {}

    private static List<Group> oneEach(int... lengths) {
        return Arrays.stream(lengths).mapToObj(Group::new).toList();
    }

    /// @param whole whether the groups are whole sequences, prefixes without rests
    private Sequences(List<Group> groups, boolean whole) {
        List<Integer> lengthOf = new ArrayList<>();
        List<Integer> prefixOf = new ArrayList<>();
        List<Integer> prefixBegin = new ArrayList<>();
        List<Integer> restBegin = new ArrayList<>();
        int at = 0;
        for (Group g : groups) {
            if (g.prefix < 1 || Arrays.stream(g.rests).anyMatch(n -> n < 1) || (g.rests.length == 0) != whole) {
                throw new IllegalArgumentException(
                        "lengths must be at least 1: " + g.prefix + " " + Arrays.toString(g.rests));
            }
            int begin = at;
            at += g.prefix;
            for (int rest : whole ? new int[] {0} : g.rests) {
                lengthOf.add(g.prefix + rest);
                prefixOf.add(g.prefix);
                prefixBegin.add(begin);
                restBegin.add(at);
                at += rest;
            }
        }
        if (groups.isEmpty()) {
            throw new IllegalArgumentException("no sequence");
        }
        tokens = at;
        lengths = lengthOf.stream().mapToInt(n -> n).toArray();
        long[] position = new long[tokens];
        int[][] flat = new int[lengths.length][];
        for (int s = 0; s < lengths.length; s++) {
            int prefix = prefixOf.get(s);
            flat[s] = new int[lengths[s]];
            for (int i = 0; i < lengths[s]; i++) {
                flat[s][i] = i < prefix ? prefixBegin.get(s) + i : restBegin.get(s) + i - prefix;
                position[flat[s][i]] = i;
            }
        }
        positions = Tensor.of(position);
        backToFlat = layOut(flat, whole);
    }

    /// @param flat flat token of each token of each sequence
    private @Nullable Tensor layOut(int[][] flat, boolean whole) {
        if (whole && Arrays.stream(lengths).allMatch(n -> n == lengths[0])) {
            rectangles.add(new Rectangle(lengths.length, lengths[0], null));
            return null;
        }
        List<Integer> byLength = new ArrayList<>();
        for (int s = 0; s < lengths.length; s++) {
            byLength.add(s);
        }
        byLength.sort(Comparator.comparingInt((Integer s) -> -lengths[s]).thenComparing(s -> s));
        long[] cellOfToken = new long[tokens];
        int cells = 0;
        for (int first = 0; first < byLength.size(); ) {
            int length = lengths[byLength.get(first)];
            int last = first;
            while (last < byLength.size() && lengths[byLength.get(last)] * WASTE >= length) {
                last++;
            }
            int rows = last - first;
            long[] index = new long[rows * length];
            for (int r = 0; r < rows; r++) {
                int s = byLength.get(first + r);
                for (int i = 0; i < length; i++) {
                    // Padding repeats the last token: finite values that nobody sees.
                    index[r * length + i] = flat[s][Math.min(i, lengths[s] - 1)];
                    if (i < lengths[s]) {
                        // A shared token is computed with every sequence it begins; any of them will do.
                        cellOfToken[flat[s][i]] = cells + (long) r * length + i;
                    }
                }
            }
            rectangles.add(new Rectangle(rows, length, Tensor.of(index)));
            cells += rows * length;
            first = last;
        }
        return Tensor.of(cellOfToken);
    }

    public int tokens() {
        return tokens;
    }

    public int[] lengths() {
        return lengths.clone();
    }

    @Override
    public Tensor positions() {
        return positions;
    }

    @Override
    public int maxPosition() {
        return Arrays.stream(lengths).max().orElseThrow();
    }

    @Override
    public Tensor attend(
            int layer, Tensor queries, Tensor keys, Tensor values, double scale, Dropout dropout, double p) {
        long heads = queries.size(1);
        long headDim = queries.size(2);
        List<Tensor> done = new ArrayList<>();
        for (Rectangle r : rectangles) {
            Tensor q = rectangle(queries, r); // [rows, heads, length, D]
            Tensor k = rectangle(keys, r);
            Tensor v = rectangle(values, r);
            long group = heads / k.size(1);
            if (group > 1) {
                k = k.repeatInterleave(group, 1);
                v = v.repeatInterleave(group, 1);
            }
            Tensor mixed = dropout.active() && p > 0
                    ? withDropout(q, k, v, scale, dropout, p)
                    : q.attention(k, v, null, true, scale);
            done.add(mixed.transpose(1, 2).reshape(r.rows * (long) r.length, heads, headDim));
        }
        Tensor all = done.size() == 1 ? done.getFirst() : Tensor.cat(0, done);
        return backToFlat == null ? all : all.indexSelect(0, backToFlat);
    }

    /// The fused kernel draws its own random numbers; where attention weights are dropped they are written out.
    private static Tensor withDropout(Tensor q, Tensor k, Tensor v, double scale, Dropout dropout, double p) {
        long length = q.size(2);
        Tensor from = Tensor.arange(0, length);
        Tensor future = from.unsqueeze(1).lt(from.unsqueeze(0)); // [T, T]
        Tensor weights = q.matmul(k.transpose(2, 3))
                .mul(scale)
                .maskedFill(future, Double.NEGATIVE_INFINITY)
                .softmax(-1);
        return dropout.apply(weights, p).matmul(v);
    }

    private static Tensor rectangle(Tensor flat, Rectangle r) {
        Tensor cells = r.index == null ? flat : flat.indexSelect(0, r.index);
        return cells.view(r.rows, r.length, flat.size(1), flat.size(2)).transpose(1, 2);
    }
}
