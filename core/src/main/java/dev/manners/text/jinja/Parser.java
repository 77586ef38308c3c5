package dev.manners.text.jinja;

import dev.manners.text.jinja.Node.Expr;
import dev.manners.text.jinja.Node.Stmt;
import dev.manners.text.jinja.Node.Target;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Set;

/// Jinja's statements. What would reach outside the template (include, import, extends, block) is refused here.
final class Parser {

    private static final Set<String> REFUSED = Set.of("include", "import", "from", "extends", "block", "autoescape");

    private final Tokens tokens;
    private final ExpressionParser expressions;
    /// Open tags, innermost first.
    private final Deque<Token> open = new ArrayDeque<>();
    /// Whether `break` has a loop to break, in the block being parsed.
    private boolean inLoop;

    private Parser(Tokens tokens) {
        this.tokens = tokens;
        this.expressions = new ExpressionParser(tokens);
    }

    /// @param name how errors call the template
    static List<Stmt> parse(String source, String name) {
        return new Parser(new Tokens(Lexer.tokens(source, name), name)).body(Set.of());
    }

    /// Statements up to a tag named in `ends`; the tokens then stand at its name.
    private List<Stmt> body(Set<String> ends) {
        tokens.enter();
        List<Stmt> body = new ArrayList<>();
        while (true) {
            Token token = tokens.next();
            switch (token.kind()) {
                case DATA -> body.add(new Node.Data(Str.literal(token.text()), token.line()));
                case VARIABLE_BEGIN -> {
                    body.add(new Node.Print(expressions.tuple(true), token.line()));
                    tokens.expect(Token.Kind.VARIABLE_END, "'}}'");
                }
                case BLOCK_BEGIN -> {
                    if (tokens.current().kind() == Token.Kind.NAME
                            && ends.contains(tokens.current().text())) {
                        tokens.leave();
                        return List.copyOf(body);
                    }
                    body.add(statement(ends));
                    closeTag();
                }
                default -> {
                    if (!ends.isEmpty()) {
                        Token tag = open.getFirst();
                        throw tokens.error("'" + tag.text() + "' opened on line " + tag.line()
                                + " is not closed: expected " + expected(ends) + " before the end of the template");
                    }
                    tokens.leave();
                    return List.copyOf(body);
                }
            }
        }
    }

    private static String expected(Set<String> ends) {
        return "'" + String.join("' or '", ends.stream().sorted().toList()) + "'";
    }

    private Stmt statement(Set<String> ends) {
        Token tag = tokens.expect(Token.Kind.NAME, "the name of a tag");
        int line = tag.line();
        open.push(tag);
        Stmt statement = switch (tag.text()) {
            case "if" -> ifStatement(line);
            case "for" -> forStatement(line);
            case "set" -> set(line);
            case "with" -> with(line);
            case "print" -> new Node.Print(expressions.printed(), line);
            case "macro" -> {
                String name = tokens.expectName();
                yield new Node.MacroDefinition(macro(name), line);
            }
            case "call" -> call(line);
            case "filter" -> {
                Expr filter = expressions.filter(null);
                if (tokens.isOperator("|")) {
                    filter = expressions.filterChain(filter);
                }
                yield new Node.FilterBlock(filter, closedBody("endfilter"), line);
            }
            case "generation" -> new Node.Generation(isolatedBody("endgeneration"), line);
            case "break", "continue" -> {
                if (!inLoop) {
                    throw tokens.error("'" + tag.text() + "' outside of a loop", line);
                }
                yield tag.text().equals("break") ? new Node.Break(line) : new Node.Continue(line);
            }
            default -> {
                if (REFUSED.contains(tag.text())) {
                    throw tokens.error(
                            "'" + tag.text() + "' is refused: a chat template is one text and reads no other", line);
                }
                throw tokens.error(
                        "unknown tag '" + tag.text() + "'" + (ends.isEmpty() ? "" : ", expected " + expected(ends)),
                        line);
            }
        };
        open.pop();
        return statement;
    }

    private void closeTag() {
        tokens.expect(Token.Kind.BLOCK_END, "'%}'");
    }

    /// The rest of an opening tag, the body, and the name of the tag that ends it.
    private List<Stmt> closedBody(String end) {
        closeTag();
        List<Stmt> body = body(Set.of(end));
        tokens.next();
        return body;
    }

