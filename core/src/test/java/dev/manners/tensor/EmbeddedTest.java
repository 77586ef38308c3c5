package dev.manners.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.Test;

/// Manners as a jar in somebody's program: no launcher has set anything.
class EmbeddedTest {

    /// That program.
    static final class Program {
        public static void main(String[] args) {
            if (args.length > 0) {
                // It has used JavaCPP for something of its own before.
                System.out.println("own " + Pointer.maxPhysicalBytes());
            }
            LibTorch.load();
            System.out.println("nopointergc " + System.getProperty("org.bytedeco.javacpp.nopointergc"));
            System.out.println("maxPhysicalBytes " + Pointer.maxPhysicalBytes());
            LibTorch.warnings().forEach(w -> System.out.println("warning " + w));
        }
    }

    @Test
    void settingsAreMadeWhereTheyStillCanBe() throws Exception {
        assertThat(run(false))
                .contains("nopointergc true", "maxPhysicalBytes 0")
                // Threads of OpenBLAS that are there already can only be left idle.
                .anyMatch(line -> line.startsWith("warning OPENBLAS_NUM_THREADS is not set"));
    }

    @Test
    void withTheEnvironmentThereIsNothingToWarnOf() throws Exception {
        assertThat(run(true)).contains("maxPhysicalBytes 0").noneMatch(line -> line.startsWith("warning"));
    }

    @Test
    void settingsThatComeTooLateAreWarnedOf() throws Exception {
        assertThat(run(true, "first"))
                .anyMatch(line -> line.startsWith("own ") && !line.equals("own 0"))
                .anyMatch(line -> line.startsWith("warning JavaCPP runs with other settings"));
    }

    private static List<String> run(boolean environment, String... args) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx128m",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                Program.class.getName()));
        command.addAll(List.of(args));
        ProcessBuilder builder = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT);
        builder.environment().remove("OPENBLAS_NUM_THREADS");
        builder.environment().remove("OMP_WAIT_POLICY");
        if (environment) {
            builder.environment().put("OPENBLAS_NUM_THREADS", "1");
        }
        Process process = builder.start();
        List<String> lines = process.inputReader(StandardCharsets.UTF_8).lines().toList();
        assertThat(process.waitFor()).isZero();
        return lines;
    }
}
