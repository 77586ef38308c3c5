package dev.manners.text.jinja;

import dev.manners.text.jinja.Arguments.Bound;
import dev.manners.text.jinja.Value.Bool;
import dev.manners.text.jinja.Value.Int;
import dev.manners.text.jinja.Value.ListValue;
import dev.manners.text.jinja.Value.None;
import dev.manners.text.jinja.Value.Tuple;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Set;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;

/// The methods of Python's `str`, on strings that know what is content.
final class StringMethods {

    /// All of Python's, so that an attribute of that name is the method even where it is not supported.
    static final Set<String> NAMES = Set.of(
            "capitalize",
            "casefold",
            "center",
            "count",
            "encode",
            "endswith",
            "expandtabs",
            "find",
            "format",
            "format_map",
            "index",
            "isalnum",
            "isalpha",
            "isascii",
            "isdecimal",
            "isdigit",
            "isidentifier",
            "islower",
            "isnumeric",
            "isprintable",
            "isspace",
            "istitle",
            "isupper",
            "join",
            "ljust",
            "lower",
            "lstrip",
            "maketrans",
            "partition",
            "removeprefix",
            "removesuffix",
            "replace",
            "rfind",
            "rindex",
            "rjust",
            "rpartition",
            "rsplit",
            "rstrip",
            "split",
            "splitlines",
            "startswith",
            "strip",
            "swapcase",
            "title",
            "translate",
            "upper",
            "zfill");

    private final Budget budget;
    private final Operations operations;
    private final Formatting formatting;
    private final Formatting.Lookup lookup;

    StringMethods(Budget budget, Operations operations, Formatting formatting, Formatting.Lookup lookup) {
        this.budget = budget;
        this.operations = operations;
        this.formatting = formatting;
        this.lookup = lookup;
    }

    Value call(Str self, String name, Arguments arguments) {
        budget.scan(self.text().length());
        return switch (name) {
            case "upper", "lower", "casefold", "capitalize", "title", "swapcase" -> {
                arguments.bind(name);
                yield cased(self, name);
            }
            case "strip", "lstrip", "rstrip" ->
                strip(self, name, arguments.bind(name, "chars").stringOrNull("chars"));
            case "removeprefix", "removesuffix" -> {
                String affix = arguments.bind(name, "affix").string("affix").text();
                int length = self.text().length();
                if (name.equals("removeprefix")) {
                    yield self.text().startsWith(affix) ? self.slice(affix.length(), length) : self;
                }
                yield self.text().endsWith(affix) ? self.slice(0, length - affix.length()) : self;
            }
            case "split", "rsplit" -> {
                Bound bound = arguments.bind(name, "sep", "maxsplit");
                int most = bound.integer("maxsplit", -1);
                yield new ListValue(split(
                        self, bound.stringOrNull("sep"), most < 0 ? Integer.MAX_VALUE : most, name.equals("rsplit")));
            }
            case "splitlines" ->
                splitLines(self, arguments.bind(name, "keepends").flag("keepends", false));
            case "partition", "rpartition" ->
                partition(self, arguments.bind(name, "sep").string("sep"), name.equals("rpartition"));
            case "replace" -> {
                Bound bound = arguments.bind(name, "old", "new", "count");
                int most = bound.integer("count", -1);
                yield replace(self, bound.string("old"), bound.string("new"), most < 0 ? Integer.MAX_VALUE : most);
            }
            case "join" -> join(self, arguments.bind(name, "iterable").require("iterable"));
            case "startswith", "endswith" -> Bool.of(affixed(self, name, arguments));
            case "find", "rfind", "index", "rindex" -> {
                int found = find(self, name, arguments);
                if (found < 0 && name.endsWith("index")) {
                    throw Fault.value("substring not found");
                }
                yield Int.of(found, self.content());
            }
            case "count" -> count(self, arguments);
            case "center", "ljust", "rjust" -> {
                Bound bound = arguments.bind(name, "width", "fillchar");
                Str fill = bound.stringOrNull("fillchar");
                yield pad(self, name, bound.integer("width", 0), fill == null ? Str.literal(" ") : fill);
            }
            case "zfill" -> {
                int width = arguments.bind(name, "width").integer("width", 0);
                boolean signed = self.text().startsWith("-") || self.text().startsWith("+");
                int sign = signed ? 1 : 0;
                yield new Text(budget)
                        .append(self, 0, sign)
                        .repeat(Str.literal("0"), (long) width - self.length())
                        .append(self, sign, self.text().length())
                        .toStr();
            }
            case "expandtabs" ->
                expandTabs(self, arguments.bind(name, "tabsize").integer("tabsize", 8));
            case "format" -> formatting.braces(self, arguments, lookup);
            case "encode", "format_map", "maketrans", "translate" ->
                throw Fault.unsupported("str." + name + "() in a chat template");
            default -> {
                arguments.bind(name);
                budget.examine(self.text().length());
                yield Bool.of(is(self.text(), name));
            }
        };
    }

