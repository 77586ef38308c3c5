package dev.manners.reward.code;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/// How this machine keeps a process to itself. On Linux: namespaces of its own for processes, network, mounts and IPC,
/// a root that holds the system read-only and one empty folder, no capabilities, and limits on address space, processor
/// time, file size, descriptors and processes.
///
/// What it does not do: there is no system call filter and no control group, so memory summed over processes is
/// watched (see [Session]) rather than enforced by the kernel, and a fault in the kernel is a way out.
sealed interface Sandbox {

    /// A user of its own for each process, so that the kernel counts its processes apart from all others.
    record Root() implements Sandbox {
        private static final AtomicInteger NEXT =
                new AtomicInteger(1_900_000_000 + new SecureRandom().nextInt(200_000_000));
    }

    /// The same rights as ours, within a user namespace: for those who are not root.
    record UserNamespace() implements Sandbox {}

    /// Limits only, and not even all of those: a process that leaves the candidate's tree outlives it, and it reaches
    /// whatever we reach.
    ///
    /// @param why nothing better is to be had
    record Unisolated(String why) implements Sandbox {}

    /// @param addressSpace bytes, of each process
    /// @param processes and threads
    /// @param fileBytes size of the largest file, and of all files together
    /// @param seconds to live, at most; processor time of each process as well
    record Limits(long addressSpace, int processes, long fileBytes, long seconds) {}

    /// The best this machine offers, found out by trying it.
    static Sandbox detect() {
        if (!System.getProperty("os.name", "").startsWith("Linux")) {
            return new Unisolated("isolation needs Linux");
        }
        String asRoot = isRoot() ? trial(new Root()) : "not root";
        if (asRoot == null) {
            return new Root();
        }
        String asUser = trial(new UserNamespace());
        if (asUser == null) {
            return new UserNamespace();
        }
        return new Unisolated("with root's namespaces: " + asRoot + "; with a user namespace: " + asUser);
    }

    private static boolean isRoot() {
        try {
            return Integer.valueOf(0).equals(Files.getAttribute(Path.of("/proc/self"), "unix:uid"));
        } catch (IOException | RuntimeException e) {
            return false;
        }
    }

    /// @return null if a process in it sees no network and cannot write to the system; otherwise what went wrong
    private static @Nullable String trial(Sandbox sandbox) {
        try {
            Path root = Files.createTempDirectory("manners-trial");
            try {
                Process process = new ProcessBuilder(sandbox.command(
                                List.of("sh", "-c", "cat /proc/net/dev; touch /usr/manners-trial && echo writable:"),
                                List.of(),
                                root,
                                new Limits(1 << 30, 64, 1 << 20, 20)))
                        .redirectErrorStream(true)
                        .start();
                process.getOutputStream().close();
                String out;
                try (InputStream in = process.getInputStream()) {
                    out = new String(in.readNBytes(10_000), StandardCharsets.UTF_8);
                }
                boolean ended = process.waitFor(30, TimeUnit.SECONDS);
                process.destroyForcibly();
                List<String> colons = out.lines()
                        .map(String::strip)
                        .filter(line -> line.matches("[\\w.@-]+:.*") && !line.startsWith("touch:"))
                        .toList();
                boolean alone = ended
                        && out.contains("Inter-|")
                        && colons.size() == 1
                        && colons.getFirst().startsWith("lo:");
                if (alone) {
                    return null;
                }
                return out.contains("Inter-|")
                        ? "a process still saw a network, or could write to /usr"
                        : out.strip().lines().findFirst().orElse("no output");
            } finally {
                Files.deleteIfExists(root);
            }
        } catch (IOException e) {
            return String.valueOf(e.getMessage());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return "interrupted";
        }
    }

    /// Starts a command with nothing of our environment.
    ///
    /// @param paths it has to be able to read, beside the system's folders
    /// @param directory empty; its own
    default Process start(List<String> command, List<Path> paths, Path directory, Limits limits) throws IOException {
        ProcessBuilder builder = new ProcessBuilder(command(command, paths, directory, limits))
                .directory(new File(directory.toString()));
        var environment = builder.environment();
        environment.clear();
        String home = this instanceof Unisolated ? directory.toString() : "/.candidate";
        environment.put("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
        environment.put("HOME", home);
        environment.put("TMPDIR", home);
        environment.put("LANG", "C.UTF-8");
        // A thread for each processor in every candidate would only use up its processes.
        environment.put("OMP_NUM_THREADS", "1");
        environment.put("OPENBLAS_NUM_THREADS", "1");
        environment.put("MALLOC_ARENA_MAX", "2");
        return builder.start();
    }

    private List<String> command(List<String> command, List<Path> paths, Path directory, Limits limits) {
        List<String> line = new ArrayList<>();
        switch (this) {
            case Root() -> isolate(line, List.of(), Root.NEXT.getAndIncrement(), paths, directory, limits);
            case UserNamespace() -> isolate(line, List.of("--user", "--map-root-user"), 0, paths, directory, limits);
            case Unisolated(String why) -> {
                if (!new File("/usr/bin/prlimit").canExecute()) {
                    return command;
                }
                // Not --nproc: without a user of its own it would count the processes of the whole session.
                line.addAll(List.of("timeout", "--signal=KILL", String.valueOf(limits.seconds())));
            }
        }
        line.addAll(List.of(
                "prlimit",
                "--as=" + limits.addressSpace(),
                "--cpu=" + limits.seconds(),
                "--fsize=" + limits.fileBytes(),
                "--nofile=256",
                "--core=0"));
        if (!(this instanceof Unisolated)) {
            line.add("--nproc=" + limits.processes());
        }
        line.add("--");
        line.addAll(command);
        return line;
    }

    private static void isolate(
            List<String> line, List<String> namespaces, int user, List<Path> paths, Path directory, Limits limits) {
        line.add("unshare");
        line.addAll(namespaces);
        line.addAll(List.of("--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "sh", "-c"));
        line.addAll(List.of(
                Language.resource("sandbox.sh"),
                "sandbox",
                directory.toString(),
                String.valueOf(limits.fileBytes()),
                String.valueOf(user),
                String.valueOf(limits.seconds())));
        paths.forEach(path -> line.add(path.toString()));
        line.add("--");
    }
}
