package dev.manners.text.jinja;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Cuts a template into tokens as Jinja 3.1 does with `trim_blocks` and `lstrip_blocks` on: the newline after a block
/// or comment goes, and so does the indentation before one; `-` strips all whitespace on its side, `+` none.
final class Lexer {

    private static final int FLAGS = Pattern.UNICODE_CHARACTER_CLASS;
    private static final Pattern FLOAT = Pattern.compile(
            "(?<!\\.)(?:[0-9]+_)*[0-9]+(?:(?:\\.(?:[0-9]+_)*[0-9]+)?[eE][+-]?(?:[0-9]+_)*[0-9]+|\\.(?:[0-9]+_)*[0-9]+)");
    private static final Pattern INTEGER =
            Pattern.compile("0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0[xX](?:_?[0-9a-fA-F])+|[1-9](?:_?[0-9])*|0(?:_?0)*");
    private static final Pattern NAME = Pattern.compile("[\\p{L}\\p{Nl}_][\\w]*", FLAGS);
    private static final Pattern RAW = Pattern.compile("\\{%[-+]?\\s*raw\\s*(-%\\}\\s*|\\+?%\\})");
    private static final Pattern END_RAW =
            Pattern.compile("\\{%([-+]?)\\s*endraw\\s*(-%\\}\\s*|\\+%\\}|%\\}\\n?)", FLAGS);
    private static final List<String> OPERATORS = List.of(
            "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<",
            "=", ".", ":", "|", ",", ";");

    private final String name;
    private final String source;
    private final List<Token> tokens = new ArrayList<>();
    private int at;
    private int line = 1;
    private int counted;
    /// Whether the text that follows starts a line, so that indentation before a block may go.
    private boolean lineStart = true;

    private Lexer(String source, String name) {
        String text = source.replace("\r\n", "\n").replace('\r', '\n');
        this.source = text.endsWith("\n") ? text.substring(0, text.length() - 1) : text;
        this.name = name;
    }

    static List<Token> tokens(String source, String name) {
        return new Lexer(source, name).run();
    }

    private List<Token> run() {
        while (at < source.length()) {
            int open = nextOpening();
            if (open < 0) {
                data(source.substring(at));
                at = source.length();
                break;
            }
            char kind = source.charAt(open + 1);
            char sign = open + 2 < source.length() ? source.charAt(open + 2) : ' ';
            data(stripped(source.substring(at, open), sign, kind != '{'));
            at = open;
            switch (kind) {
                case '{' -> expression(sign, Token.Kind.VARIABLE_BEGIN, Token.Kind.VARIABLE_END, "}}");
                case '#' -> comment(sign == '-' || sign == '+' ? at + 3 : at + 2);
                default -> {
                    Matcher raw = RAW.matcher(source).useAnchoringBounds(false).region(at, source.length());
                    if (raw.lookingAt()) {
                        raw(raw.end());
                    } else {
                        expression(sign, Token.Kind.BLOCK_BEGIN, Token.Kind.BLOCK_END, "%}");
                    }
                }
            }
        }
        tokens.add(new Token(Token.Kind.END, "", lineAt(source.length())));
        return tokens;
    }

    private int nextOpening() {
        for (int i = source.indexOf('{', at); i >= 0 && i + 1 < source.length(); i = source.indexOf('{', i + 1)) {
            char next = source.charAt(i + 1);
            if (next == '{' || next == '%' || next == '#') {
                return i;
            }
        }
        return -1;
    }

    private void data(String text) {
        if (!text.isEmpty()) {
            tokens.add(new Token(Token.Kind.DATA, text, lineAt(at)));
        }
    }

    private String stripped(String text, char sign, boolean block) {
        if (sign == '-') {
            return text.substring(0, Unicode.endWithoutSpace(text));
        }
        if (block && sign != '+') {
            int lineBegin = text.lastIndexOf('\n') + 1;
            if ((lineBegin > 0 || lineStart) && Unicode.isSpace(text.substring(lineBegin))) {
                return text.substring(0, lineBegin);
            }
        }
        return text;
    }

    private void comment(int begin) {
        int close = source.indexOf("#}", begin);
        if (close < 0) {
            throw error("Missing end of comment tag '#}'", lineAt(at));
        }
        char sign = close > begin ? source.charAt(close - 1) : ' ';
        at = close + 2;
        afterBlock(sign);
    }

    /// Past a closing delimiter: what whitespace it takes along.
    private void afterBlock(char sign) {
        int end = at;
        if (sign == '-') {
            at = Unicode.skipSpace(source, at);
        } else if (sign != '+' && at < source.length() && source.charAt(at) == '\n') {
            at++;
        }
        lineStart = at > end && source.charAt(at - 1) == '\n';
    }

    private void raw(int bodyBegin) {
        Matcher end = END_RAW.matcher(source);
        if (!end.find(bodyBegin)) {
            throw error("Missing end of raw directive", lineAt(at));
        }
        String sign = end.group(1);
        lineStart = source.charAt(bodyBegin - 1) == '\n';
        at = bodyBegin;
        data(stripped(source.substring(bodyBegin, end.start()), sign.isEmpty() ? ' ' : sign.charAt(0), true));
        at = end.end();
        lineStart = source.charAt(at - 1) == '\n';
    }

