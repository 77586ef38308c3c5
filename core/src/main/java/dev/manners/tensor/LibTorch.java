package dev.manners.tensor;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.openblas.global.openblas_nolapack;
import org.bytedeco.pytorch.global.torch;

/// The native library, loaded once with the settings it needs.
///
/// The launcher and the tests' JVM set them from outside, before anything loads. Who embeds the jar gets the same from
/// here, or, where it is too late to set one, a line in [#warnings()].
public final class LibTorch {

    private static final List<String> WARNINGS = new ArrayList<>();

    static {
        // JavaCPP reads these when its Pointer class initialises, which is later than this.
        // No phantom reference per tensor: a third of the cost of an operation; scopes free instead.
        preset("org.bytedeco.javacpp.nopointergc", "true");
        // JavaCPP would throw when the process passes four times the Java heap, weights included.
        preset("org.bytedeco.javacpp.maxPhysicalBytes", "0");
        preset("org.bytedeco.javacpp.maxBytes", "0");
        Loader.load(torch.class);
        // OpenBLAS has threads of its own; beside libtorch's they fight, and everything is about four times slower.
        openblas_nolapack.blas_set_num_threads(1);
        setThreads(defaultThreads());
        if (Pointer.maxPhysicalBytes() != 0 || !Boolean.getBoolean("org.bytedeco.javacpp.nopointergc")) {
            WARNINGS.add("JavaCPP runs with other settings than Manners needs, given from outside or because something"
                    + " used it before: operations cost about three times the overhead, and memory may be refused."
                    + " Start Java with -Dorg.bytedeco.javacpp.nopointergc=true"
                    + " -Dorg.bytedeco.javacpp.maxPhysicalBytes=0 -Dorg.bytedeco.javacpp.maxBytes=0");
        }
    }

    private LibTorch() {}

    private static void preset(String key, String value) {
        if (System.getProperty(key) == null) {
            System.setProperty(key, value);
        }
    }

    /// Loads the library; called by every entry to this package, cheap after the first time.
    public static void load() {}

    /// What could not be set and costs speed; empty when all is well.
    public static List<String> warnings() {
        List<String> all = new ArrayList<>(WARNINGS);
        if (System.getenv("OMP_WAIT_POLICY") == null && System.getenv("OPENBLAS_NUM_THREADS") == null) {
            all.add(
                    "OPENBLAS_NUM_THREADS is not set: it was set to 1 after loading, which is enough for speed but leaves"
                            + " idle threads; the launcher sets it before");
        }
        return all;
    }

    /// Version of the binding, which begins with libtorch's: `2.10.0-1.5.13`.
    public static String version() {
        try (InputStream in = torch.class.getResourceAsStream("/META-INF/maven/org.bytedeco/pytorch/pom.properties")) {
            if (in == null) {
                return "unknown";
            }
            Properties properties = new Properties();
            properties.load(in);
            return properties.getProperty("version", "unknown");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static int defaultThreads() {
        String given = System.getenv("OMP_NUM_THREADS");
        if (given != null && given.matches("[1-9][0-9]{0,3}")) {
            return Integer.parseInt(given);
        }
        return Runtime.getRuntime().availableProcessors();
    }

    /// Memory of the process that is in use now, native and Java, in bytes.
    public static long residentBytes() {
        return Pointer.physicalBytes();
    }

    /// Threads of one operation. Part of what makes a run repeatable: other thread counts give other last bits.
    public static int threads() {
        return torch.get_num_threads();
    }

    public static void setThreads(int threads) {
        if (threads < 1) {
            throw new IllegalArgumentException("threads must be at least 1, not " + threads);
        }
        torch.set_num_threads(threads);
    }

    /// Whether the processor multiplies bf16 matrices in hardware; where it does not, bf16 is slower than f32.
    public static boolean hasFastBf16() {
        return Processor.BF16;
    }

    /// Whether the processor multiplies and adds in one instruction.
    static boolean hasFma() {
        return Processor.FMA;
    }

    private static final class Processor {
        private static final String FLAGS = flags();
        static final boolean BF16 =
                FLAGS.contains("avx512_bf16") || FLAGS.contains("amx_bf16") || FLAGS.contains(" bf16 ");
        static final boolean FMA = System.getProperty("os.arch", "").equals("aarch64") || FLAGS.contains(" fma ");

        private static String flags() {
            try {
                return Files.readString(Path.of("/proc/cpuinfo"));
            } catch (IOException e) {
                return "";
            }
        }
    }
}
