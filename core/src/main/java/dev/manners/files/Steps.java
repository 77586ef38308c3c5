package dev.manners.files;

import java.io.IOException;
import java.nio.file.Path;

/// Told before every operation that changes the disk, in order: where the crash tests stop the process.
@FunctionalInterface
interface Steps {

    Steps NONE = (operation, path) -> {};

    /// @param operation `write`, `fsync`, `rename` or `delete`
    /// @throws IOException as if the operation itself had failed
    void before(String operation, Path path) throws IOException;
}