    Str cased(Str self, String name) {
        return switch (name) {
            case "upper" -> self.map(budget, Unicode::upper);
            case "lower", "casefold" -> self.map(budget, Unicode::lower);
            case "swapcase" -> {
                // A string for each character.
                budget.steps(self.text().length());
                yield self.map(
                        budget,
                        run -> run.codePoints()
                                .mapToObj(c -> Character.isUpperCase(c)
                                        ? Unicode.lower(Character.toString(c))
                                        : Unicode.upper(Character.toString(c)))
                                .collect(java.util.stream.Collectors.joining()));
            }
            default -> titled(self, name.equals("capitalize"));
        };
    }

    /// The first letter of the text, or of each word, large; the rest small.
    private Str titled(Str self, boolean firstOnly) {
        budget.steps(self.text().length());
        Text out = new Text(budget);
        boolean start = true;
        for (int i = 0; i < self.text().length(); ) {
            int c = self.text().codePointAt(i);
            int next = i + Character.charCount(c);
            boolean content = self.slice(i, next).content();
            out.append(start ? Unicode.title(c) : Unicode.lower(Character.toString(c)), content);
            start = !firstOnly && !Unicode.isCased(c);
            i = next;
        }
        return out.toStr().safe(self.safe());
    }

    Str strip(Str self, String name, @Nullable Str chars) {
        String text = self.text();
        int begin = 0;
        int end = text.length();
        budget.scan(chars == null ? 0 : (long) Math.min(chars.text().length(), 64) * 4);
        IntPredicate strips =
                chars == null ? Unicode::isSpace : c -> chars.text().indexOf(c) >= 0;
        if (!name.equals("rstrip")) {
            while (begin < end && strips.test(text.codePointAt(begin))) {
                begin += Character.charCount(text.codePointAt(begin));
                budget.scan(chars == null ? 0 : chars.text().length());
            }
        }
        if (!name.equals("lstrip")) {
            while (begin < end && strips.test(text.codePointBefore(end))) {
                end -= Character.charCount(text.codePointBefore(end));
                budget.scan(chars == null ? 0 : chars.text().length());
            }
        }
        return self.slice(begin, end);
    }

    private List<Value> split(Str self, @Nullable Str separator, int most, boolean fromRight) {
        if (separator != null && separator.isEmpty()) {
            throw Fault.value("empty separator");
        }
        List<Value> parts = new ArrayList<>();
        String text = self.text();
        if (separator == null) {
            splitAtSpace(self, most, fromRight, parts);
        } else if (fromRight) {
            int end = text.length();
            while (parts.size() < most) {
                int found = Search.lastIndexOf(budget, text, separator.text(), end);
                if (found < 0) {
                    break;
                }
                add(parts, self, found + separator.text().length(), end);
                end = found;
            }
            add(parts, self, 0, end);
        } else {
            int begin = 0;
            while (parts.size() < most) {
                int found = Search.indexOf(budget, text, separator.text(), begin);
                if (found < 0) {
                    break;
                }
                add(parts, self, begin, found);
                begin = found + separator.text().length();
            }
            add(parts, self, begin, text.length());
        }
        if (fromRight) {
            Collections.reverse(parts);
        }
        return parts;
    }

    private void add(List<Value> parts, Str self, int begin, int end) {
        budget.allocate(end - begin + 16L);
        budget.elements(1);
        parts.add(self.slice(begin, end));
    }

    private void splitAtSpace(Str self, int most, boolean fromRight, List<Value> parts) {
        String text = self.text();
        int begin = 0;
        int end = text.length();
        while (true) {
            begin = fromRight ? begin : Unicode.skipSpace(text, begin);
            while (fromRight && end > begin && Unicode.isSpace(text.charAt(end - 1))) {
                end--;
            }
            if (begin >= end) {
                return;
            }
            if (parts.size() >= most) {
                add(parts, self, begin, end);
                return;
            }
            int edge = fromRight ? end : begin;
            if (fromRight) {
                while (edge > begin && !Unicode.isSpace(text.charAt(edge - 1))) {
                    edge--;
                }
                add(parts, self, edge, end);
                end = edge;
            } else {
                while (edge < end && !Unicode.isSpace(text.charAt(edge))) {
                    edge++;
                }
                add(parts, self, begin, edge);
                begin = edge;
            }
        }
    }

