package dev.manners.train;

import dev.manners.BadInput;
import dev.manners.NonFinite;
import dev.manners.files.AtomicDirectory;
import dev.manners.files.AtomicFile;
import dev.manners.files.Json;
import dev.manners.files.Manifest;
import dev.manners.model.TensorFile;
import dev.manners.tensor.NoGrad;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/// All that a run needs to go on as if it had not stopped: master weights, optimizer moments, counters. Random numbers
/// are functions of seed and step, so there is nothing of theirs to save.
///
/// `checkpoint-N/` is complete or absent ([AtomicDirectory]); N is the number of steps made.
final class Checkpoint {

    static final String PREFIX = "checkpoint-";

    private Checkpoint() {}

    /// @param tensors what the trainer holds beside weights and moments
    /// @param state counters and running sums
    /// @param fingerprint what must be the same for a run to go on: options, data, tokenizer, threads, versions
    static Path save(
            Path runDirectory,
            long step,
            Optimizer optimizer,
            Map<String, Tensor> tensors,
            ObjectNode state,
            Map<String, String> fingerprint) {
        Path target = runDirectory.resolve(PREFIX + step);
        Map<String, Tensor> weights = weights(optimizer);
        Map<String, Tensor> moments = optimizer.moments();
        requireFinite(weights, "weights");
        requireFinite(moments, "optimizer moments");
        requireFinite(tensors, "trainer's tensors");
        try (AtomicDirectory folder = AtomicDirectory.create(target)) {
            TensorFile.write(folder.path().resolve("trainable.safetensors"), weights);
            TensorFile.write(folder.path().resolve("optimizer.safetensors"), moments);
            if (!tensors.isEmpty()) {
                TensorFile.write(folder.path().resolve("trainer.safetensors"), tensors);
            }
            ObjectNode json = Json.MAPPER.createObjectNode();
            json.put("step", step);
            json.put("updates", optimizer.updates());
            json.set("state", state);
            ObjectNode prints = json.putObject("fingerprint");
            fingerprint.forEach(prints::put);
            AtomicFile.write(folder.path().resolve("trainer_state.json"), Json.pretty(json));
            if (Files.exists(target)) {
                folder.commitReplacing(Map.of("step", step));
            } else {
                folder.commit(Map.of("step", step));
            }
        }
        return target;
    }

    private static void requireFinite(Map<String, Tensor> tensors, String what) {
        List<String> bad = tensors.entrySet().stream()
                .filter(e -> e.getValue().nonFinite() > 0)
                .map(e -> e.getKey() + ": " + e.getValue().nonFinite() + " values")
                .toList();
        if (!bad.isEmpty()) {
            throw new NonFinite(what, "NaN or infinite, the checkpoint is not written: " + String.join(", ", bad));
        }
    }

    /// Newest checkpoint that is whole, or null. Damaged newer ones step aside under another name, so that the run can
    /// write theirs again and they are never counted among those to keep.
    static @Nullable Path newest(Path runDirectory, Consumer<String> warn) {
        if (!Files.isDirectory(runDirectory)) {
            return null;
        }
        Path newest = Manifest.newestVerified(runDirectory, PREFIX, warn).orElse(null);
        long number = newest == null ? -1 : number(newest);
        try {
            for (Path checkpoint : all(runDirectory)) {
                if (number(checkpoint) > number) {
                    Path aside = runDirectory.resolve("damaged-" + checkpoint.getFileName() + "-" + System.nanoTime());
                    Files.move(checkpoint, aside);
                    warn.accept(checkpoint + " is damaged; it is now " + aside);
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return newest;
    }

    /// All checkpoints, whole or not, the newest first.
    private static List<Path> all(Path runDirectory) throws IOException {
        try (Stream<Path> all = Files.list(runDirectory)) {
            return all.filter(path -> path.getFileName().toString().matches(PREFIX + "\\d{1,18}"))
                    .sorted(Comparator.comparingLong(Checkpoint::number).reversed())
                    .toList();
        }
    }

    /// Puts weights, moments, the trainer's tensors and counters back.
    ///
    /// @return what was given as state
    static JsonNode restore(
            Path checkpoint, Optimizer optimizer, Map<String, Tensor> tensors, Map<String, String> fingerprint) {
        ObjectNode json = Json.readObject(checkpoint.resolve("trainer_state.json"));
        refuseOther(checkpoint, json.path("fingerprint"), fingerprint);
        read(checkpoint.resolve("trainable.safetensors"), weights(optimizer));
        read(checkpoint.resolve("optimizer.safetensors"), optimizer.moments());
        if (!tensors.isEmpty()) {
            read(checkpoint.resolve("trainer.safetensors"), tensors);
        }
        optimizer.updates(json.path("updates").asLong());
        return json.path("state");
    }

    private static Map<String, Tensor> weights(Optimizer optimizer) {
        Map<String, Tensor> weights = new LinkedHashMap<>();
        optimizer.parameters().forEach((name, parameter) -> weights.put(name, parameter.value()));
        return weights;
    }

    private static void read(Path file, Map<String, Tensor> into) {
        try (TensorFile stored = TensorFile.open(file);
                NoGrad off = NoGrad.on()) {
            into.forEach((name, tensor) -> {
                try (Scope scope = Scope.open()) {
                    tensor.detach().copy_(stored.tensor(name));
                }
            });
        }
    }

    private static void refuseOther(Path checkpoint, JsonNode recorded, Map<String, String> now) {
        List<String> differences = new ArrayList<>();
        TreeSet<String> keys = new TreeSet<>(now.keySet());
        keys.addAll(recorded.propertyNames());
        for (String key : keys) {
            String then = recorded.path(key).asString("absent");
            String here = now.getOrDefault(key, "absent");
            if (!then.equals(here)) {
                differences.add(key + " was " + then + ", is " + here);
            }
        }
        if (!differences.isEmpty()) {
            throw new BadInput(
                    BadInput.all(checkpoint + ": cannot be resumed with other inputs", differences)
                                    .getMessage() + "\nSet them back, or start anew with another --output-dir.");
        }
    }

    /// Removes older checkpoints, all but the `keep` newest; 0 keeps all.
    static void rotate(Path runDirectory, int keep) {
        if (keep <= 0) {
            return;
        }
        try {
            List<Path> checkpoints = all(runDirectory);
            for (Path old : checkpoints.subList(Math.min(keep, checkpoints.size()), checkpoints.size())) {
                remove(old);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static long number(Path checkpoint) {
        return Long.parseLong(checkpoint.getFileName().toString().substring(PREFIX.length()));
    }

    private static void remove(Path folder) throws IOException {
        // The manifest goes first: a half-removed checkpoint is not taken for a whole one.
        Files.deleteIfExists(folder.resolve(Manifest.FILE));
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }
}
