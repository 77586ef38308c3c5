package dev.manners.reward;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.hipparchus.fraction.BigFraction;
import org.jspecify.annotations.Nullable;

/// Reads the part of LaTeX and of plain notation in which answers are written.
///
/// - numbers: integers, decimals, thousands by commas (outside brackets, where a comma separates), `{,}` or `\,`
/// - + - * / ^ !, `\cdot`, `\times`, `\div`; multiplication may go without saying (`2x`, `3\sqrt{2}`), but not between
/// two
///   numbers; a whole number before a fraction is a mixed number (`3\frac{1}{2}`, `3 1/2`)
/// - `\frac`, `\sqrt[n]`, |x|, sin … arctan, `\ln`, `\log_b`, `\exp`, π, e, i, ∞; one-letter variables
/// - points and intervals, sets `\{…\}`, several answers separated by commas, `\cup`, matrices, equations,
/// inequalities,
///   `x \in …`
///
/// Words are not read: an "or", a "not" or an "about" makes it no expression. Depth and length are bounded.
final class MathsParser {

    static final int LONGEST = 2_000;
    private static final int DEEPEST = 40;

    private static final Pattern TOKEN = Pattern.compile(
            "\\s+"
                    + "|(?<number>[0-9]++(?:\\.[0-9]++)?|\\.[0-9]++)"
                    + "|(?<command>\\\\(?:[A-Za-z]++|[{}\\\\|]))"
                    + "|(?<word>[A-Za-z]++)"
                    + "|(?<sign>.)",
            Pattern.DOTALL);
    /// Commas that group digits; inside brackets only the ones LaTeX marks.
    private static final Pattern GROUPED = Pattern.compile("(?<![0-9.,}])[0-9]{1,3}(?:,[0-9]{3})++(?![0-9,])");
    private static final Pattern MARKED =
            Pattern.compile("(?<=[0-9])(?:\\{,}|,\\\\!|\\\\,|\u00A0|\u2009|\u202F)(?=[0-9]{3})");
    private static final Pattern SHORT_FRACTION =
            Pattern.compile("\\\\frac ?(?:([0-9]) ?([0-9])(?![0-9.])|([0-9])(?=\\{)|(\\{[^{}]*}) ?([0-9])(?![0-9.]))");
    private static final Pattern SILENT = Pattern.compile(
            "\\\\(?:left|right|displaystyle|limits|big[lr]?|Big[lr]?)(?![A-Za-z])|(?<!\\\\)\\\\[,;:! ]|~|\\\\quad(?![A-Za-z])");

    private static final Map<String, String> COMMANDS = Map.ofEntries(
            Map.entry("\\cdot", "*"),
            Map.entry("\\times", "*"),
            Map.entry("\\div", "/"),
            Map.entry("\\ast", "*"),
            Map.entry("\\le", "≤"),
            Map.entry("\\leq", "≤"),
            Map.entry("\\ge", "≥"),
            Map.entry("\\geq", "≥"),
            Map.entry("\\leqslant", "≤"),
            Map.entry("\\geqslant", "≥"),
            Map.entry("\\lt", "<"),
            Map.entry("\\gt", ">"),
            Map.entry("\\in", "∈"),
            Map.entry("\\cup", "∪"),
            Map.entry("\\infty", "∞"),
            Map.entry("\\pi", "pi"),
            Map.entry("\\lvert", "|"),
            Map.entry("\\rvert", "|"),
            Map.entry("\\|", "|"),
            Map.entry("\\mid", "|"),
            Map.entry("\\lbrace", "\\{"),
            Map.entry("\\rbrace", "\\}"),
            Map.entry("\\dfrac", "\\frac"),
            Map.entry("\\tfrac", "\\frac"),
            Map.entry("\\cfrac", "\\frac"));
    private static final Map<String, String> SIGNS =
            Map.of("\u2212", "-", "×", "*", "·", "*", "÷", "/", "π", "pi", "√", "sqrt", "²", "^2", "³", "^3");
    private static final Set<String> FUNCTIONS =
            Set.of("sin", "cos", "tan", "arcsin", "arccos", "arctan", "ln", "log", "exp", "sqrt", "abs");
    private static final Set<String> GREEK = Set.of(
            "alpha", "beta", "gamma", "delta", "epsilon", "theta", "lambda", "mu", "rho", "sigma", "tau", "phi",
            "omega");
    /// Short words that are no products of variables.
    private static final Set<String> WORDS = Set.of(
            "or", "and", "not", "nor", "xor", "to", "is", "if", "no", "of", "in", "yes", "one", "two", "the", "any",
            "all", "but", "vs", "as", "by", "so", "at", "an", "it", "my", "we", "per", "few", "ten", "six");

