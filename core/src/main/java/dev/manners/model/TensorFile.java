package dev.manners.model;

import dev.manners.tensor.DType;
import dev.manners.tensor.Tensor;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;

/// Named tensors in one safetensors file, F32.
public final class TensorFile implements AutoCloseable {

    private final Safetensors stored;

    private TensorFile(Safetensors stored) {
        this.stored = stored;
    }

    public static TensorFile open(Path file) {
        return new TensorFile(Safetensors.open(file));
    }

    public static void write(Path file, Map<String, Tensor> tensors) {
        SafetensorsWriter.write(
                file,
                Map.of("format", "pt"),
                tensors.entrySet().stream()
                        .map(e -> ModelDirectory.source(e.getKey(), e.getValue(), DType.F32))
                        .toList());
    }

    public Set<String> names() {
        return stored.names();
    }

    /// A copy of a tensor's values as F32.
    public Tensor tensor(String name) {
        return ModelDirectory.tensor(stored, name);
    }

    @Override
    public void close() {
        stored.close();
    }
}
