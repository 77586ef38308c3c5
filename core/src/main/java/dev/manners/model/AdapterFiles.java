package dev.manners.model;

import dev.manners.BadInput;
import dev.manners.files.AtomicFile;
import dev.manners.files.Json;
import dev.manners.tensor.DType;
import dev.manners.tensor.NoGrad;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiFunction;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/// Adapters as PEFT directories: `adapter_config.json` and `adapter_model.safetensors`.
public final class AdapterFiles {

    private static final String CONFIG = "adapter_config.json";
    private static final String PREFIX = "base_model.model.";

    private AdapterFiles() {}

    // ---- what a directory says of itself

    /// Whether a directory holds adapters and no model.
    public static boolean isAdapter(Path directory) {
        return Files.exists(directory.resolve(CONFIG)) && !Files.exists(directory.resolve("config.json"));
    }

    /// Whether adapters are a reward model's, with its head beside them.
    ///
    /// @throws BadInput if adapter_config.json cannot be read
    public static boolean isScored(Path adapter) {
        return isScored(Json.readObject(adapter.resolve(CONFIG)));
    }

    private static boolean isScored(ObjectNode json) {
        return json.path("task_type").asString("").equals("SEQ_CLS");
    }

    /// What adapter_config.json calls the base model (`base_model_name_or_path`); empty if it does not say.
    ///
    /// @throws BadInput if adapter_config.json cannot be read
    public static String baseName(Path adapter) {
        JsonNode name = Json.readObject(adapter.resolve(CONFIG)).path("base_model_name_or_path");
        return name.isString() ? name.stringValue() : "";
    }

    /// The base model's directory: its name as a path, seen from where the program runs.
    ///
    /// @return null if there is none
    /// @throws BadInput if adapter_config.json cannot be read
    public static @Nullable Path base(Path adapter) {
        String name = baseName(adapter);
        try {
            return !name.isEmpty() && Files.isDirectory(Path.of(name)) ? Path.of(name) : null;
        } catch (InvalidPathException e) {
            return null; // A name, such as of a hub, that is no path.
        }
    }

    /// The command that makes one directory of an adapter and its base; BASE stands where no base is found.
    public static String mergeCommand(Path adapter) {
        Path base;
        try {
            base = base(adapter);
        } catch (BadInput e) {
            base = null; // What is wrong with the file is said by who reads it.
        }
        return "manners export --model " + (base == null ? "BASE" : base) + " --adapter " + adapter
                + " --output-dir MERGED";
    }

    // ---- reading

    /// Makes an adapter for every module that the options name.
    ///
    /// @param values gives the values of a tensor by its PEFT name and shape
    static void attach(Decoder decoder, Lora lora, BiFunction<String, long[], Tensor> values) {
        if (decoder.lora() != null) {
            throw new IllegalStateException("adapters are attached already");
        }
        Map<String, Parameter> made = new LinkedHashMap<>();
        List<String> modules = new ArrayList<>();
        decoder.projections().forEach(p -> {
            for (int i = 0; i < p.modules().size(); i++) {
                String module = p.modules().get(i);
                modules.add(module);
                if (!lora.targets(module)) {
                    continue;
                }
                long out = p.weight().rows(i);
                long in = p.weight().get().size(1);
                Parameter a = make(made, values, module + ".lora_A.weight", lora.loraR(), in);
                Parameter b = make(made, values, module + ".lora_B.weight", out, lora.loraR());
                p.attach(
                        i,
                        new Adapter(
                                a,
                                b,
                                p.rows(i),
                                lora.scaling(),
                                lora.loraDropout(),
                                decoder.adapterSwitch(),
                                decoder.dtype()));
            }
        });
        if (made.isEmpty()) {
            throw new BadInput("lora_target_modules " + lora.loraTargetModules()
                    + " names no linear layer of this model; its layers end in "
                    + modules.stream()
                            .map(m -> m.substring(m.lastIndexOf('.') + 1))
                            .distinct()
                            .toList());
        }
        decoder.attached(lora, made);
    }

