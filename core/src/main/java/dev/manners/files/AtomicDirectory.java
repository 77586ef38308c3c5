package dev.manners.files;

import dev.manners.BadInput;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.function.BiPredicate;
import java.util.stream.Stream;

/// A folder that is complete or absent. Files are written beside the target; the commit forces every file to the disk,
/// writes `MANIFEST.json` last, forces that and the folder, renames, and forces the parent. A process killed anywhere
/// in between leaves either no target or one whose [Manifest] verifies.
///
///     try (AtomicDirectory checkpoint = AtomicDirectory.create(run.resolve("checkpoint-40"))) {
///         SafetensorsWriter.write(checkpoint.path().resolve("model.safetensors"), ...);
///         checkpoint.commit(Map.of("step", 40));
///     }
public final class AtomicDirectory implements AutoCloseable {

    private final Path target;
    private final Path work;
    private final Disk disk;
    private final BiPredicate<Path, Path> swap;

    private AtomicDirectory(Path target, Path work, Disk disk, BiPredicate<Path, Path> swap) {
        this.target = target;
        this.work = work;
        this.disk = disk;
        this.swap = swap;
    }

    /// Starts an empty folder beside the target, creating the target's parents, and removes what processes that died
    /// while writing the same target have left there.
    ///
    /// @throws CannotWrite if nothing can be created there
    public static AtomicDirectory create(Path target) {
        return create(target, Steps.NONE, Exchange::swap);
    }

    static AtomicDirectory create(Path target, Steps steps, BiPredicate<Path, Path> swap) {
        Path absolute = target.toAbsolutePath();
        Disk disk = new Disk(steps);
        Path work = Temporary.claim(absolute);
        try {
            Files.createDirectories(parent(absolute));
            Temporary.removeLeftovers(absolute, disk);
            Files.createDirectory(work);
            return new AtomicDirectory(absolute, work, disk, swap);
        } catch (IOException e) {
            Temporary.release(work);
            throw new CannotWrite(target, e);
        }
    }

    static Path parent(Path absolute) {
        Path parent = absolute.getParent();
        if (parent == null) {
            throw new BadInput(absolute + ": the root of a file system cannot be written as one file or folder");
        }
        return parent;
    }

    /// Where to write now. Subfolders are allowed, links are not.
    public Path path() {
        return work;
    }

    /// Makes the folder durable and gives it its name, which must not be taken.
    ///
    /// @param manifestExtra what else the manifest shall say (step, parent, seed); free of clocks if two equal runs
    ///     shall give equal bytes
    /// @throws CannotWrite then the target is absent, and [#close] removes the rest; only if the very last step,
    ///     forcing the parent, failed, it is there and complete but may not survive a power failure
    public void commit(Map<String, ?> manifestExtra) {
        try {
            refuseTaken();
            seal(manifestExtra);
            refuseTaken();
            disk.rename(work, target);
            disk.forceDirectory(parent(target));
        } catch (IOException e) {
            throw new CannotWrite(target, e);
        }
    }

    /// As [#commit], but takes the place of a folder that was committed before. On Linux the two are exchanged in one
    /// step. Where the file system cannot do that the old one steps aside first: then the target is absent for a
    /// moment, and if the process dies in it the next [#create] of the same target puts the old one back.
    ///
    /// A reader that opens several files compares [Manifest#id] before and after, to know that all came from one.
    ///
    /// @throws CannotWrite then the target is as it was, with the exception of the last step as in [#commit]
    public void commitReplacing(Map<String, ?> manifestExtra) {
        if (!Files.exists(target, LinkOption.NOFOLLOW_LINKS)) {
            commit(manifestExtra);
            return;
        }
        if (!Files.isRegularFile(target.resolve(Manifest.FILE))) {
            throw new CannotWrite(target + ": will not be replaced: it has no " + Manifest.FILE
                    + ", so it was not written by this program; remove it or choose another name");
        }
        try {
            seal(manifestExtra);
            disk.steps().before("rename", target);
            if (swap.test(work, target)) {
                disk.forceDirectory(parent(target));
                disk.delete(work);
            } else {
                replaceInTwoSteps();
            }
        } catch (IOException e) {
            throw new CannotWrite(target, e);
        }
    }

    private void replaceInTwoSteps() throws IOException {
        Path old = Temporary.claimOld(target);
        try {
            disk.rename(target, old);
            try {
                disk.rename(work, target);
            } catch (IOException e) {
                Files.move(old, target);
                throw e;
            }
            disk.forceDirectory(parent(target));
            disk.delete(old);
        } finally {
            Temporary.release(old);
        }
    }

    private void refuseTaken() throws FileAlreadyExistsException {
        if (Files.exists(target, LinkOption.NOFOLLOW_LINKS)) {
            throw new FileAlreadyExistsException(target.toString(), null, "it exists already");
        }
    }

    /// Everything in the folder on the disk, the manifest last.
    private void seal(Map<String, ?> manifestExtra) throws IOException {
        if (!Files.isDirectory(work)) {
            throw new NotDirectoryException("the unfinished folder " + work + " is gone");
        }
        List<Path> contents = contents(work);
        for (Path path : contents) {
            if (Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS)) {
                disk.force(path);
            } else if (!Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS)) {
                throw new IOException(path + " is neither a file nor a folder");
            }
        }
        Path manifest = work.resolve(Manifest.FILE);
        disk.write(manifest, Manifest.describe(work, manifestExtra));
        disk.force(manifest);
        for (Path path : contents) {
            if (Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS)) {
                disk.forceDirectory(path);
            }
        }
    }

    /// Everything in a folder and the folder itself, the deepest first.
    private static List<Path> contents(Path directory) throws IOException {
        try (Stream<Path> all = Files.walk(directory)) {
            return all.sorted(Comparator.reverseOrder()).toList();
        }
    }

    /// Removes what was not committed.
    @Override
    public void close() {
        try {
            disk.delete(work);
        } catch (IOException e) {
            throw new CannotWrite(work, e);
        } finally {
            Temporary.release(work);
        }
    }
}
