package dev.manners.model;

import dev.manners.BadInput;
import dev.manners.files.Json;
import dev.manners.files.RegularFile;
import dev.manners.tensor.DType;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/// All tensors of a model: one `model.safetensors`, or the shards that `model.safetensors.index.json` names.
public final class Safetensors implements AutoCloseable {

    static final String SINGLE = "model.safetensors";
    static final String INDEX = "model.safetensors.index.json";

    private static final long MAX_INDEX_BYTES = 64L << 20;
    private static final int MAX_PROBLEMS = 20;
    private static final List<String> PICKLES = List.of(".bin", ".pt", ".pth", ".ckpt", ".pkl");

    private final Path source;
    private final Map<Path, SafetensorsFile> files;
    private final Map<String, Place> places = new LinkedHashMap<>();

    private record Place(SafetensorsFile file, SafetensorsFile.Entry entry) {}

    private Safetensors(Path source, Map<Path, SafetensorsFile> files) {
        this.source = source;
        this.files = files;
        files.values()
                .forEach(file -> file.entries().forEach(entry -> places.put(entry.name(), new Place(file, entry))));
    }

    /// Opens a model directory, or one safetensors file.
    ///
    /// @throws BadInput if there is no such model, a file is invalid, or index and shards disagree; lists it all
    public static Safetensors open(Path modelDirectoryOrFile) {
        if (!Files.isDirectory(modelDirectoryOrFile)) {
            return single(modelDirectoryOrFile, modelDirectoryOrFile);
        }
        boolean single = Files.exists(modelDirectoryOrFile.resolve(SINGLE), LinkOption.NOFOLLOW_LINKS);
        boolean index = Files.exists(modelDirectoryOrFile.resolve(INDEX), LinkOption.NOFOLLOW_LINKS);
        if (single && index) {
            throw new BadInput(modelDirectoryOrFile + ": has both " + SINGLE + " and " + INDEX
                    + ", so which is the model is a guess; give the path of the file you mean, or remove the other");
        }
        if (single) {
            return single(modelDirectoryOrFile, modelDirectoryOrFile.resolve(SINGLE));
        }
        if (index) {
            return sharded(modelDirectoryOrFile);
        }
        throw noWeights(modelDirectoryOrFile);
    }

    private static Safetensors single(Path source, Path file) {
        if (isPickle(file)) {
            throw new BadInput(file + ": " + PICKLE_HINT);
        }
        return new Safetensors(source, Map.of(file, SafetensorsFile.open(file)));
    }

    private static final String PICKLE_HINT =
            "pickled weights are not read, because reading a pickle can run any program that its author put in it. "
                    + "Convert them where that does no harm: python -c \"from transformers import AutoModelForCausalLM as M; "
                    + "M.from_pretrained('DIR').save_pretrained('OUT', safe_serialization=True)\"";

    private static boolean isPickle(Path file) {
        String name = String.valueOf(file.getFileName()).toLowerCase(Locale.ROOT);
        return PICKLES.stream().anyMatch(name::endsWith);
    }

    private static BadInput noWeights(Path directory) {
        List<String> pickles = new ArrayList<>();
        List<String> others = new ArrayList<>();
        try (Stream<Path> children = Files.list(directory)) {
            children.sorted().forEach(child -> {
                String name = child.getFileName().toString();
                if (isPickle(child)) {
                    pickles.add(name);
                } else if (name.endsWith(".safetensors")) {
                    others.add(name);
                }
            });
        } catch (IOException e) {
            return RegularFile.unreadable(directory, e);
        }
        String missing = directory + ": neither " + SINGLE + " nor " + INDEX;
        if (!others.isEmpty()) {
            return new BadInput(missing + "; it has " + first(others) + ": give the path of the file you mean");
        }
        if (!pickles.isEmpty()) {
            return new BadInput(missing + ", only " + first(pickles) + ": " + PICKLE_HINT);
        }
        return new BadInput(missing + "; is it a model directory?");
    }

    private static String first(List<String> names) {
        return String.join(", ", names.subList(0, Math.min(5, names.size())))
                + (names.size() > 5 ? " and " + (names.size() - 5) + " more" : "");
    }

    private static Safetensors sharded(Path directory) {
        Path index = directory.resolve(INDEX);
        RegularFile.require(index);
        try {
            if (Files.size(index) > MAX_INDEX_BYTES) {
                throw new BadInput(index + ": larger than the " + MAX_INDEX_BYTES + " bytes that are allowed");
            }
        } catch (IOException e) {
            throw RegularFile.unreadable(index, e);
        }
        if (!(Json.readObject(index).path("weight_map") instanceof ObjectNode weightMap)) {
            throw new BadInput(index + ": \"weight_map\" must be an object of tensor name to file name");
        }
        List<String> problems = new ArrayList<>();
        Map<String, Set<String>> shards = shards(weightMap, problems);
        Map<Path, SafetensorsFile> files = new LinkedHashMap<>();
        boolean opened = false;
        try {
            Map<String, String> found = new HashMap<>();
            shards.forEach((shard, expected) -> {
                try {
                    SafetensorsFile file = SafetensorsFile.open(directory.resolve(shard));
                    files.put(directory.resolve(shard), file);
                    compare(shard, expected, file, found, problems);
                } catch (BadInput e) {
                    if (problems.size() < MAX_PROBLEMS) {
                        problems.add(String.valueOf(e.getMessage()));
                    }
                }
            });
            if (!problems.isEmpty()) {
                throw BadInput.all(index.toString(), problems);
            }
            opened = true;
            return new Safetensors(directory, files);
        } finally {
            if (!opened) {
                files.values().forEach(SafetensorsFile::close);
            }
        }
    }

