package dev.manners.model;

import dev.manners.BadInput;
import dev.manners.files.RegularFile;
import dev.manners.tensor.DType;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;

/// One safetensors file, open for reading. It is checked in full before anything is allocated for it: every tensor's
/// dtype, shape and place, and that together they cover the data exactly once.
///
/// Format: <https://github.com/huggingface/safetensors#format>.
public final class SafetensorsFile implements AutoCloseable {

    private static final int CHUNK = 8 << 20;

    private final Path file;
    private final FileChannel channel;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment mapped;
    private final SafetensorsHeader.Contents contents;

    /// One tensor as the header describes it.
    ///
    /// @param shape empty for a scalar
    /// @param begin of the data, in bytes from the end of the header
    /// @param end of the data, exclusive
    @SuppressWarnings("ArrayRecordComponent")
    public record Entry(String name, DType dtype, long[] shape, long begin, long end) {

        /// The data's length.
        public long bytes() {
            return end - begin;
        }
    }

    private SafetensorsFile(Path file, FileChannel channel) throws IOException {
        this.file = file;
        this.channel = channel;
        contents = SafetensorsHeader.read(channel, file);
        mapped = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
    }

    /// Opens and checks a file.
    ///
    /// @throws BadInput if it is not a regular file or not a valid safetensors file; lists the problems
    public static SafetensorsFile open(Path file) {
        FileChannel channel = RegularFile.open(file);
        boolean opened = false;
        try {
            SafetensorsFile safetensors = new SafetensorsFile(file, channel);
            opened = true;
            return safetensors;
        } catch (IOException e) {
            throw RegularFile.unreadable(file, e);
        } finally {
            if (!opened) {
                closeQuietly(channel);
            }
        }
    }

    private static void closeQuietly(FileChannel channel) {
        try {
            channel.close();
        } catch (IOException e) {
            // It was only read, and what is thrown already says more.
            return;
        }
    }

    /// In the order of their data.
    public List<Entry> entries() {
        return contents.entries();
    }

    /// What is under `__metadata__`, sorted by key.
    public Map<String, String> metadata() {
        return Collections.unmodifiableMap(contents.metadata());
    }

    /// A tensor's bytes, little-endian, mapped, read-only, valid until [#close]. For Java code only: if another
    /// process truncates the file, reading here throws `InternalError`, but native code reading it would be killed.
    /// What outlives the file or goes to native code is copied with [#copyTo].
    public MemorySegment data(Entry entry) {
        return mapped.asSlice(contents.dataStart() + entry.begin(), entry.bytes());
    }

    /// Copies a tensor's bytes. They are read, not mapped, so a file that shrinks meanwhile is an error and not a
    /// signal.
    ///
    /// @param destination exactly as long as the tensor
    /// @throws BadInput if the file was truncated since it was opened, or cannot be read
    public void copyTo(Entry entry, MemorySegment destination) {
        if (destination.byteSize() != entry.bytes()) {
            throw new IllegalArgumentException("tensor " + entry.name() + " has " + entry.bytes()
                    + " bytes, the destination " + destination.byteSize());
        }
        // A float[] cannot be read into as bytes.
        ByteBuffer between =
                destination.isNative() ? null : ByteBuffer.allocate((int) Math.min(1 << 20, entry.bytes()));
        long start = contents.dataStart() + entry.begin();
        try {
            for (long done = 0; done < entry.bytes(); ) {
                long rest = entry.bytes() - done;
                ByteBuffer buffer = between == null
                        ? destination.asSlice(done, Math.min(CHUNK, rest)).asByteBuffer()
                        : between.clear().limit((int) Math.min(between.capacity(), rest));
                int read = channel.read(buffer, start + done);
                if (read < 0) {
                    throw new BadInput(file + ": ends at byte " + channel.size() + ", inside tensor "
                            + SafetensorsHeader.quote(entry.name()) + " (bytes " + start + " to "
                            + (start + entry.bytes()) + "): it was truncated after it was opened; restore it");
                }
                if (between != null) {
                    MemorySegment.copy(MemorySegment.ofBuffer(between.flip()), 0, destination, done, read);
                }
                done += read;
            }
        } catch (ClosedChannelException e) {
            throw new IllegalStateException(file + " was closed", e);
        } catch (IOException e) {
            throw RegularFile.unreadable(file, e);
        }
    }

    /// Ends every view that [#data] gave.
    @Override
    public void close() {
        arena.close();
        closeQuietly(channel);
    }
}
