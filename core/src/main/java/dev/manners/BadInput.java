package dev.manners;

import java.util.List;

/// Something the user gave cannot be used: a file, an option, a dataset row, a model directory.
///
/// The message is one a user can act on: what was given, what was expected, what to do next, with file, line, byte or
/// key. The command line prints it without a stack trace and exits with a code that is not 0. Anything else that is
/// thrown is a bug of ours.
public class BadInput extends RuntimeException {

    private static final long serialVersionUID = 1L;

    private final transient List<String> problems;

    public BadInput(String message) {
        super(message);
        this.problems = List.of(message);
    }

    public BadInput(String message, Throwable cause) {
        super(message, cause);
        this.problems = List.of(message);
    }

    private BadInput(String message, List<String> problems) {
        super(message);
        this.problems = List.copyOf(problems);
    }

    /// What is wrong, one by one; one or more.
    public List<String> problems() {
        return problems;
    }

    /// All of a file's problems at once.
    ///
    /// @param what what was being read, for the first line
    /// @param problems at least one
    public static BadInput all(String what, List<String> problems) {
        if (problems.size() == 1) {
            return new BadInput(what + ": " + problems.getFirst(), problems);
        }
        return new BadInput(
                what + ": " + problems.size() + " problems\n  - " + String.join("\n  - ", problems), problems);
    }
}