    /// The tensors that the index puts in each shard.
    private static Map<String, Set<String>> shards(ObjectNode weightMap, List<String> problems) {
        Map<String, Set<String>> shards = new TreeMap<>();
        for (Map.Entry<String, JsonNode> entry : weightMap.properties()) {
            String shard = entry.getValue().asString("");
            if (isPlainName(shard)) {
                shards.computeIfAbsent(shard, ignored -> new LinkedHashSet<>()).add(entry.getKey());
            } else if (problems.size() < MAX_PROBLEMS) {
                problems.add("tensor " + SafetensorsHeader.quote(entry.getKey()) + ": the shard must be the name of a "
                        + ".safetensors file beside the index, found " + SafetensorsHeader.quote(shard));
            }
        }
        if (shards.isEmpty() && problems.isEmpty()) {
            problems.add("\"weight_map\" is empty");
        }
        return shards;
    }

    private static boolean isPlainName(String shard) {
        return shard.endsWith(".safetensors")
                && shard.length() <= 255
                && shard.chars().noneMatch(c -> c == '/' || c == '\\' || c == ':' || Character.isISOControl(c));
    }

    private static void compare(
            String shard,
            Set<String> expected,
            SafetensorsFile file,
            Map<String, String> found,
            List<String> problems) {
        Set<String> missing = new LinkedHashSet<>(expected);
        for (SafetensorsFile.Entry entry : file.entries()) {
            missing.remove(entry.name());
            String other = found.put(entry.name(), shard);
            String problem = null;
            if (other != null) {
                problem = "is in two shards: " + other + " and " + shard;
            } else if (!expected.contains(entry.name())) {
                problem = "is in " + shard + ", where the index does not put it";
            }
            if (problem != null && problems.size() < MAX_PROBLEMS) {
                problems.add("tensor " + SafetensorsHeader.quote(entry.name()) + " " + problem);
            }
        }
        for (String name : missing) {
            if (problems.size() < MAX_PROBLEMS) {
                problems.add("tensor " + SafetensorsHeader.quote(name) + " is not in " + shard
                        + ", where the index puts it");
            }
        }
    }

    /// All tensors' names, shard by shard, in the order of their data.
    public Set<String> names() {
        return Collections.unmodifiableSet(places.keySet());
    }

    /// The safetensors files, for hashing.
    public List<Path> files() {
        return List.copyOf(files.keySet());
    }

    /// A tensor's dtype, shape and place in its shard.
    ///
    /// @throws BadInput if there is none of this name
    public SafetensorsFile.Entry entry(String name) {
        return place(name).entry();
    }

    /// A tensor's bytes, mapped; see [SafetensorsFile#data].
    ///
    /// @throws BadInput if there is none of this name
    public MemorySegment data(String name) {
        Place place = place(name);
        return place.file().data(place.entry());
    }

    /// Copies a tensor's bytes; see [SafetensorsFile#copyTo].
    ///
    /// @throws BadInput if there is none of this name, or the file was truncated since it was opened
    public void copyTo(String name, MemorySegment destination) {
        Place place = place(name);
        place.file().copyTo(place.entry(), destination);
    }

    private Place place(String name) {
        @Nullable Place place = places.get(name);
        if (place == null) {
            throw new BadInput(source + ": no tensor " + SafetensorsHeader.quote(name));
        }
        return place;
    }

    /// How many of a tensor's elements are NaN or infinite; 0 for integers.
    ///
    /// @param data native or on the heap, in the processor's byte order
    public static long nonFinite(MemorySegment data, DType dtype) {
        return switch (dtype) {
            case F32 -> nonFinite(data, 0x7f80_0000, 0);
            case F16 -> nonFinite(data, 0x7c00, 0x7c00_0000);
            case BF16 -> nonFinite(data, 0x7f80, 0x7f80_0000);
            case I64, I32, U8, BOOL -> 0;
        };
    }

    /// Counts elements whose exponent is all ones, 32 bits at a time: as one element, or as two of 16 bits.
    private static long nonFinite(MemorySegment data, int low, int high) {
        int[] words = new int[(int) Math.min(4096, data.byteSize() / 4)];
        long count = 0;
        long position = 0;
        while (data.byteSize() - position >= 4) {
            int n = (int) Math.min(words.length, (data.byteSize() - position) / 4);
            MemorySegment.copy(data, ValueLayout.JAVA_INT_UNALIGNED, position, words, 0, n);
            count += high == 0 ? full(words, n, low) : full(words, n, low) + full(words, n, high);
            position += 4L * n;
        }
        if (position < data.byteSize()) {
            short last = data.get(ValueLayout.JAVA_SHORT_UNALIGNED, position);
            count += (last & low) == low ? 1 : 0;
        }
        return count;
    }

    /// `(word & mask) - mask` is negative unless all of the mask's bits are set. So the loop has no branch and
    /// vectorises.
    private static int full(int[] words, int n, int mask) {
        int partial = 0;
        for (int i = 0; i < n; i++) {
            partial += ((words[i] & mask) - mask) >>> 31;
        }
        return n - partial;
    }

    /// Ends every view that [#data] gave.
    @Override
    public void close() {
        files.values().forEach(SafetensorsFile::close);
    }
}
