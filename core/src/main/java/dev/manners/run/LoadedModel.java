package dev.manners.run;

import dev.manners.BadInput;
import dev.manners.files.AtomicDirectory;
import dev.manners.files.Json;
import dev.manners.files.Sha256;
import dev.manners.model.AdapterFiles;
import dev.manners.model.Decoder;
import dev.manners.model.ModelDirectory;
import dev.manners.rollout.Engine;
import dev.manners.tensor.DType;
import dev.manners.tensor.LibTorch;
import dev.manners.text.ChatFormat;
import dev.manners.text.Tokenizer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/// A model directory in memory: decoder, tokenizer, and the tokens that end its answers.
///
/// @param generation content of generation_config.json
/// @param stopIds tokens that end a completion
public record LoadedModel(Decoder decoder, Tokenizer tokenizer, ObjectNode generation, Set<Integer> stopIds)
        implements AutoCloseable {

    private static final AtomicBoolean WARNED = new AtomicBoolean();

    /// Opens a model directory, or a PEFT directory with `base` as its base model.
    ///
    /// @param adapter PEFT directory to attach, or null
    public static LoadedModel open(Path directory, @Nullable Path adapter, DType dtype, boolean allowNonfinite) {
        List<String> problems = ModelDirectory.problems(directory, null);
        if (!problems.isEmpty()) {
            throw BadInput.all("model", problems);
        }
        warnOfSlowBf16(dtype);
        Tokenizer tokenizer = Tokenizer.load(directory);
        Decoder decoder = ModelDirectory.load(directory, dtype, allowNonfinite);
        requireRows(directory, tokenizer, decoder.config().vocabSize());
        if (adapter != null) {
            AdapterFiles.load(decoder, adapter);
        }
        Path file = directory.resolve("generation_config.json");
        ObjectNode generation = Files.exists(file) ? Json.readObject(file) : Json.MAPPER.createObjectNode();
        return of(decoder, tokenizer, generation);
    }

    /// Refuses a tokenizer with tokens that the embedding has no row for.
    ///
    /// @param rows of the embedding
    static void requireRows(Path directory, Tokenizer tokenizer, int rows) {
        if (tokenizer.vocabSize() > rows) {
            throw new BadInput(directory + ": the tokenizer has ids up to " + (tokenizer.vocabSize() - 1)
                    + ", the embedding only " + rows + " rows: they do not belong together");
        }
    }

    /// Says once that what was asked for has no hardware here: it works, and takes many times longer than f32.
    static void warnOfSlowBf16(DType dtype) {
        if (dtype == DType.BF16 && !LibTorch.hasFastBf16() && WARNED.compareAndSet(false, true)) {
            System.err.println("manners: this processor has no bf16 arithmetic: large matrices may take many"
                    + " times longer in bf16 than in f32. Leave bf16 unset, or say --bf16 false (--dtype f32)");
        }
    }

    /// A model made here.
    public static LoadedModel of(Decoder decoder, Tokenizer tokenizer, ObjectNode generation) {
        Set<Integer> stops = new LinkedHashSet<>();
        addIds(stops, generation.path("eos_token_id"));
        if (stops.isEmpty()) {
            addIds(stops, decoder.configJson().path("eos_token_id"));
        }
        tokenizer.eosId().ifPresent(stops::add);
        // Directories of base models often name the end of a document only, and their template ends turns otherwise.
        turnEnd(tokenizer).ifPresent(stops::add);
        return new LoadedModel(decoder, tokenizer, generation, Set.copyOf(stops));
    }

    private static OptionalInt turnEnd(Tokenizer tokenizer) {
        if (tokenizer.chatTemplateSource().isEmpty()) {
            return OptionalInt.empty();
        }
        try {
            return ChatFormat.of(tokenizer).turnEnd();
        } catch (BadInput e) {
            return OptionalInt.empty(); // A template that cannot be read is no reason to refuse plain text.
        }
    }

    /// Adds the ids of an `eos_token_id`: one number or a list.
    public static void addIds(Set<Integer> ids, JsonNode node) {
        if (node.isInt()) {
            ids.add(node.intValue());
        } else if (node instanceof ArrayNode several) {
            several.forEach(id -> addIds(ids, id));
        }
    }

    /// @param slots completions at a time
    public Engine engine(int slots) {
        return new Engine(decoder, tokenizer, stopIds, slots);
    }

    /// The chat format, if the model has a template, which is told today's date. Prompts that are to be the same as in
    /// training are for [dev.manners.data.ModelEncoder].
    public Optional<ChatFormat> chat() {
        return tokenizer.chatTemplateSource().map(source -> ChatFormat.of(tokenizer));
    }

    /// Writes a directory that transformers loads unchanged, complete or not at all.
    ///
    /// @param card README.md
    /// @param extra what the directory's manifest shall say beside its files
    public void save(Path target, DType dtype, String card, Map<String, ?> extra) {
        try (AtomicDirectory folder = AtomicDirectory.create(target)) {
            ObjectNode written = generation.deepCopy();
            // Generation must stop where the template's turns end, whatever the base model's file said.
            ArrayNode stops = Json.MAPPER.createArrayNode();
            stopIds.stream().sorted().forEach(stops::add);
            if (stops.size() == 1) {
                written.set("eos_token_id", stops.get(0));
            } else if (stops.size() > 1) {
                written.set("eos_token_id", stops);
            }
            ModelDirectory.save(decoder, folder.path(), dtype, written);
            tokenizer.save(folder.path());
            dev.manners.files.AtomicFile.write(folder.path().resolve("README.md"), card);
            commit(folder, target, extra);
        }
    }

    /// Writes the attached adapter as a PEFT directory with the tokenizer beside it.
    public void saveAdapter(Path target, String base, String card, Map<String, ?> extra) {
        try (AtomicDirectory folder = AtomicDirectory.create(target)) {
            AdapterFiles.save(decoder, folder.path(), base);
            tokenizer.save(folder.path());
            dev.manners.files.AtomicFile.write(folder.path().resolve("README.md"), card);
            commit(folder, target, extra);
        }
    }

    static void commit(AtomicDirectory folder, Path target, Map<String, ?> extra) {
        if (Files.exists(target)) {
            folder.commitReplacing(extra);
        } else {
            folder.commit(extra);
        }
    }

    /// SHA-256 of the directory's files that make the model what it is.
    public static Map<String, String> hashes(Path directory) {
        Map<String, String> hashes = new TreeMap<>();
        try (var files = Files.list(directory)) {
            files.filter(Files::isRegularFile)
                    .filter(f -> f.getFileName().toString().matches(".*\\.(safetensors|json|jinja|model)"))
                    .forEach(f -> hashes.put(f.getFileName().toString(), Sha256.of(f)));
        } catch (java.io.IOException e) {
            throw new BadInput(directory + ": cannot be read: " + e.getMessage(), e);
        }
        return new LinkedHashMap<>(hashes);
    }

    @Override
    public void close() {
        decoder.close();
        tokenizer.close();
    }
}