    /// As [#closedBody], where `break` cannot reach a loop outside.
    private List<Stmt> isolatedBody(String end) {
        boolean outer = inLoop;
        inLoop = false;
        List<Stmt> body = closedBody(end);
        inLoop = outer;
        return body;
    }

    private Stmt ifStatement(int line) {
        List<Expr> tests = new ArrayList<>();
        List<List<Stmt>> bodies = new ArrayList<>();
        List<Stmt> otherwise = List.of();
        while (true) {
            tests.add(expressions.tuple(false));
            closeTag();
            bodies.add(body(Set.of("elif", "else", "endif")));
            String tag = tokens.next().text();
            if (tag.equals("else")) {
                otherwise = closedBody("endif");
            }
            if (!tag.equals("elif")) {
                return new Node.If(List.copyOf(tests), List.copyOf(bodies), otherwise, line);
            }
        }
    }

    private Stmt forStatement(int line) {
        Target target = expressions.target(false);
        if (!tokens.skipName("in")) {
            throw tokens.error("expected 'in', found " + tokens.current().describe());
        }
        Expr iterable = expressions.tuple(false);
        Expr filter = tokens.skipName("if") ? expressions.expression() : null;
        boolean recursive = tokens.skipName("recursive");
        closeTag();
        boolean outer = inLoop;
        inLoop = true;
        List<Stmt> body = body(Set.of("else", "endfor"));
        inLoop = outer;
        List<Stmt> otherwise = tokens.next().text().equals("else") ? closedBody("endfor") : List.of();
        return new Node.For(target, iterable, filter, body, otherwise, recursive, line);
    }

    private Stmt set(int line) {
        Target target = expressions.target(true);
        if (tokens.skipOperator("=")) {
            return new Node.Set(target, expressions.tuple(true), line);
        }
        Expr filter = tokens.isOperator("|") ? expressions.filterChain(null) : null;
        return new Node.SetBlock(target, filter, isolatedBody("endset"), line);
    }

    private Stmt with(int line) {
        List<Target> targets = new ArrayList<>();
        List<Expr> values = new ArrayList<>();
        while (tokens.current().kind() != Token.Kind.BLOCK_END) {
            if (!targets.isEmpty()) {
                tokens.expectOperator(",");
            }
            targets.add(new Target.Variable(tokens.expectName()));
            tokens.expectOperator("=");
            values.add(expressions.expression());
        }
        return new Node.With(List.copyOf(targets), List.copyOf(values), closedBody("endwith"), line);
    }

    private Stmt call(int line) {
        int signature = tokens.position();
        List<String> parameters = new ArrayList<>();
        List<Expr> defaults = new ArrayList<>();
        if (tokens.isOperator("(")) {
            signature(parameters, defaults);
        }
        if (!(expressions.expression() instanceof Node.Call call)) {
            throw tokens.error("expected a call", line);
        }
        List<Stmt> body = isolatedBody("endcall");
        return new Node.CallBlock(macro("caller", parameters, defaults, body, signature), call, line);
    }

    private Node.Macro macro(String name) {
        int signature = tokens.position();
        List<String> parameters = new ArrayList<>();
        List<Expr> defaults = new ArrayList<>();
        signature(parameters, defaults);
        return macro(name, parameters, defaults, isolatedBody("endmacro"), signature);
    }

    private Node.Macro macro(
            String name, List<String> parameters, List<Expr> defaults, List<Stmt> body, int signature) {
        // As in Jinja a macro takes more than its parameters exactly if its text speaks of them.
        List<Token> text = tokens.since(signature);
        return new Node.Macro(
                name,
                List.copyOf(parameters),
                List.copyOf(defaults),
                body,
                text.stream().anyMatch(token -> token.isName("varargs")),
                text.stream().anyMatch(token -> token.isName("kwargs")),
                text.stream().anyMatch(token -> token.isName("caller")));
    }

    private void signature(List<String> parameters, List<Expr> defaults) {
        tokens.expectOperator("(");
        while (!tokens.isOperator(")")) {
            if (!parameters.isEmpty()) {
                tokens.expectOperator(",");
            }
            parameters.add(tokens.expectName());
            if (tokens.skipOperator("=")) {
                defaults.add(expressions.expression());
            } else if (!defaults.isEmpty()) {
                throw tokens.error("a parameter without a default follows one with a default");
            }
        }
        tokens.expectOperator(")");
    }
}