    private void expression(char sign, Token.Kind begin, Token.Kind end, String close) {
        boolean block = end == Token.Kind.BLOCK_END;
        int opened = lineAt(at);
        tokens.add(new Token(begin, source.substring(at, at + 2), opened));
        at += sign == '-' || sign == '+' ? 3 : 2;
        Deque<Character> brackets = new ArrayDeque<>();
        while (true) {
            at = Unicode.skipSpace(source, at);
            if (at >= source.length()) {
                throw error("the tag opened here is not closed with '" + close + "'", opened);
            }
            if (brackets.isEmpty()) {
                char trim = source.charAt(at);
                boolean signed = (trim == '-' || (trim == '+' && block)) && source.startsWith(close, at + 1);
                if (signed || source.startsWith(close, at)) {
                    tokens.add(new Token(end, close, lineAt(at)));
                    at += signed ? 3 : 2;
                    if (block) {
                        afterBlock(signed ? trim : ' ');
                    } else {
                        int after = at;
                        at = signed ? Unicode.skipSpace(source, at) : at;
                        lineStart = at > after && source.charAt(at - 1) == '\n';
                    }
                    return;
                }
            }
            token(brackets);
        }
    }

    private void token(Deque<Character> brackets) {
        int tokenLine = lineAt(at);
        char c = source.charAt(at);
        if (c == '\'' || c == '"') {
            string(c, tokenLine);
        } else if (!(matched(FLOAT, Token.Kind.FLOAT)
                || matched(INTEGER, Token.Kind.INTEGER)
                || matched(NAME, Token.Kind.NAME))) {
            for (String operator : OPERATORS) {
                if (source.startsWith(operator, at)) {
                    balance(operator, brackets, tokenLine);
                    tokens.add(new Token(Token.Kind.OPERATOR, operator, tokenLine));
                    at += operator.length();
                    return;
                }
            }
            throw error("unexpected character " + Repr.quote(Character.toString(source.codePointAt(at))), tokenLine);
        }
    }

    private boolean matched(Pattern pattern, Token.Kind kind) {
        Matcher matcher = pattern.matcher(source).useTransparentBounds(true).region(at, source.length());
        if (!matcher.lookingAt()) {
            return false;
        }
        tokens.add(new Token(kind, matcher.group(), lineAt(at)));
        at = matcher.end();
        return true;
    }

    private void balance(String operator, Deque<Character> brackets, int tokenLine) {
        switch (operator) {
            case "(" -> brackets.push(')');
            case "[" -> brackets.push(']');
            case "{" -> brackets.push('}');
            case ")", "]", "}" -> {
                if (brackets.isEmpty() || brackets.pop() != operator.charAt(0)) {
                    throw error("unexpected '" + operator + "'", tokenLine);
                }
            }
            default -> {}
        }
    }

    private void string(char quote, int tokenLine) {
        StringBuilder value = new StringBuilder();
        int i = at + 1;
        while (i < source.length() && source.charAt(i) != quote) {
            char c = source.charAt(i++);
            if (c != '\\') {
                value.append(c);
                continue;
            }
            if (i >= source.length()) {
                break;
            }
            i = escape(value, i, tokenLine);
        }
        if (i >= source.length()) {
            throw error("the string that begins here is not closed", tokenLine);
        }
        tokens.add(new Token(Token.Kind.STRING, value.toString(), tokenLine));
        at = i + 1;
    }

    /// Python's escapes; one that Python does not know keeps its backslash.
    private int escape(StringBuilder value, int i, int tokenLine) {
        char c = source.charAt(i);
        switch (c) {
            case '\n' -> {}
            case 'n' -> value.append('\n');
            case 't' -> value.append('\t');
            case 'r' -> value.append('\r');
            case 'a' -> value.append('\u0007');
            case 'b' -> value.append('\b');
            case 'f' -> value.append('\f');
            case 'v' -> value.append('\u000b');
            case '\\', '\'', '"' -> value.append(c);
            case 'x' -> {
                return hex(value, i + 1, 2, tokenLine);
            }
            case 'u' -> {
                return hex(value, i + 1, 4, tokenLine);
            }
            case 'U' -> {
                return hex(value, i + 1, 8, tokenLine);
            }
            case '0', '1', '2', '3', '4', '5', '6', '7' -> {
                int end = i;
                while (end < Math.min(i + 3, source.length())
                        && source.charAt(end) >= '0'
                        && source.charAt(end) <= '7') {
                    end++;
                }
                value.appendCodePoint(Integer.parseInt(source.substring(i, end), 8));
                return end;
            }
            default -> value.append('\\').append(c);
        }
        return i + 1;
    }

    private int hex(StringBuilder value, int begin, int digits, int tokenLine) {
        int end = begin + digits;
        String code = end <= source.length() ? source.substring(begin, end) : "";
        long point = code.matches("[0-9a-fA-F]+") ? Long.parseLong(code, 16) : -1;
        if (point < 0 || point > Character.MAX_CODE_POINT) {
            throw error("an escape in this string needs " + digits + " hexadecimal digits of a code point", tokenLine);
        }
        value.appendCodePoint((int) point);
        return end;
    }

    private int lineAt(int position) {
        for (; counted < position; counted++) {
            if (source.charAt(counted) == '\n') {
                line++;
            }
        }
        return line;
    }

    private SyntaxFault error(String message, int where) {
        return new SyntaxFault(name, where, message);
    }
}
