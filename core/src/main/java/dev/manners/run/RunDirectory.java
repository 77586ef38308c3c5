package dev.manners.run;

import dev.manners.BadInput;
import dev.manners.config.Yaml;
import dev.manners.files.AtomicFile;
import dev.manners.files.DirectoryLock;
import dev.manners.files.Json;
import dev.manners.files.RegularFile;
import dev.manners.files.Sha256;
import dev.manners.tensor.LibTorch;
import java.io.IOException;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;

/// The folder of one run: config.yaml (resolved), metrics.jsonl, samples.jsonl, events, checkpoints, model
/// directories, manifest.json. One process at a time writes to it.
public final class RunDirectory implements AutoCloseable {

    private final Path path;
    private final DirectoryLock lock;
    private final Map<String, Object> config;

    private RunDirectory(Path path, DirectoryLock lock, Map<String, Object> config) {
        this.path = path;
        this.lock = lock;
        this.config = config;
    }

    /// Opens a new folder, or one that holds the same run unfinished.
    ///
    /// @param config the resolved options; a folder with others is refused
    /// @param inputs folders the run reads: it may not write into them
    /// @throws BadInput if the folder is somebody else's, or cannot be written
    public static RunDirectory open(Path path, Map<String, Object> config, List<Path> inputs) {
        Path target = path.toAbsolutePath().normalize();
        for (Path input : inputs) {
            if (real(target).startsWith(real(input.toAbsolutePath().normalize()))) {
                throw new BadInput("--output-dir " + path + " lies inside the input " + input
                        + ": a run never writes into what it reads; choose another folder");
            }
        }
        if (Files.exists(target) && !Files.isDirectory(target)) {
            throw new BadInput("--output-dir " + path + " is a file; a run needs a folder, choose another name");
        }
        try {
            Files.createDirectories(target);
        } catch (IOException e) {
            throw new BadInput("--output-dir " + path + " cannot be made: " + RegularFile.reason(e), e);
        }
        if (!Files.isWritable(target)) {
            throw new BadInput("--output-dir " + path + " is not writable; choose another folder");
        }
        DirectoryLock lock = DirectoryLock.acquire(target);
        boolean opened = false;
        try {
            claim(target, config);
            opened = true;
            return new RunDirectory(target, lock, config);
        } finally {
            if (!opened) {
                lock.close();
            }
        }
    }

    /// Where a path leads, through links; what of it does not exist yet stays as it is written.
    private static Path real(Path absolute) {
        for (Path at = absolute; at != null; at = at.getParent()) {
            if (Files.exists(at)) {
                try {
                    return at.toRealPath().resolve(at.relativize(absolute)).normalize();
                } catch (IOException e) {
                    return absolute;
                }
            }
        }
        return absolute;
    }

    private static void claim(Path target, Map<String, Object> config) {
        Path file = target.resolve("config.yaml");
        String resolved = Yaml.write(config);
        try (Stream<Path> held = Files.list(target)) {
            List<String> names = held.map(p -> p.getFileName().toString())
                    .filter(name -> !name.startsWith("."))
                    .sorted()
                    .toList();
            // A run that wrote down its options and no more is none yet: it was refused, and its options were the
            // reason.
            if (names.isEmpty() || names.equals(List.of("config.yaml"))) {
                AtomicFile.write(file, resolved);
                return;
            }
            if (!Files.exists(file)) {
                throw new BadInput("--output-dir " + target + " is not empty and holds no run (" + names.size()
                        + " files, such as " + names.getFirst() + "); choose an empty or new folder");
            }
            String before = Files.readString(file);
            if (!before.equals(resolved)) {
                List<String> differences = differences(before, resolved);
                throw new BadInput(
                        BadInput.all("--output-dir " + target + " holds a run with other options", differences)
                                        .getMessage()
                                + "\nGive the same options to resume it, or another --output-dir.");
            }
            if (Files.exists(target.resolve("manifest.json"))) {
                throw new BadInput("--output-dir " + target
                        + " holds this run, finished. Give another --output-dir to run it again.");
            }
        } catch (IOException e) {
            throw new BadInput("--output-dir " + target + ": " + e.getMessage(), e);
        }
    }

