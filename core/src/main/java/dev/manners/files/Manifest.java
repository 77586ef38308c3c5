package dev.manners.files;

import dev.manners.BadInput;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/// What a committed folder contains: `MANIFEST.json` names every file with its size and SHA-256. Written last, so a
/// folder without one is unfinished.
public final class Manifest {

    /// The name of the manifest in its folder.
    public static final String FILE = "MANIFEST.json";

    private static final int FORMAT = 1;
    private static final long MAX_BYTES = 64L << 20;
    private static final Pattern SHA256 = Pattern.compile("[0-9a-f]{64}");

    private final String id;
    private final Map<String, String> sha256;
    private final JsonNode extra;

    private Manifest(String id, Map<String, String> sha256, JsonNode extra) {
        this.id = id;
        this.sha256 = Collections.unmodifiableMap(sha256);
        this.extra = extra;
    }

    /// SHA-256 of the manifest itself, which stands for all it names: the folder's identity.
    public String id() {
        return id;
    }

    /// What the writer added.
    public JsonNode extra() {
        return extra;
    }

    /// Each file's path in the folder, with `/`, and its SHA-256.
    public Map<String, String> sha256() {
        return sha256;
    }

    /// Reads every file of a folder and compares it with the manifest.
    ///
    /// @throws BadInput listing every file that is missing, altered, or there without being named; names that begin
    ///     with a dot are the user's own
    public static Manifest verify(Path directory) {
        Path file = directory.resolve(FILE);
        if (!Files.exists(file)) {
            throw new BadInput(directory + ": no " + FILE + ": the folder is unfinished or not one of ours");
        }
        byte[] bytes = read(file);
        ObjectNode manifest = Json.parseObject(bytes, file.toString());
        JsonNode format = manifest.path("format");
        if (!format.isInt() || format.intValue() < 1) {
            throw new BadInput(file + ": \"format\" must be a number from 1, found " + format);
        }
        if (format.intValue() > FORMAT) {
            throw new BadInput(file + ": format " + format + " is newer than this program reads (" + FORMAT
                    + "); use the version that wrote it");
        }
        List<String> problems = new ArrayList<>();
        Map<String, String> sha256 = new TreeMap<>();
        if (manifest.path("files") instanceof ArrayNode files) {
            for (JsonNode entry : files) {
                check(directory, entry, sha256, problems);
            }
        } else {
            problems.add("\"files\" must be an array");
        }
        try {
            for (String path : filesIn(directory)) {
                if (!sha256.containsKey(path) && !path.equals(FILE)) {
                    problems.add(path + ": not in the manifest");
                }
            }
        } catch (IOException e) {
            throw RegularFile.unreadable(directory, e);
        }
        if (!problems.isEmpty()) {
            throw BadInput.all(file.toString(), problems);
        }
        return new Manifest(Sha256.of(bytes), sha256, manifest.path("extra"));
    }

    private static byte[] read(Path file) {
        RegularFile.require(file);
        try {
            long size = Files.size(file);
            if (size > MAX_BYTES) {
                throw new BadInput(file + ": " + size + " bytes are too many for a manifest (" + MAX_BYTES + ")");
            }
            return Files.readAllBytes(file);
        } catch (IOException e) {
            throw RegularFile.unreadable(file, e);
        }
    }

    private static void check(Path directory, JsonNode entry, Map<String, String> sha256, List<String> problems) {
        String path = entry.path("path").asString("");
        String hash = entry.path("sha256").asString("");
        JsonNode size = entry.path("size");
        if (!isInside(path)
                || !SHA256.matcher(hash).matches()
                || !size.canConvertToLong()
                || !size.isIntegralNumber()) {
            problems.add("an entry must have a \"path\" in the folder, a \"size\" and a \"sha256\", found " + entry);
            return;
        }
        if (sha256.put(path, hash) != null) {
            problems.add(path + ": named twice");
            return;
        }
        Path file = directory.resolve(path);
        try {
            RegularFile.require(file);
            long actual = Files.size(file);
            if (actual != size.longValue()) {
                problems.add(path + ": " + actual + " bytes, the manifest says " + size.longValue());
            } else if (!Sha256.of(file).equals(hash)) {
                problems.add(path + ": the SHA-256 differs from the manifest: the content was altered");
            }
        } catch (BadInput e) {
            problems.add(String.valueOf(e.getMessage()));
        } catch (IOException e) {
            problems.add(String.valueOf(RegularFile.unreadable(file, e).getMessage()));
        }
    }

    /// A relative path of plain names, so that a manifest cannot make us read elsewhere.
    private static boolean isInside(String path) {
        if (path.isEmpty() || path.indexOf('\\') >= 0 || path.indexOf('\0') >= 0 || path.indexOf(':') >= 0) {
            return false;
        }
        for (String name : path.split("/", -1)) {
            if (name.isEmpty() || name.equals(".") || name.equals("..")) {
                return false;
            }
        }
        return true;
    }

    /// The highest `PREFIX<number>` in a folder whose manifest verifies.
    ///
    /// @param parent may be absent: then nothing is found
    /// @param prefix such as `checkpoint-`
    /// @param warn told of each newer one that was passed over, and why
    public static Optional<Path> newestVerified(Path parent, String prefix, Consumer<String> warn) {
        for (Path candidate : newestFirst(parent, prefix)) {
            try {
                verify(candidate);
                return Optional.of(candidate);
            } catch (BadInput e) {
                warn.accept("passed over " + candidate.getFileName() + ": " + e.getMessage());
            }
        }
        return Optional.empty();
    }

    private static List<Path> newestFirst(Path parent, String prefix) {
        if (!Files.isDirectory(parent)) {
            return List.of();
        }
        Pattern name = Pattern.compile(Pattern.quote(prefix) + "(0|[1-9]\\d{0,17})");
        try (Stream<Path> children = Files.list(parent)) {
            return children.filter(child ->
                            name.matcher(child.getFileName().toString()).matches())
                    .sorted(Comparator.comparingLong((Path child) -> Long.parseLong(
                                    child.getFileName().toString().substring(prefix.length())))
                            .reversed())
                    .toList();
        } catch (IOException e) {
            throw RegularFile.unreadable(parent, e);
        }
    }

    /// A folder's manifest, as bytes.
    static byte[] describe(Path directory, Map<String, ?> extra) throws IOException {
        ObjectNode manifest = Json.MAPPER.createObjectNode();
        manifest.put("format", FORMAT);
        ArrayNode files = manifest.putArray("files");
        for (String path : filesIn(directory)) {
            Path file = directory.resolve(path);
            files.addObject().put("path", path).put("size", Files.size(file)).put("sha256", Sha256.of(file));
        }
        manifest.set("extra", Json.MAPPER.valueToTree(extra));
        return Json.pretty(manifest).getBytes(StandardCharsets.UTF_8);
    }

    /// Every file's path in a folder, sorted, with `/`; without those that begin with a dot.
    private static List<String> filesIn(Path directory) throws IOException {
        try (Stream<Path> all = Files.walk(directory)) {
            return all.filter(path -> !Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS))
                    .map(path -> directory.relativize(path).toString().replace('\\', '/'))
                    .filter(path -> !path.startsWith(".") && !path.contains("/."))
                    .sorted()
                    .toList();
        }
    }
}
