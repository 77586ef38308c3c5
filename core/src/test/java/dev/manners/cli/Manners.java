package dev.manners.cli;

import dev.manners.files.Json;
import dev.manners.tensor.LibTorch;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.node.ObjectNode;

/// The command line as a user has it, but for the process.
final class Manners {

    private Manners() {}

    record Result(int code, String out, String err) {

        /// Standard output as JSON lines.
        List<ObjectNode> json() {
            return Manners.json(out);
        }
    }

    static Result run(List<String> words) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        // --threads sets the library's for good, and other tests would go on with them.
        int threads = LibTorch.threads();
        try {
            int code = Main.execute(
                    words,
                    new PrintStream(out, true, StandardCharsets.UTF_8),
                    new PrintStream(err, true, StandardCharsets.UTF_8));
            return new Result(code, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
        } finally {
            LibTorch.setThreads(threads);
        }
    }

    static Result run(Object... words) {
        List<String> texts = new ArrayList<>();
        for (Object word : words) {
            texts.add(word.toString());
        }
        return run(texts);
    }

    static List<ObjectNode> json(String lines) {
        return lines.lines()
                .map(line -> Json.parseObject(line.getBytes(StandardCharsets.UTF_8), "a line"))
                .toList();
    }

    static List<ObjectNode> json(Path file) throws IOException {
        return json(Files.readString(file));
    }
}