    private Value splitLines(Str self, boolean keepEnds) {
        List<Value> lines = new ArrayList<>();
        String text = self.text();
        int begin = 0;
        for (int i = 0; i < text.length(); i++) {
            if (Unicode.isLineBreak(text.charAt(i))) {
                int end = i;
                if (text.charAt(i) == '\r' && i + 1 < text.length() && text.charAt(i + 1) == '\n') {
                    i++;
                }
                add(lines, self, begin, keepEnds ? i + 1 : end);
                begin = i + 1;
            }
        }
        if (begin < text.length()) {
            add(lines, self, begin, text.length());
        }
        return new ListValue(lines);
    }

    private Value partition(Str self, Str separator, boolean last) {
        if (separator.isEmpty()) {
            throw Fault.value("empty separator");
        }
        int length = self.text().length();
        int found = last
                ? Search.lastIndexOf(budget, self.text(), separator.text(), length)
                : Search.indexOf(budget, self.text(), separator.text(), 0);
        if (found < 0) {
            return last ? Tuple.of(Str.EMPTY, Str.EMPTY, self) : Tuple.of(self, Str.EMPTY, Str.EMPTY);
        }
        int after = found + separator.text().length();
        budget.allocate(length);
        return Tuple.of(self.slice(0, found), self.slice(found, after), self.slice(after, length));
    }

    Str replace(Str self, Str old, Str with, int most) {
        Text out = new Text(budget);
        String text = self.text();
        int begin = 0;
        if (old.isEmpty()) {
            int done = 0;
            for (int i = 0; i < text.length() && done < most; i += Character.charCount(text.codePointAt(i)), done++) {
                out.append(self, begin, i).append(with);
                begin = i;
            }
            out.append(self, begin, text.length());
            return (done < most ? out.append(with) : out).toStr().safe(self.safe());
        }
        for (int done = 0; done < most; done++) {
            int found = Search.indexOf(budget, text, old.text(), begin);
            if (found < 0) {
                break;
            }
            out.append(self, begin, found).append(with);
            budget.steps(1);
            begin = found + old.text().length();
        }
        return begin == 0
                ? self
                : out.append(self, begin, text.length()).toStr().safe(self.safe());
    }

    private Value join(Str self, Value iterable) {
        Text out = new Text(budget);
        Iterator<Value> items = operations.iterate(iterable);
        for (int i = 0; items.hasNext(); i++) {
            Value item = items.next();
            if (!(item instanceof Str part)) {
                throw Fault.type("sequence item " + i + ": expected str instance, " + item.type() + " found");
            }
            budget.steps(1);
            (i == 0 ? out : out.append(self)).append(part);
        }
        return out.toStr();
    }

    /// The part of `self` that `start` and `end`, in code points, leave; null where `start` is past the end.
    private int @Nullable [] window(Str self, Bound bound) {
        int length = self.length();
        int start = bound.get("start") instanceof None ? 0 : bound.integer("start", 0);
        int end = bound.get("end") instanceof None ? length : bound.integer("end", length);
        start = start < 0 ? Math.max(0, start + length) : start;
        end = end < 0 ? Math.max(0, end + length) : Math.min(end, length);
        if (start > end) {
            return null;
        }
        int from = self.text().offsetByCodePoints(0, start);
        return new int[] {from, self.text().offsetByCodePoints(from, end - start)};
    }

    private boolean affixed(Str self, String name, Arguments arguments) {
        Bound bound = arguments.bind(name, "prefix", "start", "end");
        Value affix = bound.require("prefix");
        int[] window = window(self, bound);
        for (Value candidate : affix instanceof Tuple t ? t.items() : List.of(affix)) {
            if (!(candidate instanceof Str s)) {
                throw Fault.type(name + " first arg must be str or a tuple of str, not " + candidate.type());
            }
            budget.scan(s.text().length());
            if (window == null || s.text().length() > window[1] - window[0]) {
                continue;
            }
            int at =
                    name.equals("startswith") ? window[0] : window[1] - s.text().length();
            if (self.text().startsWith(s.text(), at)) {
                return true;
            }
        }
        return false;
    }

