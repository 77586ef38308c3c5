package dev.manners.run;

import dev.manners.files.AtomicFile;
import dev.manners.files.Json;
import dev.manners.train.Tracker;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;

/// metrics.jsonl, samples.jsonl and events.jsonl of a run: one JSON object a line.
///
/// metrics.jsonl and samples.jsonl hold no clock, so that two equal runs write equal bytes; when a stage begins or is
/// resumed its lines are cut back to that step, so that interrupted and resumed equals uninterrupted. A NaN is written
/// as the text "NaN", never as 0 and never left out. Events and timings have clocks and files of their own.
public final class MetricsLog implements Tracker {

    private final Path folder;
    private final String stage;
    private final long began = System.nanoTime();

    /// @param stage which part of the run speaks, the first key of every line
    public MetricsLog(Path folder, String stage) {
        this.folder = folder;
        this.stage = stage;
        try {
            Files.createDirectories(folder);
        } catch (IOException e) {
            throw new UncheckedCannotWrite(folder, e);
        }
        for (String file : List.of("metrics.jsonl", "samples.jsonl", "events.jsonl", "timings.jsonl")) {
            repair(folder.resolve(file));
        }
    }

    private static final class UncheckedCannotWrite extends RuntimeException {
        private static final long serialVersionUID = 1L;

        UncheckedCannotWrite(Path where, IOException cause) {
            super(where + ": cannot be written: " + cause.getMessage(), cause);
        }
    }

    /// Makes the file, or cuts off a last line that a crash left unfinished.
    private static void repair(Path file) {
        try {
            if (!Files.exists(file)) {
                Files.createFile(file);
                return;
            }
            byte[] bytes = Files.readAllBytes(file);
            int end = bytes.length;
            while (end > 0 && bytes[end - 1] != '\n') {
                end--;
            }
            if (end != bytes.length) {
                Files.write(file, java.util.Arrays.copyOf(bytes, end));
            }
        } catch (IOException e) {
            throw new UncheckedCannotWrite(file, e);
        }
    }

    /// Keeps, of this stage's lines, those that pass the test; the other stages' lines stay.
    private void keep(String name, Predicate<JsonNode> test) {
        Path file = folder.resolve(name);
        if (!Files.exists(file)) {
            return;
        }
        try {
            StringBuilder kept = new StringBuilder();
            for (String line : Files.readAllLines(file)) {
                if (keeps(line, test)) {
                    kept.append(line).append('\n');
                }
            }
            AtomicFile.write(file, kept.toString());
        } catch (IOException e) {
            throw new UncheckedCannotWrite(file, e);
        }
    }

    private boolean keeps(String line, Predicate<JsonNode> test) {
        try {
            JsonNode node = Json.MAPPER.readTree(line);
            return !node.path("stage").asString("").equals(stage) || test.test(node);
        } catch (JacksonException e) {
            return false; // a damaged line is dropped
        }
    }

    @Override
    public void metrics(long step, Map<String, Double> values) {
        Map<String, Object> line = line(step);
        values.forEach((key, value) -> line.put(key, number(value)));
        append("metrics.jsonl", line);
        Map<String, Object> timing = line(step);
        timing.put("seconds", Math.round((System.nanoTime() - began) / 1e6) / 1e3);
        append("timings.jsonl", timing);
    }

    @Override
    public void sample(long step, String prompt, String completion, Map<String, ?> extra) {
        Map<String, Object> line = line(step);
        line.put("prompt", prompt);
        line.put("completion", completion);
        line.putAll(extra);
        append("samples.jsonl", line);
    }

    @Override
    public void event(String name, Map<String, ?> details) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("stage", stage);
        line.put("event", name);
        line.put("time", java.time.Instant.now().toString());
        line.putAll(details);
        append("events.jsonl", line);
        if (name.equals("started")) {
            keep("metrics.jsonl", node -> false);
            keep("samples.jsonl", node -> false);
        } else if (name.equals("resumed")) {
            long from = Long.parseLong(String.valueOf(details.get("step")));
            boolean evaluated = Boolean.TRUE.equals(details.get("evaluated"));
            boolean watched = Boolean.TRUE.equals(details.get("watched"));
            keep("metrics.jsonl", node -> before(node, from, evaluated || !evaluates(node)));
            // A rollout that is logged at a step was sampled after it, and will be again.
            keep("samples.jsonl", node -> before(node, from, watched && !node.has("advantage")));
        }
    }

    private static boolean evaluates(JsonNode line) {
        return line.propertyNames().stream().anyMatch(name -> name.startsWith("eval_"));
    }

    private static boolean before(JsonNode line, long step, boolean thatToo) {
        long at = line.path("step").asLong();
        return at < step || at == step && thatToo;
    }

    private Map<String, Object> line(long step) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("stage", stage);
        line.put("step", step);
        return line;
    }

    private static Object number(double value) {
        if (!Double.isFinite(value)) {
            return String.valueOf(value);
        }
        return value == Math.rint(value) && Math.abs(value) < 1e15 ? (Object) (long) value : (Object) value;
    }

    private void append(String file, Map<String, Object> line) {
        try {
            Files.writeString(
                    folder.resolve(file),
                    Json.MAPPER.writeValueAsString(line) + "\n",
                    StandardCharsets.UTF_8,
                    StandardOpenOption.CREATE,
                    StandardOpenOption.APPEND);
        } catch (IOException e) {
            // A full disk does not stop the training: the next checkpoint will say so.
            System.err.println("manners: " + folder.resolve(file) + ": " + e.getMessage());
        }
    }
}