    private final List<String> tokens;
    private int at;

    private MathsParser(List<String> tokens) {
        this.tokens = tokens;
    }

    /// Not an expression that is read.
    static final class Malformed extends RuntimeException {
        private static final long serialVersionUID = 1L;

        Malformed(String why) {
            super(why, null, false, false);
        }
    }

    /// @throws Malformed if it is no expression
    static Maths parse(String text) {
        if (text.length() > LONGEST) {
            throw new Malformed(text.length() + " characters");
        }
        MathsParser parser = new MathsParser(tokens(text));
        Maths maths = parser.several("", 0);
        if (parser.at < parser.tokens.size()) {
            throw parser.unexpected();
        }
        return maths;
    }

    private static final Set<String> ENVIRONMENTS = Set.of("pmatrix", "bmatrix", "matrix");

    private static List<String> tokens(String text) {
        String plain =
                text.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac").replace("\\cfrac", "\\frac");
        plain = MARKED.matcher(plain).replaceAll("");
        plain = ungroup(SILENT.matcher(plain).replaceAll(" "));
        plain = SHORT_FRACTION
                .matcher(plain)
                .replaceAll(match -> Matcher.quoteReplacement(
                        match.group(1) != null
                                ? "\\frac{" + match.group(1) + "}{" + match.group(2) + "}"
                                : match.group(3) != null
                                        ? "\\frac{" + match.group(3) + "}"
                                        : "\\frac" + match.group(4) + "{" + match.group(5) + "}"));
        List<String> tokens = new ArrayList<>();
        Matcher token = TOKEN.matcher(plain);
        while (token.find()) {
            String found = token.group();
            if (token.group("number") != null) {
                tokens.add(found);
            } else if (token.group("command") != null) {
                tokens.add(COMMANDS.getOrDefault(found, found));
            } else if (token.group("word") != null) {
                words(found, tokens);
            } else if (token.group("sign") != null) {
                String sign = SIGNS.getOrDefault(found, found);
                if (sign.length() == 2 && sign.charAt(0) == '^') {
                    tokens.add("^");
                    tokens.add(sign.substring(1));
                } else {
                    tokens.add(sign);
                }
            }
        }
        return tokens;
    }

    /// Takes the commas out of 1,234,567 where nothing is open in which commas separate.
    private static String ungroup(String text) {
        StringBuilder plain = new StringBuilder();
        int from = 0;
        int depth = 0;
        Matcher number = GROUPED.matcher(text);
        while (number.find()) {
            for (int i = from; i < number.start(); i++) {
                depth += "([".indexOf(text.charAt(i)) >= 0 ? 1 : ")]".indexOf(text.charAt(i)) >= 0 ? -1 : 0;
                boolean escaped = i > 0 && text.charAt(i - 1) == '\\';
                depth += escaped && text.charAt(i) == '{' ? 1 : escaped && text.charAt(i) == '}' ? -1 : 0;
            }
            plain.append(text, from, number.start());
            plain.append(depth > 0 ? number.group() : number.group().replace(",", ""));
            from = number.end();
        }
        return plain.append(text, from, text.length()).toString();
    }

    private static void words(String word, List<String> tokens) {
        if (word.equals("infinity") || word.equals("inf")) {
            tokens.add("∞");
        } else if (word.equals("pi") || FUNCTIONS.contains(word) || ENVIRONMENTS.contains(word)) {
            tokens.add(word);
        } else if (word.length() > 3 || WORDS.contains(word)) {
            throw new Malformed("a word: " + Show.text(word));
        } else {
            word.chars().forEach(c -> tokens.add(Character.toString(c)));
        }
    }

    // several = relation { "," relation }
    private Maths several(String end, int depth) {
        List<Maths> items = new ArrayList<>();
        do {
            items.add(relation(depth));
        } while (take(","));
        if (!end.isEmpty()) {
            expect(end);
        }
        return items.size() == 1 ? items.getFirst() : new Maths.Several(items);
    }

    // relation = union [ ("=" | "<" | ">" | "≤" | "≥" | "∈") union ]
    private Maths relation(int depth) {
        Maths left = union(depth);
        String operator = peek();
        if (operator.length() != 1 || "=<>≤≥∈".indexOf(operator.charAt(0)) < 0) {
            return left;
        }
        at++;
        Maths right = union(depth);
        return switch (operator) {
            case ">" -> new Maths.Relation('<', right, left);
            case "≥" -> new Maths.Relation('≤', right, left);
            default -> new Maths.Relation(operator.charAt(0), left, right);
        };
    }

