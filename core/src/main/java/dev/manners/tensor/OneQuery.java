package dev.manners.tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.stream.IntStream;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/// Attention of one query for each of several sequences to its own [KeyValues]: what a decoding step has.
///
/// Written as what it is, two products of a matrix and a vector a head. As products of matrices, which libtorch takes
/// them for, most of the time goes into laying out keys and values for a single row.
final class OneQuery {

    /// Fewer products than this are computed before another thread has begun.
    private static final long FEW = 1 << 20;

    private OneQuery() {}

    /// As [KeyValues#attend].
    static Tensor attend(KeyValues cache, Tensor queries, int[] seen, float scale) {
        Tensor mixed = Tensor.empty(DType.F32, queries.shape());
        Tensor.Rows rows = queries.rows();
        MemorySegment out = mixed.memory();
        MemorySegment keys = cache.keyMemory();
        MemorySegment values = cache.valueMemory();
        int headDim = cache.headDim();
        int count = (int) queries.size(1);
        int group = count / cache.heads();
        int most = Arrays.stream(seen).max().orElseThrow();
        long products = 2 * rows.length() * Arrays.stream(seen).asLongStream().sum();
        int parts = products < FEW ? 1 : Math.min(Workers.count(), seen.length);
        Workers.map(parts, IntStream.range(0, parts).boxed().toList(), part -> {
            float[] weights = new float[(most + KeyValues.PANEL - 1) / KeyValues.PANEL * KeyValues.PANEL];
            float[] query = new float[headDim];
            for (int slot = part; slot < seen.length; slot += parts) {
                int n = seen[slot];
                for (int h = 0; h < count; h++) {
                    long head = cache.begin(slot, h / group);
                    long at = (long) h * headDim;
                    Lanes.read(rows.memory(), DType.F32, slot * rows.stride() + at, query, headDim);
                    scores(query, keys, head, n, weights);
                    float sum = softmax(weights, n, scale);
                    mix(weights, 1 / sum, values, head, n, headDim, out, slot * rows.length() + at);
                }
            }
            return true;
        });
        return mixed;
    }

    /// Dot products of a query with a head's first n keys; what lies behind them in the last panel has no meaning.
    private static void scores(float[] query, MemorySegment keys, long head, int n, float[] scores) {
        int step = 4 * Lanes.COUNT; // a divisor of PANEL
        for (int t = 0; t < n; t += step) {
            FloatVector a = FloatVector.zero(Lanes.FLOATS);
            FloatVector b = a;
            FloatVector c = a;
            FloatVector d = a;
            long at = head + (long) (t / KeyValues.PANEL) * KeyValues.PANEL * query.length + t % KeyValues.PANEL;
            for (float q : query) {
                a = Lanes.load(keys, at).mul(q).add(a);
                b = Lanes.load(keys, at + Lanes.COUNT).mul(q).add(b);
                c = Lanes.load(keys, at + 2L * Lanes.COUNT).mul(q).add(c);
                d = Lanes.load(keys, at + 3L * Lanes.COUNT).mul(q).add(d);
                at += KeyValues.PANEL;
            }
            a.intoArray(scores, t);
            b.intoArray(scores, t + Lanes.COUNT);
            c.intoArray(scores, t + 2 * Lanes.COUNT);
            d.intoArray(scores, t + 3 * Lanes.COUNT);
        }
    }

    /// Turns the first n scores into weights.
    ///
    /// @return what they add up to
    private static float softmax(float[] scores, int n, float scale) {
        int end = (n + Lanes.COUNT - 1) / Lanes.COUNT * Lanes.COUNT;
        Arrays.fill(scores, n, end, Float.NEGATIVE_INFINITY);
        FloatVector largest = FloatVector.broadcast(Lanes.FLOATS, Float.NEGATIVE_INFINITY);
        for (int t = 0; t < end; t += Lanes.COUNT) {
            largest = largest.max(FloatVector.fromArray(Lanes.FLOATS, scores, t));
        }
        float max = largest.reduceLanes(VectorOperators.MAX);
        FloatVector sum = FloatVector.zero(Lanes.FLOATS);
        for (int t = 0; t < end; t += Lanes.COUNT) {
            FloatVector e = Lanes.exp(
                    FloatVector.fromArray(Lanes.FLOATS, scores, t).sub(max).mul(scale));
            e.intoArray(scores, t);
            sum = sum.add(e);
        }
        return Lanes.sum(sum);
    }

    /// The weighted sum of a head's first n values.
    private static void mix(
            float[] weights,
            float factor,
            MemorySegment values,
            long head,
            int n,
            int headDim,
            MemorySegment out,
            long to) {
        int d = 0;
        for (; d + 4 * Lanes.COUNT <= headDim; d += 4 * Lanes.COUNT) {
            FloatVector a = FloatVector.zero(Lanes.FLOATS);
            FloatVector b = a;
            FloatVector c = a;
            FloatVector e = a;
            long at = head + d;
            for (int t = 0; t < n; t++, at += headDim) {
                float w = weights[t];
                a = Lanes.load(values, at).mul(w).add(a);
                b = Lanes.load(values, at + Lanes.COUNT).mul(w).add(b);
                c = Lanes.load(values, at + 2L * Lanes.COUNT).mul(w).add(c);
                e = Lanes.load(values, at + 3L * Lanes.COUNT).mul(w).add(e);
            }
            Lanes.store(a.mul(factor), out, to + d);
            Lanes.store(b.mul(factor), out, to + d + Lanes.COUNT);
            Lanes.store(c.mul(factor), out, to + d + 2L * Lanes.COUNT);
            Lanes.store(e.mul(factor), out, to + d + 3L * Lanes.COUNT);
        }
        for (; d + Lanes.COUNT <= headDim; d += Lanes.COUNT) {
            FloatVector a = FloatVector.zero(Lanes.FLOATS);
            long at = head + d;
            for (int t = 0; t < n; t++, at += headDim) {
                a = Lanes.load(values, at).mul(weights[t]).add(a);
            }
            Lanes.store(a.mul(factor), out, to + d);
        }
        for (; d < headDim; d++) {
            float a = 0;
            long at = head + d;
            for (int t = 0; t < n; t++, at += headDim) {
                a += weights[t] * values.get(ValueLayout.JAVA_FLOAT, at << 2);
            }
            out.set(ValueLayout.JAVA_FLOAT, (to + d) << 2, a * factor);
        }
    }
}
