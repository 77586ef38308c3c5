package dev.manners.reward.code;

import dev.manners.BadInput;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import tools.jackson.core.JsonParser;
import tools.jackson.databind.JsonNode;

/// What candidates may be written in.
public enum Language {
    PYTHON {
        @Override
        Interpreter interpreter(CodeConfig config) {
            // -I: neither the user's site-packages nor PYTHON* variables nor the current folder.
            List<String> found = ask(List.of(
                    config.codePython(),
                    "-I",
                    "-c",
                    "import os, sys; assert sys.version_info >= (3, 8), sys.version;"
                            + " print(os.path.realpath(sys.executable), sys.base_prefix, sys.prefix, sep='\\n')"));
            Path executable = Path.of(found.get(0));
            // A virtual environment is known by the path it is called by, not by the file that path leads to.
            Path called = found.get(1).equals(found.get(2))
                    ? executable
                    : Path.of(found.get(2)).resolve("bin").resolve("python");
            return new Interpreter(
                    List.of(called.toString(), "-I", "-c", resource("harness.py")),
                    found.subList(1, 3).stream().map(Path::of).distinct().toList(),
                    config.codeMemoryMb() * MIB,
                    config.codeMemoryMb() * MIB);
        }
    },

    JAVA {
        @Override
        Interpreter interpreter(CodeConfig config) {
            Path home = Path.of(System.getProperty("java.home"));
            if (!Files.exists(home.resolve("lib/modules"))
                    || ModuleLayer.boot().findModule("jdk.compiler").isEmpty()) {
                throw new BadInput(home + " has no Java compiler: a JDK is needed to verify Java");
            }
            List<Path> classPath =
                    List.of(home(JavaHarness.class), home(JsonNode.class), home(JsonParser.class), home(annotations()));
            // A JVM reserves far more address space than it uses; its heap is what -Xmx says, and the watch over
            // resident memory allows for the rest.
            return new Interpreter(
                    List.of(
                            home.resolve("bin/java").toString(),
                            "-Xmx" + config.codeMemoryMb() + "m",
                            "-Xss1m",
                            "-XX:+UseSerialGC",
                            "-XX:TieredStopAtLevel=1",
                            "-XX:ReservedCodeCacheSize=64m",
                            "-XX:CompressedClassSpaceSize=64m",
                            "-XX:MaxMetaspaceSize=192m",
                            "-XX:MaxDirectMemorySize=64m",
                            "-XX:-UsePerfData",
                            "-XX:+DisableAttachMechanism",
                            "-cp",
                            String.join(
                                    ":", classPath.stream().map(Path::toString).toList()),
                            JavaHarness.class.getName()),
                    join(home, classPath),
                    (config.codeMemoryMb() + 2560) * MIB,
                    (config.codeMemoryMb() + 384) * MIB);
        }
    };

    private static final long MIB = 1 << 20;

    /// How candidates are run.
    ///
    /// @param command starts the harness
    /// @param paths what the command has to be able to read, beside the system's own folders
    /// @param addressSpace bytes each of its processes may address
    /// @param resident bytes all of them may occupy together
    record Interpreter(List<String> command, List<Path> paths, long addressSpace, long resident) {}

    /// @throws BadInput if this machine lacks what candidates need
    abstract Interpreter interpreter(CodeConfig config);

    private static List<String> ask(List<String> command) {
        String missing = command.getFirst() + " does not start Python 3.8 or newer; it is needed to verify Python code:"
                + " install it, or name another with the option python";
        try {
            Process process = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectInput(
                            ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()))
                    .start();
            String out;
            try (InputStream in = process.getInputStream()) {
                out = new String(in.readNBytes(100_000), StandardCharsets.UTF_8);
            }
            if (!process.waitFor(30, TimeUnit.SECONDS) || process.exitValue() != 0) {
                process.destroyForcibly();
                throw new BadInput(missing + ": " + out.strip());
            }
            return out.lines().toList();
        } catch (IOException e) {
            throw new BadInput(missing + " (" + e.getMessage() + ")", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new BadInput("interrupted while looking for " + command.getFirst(), e);
        }
    }

    private static Class<?> annotations() {
        return com.fasterxml.jackson.annotation.JsonProperty.class;
    }

    /// The folder or archive a class comes from.
    private static Path home(Class<?> type) {
        try {
            return Path.of(type.getProtectionDomain()
                            .getCodeSource()
                            .getLocation()
                            .toURI())
                    .toAbsolutePath();
        } catch (URISyntaxException e) {
            throw new IllegalStateException(type + " comes from nowhere", e);
        }
    }

    private static List<Path> join(Path first, List<Path> more) {
        List<Path> all = new ArrayList<>(List.of(first));
        all.addAll(more);
        return all;
    }

    /// A text of ours, from `resources/code`.
    static String resource(String name) {
        try (InputStream in = Language.class.getResourceAsStream("/code/" + name)) {
            return new String(Objects.requireNonNull(in, name).readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
