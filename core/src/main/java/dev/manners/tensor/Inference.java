package dev.manners.tensor;

import java.util.List;

/// Until it is closed this thread computes in order to generate: without gradients, and with kernels of our own in
/// place of many operations of libtorch: for attention to what was seen ([KeyValues]), and with a small model for
/// everything that a layer computes ([RowKernels], [Panels]), by this thread alone.
///
/// A decoding step has a row for each sequence and no more: with a small model libtorch spends more time between its
/// operations than in them. The kernels are written with Java's Vector API and want its module and the optimising
/// compiler; where one is missing libtorch computes the same, and [#warnings()] says so.
public final class Inference implements AutoCloseable {

    private static final boolean AVAILABLE =
            ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent() && compilesWell();

    private static final ThreadLocal<Kernels> KERNELS = ThreadLocal.withInitial(() -> Kernels.NONE);

    private enum Kernels {
        NONE,
        ATTENTION,
        ALL
    }

    private final Kernels before = KERNELS.get();

    private final NoGrad noGrad = NoGrad.on();

    private Inference(Kernels kernels) {
        KERNELS.set(AVAILABLE ? kernels : Kernels.NONE);
    }

    /// @param small whether the model is so small that one thread computes a layer best by itself
    public static Inference on(boolean small) {
        return new Inference(small ? Kernels.ALL : Kernels.ATTENTION);
    }

    /// What makes generation slower than it could be on this JVM; empty when all is well.
    public static List<String> warnings() {
        return AVAILABLE
                ? List.of()
                : List.of(
                        "generation is slower than it could be: start Java with --add-modules jdk.incubator.vector and"
                                + " without -XX:TieredStopAtLevel, as the launcher does");
    }

    /// Whether this thread uses the kernel for attention now.
    static boolean attention() {
        return KERNELS.get() != Kernels.NONE;
    }

    /// Whether this thread uses all kernels now.
    static boolean kernels() {
        return KERNELS.get() == Kernels.ALL;
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
        KERNELS.set(before);
    }
}
