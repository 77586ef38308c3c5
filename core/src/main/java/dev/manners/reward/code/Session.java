package dev.manners.reward.code;

import dev.manners.files.Json;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.NullNode;
import tools.jackson.databind.node.ObjectNode;

/// One candidate's process, asked line by line. Whatever happens in it, a question ends: with a value, or with the
/// reason there is none.
final class Session implements AutoCloseable {

    /// To a question.
    sealed interface Answer {
        record Value(JsonNode value) implements Answer {}

        /// An exception; the next question may be asked.
        record Raised(String error) implements Answer {}

        /// There will be no more answers.
        record Over(String reason) implements Answer {}
    }

    private static final SecureRandom RANDOM = new SecureRandom();
    private static final Duration BETWEEN_LOOKS = Duration.ofMillis(25);

    private final Process process;
    private final Path directory;
    private final Sandbox sandbox;
    private final long maxOutput;
    private final long maxResident;

    /// Lines on the answers' channel; empty: the channel is closed. Bounded by maxOutput, which counts them.
    private final BlockingQueue<Optional<String>> lines = new LinkedBlockingQueue<>();

    private final AtomicLong output = new AtomicLong();
    private final ByteArrayOutputStream printed = new ByteArrayOutputStream();
    private final AtomicReference<@Nullable String> killedFor = new AtomicReference<>();
    private volatile long deadline;
    private volatile boolean closed;

    private Session(Process process, Path directory, Sandbox sandbox, long maxOutput, long maxResident) {
        this.process = process;
        this.directory = directory;
        this.sandbox = sandbox;
        this.maxOutput = maxOutput;
        this.maxResident = maxResident;
    }

    /// @param start for the process to be ready in
    static Session start(
            Sandbox sandbox, Language.Interpreter interpreter, Sandbox.Limits limits, long maxOutput, Duration start)
            throws IOException {
        Path directory = Files.createTempDirectory("manners-code");
        Session session;
        try {
            Process process = sandbox.start(interpreter.command(), interpreter.paths(), directory, limits);
            session = new Session(process, directory, sandbox, maxOutput, interpreter.resident());
        } catch (IOException e) {
            deleteAll(directory);
            throw e;
        }
        session.within(start);
        Thread.ofVirtual().start(session::readAnswers);
        Thread.ofVirtual().start(session::readPrinted);
        Thread.ofPlatform().daemon().name("code-watch").start(session::watch);
        return session;
    }

    /// From now on, the process has this long.
    void within(Duration time) {
        deadline = System.nanoTime() + time.toNanos();
    }

    /// Asks one question. It is marked with a random number that its answer has to repeat, so that a line written
    /// earlier answers nothing.
    Answer ask(ObjectNode question) {
        byte[] random = new byte[16];
        RANDOM.nextBytes(random);
        String nonce = HexFormat.of().formatHex(random);
        String line = question.put("nonce", nonce).toString() + "\n";
        try {
            OutputStream in = process.getOutputStream();
            in.write(line.getBytes(StandardCharsets.UTF_8));
            in.flush();
        } catch (IOException e) {
            return over("ended by itself");
        }
        try {
            Optional<String> text = lines.take();
            return text.isEmpty() ? over("ended by itself") : parse(text.get(), nonce);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            kill("interrupted");
            return over("interrupted");
        }
    }

    private Answer parse(String line, String nonce) {
        ObjectNode answer;
        try {
            if (!(Json.MAPPER.readTree(line) instanceof ObjectNode object)) {
                return forged(line);
            }
            answer = object;
        } catch (JacksonException e) {
            return forged(line);
        }
        JsonNode given = answer.get("nonce");
        if (given == null || !given.isString() || !given.stringValue().equals(nonce)) {
            return forged(line);
        }
        JsonNode error = answer.get("error");
        if (error != null) {
            return new Answer.Raised(error.isString() ? error.stringValue() : error.toString());
        }
        JsonNode value = answer.get("value");
        return new Answer.Value(value == null ? NullNode.getInstance() : value);
    }

    private Answer forged(String line) {
        kill("wrote to the channel of answers: " + line.substring(0, Math.min(60, line.length())));
        return over("ended");
    }

