package dev.manners.files;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/// One file that is complete or as it was: written beside its name, forced to the disk, renamed, and the rename forced.
/// A file that somebody has open or mapped stays as it was for them.
public final class AtomicFile {

    private AtomicFile() {}

    /// What a file shall contain.
    @FunctionalInterface
    public interface Content {
        /// @param out empty, at its beginning
        void writeTo(FileChannel out) throws IOException;
    }

    /// Writes or replaces a file. Its folder must exist.
    ///
    /// @throws CannotWrite then the target is as it was
    public static void write(Path target, Content content) {
        write(target, content, Steps.NONE);
    }

    /// Writes or replaces a file. Its folder must exist.
    ///
    /// @throws CannotWrite then the target is as it was
    public static void write(Path target, byte[] content) {
        write(target, out -> {
            ByteBuffer buffer = ByteBuffer.wrap(content);
            while (buffer.hasRemaining()) {
                out.write(buffer);
            }
        });
    }

    /// Writes or replaces a UTF-8 file. Its folder must exist.
    ///
    /// @throws CannotWrite then the target is as it was
    public static void write(Path target, String text) {
        write(target, text.getBytes(StandardCharsets.UTF_8));
    }

    static void write(Path target, Content content, Steps steps) {
        Path absolute = target.toAbsolutePath();
        Disk disk = new Disk(steps);
        Path temporary = Temporary.claim(absolute);
        try {
            try {
                Temporary.removeLeftovers(absolute, disk);
                steps.before("write", temporary);
                try (FileChannel out =
                        FileChannel.open(temporary, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
                    content.writeTo(out);
                    steps.before("fsync", temporary);
                    out.force(true);
                }
                disk.rename(temporary, absolute);
                disk.forceDirectory(AtomicDirectory.parent(absolute));
            } finally {
                disk.delete(temporary);
                Temporary.release(temporary);
            }
        } catch (IOException e) {
            throw new CannotWrite(target, e);
        }
    }
}
