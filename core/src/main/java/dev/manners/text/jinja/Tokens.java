package dev.manners.text.jinja;

import java.util.List;

/// The parser's place in a template's tokens.
final class Tokens {

    /// Nesting of expressions and blocks that the parser follows.
    private static final int DEPTH = 150;

    private final List<Token> tokens;
    private final String template;
    private int at;
    private int depth;

    Tokens(List<Token> tokens, String template) {
        this.tokens = tokens;
        this.template = template;
    }

    int position() {
        return at;
    }

    /// The tokens since an earlier position.
    List<Token> since(int position) {
        return tokens.subList(position, at);
    }

    Token current() {
        return tokens.get(at);
    }

    Token look() {
        return tokens.get(Math.min(at + 1, tokens.size() - 1));
    }

    int line() {
        return current().line();
    }

    Token next() {
        Token token = current();
        if (token.kind() != Token.Kind.END) {
            at++;
        }
        return token;
    }

    boolean isOperator(String operator) {
        return current().isOperator(operator);
    }

    boolean isName(String name) {
        return current().isName(name);
    }

    boolean skipOperator(String operator) {
        boolean found = isOperator(operator);
        if (found) {
            at++;
        }
        return found;
    }

    boolean skipName(String name) {
        boolean found = isName(name);
        if (found) {
            at++;
        }
        return found;
    }

    void expectOperator(String operator) {
        if (!skipOperator(operator)) {
            throw error("expected '" + operator + "', found " + current().describe());
        }
    }

    String expectName() {
        return expect(Token.Kind.NAME, "a name").text();
    }

    Token expect(Token.Kind kind, String what) {
        if (current().kind() != kind) {
            throw error("expected " + what + ", found " + current().describe());
        }
        return next();
    }

    void enter() {
        if (++depth > DEPTH) {
            throw error("nested deeper than " + DEPTH);
        }
    }

    void leave() {
        depth--;
    }

    SyntaxFault error(String message) {
        return error(message, line());
    }

    SyntaxFault error(String message, int line) {
        return new SyntaxFault(template, line, message);
    }
}
