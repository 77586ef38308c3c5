package dev.manners.files;

import dev.manners.BadInput;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;

/// Opens what is a regular file, and nothing else: a pipe would block for ever, a device never ends.
public final class RegularFile {

    private RegularFile() {}

    /// Opens a regular file (or a symbolic link to one) for reading.
    ///
    /// @throws BadInput if it is absent, unreadable, or anything but a regular file
    public static FileChannel open(Path file) {
        require(file);
        try {
            return FileChannel.open(file, StandardOpenOption.READ);
        } catch (IOException e) {
            throw unreadable(file, e);
        }
    }

    /// Asks without opening, so a pipe cannot make it wait.
    ///
    /// @throws BadInput if it is absent, unreachable, or anything but a regular file
    public static void require(Path file) {
        BasicFileAttributes attributes;
        try {
            attributes = Files.readAttributes(file, BasicFileAttributes.class);
        } catch (NoSuchFileException e) {
            throw new BadInput(file + ": no such file", e);
        } catch (AccessDeniedException e) {
            throw unreadable(file, e);
        } catch (IOException e) {
            throw new BadInput(file + ": not a regular file: " + reason(e), e);
        }
        if (attributes.isDirectory()) {
            throw new BadInput(file + ": not a regular file: it is a folder");
        }
        if (!attributes.isRegularFile()) {
            throw new BadInput(file + ": not a regular file: it is a pipe, a socket or a device");
        }
    }

    /// What to say of a file that was there and could not be read.
    public static BadInput unreadable(Path file, IOException e) {
        return new BadInput(file + ": cannot be read: " + reason(e), e);
    }

    /// Why, without repeating the path.
    public static String reason(IOException e) {
        return switch (e) {
            case NoSuchFileException gone -> "no such file or folder: " + gone.getFile();
            case AccessDeniedException denied -> "permission denied: " + denied.getFile();
            case FileSystemException system when system.getReason() != null -> system.getReason();
            default -> e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
        };
    }
}
