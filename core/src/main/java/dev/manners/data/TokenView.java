package dev.manners.data;

/// Shows examples on a terminal, token by token: what is trained in colour, what is masked dim.
///
/// Whatever the data holds, only printable characters and the view's own colours reach the terminal: control
/// characters, escape sequences and direction overrides are shown as escapes (`\x1b`, `\u202e`).
public final class TokenView {

    private static final String TRAINED = "\u001b[32m";
    private static final String MASKED = "\u001b[2m";
    private static final String RESET = "\u001b[0m";

    private final Encoder encoder;
    private final boolean colour;
    private final boolean borders;

    /// @param colour use ANSI colours; without them trained tokens stand between `«` and `»`
    /// @param borders put `|` between tokens
    public TokenView(Encoder encoder, boolean colour, boolean borders) {
        this.encoder = encoder;
        this.colour = colour;
        this.borders = borders;
    }

    /// An example with its source and counts in front; ends with a newline.
    public String show(Example example) {
        int trained = 0;
        for (int i = 1; i < example.length(); i++) {
            trained += example.trained()[i] ? 1 : 0;
        }
        return "%s: %d tokens, %d trained\n%s\n"
                .formatted(
                        printable(example.source()), example.length(), trained, show(example.ids(), example.trained()));
    }

    /// A packed sequence, one document after the other.
    public String show(Packed packed) {
        StringBuilder text = new StringBuilder("%d tokens, %d trained, %d documents\n"
                .formatted(packed.length(), packed.trainedTokens(), packed.lengths().length));
        int at = 0;
        for (int length : packed.lengths()) {
            text.append("--- %d tokens\n".formatted(length));
            text.append(show(
                            java.util.Arrays.copyOfRange(packed.ids(), at, at + length),
                            java.util.Arrays.copyOfRange(packed.trained(), at, at + length)))
                    .append('\n');
            at += length;
        }
        return text.toString();
    }

    private String show(int[] ids, boolean[] trained) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < ids.length; i++) {
            boolean begins = i == 0 || trained[i] != trained[i - 1];
            boolean ends = i == ids.length - 1 || trained[i] != trained[i + 1];
            if (begins) {
                text.append(colour ? trained[i] ? TRAINED : MASKED : trained[i] ? "«" : "");
            } else if (borders) {
                text.append('|');
            }
            text.append(printable(encoder.show(ids[i])));
            if (ends) {
                text.append(colour ? RESET : trained[i] ? "»" : "");
            }
        }
        return text.toString();
    }

    /// Text that is safe to print: line breaks are kept, shown as `↵` too; tabs as `→`; every other character that
    /// does not print, or that moves or turns what does, as an escape.
    public static String printable(String text) {
        StringBuilder safe = new StringBuilder(text.length());
        text.codePoints().forEach(c -> {
            switch (c) {
                case '\n' -> safe.append("↵\n");
                case '\t' -> safe.append('→');
                default -> {
                    int type = Character.getType(c);
                    boolean hidden = type == Character.CONTROL
                            || type == Character.FORMAT
                            || type == Character.SURROGATE
                            || type == Character.LINE_SEPARATOR
                            || type == Character.PARAGRAPH_SEPARATOR;
                    if (!hidden) {
                        safe.appendCodePoint(c);
                    } else {
                        safe.append(c < 0x100 ? "\\x%02x".formatted(c) : "\\u%04x".formatted(c));
                    }
                }
            }
        });
        return safe.toString();
    }
}
