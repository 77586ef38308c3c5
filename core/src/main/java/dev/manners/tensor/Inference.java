package dev.manners.tensor;

import java.util.List;

/// Until it is closed this thread computes in order to generate: without gradients, and, for a small model, with
/// kernels
/// of our own ([RowKernels], [Panels], [KeyValues]) in place of many operations of libtorch, each by this thread alone.
///
/// A decoding step has a row for each sequence and no more: with a small model libtorch spends more time between its
/// operations than in them. The kernels are written with Java's Vector API and want its module and the optimising
/// compiler; where one is missing libtorch computes the same, and [#warnings()] says so.
public final class Inference implements AutoCloseable {

    private static final boolean AVAILABLE =
            ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent() && compilesWell();

    private static final ThreadLocal<Boolean> ON = ThreadLocal.withInitial(() -> false);

    private final boolean before = ON.get();

    private final NoGrad noGrad = NoGrad.on();

    private Inference(boolean small) {
        ON.set(small);
    }

    /// @param small whether the model is so small that kernels of one thread serve it best
    public static Inference on(boolean small) {
        return new Inference(small);
    }

    /// What makes generation slower than it could be on this JVM; empty when all is well.
    public static List<String> warnings() {
        return AVAILABLE
                ? List.of()
                : List.of(
                        "small models generate at about half the speed that they could: start Java with"
                                + " --add-modules jdk.incubator.vector and without -XX:TieredStopAtLevel, as the launcher does");
    }

    /// Whether this thread uses the kernels now.
    static boolean kernels() {
        return ON.get() && available();
    }

    /// Whether this JVM runs the kernels well.
    static boolean available() {
        return AVAILABLE;
    }

    /// A vector operation that is interpreted, or compiled by the first of the two compilers alone, takes a hundred
    /// times as long.
    private static boolean compilesWell() {
        String how = System.getProperty("java.vm.info", "");
        return (how.startsWith("mixed mode") || how.startsWith("compiled mode")) && !how.contains("emulated-client");
    }

    @Override
    public void close() {
        noGrad.close();
        ON.set(before);
    }
}
