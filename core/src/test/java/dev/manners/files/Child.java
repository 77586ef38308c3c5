package dev.manners.files;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/// A process to be killed.
final class Child {

    private Child() {}

    public static void main(String[] args) throws IOException, InterruptedException {
        Path directory = Path.of(args[1]);
        switch (args[0]) {
            case "halt" -> {
                int[] left = {Integer.parseInt(args[2])};
                save(directory, 2, (operation, path) -> {
                    if (left[0]-- == 0) {
                        Runtime.getRuntime().halt(9);
                    }
                });
            }
            case "forever" -> {
                for (int number = 1; ; number++) {
                    save(directory, number, Steps.NONE);
                    System.out.println(number);
                }
            }
            case "lock" -> {
                DirectoryLock lock = DirectoryLock.acquire(directory);
                System.out.println("locked");
                Thread.sleep(60_000);
                lock.close();
            }
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    /// Saves `checkpoint-NUMBER` with three files, one in a subfolder.
    static void save(Path parent, int number, Steps steps) {
        try (AtomicDirectory checkpoint =
                AtomicDirectory.create(parent.resolve("checkpoint-" + number), steps, Exchange::swap)) {
            fill(checkpoint, number, steps);
            checkpoint.commit(Map.of("step", number));
        }
    }

    static void fill(AtomicDirectory checkpoint, int number, Steps steps) {
        Path path = checkpoint.path();
        AtomicFile.write(
                path.resolve("model.bin"), out -> out.write(StandardCharsets.UTF_8.encode("m" + number)), steps);
        try {
            steps.before("write", path.resolve("optimizer.bin"));
            Files.writeString(path.resolve("optimizer.bin"), "o".repeat(10_000) + number);
            Files.createDirectory(path.resolve("tokenizer"));
            steps.before("write", path.resolve("tokenizer/vocab"));
            Files.writeString(path.resolve("tokenizer/vocab"), "v" + number);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static Process start(String... args) throws IOException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "-Xmx64m",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                Child.class.getName()));
        command.addAll(List.of(args));
        return new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
    }

    static BufferedReader output(Process process) {
        return process.inputReader(StandardCharsets.UTF_8);
    }
}
