package dev.manners.files;

import dev.manners.BadInput;
import java.io.IOException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/// One process at a time in an output folder. The operating system holds the lock and lets go of it when the process
/// ends, however it ends: nothing can be left behind stale, and a process id that is used again cannot deceive. What
/// is written in the file only serves the message.
///
/// On Linux closing any other handle of the lock file in the same process gives the lock up: leave `.lock` alone.
public final class DirectoryLock implements AutoCloseable {

    /// The file in the folder that is locked.
    public static final String FILE = ".lock";

    /// Folders locked by this process. Asking here first also keeps us from opening a lock file that we hold.
    private static final Set<Path> HELD = ConcurrentHashMap.newKeySet();

    private final Path directory;
    private final FileChannel channel;

    private DirectoryLock(Path directory, FileChannel channel) {
        this.directory = directory;
        this.channel = channel;
    }

    /// Locks a folder, which is created if it is absent.
    ///
    /// @throws BadInput if another process, or this one, has it; names the process
    public static DirectoryLock acquire(Path directory) {
        try {
            Files.createDirectories(directory);
            Path real = directory.toRealPath();
            if (!HELD.add(real)) {
                throw new BadInput(directory + ": in use by this same process; give each run its own folder");
            }
            boolean locked = false;
            try {
                DirectoryLock lock = lock(directory, real);
                locked = true;
                return lock;
            } finally {
                if (!locked) {
                    HELD.remove(real);
                }
            }
        } catch (IOException e) {
            throw new CannotWrite(directory, e);
        }
    }

    private static DirectoryLock lock(Path directory, Path real) throws IOException {
        Path file = real.resolve(FILE);
        if (Files.exists(file)) {
            RegularFile.require(file);
        }
        FileChannel channel =
                FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
        boolean locked = false;
        try {
            @Nullable FileLock lock = channel.tryLock();
            if (lock == null) {
                throw new BadInput(directory + ": in use by " + owner(channel)
                        + "; wait for it, stop it, or choose another folder");
            }
            channel.truncate(0);
            channel.write(ByteBuffer.wrap(self().getBytes(StandardCharsets.UTF_8)), 0);
            locked = true;
            return new DirectoryLock(real, channel);
        } finally {
            if (!locked) {
                channel.close();
            }
        }
    }

    /// Who we are, for the message another process prints.
    private static String self() {
        ObjectNode self = Json.MAPPER.createObjectNode();
        self.put("pid", ProcessHandle.current().pid());
        ProcessHandle.current().info().startInstant().ifPresent(start -> self.put("started", start.toString()));
        try {
            self.put("host", InetAddress.getLocalHost().getHostName());
        } catch (UnknownHostException e) {
            self.put("host", "unknown");
        }
        return Json.pretty(self);
    }

    private static String owner(FileChannel channel) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(4096);
        channel.read(buffer, 0);
        try {
            ObjectNode owner = Json.parseObject(Arrays.copyOf(buffer.array(), buffer.position()), FILE);
            return "process " + owner.path("pid").asString("?") + " on "
                    + owner.path("host").asString("?") + ", started "
                    + owner.path("started").asString("?");
        } catch (BadInput e) {
            return "a process that has not written its name yet";
        }
    }

    /// Gives the folder up.
    @Override
    public void close() {
        try (channel) {
            if (channel.isOpen()) {
                channel.truncate(0);
            }
        } catch (IOException e) {
            throw new CannotWrite(directory, e);
        } finally {
            HELD.remove(directory);
        }
    }
}
