package dev.manners.model;

import dev.manners.BadInput;
import dev.manners.files.AtomicFile;
import dev.manners.files.Json;
import dev.manners.tensor.DType;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/// Model directories in Hugging Face's layout: config.json, generation_config.json, safetensors.
public final class ModelDirectory {

    private ModelDirectory() {}

    /// What is wrong with a directory at the first look, weights unread: for a command to report together
    /// with what is wrong with its other options.
    ///
    /// @param lora adapters that shall be attached, or null
    public static List<String> problems(Path directory, @Nullable Lora lora) {
        if (!Files.isDirectory(directory)) {
            return List.of(notOne(directory));
        }
        if (AdapterFiles.isAdapter(directory)) {
            return List.of(directory + ": this is an adapter, not a model; give its base model with --model and the"
                    + " adapter with --adapter " + directory + ", or where there is no --adapter make one directory of"
                    + " both and give that: " + AdapterFiles.mergeCommand(directory));
        }
        try {
            Blueprint blueprint = Blueprint.read(directory.resolve("config.json"));
            return lora == null ? List.of() : blueprint.rankProblems(lora);
        } catch (BadInput e) {
            return e.problems().size() > 1
                    ? e.problems().stream()
                            .map(p -> directory.resolve("config.json") + ": " + p)
                            .toList()
                    : List.of(String.valueOf(e.getMessage()));
        }
    }

    private static String notOne(Path directory) {
        return directory + ": not a model directory; expected a folder with config.json, tokenizer.json and"
                + " model.safetensors";
    }

    /// Loads a decoder. Everything is checked before anything is allocated; all that does not fit is listed at once.
    ///
    /// @param dtype of the computation; master weights are F32
    /// @param allowNonfinite load weights with NaN or infinities all the same
    public static Decoder load(Path directory, DType dtype, boolean allowNonfinite) {
        if (!Files.isDirectory(directory)) {
            throw new BadInput(notOne(directory));
        }
        Blueprint blueprint = Blueprint.read(directory.resolve("config.json"));
        try (Safetensors stored = Safetensors.open(directory)) {
            return new Decoder(
                    blueprint, read(directory, stored, blueprint, blueprint.specs(), Set.of(), allowNonfinite), dtype);
        }
    }

    /// Reads the tensors that are asked for, and refuses a directory with others.
    ///
    /// @param unwanted stored names to look away from
    static Map<String, Parameter> read(
            Path directory,
            Safetensors stored,
            Blueprint blueprint,
            List<Blueprint.Spec> specs,
            Set<String> unwanted,
            boolean allowNonfinite) {
        Map<String, String> storedNames = check(blueprint, specs, unwanted, stored, directory);
        Map<String, Parameter> parameters = new LinkedHashMap<>();
        List<String> nonFinite = new ArrayList<>();
        for (Blueprint.Spec spec : specs) {
            try (Scope scope = Scope.open()) {
                Tensor value = tensor(stored, Objects.requireNonNull(storedNames.get(spec.name())));
                long bad = value.nonFinite();
                if (bad > 0) {
                    nonFinite.add("tensor " + spec.name() + ": " + bad + " of " + value.numel()
                            + " values are NaN or infinite");
                }
                parameters.put(spec.name(), new Parameter(spec.name(), scope.keepForever(value)));
            }
        }
        if (!nonFinite.isEmpty() && !allowNonfinite) {
            parameters.values().forEach(Parameter::close);
            throw new BadInput(BadInput.all(directory.toString(), nonFinite).getMessage()
                    + "\nThe weights are damaged; get them again, or pass --allow-nonfinite to load them as they"
                    + " are.");
        }
        return parameters;
    }

