package dev.manners.testing;

import dev.manners.tensor.DType;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.StructLayout;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.function.ToLongFunction;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/// How much native memory is in use, by the C library's own books: tensors, and nothing of the Java heap.
public final class NativeMemory {

    /// struct mallinfo2 of glibc: ten of size_t.
    private static final StructLayout MALLINFO2 =
            MemoryLayout.structLayout(MemoryLayout.sequenceLayout(10, ValueLayout.JAVA_LONG));

    private static final int HBLKHD = 4;
    private static final int UORDBLKS = 7;

    private static final @Nullable MethodHandle CALL = Linker.nativeLinker()
            .defaultLookup()
            .find("mallinfo2")
            .map(address -> Linker.nativeLinker().downcallHandle(address, FunctionDescriptor.of(MALLINFO2)))
            .orElse(null);

    private NativeMemory() {}

    /// Bytes handed out and not given back; empty where the C library is not glibc 2.33 or newer.
    public static OptionalLong inUse() {
        if (CALL == null) {
            return OptionalLong.empty();
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment info = (MemorySegment) CALL.invokeExact((SegmentAllocator) arena);
            return OptionalLong.of(
                    info.getAtIndex(ValueLayout.JAVA_LONG, HBLKHD) + info.getAtIndex(ValueLayout.JAVA_LONG, UORDBLKS));
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    /// Bytes that a step keeps, the median over the steps after `from` up to `to`: what a few steps allocate for good,
    /// such as compiled code, is not in it, and what every step leaks is.
    ///
    /// @param inUse after each step
    public static long medianGrowth(List<Long> inUse, int from, int to) {
        long[] grown = IntStream.range(from, to)
                .mapToLong(i -> inUse.get(i + 1) - inUse.get(i))
                .sorted()
                .toArray();
        return grown[grown.length / 2];
    }

    /// The control of a measurement: what it finds where every step leaks one scalar.
    ///
    /// @param measure runs the steps, each of which does what it is given
    public static long withALeak(ToLongFunction<Runnable> measure) {
        List<Tensor> leaked = new ArrayList<>();
        long found = measure.applyAsLong(() -> {
            try (Scope scope = Scope.open()) {
                leaked.add(scope.keepForever(Tensor.full(1, DType.F32)));
            }
        });
        leaked.forEach(Tensor::close);
        return found;
    }
}
