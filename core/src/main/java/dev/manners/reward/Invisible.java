package dev.manners.reward;

/// Characters that a reader does not see, or that change what he sees: controls, zero-width and direction marks, tags,
/// private use, lone surrogates, unassigned.
final class Invisible {

    private Invisible() {}

    static boolean is(int codePoint) {
        return switch (Character.getType(codePoint)) {
            case Character.CONTROL,
                    Character.FORMAT,
                    Character.PRIVATE_USE,
                    Character.SURROGATE,
                    Character.UNASSIGNED,
                    Character.LINE_SEPARATOR,
                    Character.PARAGRAPH_SEPARATOR -> true;
            // Blank though no format characters: combining grapheme joiner, Hangul fillers, variation selectors.
            default ->
                codePoint == 0x034F
                        || codePoint == 0x115F
                        || codePoint == 0x1160
                        || codePoint == 0x3164
                        || codePoint == 0xFFA0
                        || codePoint >= 0xFE00 && codePoint <= 0xFE0F
                        || codePoint >= 0xE0100 && codePoint <= 0xE01EF;
        };
    }
}
