package dev.manners.text.jinja;

/// One token of a template.
///
/// @param text for DATA the text after whitespace control, for STRING the value, else the source
record Token(Kind kind, String text, int line) {

    enum Kind {
        DATA,
        VARIABLE_BEGIN,
        VARIABLE_END,
        BLOCK_BEGIN,
        BLOCK_END,
        NAME,
        STRING,
        INTEGER,
        FLOAT,
        OPERATOR,
        END
    }

    boolean isName(String name) {
        return kind == Kind.NAME && text.equals(name);
    }

    boolean isOperator(String operator) {
        return kind == Kind.OPERATOR && text.equals(operator);
    }

    String describe() {
        return switch (kind) {
            case END -> "the end of the template";
            case DATA -> "text";
            case STRING -> "a string";
            case VARIABLE_END, BLOCK_END -> "'" + text.strip() + "'";
            default -> "'" + text + "'";
        };
    }
}
