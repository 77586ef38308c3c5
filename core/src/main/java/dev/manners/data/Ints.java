package dev.manners.data;

import java.util.Arrays;

/// A growing `int[]`.
final class Ints {

    private int[] values = new int[16];
    private int size;

    void add(int value) {
        if (size == values.length) {
            values = Arrays.copyOf(values, Math.toIntExact(Math.min(size * 2L, Integer.MAX_VALUE - 8L)));
        }
        values[size++] = value;
    }

    int size() {
        return size;
    }

    int[] toArray() {
        return Arrays.copyOf(values, size);
    }
}
