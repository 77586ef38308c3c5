package dev.manners.testing;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Assumptions;

/// Reference numbers and real data beside the checkout. A user does not have them: the tests that need them are
/// skipped there. Where `CI` is set they may not be.
public final class Shared {

    private Shared() {}

    /// A file or folder under `shared/`, or the calling test is skipped.
    public static Path path(String relative) {
        Path path = Path.of(System.getProperty("manners.shared", "../../shared"))
                .toAbsolutePath()
                .normalize()
                .resolve(relative);
        if (!Files.exists(path)) {
            if (System.getenv("CI") != null) {
                Assertions.fail(path + " is missing: where CI is set the reference data may not be skipped");
            }
            Assumptions.abort(path + " is not here");
        }
        return path;
    }
}
