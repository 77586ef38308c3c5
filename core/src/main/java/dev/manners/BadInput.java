package dev.manners;

import java.util.List;

/// Something the user gave cannot be used: a file, an option, a dataset row, a model directory.
///
/// The message is one a user can act on: what was given, what was expected, what to do next, with file, line, byte or
/// key. The command line prints it without a stack trace and exits with a code that is not 0. Anything else that is
/// thrown is a bug of ours.
public class BadInput extends RuntimeException {

    private static final long serialVersionUID = 1L;

    public BadInput(String message) {
        super(message);
    }

    public BadInput(String message, Throwable cause) {
        super(message, cause);
    }

    /// All of a file's problems at once.
    ///
    /// @param what what was being read, for the first line
    /// @param problems at least one
    public static BadInput all(String what, List<String> problems) {
        if (problems.size() == 1) {
            return new BadInput(what + ": " + problems.getFirst());
        }
        return new BadInput(what + ": " + problems.size() + " problems\n  - " + String.join("\n  - ", problems));
    }
}
