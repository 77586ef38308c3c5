package dev.manners.run;

import dev.manners.BadInput;
import dev.manners.files.AtomicFile;
import dev.manners.files.Json;
import dev.manners.reward.Candidate;
import dev.manners.reward.Score;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/// completions.jsonl of a best-of run: every completion with its scores, prompt by prompt. Whole prompts are
/// added; what a crash left of one is cut off when the file is opened again.
final class ScoredCompletions {

    static final String FILE = "completions.jsonl";
    private static final String INPUTS = ".inputs.json";

    private final Path file;
    private final int samples;
    private int prompts;

    private ScoredCompletions(Path file, int samples, int prompts) {
        this.file = file;
        this.samples = samples;
        this.prompts = prompts;
    }

    /// @param fingerprint what completions and scores depend on
    /// @param samples completions of each prompt
    /// @throws BadInput if there are completions that were made of something else
    static ScoredCompletions open(Path folder, Map<String, String> fingerprint, int samples) {
        Path file = folder.resolve(FILE);
        Path inputs = folder.resolve(INPUTS);
        if (!Files.exists(file)) {
            AtomicFile.write(inputs, Json.pretty(fingerprint));
            AtomicFile.write(file, "");
            return new ScoredCompletions(file, samples, 0);
        }
        ObjectNode before = Json.readObject(inputs);
        TreeSet<String> keys = new TreeSet<>(fingerprint.keySet());
        keys.addAll(before.propertyNames());
        List<String> others = keys.stream()
                .filter(key -> !before.path(key).asString("absent").equals(fingerprint.getOrDefault(key, "absent")))
                .toList();
        if (!others.isEmpty()) {
            throw new BadInput(file + " was made with another " + String.join(", ", others)
                    + "; go on with the same, or give another --output-dir");
        }
        return new ScoredCompletions(file, samples, repair(file, samples));
    }

    /// Cuts off what is no whole prompt.
    ///
    /// @return prompts that are left
    private static int repair(Path file, int samples) {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            int prompts = 0;
            long end = 0;
            long at = 0;
            int lines = 0;
            ByteBuffer bytes = ByteBuffer.allocate(1 << 16);
            while (channel.read(bytes) >= 0) {
                bytes.flip();
                while (bytes.hasRemaining()) {
                    at++;
                    if (bytes.get() == '\n' && ++lines % samples == 0) {
                        prompts++;
                        end = at;
                    }
                }
                bytes.clear();
            }
            channel.truncate(end);
            return prompts;
        } catch (IOException e) {
            throw new UncheckedIOException(file + ": " + e.getMessage(), e);
        }
    }

    /// Prompts that have been sampled.
    int prompts() {
        return prompts;
    }

    /// Adds the completions of the next prompts.
    ///
    /// @param gold null: there is no gold
    void add(List<Candidate> candidates, List<Score> proxy, @Nullable List<Score> gold) {
        if (candidates.size() % samples != 0
                || proxy.size() != candidates.size()
                || gold != null && gold.size() != candidates.size()) {
            throw new IllegalStateException(candidates.size() + " completions, " + proxy.size() + " scores"
                    + (gold == null ? "" : " and " + gold.size() + " of gold") + " of whole groups of " + samples);
        }
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < candidates.size(); i++) {
            Candidate c = candidates.get(i);
            ObjectNode line = Json.MAPPER.createObjectNode();
            line.put("row", prompts + i / samples);
            line.put("sample", i % samples);
            line.set("prompt", c.prompt());
            line.put("completion", c.completion());
            line.put("tokens", c.completionIds().length);
            line.put("finished", c.finished());
            line.putPOJO("reward", proxy.get(i).value());
            line.putPOJO("score", proxy.get(i));
            if (gold != null) {
                line.putPOJO("gold", gold.get(i).value());
                line.putPOJO("gold_score", gold.get(i));
            }
            lines.append(Json.MAPPER.writeValueAsString(line)).append('\n');
        }
        try (FileChannel out = FileChannel.open(file, StandardOpenOption.APPEND)) {
            ByteBuffer bytes = ByteBuffer.wrap(lines.toString().getBytes(StandardCharsets.UTF_8));
            while (bytes.hasRemaining()) {
                out.write(bytes);
            }
            out.force(true);
        } catch (IOException e) {
            throw new BadInput(file + ": cannot be written: " + e.getMessage() + "; is the disk full?", e);
        }
        prompts += candidates.size() / samples;
    }

    /// Every prompt's completions, in order.
    void forEach(Consumer<List<ObjectNode>> action) {
        try (BufferedReader lines = Files.newBufferedReader(file)) {
            List<ObjectNode> group = new ArrayList<>();
            int number = 0;
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                number++;
                group.add(Json.parseObject(line.getBytes(StandardCharsets.UTF_8), file + ":" + number));
                if (group.size() == samples) {
                    action.accept(group);
                    group = new ArrayList<>();
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(file + ": " + e.getMessage(), e);
        }
    }

    /// The scores that a prompt's completions have.
    ///
    /// @param key `reward` or `gold`
    static List<Double> values(List<ObjectNode> group, String key) {
        return group.stream()
                .filter(line -> line.path(key).isNumber())
                .map(line -> line.path(key).doubleValue())
                .toList();
    }
}