    private static Parameter make(
            Map<String, Parameter> made, BiFunction<String, long[], Tensor> values, String name, long... shape) {
        try (Scope scope = Scope.open()) {
            String full = PREFIX + name;
            Parameter parameter = new Parameter(full, scope.keepForever(values.apply(full, shape)));
            made.put(full, parameter);
            return parameter;
        }
    }

    /// Reads a PEFT directory and attaches its adapters.
    ///
    /// @throws BadInput for kinds of adapters that are not LoRA or rsLoRA, and for tensors that do not fit, all at
    /// once
    public static void load(Decoder decoder, Path directory) {
        load(decoder, null, directory);
    }

    /// @param head a layer that was trained beside the adapters and is stored with them, or null
    static void load(Decoder decoder, @Nullable Parameter head, Path directory) {
        Path configFile = directory.resolve(CONFIG);
        ObjectNode json = Json.readObject(configFile);
        if (head == null && isScored(json)) {
            throw new BadInput(directory + ": the adapter of a reward model, which gives scores and writes no text;"
                    + " give it as --reward-model, or make one directory of it and its base: "
                    + mergeCommand(directory));
        }
        List<String> problems = new ArrayList<>();
        if (!json.path("peft_type").asString("").equals("LORA")) {
            problems.add("peft_type is " + json.path("peft_type") + ", supported is \"LORA\"");
        }
        for (String flag : List.of("use_dora", "lora_bias", "use_qalora", "use_bdlora")) {
            if (json.path(flag).asBoolean(false)) {
                problems.add(flag + " is not supported");
            }
        }
        if (!json.path("bias").asString("none").equals("none")) {
            problems.add("bias is " + json.path("bias") + ", supported is \"none\"");
        }
        for (String key : List.of(
                "rank_pattern",
                "alpha_pattern",
                "layers_to_transform",
                "trainable_token_indices",
                "target_parameters")) {
            if (!json.path(key).isNull()
                    && !json.path(key).isMissingNode()
                    && !json.path(key).isEmpty()) {
                problems.add(key + " is not supported");
            }
        }
        List<String> saved = new ArrayList<>();
        json.path("modules_to_save").forEach(module -> saved.add(module.asString()));
        // PEFT names both spellings of a classifier's head, whichever there is.
        saved.removeAll(head == null ? List.of() : List.of("score", "classifier"));
        if (!saved.isEmpty()) {
            problems.add("modules_to_save is " + saved + ", which is not supported"
                    + (head == null ? "" : " beside \"score\""));
        }
        int rank = json.path("r").asInt(0);
        double alpha = json.path("lora_alpha").asDouble(0);
        if (rank < 1 || alpha <= 0) {
            problems.add("r is " + json.path("r") + " and lora_alpha is " + json.path("lora_alpha")
                    + ", expected numbers above 0");
        }
        List<String> targets = new ArrayList<>();
        JsonNode modules = json.path("target_modules");
        if (modules.isString()) {
            targets.add(modules.stringValue());
        } else {
            modules.forEach(node -> targets.add(node.asString()));
        }
        if (!problems.isEmpty()) {
            throw BadInput.all(configFile.toString(), problems);
        }
        Lora lora = new Lora(
                rank,
                alpha,
                json.path("lora_dropout").asDouble(0),
                json.path("use_rslora").asBoolean(false),
                targets);
        Path file = directory.resolve("adapter_model.safetensors");
        try (Safetensors stored = Safetensors.open(file)) {
            List<String> expected = new ArrayList<>(expectedShapes(decoder, lora));
            if (head != null) {
                expected.add(PREFIX + head.name() + Arrays.toString(head.value().shape()));
            }
            List<String> found = stored.names().stream()
                    .map(name -> name + Arrays.toString(stored.entry(name).shape()))
                    .toList();
            expected.stream().filter(e -> !found.contains(e)).forEach(e -> problems.add("missing or misshapen: " + e));
            found.stream().filter(f -> !expected.contains(f)).forEach(f -> problems.add("unexpected: " + f));
            for (String name : stored.names()) {
                try (Scope scope = Scope.open()) {
                    Tensor value = ModelDirectory.tensor(stored, name);
                    if (value.nonFinite() > 0) {
                        problems.add("tensor " + name + ": " + value.nonFinite() + " of " + value.numel()
                                + " values are NaN or infinite");
                    }
                }
            }
            if (!problems.isEmpty()) {
                throw BadInput.all(file.toString(), problems);
            }
            attach(decoder, lora, (name, shape) -> ModelDirectory.tensor(stored, name));
            if (head != null) {
                try (Scope scope = Scope.open();
                        NoGrad off = NoGrad.on()) {
                    head.value().detach().copy_(ModelDirectory.tensor(stored, PREFIX + head.name()));
                }
            }
        }
    }

