package dev.manners.text.jinja;

/// A template went wrong: thrown anywhere inside the interpreter, caught where the line is known.
final class Fault extends RuntimeException {

    private static final long serialVersionUID = 1L;

    Fault(String message) {
        super(message, null, false, false);
    }

    /// With Python's name for the kind of error, as people who know the original search for it.
    static Fault of(String kind, String message) {
        return new Fault(kind + ": " + message);
    }

    static Fault type(String message) {
        return of("TypeError", message);
    }

    static Fault value(String message) {
        return of("ValueError", message);
    }

    static Fault undefined(String message) {
        return of("UndefinedError", message);
    }

    static Fault unsupported(String message) {
        return of("Unsupported", message);
    }
}
