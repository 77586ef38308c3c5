package dev.manners.text.jinja;

import dev.manners.BadInput;

/// A template that cannot be parsed.
final class SyntaxFault extends BadInput {

    private static final long serialVersionUID = 1L;

    SyntaxFault(String template, int line, String message) {
        super(template + ":" + line + ": not a valid chat template: " + message);
    }
}