    private static List<String> expectedShapes(Decoder decoder, Lora lora) {
        return decoder.projections()
                .flatMap(p -> java.util.stream.IntStream.range(0, p.modules().size())
                        .filter(i -> lora.targets(p.modules().get(i)))
                        .boxed()
                        .flatMap(i -> Stream.of(
                                PREFIX + p.modules().get(i) + ".lora_A.weight[" + lora.loraR() + ", "
                                        + p.weight().get().size(1) + "]",
                                PREFIX + p.modules().get(i) + ".lora_B.weight["
                                        + p.weight().rows(i) + ", " + lora.loraR() + "]")))
                .toList();
    }

    /// Writes the attached adapters as a PEFT directory.
    ///
    /// @param baseModel name or path of the base model, for `base_model_name_or_path`
    public static void save(Decoder decoder, Path directory, String baseModel) {
        save(decoder, null, directory, baseModel);
    }

    /// @param head a layer that was trained beside the adapters, or null
    static void save(Decoder decoder, @Nullable Parameter head, Path directory, String baseModel) {
        Lora lora = decoder.lora();
        if (lora == null) {
            throw new IllegalStateException("no adapters to save");
        }
        ObjectNode json = Json.MAPPER.createObjectNode();
        json.put("peft_type", "LORA");
        json.put("task_type", head == null ? "CAUSAL_LM" : "SEQ_CLS");
        json.put("base_model_name_or_path", baseModel);
        json.put("inference_mode", true);
        json.put("r", lora.loraR());
        if (lora.loraAlpha() == Math.rint(lora.loraAlpha())) {
            json.put("lora_alpha", (long) lora.loraAlpha());
        } else {
            json.put("lora_alpha", lora.loraAlpha());
        }
        json.put("lora_dropout", lora.loraDropout());
        json.put("use_rslora", lora.useRslora());
        json.put("use_dora", false);
        json.put("bias", "none");
        json.put("fan_in_fan_out", decoder.blueprint().family().names().transposed());
        json.put("init_lora_weights", true);
        // PEFT matches a list of names against the ends of module names: the attached ones, without their layers.
        var targets = json.putArray("target_modules");
        decoder.adapterParameters().stream()
                .map(Parameter::name)
                .filter(name -> name.endsWith(".lora_A.weight"))
                .map(name -> name.substring(0, name.length() - ".lora_A.weight".length()))
                .map(name ->
                        name.substring(name.replaceAll("\\.(\\d+)\\..*", ".$1.").length()))
                .distinct()
                .sorted()
                .forEach(targets::add);
        List<SafetensorsWriter.Source> stored = new ArrayList<>();
        decoder.adapterParameters().forEach(p -> stored.add(ModelDirectory.source(p.name(), p.value(), DType.F32)));
        if (head != null) {
            json.putArray("modules_to_save").add("score");
            stored.add(ModelDirectory.source(PREFIX + head.name(), head.value(), DType.F32));
        }
        SafetensorsWriter.write(directory.resolve("adapter_model.safetensors"), Map.of("format", "pt"), stored);
        AtomicFile.write(directory.resolve(CONFIG), Json.pretty(json));
    }
}
