package dev.manners.reward;

import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/// A regular expression that gives up: `(a+)+$` would try 2ⁿ ways to fail.
///
/// The bound is on characters looked at, not on time: the same text gets the same answer on a slow machine, and no
/// second thread is needed.
final class BoundedPattern {

    /// Java's matcher recurses on some patterns, a frame or more a character.
    private static final int LONGEST = 20_000;
    private static final int STEPS_PER_CHARACTER = 1_000;
    private static final int STEPS = 1_000_000;

    private final Pattern pattern;

    private BoundedPattern(Pattern pattern) {
        this.pattern = pattern;
    }

    /// Too much work, for this text.
    static final class GaveUp extends RuntimeException {
        private static final long serialVersionUID = 1L;

        GaveUp(String why) {
            super(why, null, false, false);
        }
    }

    /// @throws PatternSyntaxException if it is none
    static BoundedPattern compile(String regex) {
        if (regex.length() > LONGEST) {
            throw new PatternSyntaxException("longer than " + LONGEST + " characters", Show.text(regex), -1);
        }
        try {
            return new BoundedPattern(Pattern.compile(regex));
        } catch (StackOverflowError e) {
            throw new PatternSyntaxException("nested too deeply", Show.text(regex), -1);
        }
    }

    /// @throws GaveUp if it takes too long to say
    boolean matches(String text) {
        return run(text, true);
    }

    /// @throws GaveUp if it takes too long to say
    boolean find(String text) {
        return run(text, false);
    }

    private boolean run(String text, boolean whole) {
        if (text.length() > LONGEST) {
            throw new GaveUp(text.length() + " characters");
        }
        var matcher = pattern.matcher(new Counted(text, new int[] {STEPS + STEPS_PER_CHARACTER * text.length()}));
        try {
            return whole ? matcher.matches() : matcher.find();
        } catch (StackOverflowError e) {
            throw new GaveUp("the pattern recurses too deeply on it");
        }
    }

    /// Text that counts how often it is looked at.
    private record Counted(CharSequence text, int[] left) implements CharSequence {

        @Override
        public char charAt(int index) {
            if (--left[0] < 0) {
                throw new GaveUp("the pattern tries too many ways to match it");
            }
            return text.charAt(index);
        }

        @Override
        public int length() {
            return text.length();
        }

        @Override
        public CharSequence subSequence(int start, int end) {
            return text.subSequence(start, end);
        }

        @Override
        public String toString() {
            return text.toString();
        }
    }
}
