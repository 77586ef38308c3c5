package dev.manners.files;

import dev.manners.BadInput;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/// A save that failed: the disk is full, read-only, gone, or did not confirm. What was there before is untouched and
/// nothing stands under the final name that was not there before; a trainer may go on, or save elsewhere.
public final class CannotWrite extends BadInput {

    private static final long serialVersionUID = 1L;

    CannotWrite(String message) {
        super(message);
    }

    CannotWrite(Path target, IOException cause) {
        super(target + ": cannot be saved: " + RegularFile.reason(cause) + free(target), cause);
    }

    /// Free bytes where the target should have gone, if that can still be asked.
    private static String free(Path target) {
        for (Path path = target.toAbsolutePath(); path != null; path = path.getParent()) {
            if (Files.isDirectory(path)) {
                try {
                    return " (" + Files.getFileStore(path).getUsableSpace() + " bytes free in " + path + ")";
                } catch (IOException e) {
                    return "";
                }
            }
        }
        return "";
    }
}