    private int find(Str self, String name, Arguments arguments) {
        Bound bound = arguments.bind(name, "sub", "start", "end");
        String part = bound.string("sub").text();
        int[] window = window(self, bound);
        if (window == null) {
            return -1;
        }
        int found = name.startsWith("r")
                ? Search.lastIndexOf(budget, self.text(), part, window[1])
                : Search.indexOf(budget, self.text(), part, window[0]);
        boolean inside = found >= window[0] && found + part.length() <= window[1];
        return inside ? self.text().codePointCount(0, found) : -1;
    }

    private Value count(Str self, Arguments arguments) {
        Bound bound = arguments.bind("count", "sub", "start", "end");
        String part = bound.string("sub").text();
        int[] window = window(self, bound);
        if (window == null) {
            return Int.of(0, self.content());
        }
        if (part.isEmpty()) {
            return Int.of(self.text().codePointCount(window[0], window[1]) + 1L, self.content());
        }
        long count = 0;
        for (int at = window[0]; ; count++) {
            int found = Search.indexOf(budget, self.text(), part, at);
            if (found < 0 || found + part.length() > window[1]) {
                return Int.of(count, self.content());
            }
            at = found + part.length();
        }
    }

    Str pad(Str self, String name, int width, Str fill) {
        if (fill.length() != 1) {
            throw Fault.type("The fill character must be exactly one character long");
        }
        long missing = Math.max(0, (long) width - self.length());
        // Python's centre leans to the left only where both the padding and the width are odd.
        long left = switch (name) {
            case "ljust" -> 0;
            case "rjust" -> missing;
            default -> missing / 2 + (missing & width & 1);
        };
        return new Text(budget)
                .repeat(fill, left)
                .append(self)
                .repeat(fill, missing - left)
                .toStr();
    }

    private Str expandTabs(Str self, int size) {
        Text out = new Text(budget);
        int column = 0;
        for (int i = 0; i < self.text().length(); ) {
            int c = self.text().codePointAt(i);
            int next = i + Character.charCount(c);
            if (c == '\t') {
                int spaces = size <= 0 ? 0 : size - column % size;
                out.repeat(Str.of(" ", self.slice(i, next).content()), spaces);
                column += spaces;
            } else {
                out.append(self, i, next);
                column = c == '\n' || c == '\r' ? 0 : column + 1;
            }
            i = next;
        }
        return out.toStr();
    }

    private static boolean is(String text, String name) {
        return switch (name) {
            case "isalpha" -> all(text, Character::isLetter);
            case "isalnum" -> all(text, c -> Character.isLetter(c) || isNumeric(c));
            case "isdigit" -> all(text, c -> Character.isDigit(c) || isSuperscript(c));
            case "isdecimal" -> all(text, Character::isDigit);
            case "isnumeric" -> all(text, StringMethods::isNumeric);
            case "isspace" -> all(text, Unicode::isSpace);
            case "isascii" -> text.chars().allMatch(c -> c < 128);
            case "isprintable" -> text.codePoints().allMatch(Unicode::isPrintable);
            case "isidentifier" -> text.matches("[\\p{L}\\p{Nl}_][\\p{L}\\p{N}\\p{M}_]*");
            case "islower" ->
                text.codePoints().anyMatch(Unicode::isCased)
                        && text.codePoints().noneMatch(c -> Character.isUpperCase(c) || Character.isTitleCase(c));
            case "isupper" ->
                text.codePoints().anyMatch(Unicode::isCased)
                        && text.codePoints().noneMatch(c -> Character.isLowerCase(c) || Character.isTitleCase(c));
            case "istitle" -> isTitle(text);
            default -> throw Fault.unsupported("str." + name + "() in a chat template");
        };
    }

    private static boolean all(String text, IntPredicate test) {
        return !text.isEmpty() && text.codePoints().allMatch(test);
    }

    private static boolean isSuperscript(int c) {
        return c == 0xb2
                || c == 0xb3
                || c == 0xb9
                || c == 0x2070
                || (c >= 0x2074 && c <= 0x2079)
                || (c >= 0x2080 && c <= 0x2089);
    }

    private static boolean isNumeric(int c) {
        int type = Character.getType(c);
        return type == Character.DECIMAL_DIGIT_NUMBER
                || type == Character.LETTER_NUMBER
                || type == Character.OTHER_NUMBER;
    }

    private static boolean isTitle(String text) {
        boolean afterCased = false;
        boolean any = false;
        for (int c : text.codePoints().toArray()) {
            boolean upper = Character.isUpperCase(c) || Character.isTitleCase(c);
            if (upper ? afterCased : Character.isLowerCase(c) && !afterCased) {
                return false;
            }
            afterCased = Unicode.isCased(c);
            any |= afterCased;
        }
        return any;
    }
}
