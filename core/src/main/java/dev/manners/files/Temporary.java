package dev.manners.files;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Names beside a target, on the same file system, for what is not finished yet: `NAME.tmp-PID-N`. The process id says
/// whose it is, so that what a killed process left behind can be told from what a live one is writing.
final class Temporary {

    private static final Pattern NAME = Pattern.compile("(.+)\\.(tmp|old)-(\\d{1,10})-\\d{1,18}");
    private static final long PID = ProcessHandle.current().pid();
    private static final AtomicLong COUNT = new AtomicLong();

    /// What this process is using. A container often gives each start the same process id, so the id alone does not
    /// tell our own work from that of our predecessor.
    private static final Set<Path> OURS = ConcurrentHashMap.newKeySet();

    private Temporary() {}

    /// A new name for unfinished work; nothing is created. [#release] it when nothing is there any more.
    static Path claim(Path target) {
        return claim(target, "tmp");
    }

    /// A new name for the predecessor of a target that is about to be replaced.
    static Path claimOld(Path target) {
        return claim(target, "old");
    }

    private static Path claim(Path target, String kind) {
        Path path =
                target.resolveSibling(target.getFileName() + "." + kind + "-" + PID + "-" + COUNT.incrementAndGet());
        OURS.add(path);
        return path;
    }

    static void release(Path path) {
        OURS.remove(path);
    }

    /// Removes what dead processes left beside the target, or puts the predecessor back if its owner died while
    /// replacing it.
    static void removeLeftovers(Path target, Disk disk) throws IOException {
        Path parent = target.getParent();
        if (parent == null) {
            return;
        }
        String name = String.valueOf(target.getFileName());
        try (DirectoryStream<Path> siblings = Files.newDirectoryStream(parent, path -> isLeftover(path, name))) {
            for (Path leftover : siblings) {
                boolean old = leftover.getFileName().toString().startsWith(name + ".old-");
                if (old && !Files.exists(target, LinkOption.NOFOLLOW_LINKS)) {
                    disk.rename(leftover, target);
                } else {
                    disk.delete(leftover);
                }
            }
        }
    }

    private static boolean isLeftover(Path path, String target) {
        Matcher name = NAME.matcher(path.getFileName().toString());
        if (!name.matches() || !name.group(1).equals(target) || OURS.contains(path)) {
            return false;
        }
        long pid = Long.parseLong(name.group(3));
        return pid == PID || ProcessHandle.of(pid).isEmpty();
    }
}