    /// Compares what is stored with what config.json asks for.
    ///
    /// @return stored name by tensor name
    private static Map<String, String> check(
            Blueprint blueprint, List<Blueprint.Spec> specs, Set<String> unwanted, Safetensors stored, Path directory) {
        List<String> problems = new ArrayList<>();
        Map<String, String> storedNames = new LinkedHashMap<>();
        TreeSet<String> left = new TreeSet<>(stored.names());
        left.removeIf(blueprint::ignores);
        left.removeAll(unwanted);
        for (Blueprint.Spec spec : specs) {
            // Directories of a bare GPT-2 carry no prefix.
            String bare = spec.name().replaceFirst("^transformer\\.", "");
            String name = left.contains(spec.name()) ? spec.name() : bare;
            if (!left.remove(name)) {
                problems.add("missing: " + spec.name() + " " + Arrays.toString(spec.shape()));
                continue;
            }
            storedNames.put(spec.name(), name);
            SafetensorsFile.Entry entry = stored.entry(name);
            if (!Arrays.equals(entry.shape(), spec.shape())) {
                problems.add("misshapen: " + name + " is " + Arrays.toString(entry.shape()) + ", config.json makes it "
                        + Arrays.toString(spec.shape()));
            }
            if (entry.dtype() != DType.F32 && entry.dtype() != DType.BF16 && entry.dtype() != DType.F16) {
                problems.add("dtype of " + name + " is " + entry.dtype() + "; supported are F32, BF16, F16");
            }
        }
        if (blueprint.config().tiedEmbeddings() && left.contains(blueprint.headName())) {
            String table = storedNames.get(blueprint.embeddingName());
            if (table != null && sameBytes(stored, table, blueprint.headName())) {
                left.remove(blueprint.headName());
            } else {
                left.remove(blueprint.headName());
                problems.add("config.json says tie_word_embeddings true, but " + blueprint.headName() + " differs from "
                        + blueprint.embeddingName() + ": set tie_word_embeddings to false, or remove the tensor");
            }
        }
        left.forEach(name -> problems.add(
                "unexpected: " + name + " " + Arrays.toString(stored.entry(name).shape())));
        if (!problems.isEmpty()) {
            throw BadInput.all(directory + ": the weights do not fit config.json", problems);
        }
        return storedNames;
    }

    private static boolean sameBytes(Safetensors stored, String a, String b) {
        try (Scope scope = Scope.open()) {
            return Arrays.equals(stored.entry(a).shape(), stored.entry(b).shape())
                    && Arrays.equals(
                            tensor(stored, a).toFloats(), tensor(stored, b).toFloats());
        }
    }

    /// A stored tensor's values as F32.
    static Tensor tensor(Safetensors stored, String name) {
        SafetensorsFile.Entry entry = stored.entry(name);
        Tensor made = Tensor.empty(entry.dtype(), entry.shape());
        if (made.numel() > 0) {
            stored.copyTo(name, made.memory());
        }
        return made.to(DType.F32);
    }

    static SafetensorsWriter.Source source(String name, Tensor value, DType dtype) {
        return new SafetensorsWriter.Source(name, dtype, value.shape(), sink -> {
            try (Scope scope = Scope.open()) {
                sink.accept(value.detach().to(dtype).contiguous().memory());
            }
        });
    }

    /// Writes config.json, generation_config.json and model.safetensors, so that transformers loads the directory
    /// unchanged. The folder exists and is the caller's; give it an unfinished one
    /// ([dev.manners.files.AtomicDirectory]).
    ///
    /// @param dtype of the stored weights
    /// @param generation generation_config.json
    public static void save(Decoder decoder, Path directory, DType dtype, ObjectNode generation) {
        AtomicFile.write(directory.resolve("generation_config.json"), Json.pretty(generation));
        save(decoder.configJson(), decoder.parameters(), directory, dtype);
    }

    /// Writes config.json and model.safetensors.
    static void save(ObjectNode json, Collection<Parameter> parameters, Path directory, DType dtype) {
        json.remove("torch_dtype");
        json.put(
                "dtype",
                switch (dtype) {
                    case F32 -> "float32";
                    case BF16 -> "bfloat16";
                    case F16 -> "float16";
                    default -> throw new IllegalArgumentException("weights are not stored as " + dtype);
                });
        AtomicFile.write(directory.resolve("config.json"), Json.pretty(json));
        SafetensorsWriter.write(
                directory.resolve("model.safetensors"),
                Map.of("format", "pt"),
                parameters.stream().map(p -> source(p.name(), p.value(), dtype)).toList());
    }
}
