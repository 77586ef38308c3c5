package dev.manners.cli;

import dev.manners.config.Key;
import dev.manners.config.Options;
import dev.manners.run.ParrotRecipe;
import dev.manners.run.RunDirectory;
import dev.manners.tensor.LibTorch;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/// `doctor`: whether this machine can do what is asked of it.
final class DoctorCommand implements Command {

    record DoctorOptions(
            @Key("Recipe whose needs are compared with what there is (its `needs.memory_mb` and `needs.disk_mb`)")
            @Nullable
            Path recipe,

            @Key(value = "Folder the run would write to", byDefault = "runs")
            Path outputDir) {}

    @Override
    public String name() {
        return "doctor";
    }

    @Override
    public String summary() {
        return "Checks Java, libtorch, threads, memory and disk against what a recipe needs.";
    }

    @Override
    public String details() {
        return "Exit code 0 if all is well, 1 if something is missing.";
    }

    @Override
    public List<Class<? extends Record>> options() {
        return List.of(DoctorOptions.class);
    }

    @Override
    public List<String> positionals() {
        return List.of("recipe");
    }

    @Override
    public int run(Call call) {
        DoctorOptions options = (DoctorOptions) call.bind().getFirst();
        PrintStream out = call.out();
        ParrotRecipe.Needs needs = new Options()
                .yaml(options.recipe() == null ? RunCommand.parrot() : options.recipe())
                .section("needs")
                .bind(ParrotRecipe.Needs.class);
        long memoryNeeded = needs.memoryMb();
        long diskNeeded = needs.diskMb();
        line(out, true, "manners", RunDirectory.version());
        line(
                out,
                true,
                "java",
                System.getProperty("java.runtime.version") + " (" + System.getProperty("java.vendor") + ")");
        line(
                out,
                true,
                "system",
                System.getProperty("os.name") + " " + System.getProperty("os.version") + ", "
                        + System.getProperty("os.arch"));
        line(out, true, "libtorch", LibTorch.version());
        line(
                out,
                true,
                "threads",
                LibTorch.threads() + " of " + Runtime.getRuntime().availableProcessors() + " processors");
        line(
                out,
                true,
                "bf16",
                LibTorch.hasFastBf16()
                        ? "multiplied in hardware: the default for training"
                        : "not in this processor's hardware: training runs in f32");
        List<String> warnings = LibTorch.warnings();
        line(
                out,
                warnings.isEmpty(),
                "settings",
                warnings.isEmpty() ? "as the launcher sets them" : String.join("; ", warnings));
        long memory = availableMemory() >> 20;
        boolean memoryOk = memory >= memoryNeeded;
        line(out, memoryOk, "memory", memory + " MB free, the recipe needs about " + memoryNeeded + " MB");
        long disk = disk(options.outputDir()) >> 20;
        boolean diskOk = disk >= diskNeeded;
        line(
                out,
                diskOk,
                "disk",
                disk + " MB free for " + options.outputDir() + ", the recipe needs about " + diskNeeded + " MB");
        boolean well = memoryOk && diskOk;
        out.println(well ? "All is well." : "Something is missing: see the lines marked with !");
        return well ? 0 : 1;
    }

    private static void line(PrintStream out, boolean good, String what, String text) {
        out.printf(Locale.ROOT, "%s %-10s %s%n", good ? " " : "!", what, text);
    }

    /// Memory that can still be taken, in bytes.
    private static long availableMemory() {
        try {
            for (String line : Files.readAllLines(Path.of("/proc/meminfo"))) {
                if (line.startsWith("MemAvailable:")) {
                    return Long.parseLong(line.replaceAll("\\D", "")) << 10;
                }
            }
        } catch (IOException e) {
            // Not Linux: the JVM knows at least what is free.
            return free();
        }
        return free();
    }

    private static long free() {
        var bean = java.lang.management.ManagementFactory.getOperatingSystemMXBean();
        return bean instanceof com.sun.management.OperatingSystemMXBean os ? os.getFreeMemorySize() : 0;
    }

    private static long disk(Path folder) {
        Path existing = folder.toAbsolutePath();
        while (existing != null && !Files.exists(existing)) {
            existing = existing.getParent();
        }
        try {
            FileStore store = Files.getFileStore(existing == null ? Path.of(".") : existing);
            return store.getUsableSpace();
        } catch (IOException e) {
            return 0;
        }
    }
}