    private Maths union(int depth) {
        List<Maths> items = new ArrayList<>(List.of(sum(depth)));
        while (take("∪")) {
            items.add(sum(depth));
        }
        return items.size() == 1 ? items.getFirst() : new Maths.Union(items);
    }

    private Maths sum(int depth) {
        Maths sum = product(depth);
        while (true) {
            if (take("+")) {
                sum = binary('+', sum, product(depth));
            } else if (take("-")) {
                sum = binary('-', sum, product(depth));
            } else {
                return sum;
            }
        }
    }

    private Maths product(int depth) {
        if (take("-")) {
            Maths of = product(deeper(depth));
            return of instanceof Maths.Infinity(boolean negative)
                    ? new Maths.Infinity(!negative)
                    : new Maths.Negative(scalar(of));
        }
        if (take("+")) {
            return product(deeper(depth));
        }
        Maths product = mixed(power(depth), depth);
        while (true) {
            if (take("*")) {
                product = binary('*', product, signed(depth));
            } else if (take("/")) {
                product = binary('/', product, signed(depth));
            } else if (opens(peek())) {
                product = binary('*', product, power(depth));
            } else {
                return product;
            }
        }
    }

    private Maths signed(int depth) {
        return take("-") ? new Maths.Negative(scalar(power(depth))) : power(depth);
    }

    /// `3\frac{1}{2}` and `3 1/2` are 7/2.
    private Maths mixed(Maths whole, int depth) {
        if (!(whole instanceof Maths.Rational(BigFraction n))
                || n.getDenominator().bitLength() != 1) {
            return whole;
        }
        boolean plain = isNumber(peek())
                && at + 2 < tokens.size()
                && tokens.get(at + 1).equals("/")
                && isNumber(tokens.get(at + 2));
        if (!plain && !peek().equals("\\frac")) {
            return whole;
        }
        int before = at;
        Maths part = power(depth);
        if (plain) {
            at++;
            part = new Maths.Binary('/', part, power(depth));
        }
        BigFraction fraction = part.isWorkedOut() ? part.exact() : null;
        if (fraction != null && fraction.signum() > 0 && fraction.compareTo(BigFraction.ONE) < 0) {
            return new Maths.Rational(n.add(fraction));
        }
        at = before;
        return whole;
    }

    /// Whether a factor may begin here without a sign of multiplication.
    private static boolean opens(String token) {
        return token.equals("(")
                || token.equals("{")
                || token.equals("\\frac")
                || token.equals("\\sqrt")
                || token.equals("pi")
                || FUNCTIONS.contains(token)
                || token.length() > 1 && token.charAt(0) == '\\' && isName(token.substring(1))
                || token.length() == 1 && isLetter(token.charAt(0));
    }

    private static boolean isName(String command) {
        return FUNCTIONS.contains(command) || GREEK.contains(command);
    }

    private static boolean isLetter(char c) {
        return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z';
    }

    private static boolean isNumber(String token) {
        return !token.isEmpty()
                && (token.charAt(0) >= '0' && token.charAt(0) <= '9' || token.length() > 1 && token.charAt(0) == '.');
    }

    private Maths power(int depth) {
        Maths base = primary(deeper(depth));
        while (take("!")) {
            base = new Maths.Function("!", scalar(base));
        }
        return take("^") ? binary('^', base, exponent(deeper(depth))) : base;
    }

    private Maths exponent(int depth) {
        return take("-") ? new Maths.Negative(scalar(primary(depth))) : power(depth);
    }

    private Maths primary(int depth) {
        String token = peek();
        at++;
        if (isNumber(token)) {
            BigFraction value = Numeral.parse(token);
            if (value == null) {
                throw new Malformed("not a number: " + Show.text(token));
            }
            return new Maths.Rational(value);
        }
        return switch (token) {
            case "pi" -> new Maths.Symbol("pi");
            case "∞" -> new Maths.Infinity(false);
            case "{" -> {
                Maths inside = sum(depth);
                expect("}");
                yield inside;
            }
            case "(", "[" -> bracket(token.charAt(0), depth);
            case "\\{" -> {
                Maths inside = several("\\}", depth);
                yield inside instanceof Maths.Several set ? set : new Maths.Several(List.of(inside));
            }
            case "|" -> {
                Maths inside = sum(depth);
                expect("|");
                yield new Maths.Function("abs", scalar(inside));
            }
            case "\\frac" -> binary('/', argument(depth), argument(depth));
            case "\\sqrt", "sqrt" -> root(depth);
            case "\\begin" -> matrix(depth);
            default -> named(token, depth);
        };
    }