    private Answer over(String otherwise) {
        String reason = killedFor.get();
        return new Answer.Over(reason == null ? otherwise : reason);
    }

    /// The beginning of what was printed.
    String printed() {
        synchronized (printed) {
            return printed.toString(StandardCharsets.UTF_8).strip();
        }
    }

    private void readAnswers() {
        ByteArrayOutputStream line = new ByteArrayOutputStream();
        byte[] buffer = new byte[8192];
        try (InputStream in = process.getInputStream()) {
            for (int n; (n = in.read(buffer)) >= 0 && count(n); ) {
                for (int i = 0; i < n; i++) {
                    if (buffer[i] == '\n') {
                        lines.add(Optional.of(line.toString(StandardCharsets.UTF_8)));
                        line.reset();
                    } else {
                        line.write(buffer[i]);
                    }
                }
            }
        } catch (IOException e) {
            // It was killed while we read: the channel is closed, as the queue says.
        }
        lines.add(Optional.empty());
    }

    private void readPrinted() {
        byte[] buffer = new byte[8192];
        try (InputStream in = process.getErrorStream()) {
            for (int n; (n = in.read(buffer)) >= 0 && count(n); ) {
                synchronized (printed) {
                    printed.write(buffer, 0, Math.min(n, Math.max(0, 2000 - printed.size())));
                }
            }
        } catch (IOException e) {
            // It was killed while we read; what was printed until then is kept.
        }
    }

    private boolean count(int bytes) {
        if (output.addAndGet(bytes) <= maxOutput) {
            return true;
        }
        kill("printed or returned more than " + maxOutput + " bytes");
        return false;
    }

    private void watch() {
        while (!closed && process.isAlive()) {
            if (System.nanoTime() - deadline > 0) {
                kill("took too long");
            } else if (resident() > maxResident) {
                kill("used more than " + (maxResident >> 20) + " MiB of memory");
            }
            try {
                Thread.sleep(BETWEEN_LOOKS);
            } catch (InterruptedException e) {
                return;
            }
        }
    }

    /// Bytes in memory of the process and all that came from it; 0 where the system does not say. Shared pages count
    /// once for each process that has them.
    private long resident() {
        return process.descendants()
                .mapToLong(child -> resident(Path.of("/proc/" + child.pid() + "/status")))
                .sum();
    }

    private static long resident(Path status) {
        try (var lines = Files.lines(status)) {
            return lines.filter(line -> line.startsWith("VmRSS:"))
                    .mapToLong(line -> 1024 * Long.parseLong(line.replaceAll("\\D", "")))
                    .sum();
        } catch (IOException | RuntimeException e) {
            return 0; // it has just ended
        }
    }

    private void kill(String reason) {
        killedFor.compareAndSet(null, reason);
        end();
    }

    /// Ends the process and all that came from it, and waits until they are gone.
    private void end() {
        List<ProcessHandle> descendants = process.descendants().toList();
        process.destroyForcibly();
        descendants.forEach(ProcessHandle::destroyForcibly);
        for (ProcessHandle child : descendants) {
            try {
                child.onExit().get(5, TimeUnit.SECONDS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return;
            } catch (java.util.concurrent.ExecutionException | java.util.concurrent.TimeoutException e) {
                // Killed, and not gone: a process that the kernel holds in an uninterruptible wait. Nothing is left
                // to do here, and it runs no code of the candidate.
            }
        }
        // Without isolation a descendant that left the tree may hold the channel open: nobody waits for it.
        lines.add(Optional.empty());
    }

    @Override
    public void close() {
        closed = true;
        end();
        try {
            process.waitFor(5, TimeUnit.SECONDS);
            deleteAll(directory);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (IOException e) {
            // A folder that a process without isolation still writes to stays behind in the temporary folder.
            if (!(sandbox instanceof Sandbox.Unisolated)) {
                throw new java.io.UncheckedIOException(e);
            }
        }
    }

    private static void deleteAll(Path directory) throws IOException {
        Files.walkFileTree(directory, new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
                Files.delete(file);
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult postVisitDirectory(Path folder, @Nullable IOException e) throws IOException {
                Files.delete(folder);
                return FileVisitResult.CONTINUE;
            }
        });
    }
}