    private static List<String> differences(String before, String now) {
        Set<String> old = Set.copyOf(before.lines().toList());
        Set<String> fresh = Set.copyOf(now.lines().toList());
        List<String> differences = new ArrayList<>();
        before.lines().filter(l -> !fresh.contains(l)).forEach(l -> differences.add("was " + l));
        now.lines().filter(l -> !old.contains(l)).forEach(l -> differences.add("is " + l));
        return differences;
    }

    public Path path() {
        return path;
    }

    /// What a user should know about the place, such as that it will be gone after a restart.
    public List<String> warnings() {
        List<String> warnings = new ArrayList<>();
        try {
            FileStore store = Files.getFileStore(path);
            if (store.type().equals("tmpfs") || store.type().equals("ramfs")) {
                warnings.add(path + " is on " + store.type() + ": it is memory, and gone after a restart");
            }
            if (store.type().startsWith("nfs")
                    || store.type().equals("cifs")
                    || store.type().equals("smb3")) {
                warnings.add(path + " is on a network share (" + store.type()
                        + "): locks and forced writes may not hold there");
            }
            if (store.getUsableSpace() < 1L << 30) {
                warnings.add(path + " has " + (store.getUsableSpace() >> 20) + " MB free");
            }
        } catch (IOException e) {
            warnings.add(path + ": cannot tell its file system: " + e.getMessage());
        }
        return warnings;
    }

    /// Writes manifest.json: the run is finished.
    ///
    /// What two equal runs share stands under `run`; clock and machine stand apart under `occasion`.
    ///
    /// @param inputs role to SHA-256 by file
    /// @param outputs folders and files of this run, relative
    public void finish(
            List<String> command,
            Map<String, ?> inputs,
            List<String> outputs,
            Map<String, ?> results,
            java.time.Instant began) {
        Map<String, Object> run = new LinkedHashMap<>();
        run.put("config", config);
        run.put("inputs", inputs);
        run.put("results", results);
        Map<String, String> hashes = new TreeMap<>();
        for (String output : outputs) {
            Path made = path.resolve(output);
            try (Stream<Path> files = Files.walk(made)) {
                files.filter(Files::isRegularFile)
                        .forEach(f -> hashes.put(path.relativize(f).toString().replace('\\', '/'), Sha256.of(f)));
            } catch (IOException e) {
                throw new BadInput(made + ": " + e.getMessage(), e);
            }
        }
        run.put("outputs", hashes);
        Map<String, Object> occasion = new LinkedHashMap<>();
        occasion.put("command", redact(command));
        occasion.put("began", began.toString());
        occasion.put("ended", java.time.Instant.now().toString());
        occasion.put("manners", version());
        occasion.put("java", System.getProperty("java.runtime.version"));
        occasion.put("libtorch", LibTorch.version());
        occasion.put("os", System.getProperty("os.name") + " " + System.getProperty("os.version"));
        occasion.put("processors", Runtime.getRuntime().availableProcessors());
        occasion.put("threads", LibTorch.threads());
        Map<String, Object> manifest = new LinkedHashMap<>();
        manifest.put("schema", 1);
        manifest.put("run", run);
        manifest.put("occasion", occasion);
        AtomicFile.write(path.resolve("manifest.json"), Json.pretty(manifest));
    }

    /// Version of this program.
    public static String version() {
        String version = RunDirectory.class.getPackage().getImplementationVersion();
        return version == null ? "development" : version;
    }

    private static final String SECRET = "(?i)(?:token|secret|password|passwd|api[_-]?key)";

    /// Tokens and passwords do not go into records: `--hub-token=X`, and `--hub-token` with X as the next
    /// word.
    private static List<String> redact(List<String> words) {
        List<String> redacted = new ArrayList<>();
        for (String word : words) {
            boolean value = !redacted.isEmpty() && redacted.getLast().matches("-\\S*" + SECRET);
            redacted.add(value ? "***" : redact(word));
        }
        return redacted;
    }

    static String redact(String text) {
        return text.replaceAll("(" + SECRET + "\\s*[=:]\\s*)\\S+", "$1***").replaceAll("hf_[A-Za-z0-9]{8,}", "hf_***");
    }

    @Override
    public void close() {
        lock.close();
    }
}