    private Maths named(String token, int depth) {
        String name = token.startsWith("\\") ? token.substring(1) : token;
        if (FUNCTIONS.contains(name)) {
            return function(name, depth);
        }
        if (token.length() == 1 && isLetter(token.charAt(0)) || token.startsWith("\\") && GREEK.contains(name)) {
            // A subscript would make it another variable, and one we do not read.
            if (peek().equals("_")) {
                throw unexpected();
            }
            return new Maths.Symbol(name);
        }
        at--;
        throw unexpected();
    }

    private Maths bracket(char open, int depth) {
        List<Maths> items = new ArrayList<>();
        do {
            items.add(relation(depth));
        } while (take(","));
        String close = peek();
        if (!close.equals(")") && !close.equals("]")) {
            throw unexpected();
        }
        at++;
        return items.size() == 1 && open == '(' && close.equals(")") && !(items.getFirst() instanceof Maths.Relation)
                ? items.getFirst()
                : new Maths.Tuple(open, close.charAt(0), items);
    }

    private Maths argument(int depth) {
        expect("{");
        Maths inside = sum(depth);
        expect("}");
        return inside;
    }

    private Maths root(int depth) {
        Maths degree = null;
        if (take("[")) {
            degree = scalar(sum(depth));
            expect("]");
        }
        Maths of = scalar(primary(deeper(depth)));
        return degree == null
                ? new Maths.Function("sqrt", of)
                : new Maths.Binary('^', of, new Maths.Binary('/', new Maths.Rational(BigFraction.ONE), degree));
    }

    private Maths function(String name, int depth) {
        Maths base = null;
        if (name.equals("log") && take("_")) {
            base = scalar(primary(deeper(depth)));
        }
        Maths power = take("^") ? exponent(deeper(depth)) : null;
        Maths of = power(deeper(depth));
        // sin 2x is sin(2x); sin x y is not read.
        if (of instanceof Maths.Rational && peek().length() == 1 && isLetter(peek().charAt(0)) || peek().equals("pi")) {
            of = binary('*', of, power(deeper(depth)));
        }
        Maths value = base == null
                ? new Maths.Function(name, scalar(of))
                : new Maths.Binary('/', new Maths.Function("ln", scalar(of)), new Maths.Function("ln", base));
        return power == null ? value : binary('^', value, power);
    }

    private Maths matrix(int depth) {
        String kind = environment();
        if (!ENVIRONMENTS.contains(kind)) {
            throw new Malformed("\\begin{" + Show.text(kind) + "} is not read");
        }
        List<List<Maths>> rows = new ArrayList<>();
        List<Maths> row = new ArrayList<>();
        while (true) {
            row.add(scalar(sum(deeper(depth))));
            if (take("&")) {
                continue;
            }
            rows.add(List.copyOf(row));
            row.clear();
            boolean more = take("\\\\");
            if (take("\\end")) {
                if (!environment().equals(kind)) {
                    throw new Malformed("\\end of another matrix");
                }
                return new Maths.Matrix(rows);
            }
            if (!more) {
                throw unexpected();
            }
        }
    }

    private String environment() {
        expect("{");
        String name = peek();
        at++;
        expect("}");
        return name;
    }

    private static Maths binary(char operator, Maths left, Maths right) {
        return new Maths.Binary(operator, scalar(left), scalar(right));
    }

    private static Maths scalar(Maths maths) {
        if (!maths.isScalar()) {
            throw new Malformed("a collection or infinity where a number is expected");
        }
        return maths;
    }

    private static int deeper(int depth) {
        if (depth == DEEPEST) {
            throw new Malformed("nested more than " + DEEPEST + " deep");
        }
        return depth + 1;
    }

    private String peek() {
        return at < tokens.size() ? tokens.get(at) : "";
    }

    private boolean take(String token) {
        if (!peek().equals(token)) {
            return false;
        }
        at++;
        return true;
    }

    private void expect(String token) {
        if (!take(token)) {
            throw unexpected();
        }
    }

    private Malformed unexpected() {
        @Nullable String token = at < tokens.size() ? tokens.get(at) : null;
        return new Malformed(token == null ? "it ends too early" : "not expected here: " + Show.text(token));
    }
}
