package dev.manners.text.jinja;

import dev.manners.text.jinja.Node.ArgumentList;
import dev.manners.text.jinja.Node.Expr;
import dev.manners.text.jinja.Node.Target;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// Jinja's expression grammar, rule by rule as in its own parser, so that precedence agrees in odd corners too: a
/// filter binds tighter than any operator, `~` tighter than `+`, and a unary minus takes the postfix but no filter.
final class ExpressionParser {

    private static final Set<String> COMPARISONS = Set.of("==", "!=", "<", "<=", ">", ">=");
    private static final int LITERAL_DIGITS = 1000;

    private final Tokens tokens;

    ExpressionParser(Tokens tokens) {
        this.tokens = tokens;
    }

    /// One expression, or several with commas between: a tuple.
    Expr tuple(boolean withConditional) {
        int line = tokens.line();
        List<Expr> items = new ArrayList<>();
        boolean isTuple = false;
        while (items.isEmpty() || !endsTuple()) {
            items.add(withConditional ? expression() : or());
            if (!tokens.skipOperator(",")) {
                break;
            }
            isTuple = true;
        }
        return isTuple ? new Node.TupleExpr(List.copyOf(items), line) : items.getFirst();
    }

    /// `{% print a, b %}` writes one after the other.
    Expr printed() {
        int line = tokens.line();
        List<Expr> parts = new ArrayList<>();
        do {
            parts.add(expression());
        } while (tokens.skipOperator(","));
        return new Node.Concat(List.copyOf(parts), line);
    }

    private boolean endsTuple() {
        Token.Kind kind = tokens.current().kind();
        return kind == Token.Kind.VARIABLE_END || kind == Token.Kind.BLOCK_END || tokens.isOperator(")");
    }

    Expr expression() {
        tokens.enter();
        int line = tokens.line();
        Expr value = or();
        while (tokens.skipName("if")) {
            Expr test = or();
            Expr otherwise = tokens.skipName("else") ? expression() : null;
            value = new Node.Conditional(test, value, otherwise, line);
            line = tokens.line();
        }
        tokens.leave();
        return value;
    }

    private Expr or() {
        int line = tokens.line();
        Expr left = and();
        while (tokens.skipName("or")) {
            left = new Node.Or(left, and(), line);
            line = tokens.line();
        }
        return left;
    }

    private Expr and() {
        int line = tokens.line();
        Expr left = not();
        while (tokens.skipName("and")) {
            left = new Node.And(left, not(), line);
            line = tokens.line();
        }
        return left;
    }

    private Expr not() {
        int line = tokens.line();
        if (!tokens.skipName("not")) {
            return compare();
        }
        tokens.enter();
        Expr negated = new Node.Unary("not", not(), line);
        tokens.leave();
        return negated;
    }

    private Expr compare() {
        int line = tokens.line();
        Expr first = sum();
        List<String> operators = new ArrayList<>();
        List<Expr> operands = new ArrayList<>();
        while (true) {
            Token token = tokens.current();
            if (token.kind() == Token.Kind.OPERATOR && COMPARISONS.contains(token.text())) {
                tokens.next();
                operators.add(token.text());
            } else if (tokens.skipName("in")) {
                operators.add("in");
            } else if (token.isName("not") && tokens.look().isName("in")) {
                tokens.next();
                tokens.next();
                operators.add("not in");
            } else {
                break;
            }
            operands.add(sum());
        }
        return operators.isEmpty()
                ? first
                : new Node.Compare(first, List.copyOf(operators), List.copyOf(operands), line);
    }

    private Expr sum() {
        int line = tokens.line();
        Expr left = concat();
        while (tokens.isOperator("+") || tokens.isOperator("-")) {
            String operator = tokens.next().text();
            left = new Node.Binary(operator, left, concat(), line);
            line = tokens.line();
        }
        return left;
    }

    private Expr concat() {
        int line = tokens.line();
        Expr first = product();
        if (!tokens.isOperator("~")) {
            return first;
        }
        List<Expr> parts = new ArrayList<>(List.of(first));
        while (tokens.skipOperator("~")) {
            parts.add(product());
        }
        return new Node.Concat(List.copyOf(parts), line);
    }

    private Expr product() {
        int line = tokens.line();
        Expr left = power();
        while (tokens.isOperator("*") || tokens.isOperator("/") || tokens.isOperator("//") || tokens.isOperator("%")) {
            String operator = tokens.next().text();
            left = new Node.Binary(operator, left, power(), line);
            line = tokens.line();
        }
        return left;
    }

    private Expr power() {
        int line = tokens.line();
        Expr left = unary(true);
        while (tokens.skipOperator("**")) {
            left = new Node.Binary("**", left, unary(true), line);
            line = tokens.line();
        }
        return left;
    }

    private Expr unary(boolean withFilter) {
        tokens.enter();
        int line = tokens.line();
        Expr value = tokens.isOperator("-") || tokens.isOperator("+")
                ? new Node.Unary(tokens.next().text(), unary(false), line)
                : primary();
        value = postfix(value);
        if (withFilter) {
            value = filters(value);
        }
        tokens.leave();
        return value;
    }

    private Expr primary() {
        Token token = tokens.next();
        int line = token.line();
        return switch (token.kind()) {
            case NAME ->
                switch (token.text()) {
                    case "true", "True" -> new Node.Constant(Value.Bool.TRUE, line);
                    case "false", "False" -> new Node.Constant(Value.Bool.FALSE, line);
                    case "none", "None" -> new Node.Constant(Value.None.NONE, line);
                    default -> new Node.Name(token.text(), line);
                };
            case STRING -> {
                StringBuilder text = new StringBuilder(token.text());
                while (tokens.current().kind() == Token.Kind.STRING) {
                    text.append(tokens.next().text());
                }
                yield new Node.Constant(Str.literal(text.toString()), line);
            }
            case INTEGER -> new Node.Constant(Value.Int.of(integer(token), false), line);
            case FLOAT ->
                new Node.Constant(new Value.Real(Double.parseDouble(token.text().replace("_", "")), false), line);
            case OPERATOR ->
                switch (token.text()) {
                    case "(" -> {
                        Expr inner = tokens.isOperator(")") ? new Node.TupleExpr(List.of(), line) : tuple(true);
                        tokens.expectOperator(")");
                        yield inner;
                    }
                    case "[" -> list(line);
                    case "{" -> dict(line);
                    default -> throw tokens.error("unexpected " + token.describe(), line);
                };
            default -> throw tokens.error("expected an expression, found " + token.describe(), line);
        };
    }

    private BigInteger integer(Token token) {
        String digits = token.text().replace("_", "").toLowerCase(Locale.ROOT);
        if (digits.length() > LITERAL_DIGITS) {
            throw tokens.error("a number of more than " + LITERAL_DIGITS + " digits", token.line());
        }
        int radix = digits.startsWith("0x") ? 16 : digits.startsWith("0o") ? 8 : digits.startsWith("0b") ? 2 : 10;
        return new BigInteger(radix == 10 ? digits : digits.substring(2), radix);
    }

    private Expr list(int line) {
        List<Expr> items = new ArrayList<>();
        while (!tokens.isOperator("]")) {
            items.add(expression());
            if (!tokens.isOperator("]")) {
                tokens.expectOperator(",");
            }
        }
        tokens.expectOperator("]");
        return new Node.ListExpr(List.copyOf(items), line);
    }

    private Expr dict(int line) {
        List<Expr> keys = new ArrayList<>();
        List<Expr> values = new ArrayList<>();
        while (!tokens.isOperator("}")) {
            keys.add(expression());
            tokens.expectOperator(":");
            values.add(expression());
            if (!tokens.isOperator("}")) {
                tokens.expectOperator(",");
            }
        }
        tokens.expectOperator("}");
        return new Node.DictExpr(List.copyOf(keys), List.copyOf(values), line);
    }

    private Expr postfix(Expr target) {
        Expr value = target;
        while (true) {
            if (tokens.isOperator(".") || tokens.isOperator("[")) {
                value = subscript(value);
            } else if (tokens.isOperator("(")) {
                value = call(value);
            } else {
                return value;
            }
        }
    }

    private Expr filters(Expr target) {
        Expr value = target;
        while (true) {
            if (tokens.isOperator("|")) {
                value = filterChain(value);
            } else if (tokens.isName("is")) {
                value = test(value);
            } else if (tokens.isOperator("(")) {
                value = call(value);
            } else {
                return value;
            }
        }
    }

    private Node.Call call(Expr target) {
        int line = tokens.line();
        return new Node.Call(target, arguments(), line);
    }

    private Expr subscript(Expr target) {
        Token token = tokens.next();
        if (token.isOperator(".")) {
            Token name = tokens.next();
            return switch (name.kind()) {
                case NAME -> new Node.Attribute(target, name.text(), token.line());
                case INTEGER ->
                    new Node.Subscript(
                            target, new Node.Constant(Value.Int.of(integer(name), false), name.line()), token.line());
                default -> throw tokens.error("expected a name or number after '.'", name.line());
            };
        }
        List<Expr> indices = new ArrayList<>();
        while (!tokens.isOperator("]")) {
            indices.add(subscribed());
            if (!tokens.isOperator("]")) {
                tokens.expectOperator(",");
            }
        }
        tokens.expectOperator("]");
        Expr index = indices.size() == 1 ? indices.getFirst() : new Node.TupleExpr(List.copyOf(indices), token.line());
        return new Node.Subscript(target, index, token.line());
    }

    private Expr subscribed() {
        int line = tokens.line();
        Expr start = tokens.isOperator(":") ? null : expression();
        if (start != null && !tokens.isOperator(":")) {
            return start;
        }
        tokens.expectOperator(":");
        Expr stop = bound();
        Expr step = tokens.skipOperator(":") ? bound() : null;
        return new Node.SliceExpr(start, stop, step, line);
    }

    private @Nullable Expr bound() {
        return tokens.isOperator(":") || tokens.isOperator("]") || tokens.isOperator(",") ? null : expression();
    }

    private ArgumentList arguments() {
        int line = tokens.line();
        tokens.expectOperator("(");
        List<Expr> positional = new ArrayList<>();
        List<String> names = new ArrayList<>();
        List<Expr> named = new ArrayList<>();
        Expr spread = null;
        Expr spreadNamed = null;
        while (!tokens.isOperator(")")) {
            boolean valid;
            if (tokens.skipOperator("*")) {
                valid = spread == null && spreadNamed == null;
                spread = expression();
            } else if (tokens.skipOperator("**")) {
                valid = spreadNamed == null;
                spreadNamed = expression();
            } else if (tokens.current().kind() == Token.Kind.NAME
                    && tokens.look().isOperator("=")) {
                valid = spreadNamed == null;
                names.add(tokens.expectName());
                tokens.next();
                named.add(expression());
            } else {
                valid = spread == null && spreadNamed == null && named.isEmpty();
                positional.add(expression());
            }
            if (!valid) {
                throw tokens.error("invalid order of arguments in a call", line);
            }
            if (!tokens.isOperator(")")) {
                tokens.expectOperator(",");
            }
        }
        tokens.expectOperator(")");
        return new ArgumentList(List.copyOf(positional), List.copyOf(names), List.copyOf(named), spread, spreadNamed);
    }

    /// `|name(arguments)|...`
    Expr filterChain(@Nullable Expr target) {
        Expr value = target;
        do {
            tokens.expectOperator("|");
            value = filter(value);
        } while (tokens.isOperator("|"));
        return value;
    }

    /// A filter after its `|`, or the first of a `{% filter %}` block.
    Expr filter(@Nullable Expr target) {
        int line = tokens.line();
        String name = dotted();
        return new Node.Filter(target, name, tokens.isOperator("(") ? arguments() : ArgumentList.NONE, line);
    }

    private String dotted() {
        StringBuilder name = new StringBuilder(tokens.expectName());
        while (tokens.skipOperator(".")) {
            name.append('.').append(tokens.expectName());
        }
        return name.toString();
    }

    private Expr test(Expr target) {
        int line = tokens.next().line();
        boolean negated = tokens.skipName("not");
        String name = dotted();
        ArgumentList arguments = ArgumentList.NONE;
        if (tokens.isOperator("(")) {
            arguments = arguments();
        } else if (startsTestArgument()) {
            if (tokens.isName("is")) {
                throw tokens.error("tests cannot be chained with 'is'");
            }
            tokens.enter();
            arguments = new ArgumentList(List.of(postfix(primary())), List.of(), List.of(), null, null);
            tokens.leave();
        }
        Expr test = new Node.Test(target, name, arguments, line);
        return negated ? new Node.Unary("not", test, line) : test;
    }

    private boolean startsTestArgument() {
        Token token = tokens.current();
        return switch (token.kind()) {
            case NAME -> !Set.of("else", "or", "and").contains(token.text());
            case STRING, INTEGER, FLOAT -> true;
            case OPERATOR -> token.text().equals("[") || token.text().equals("{");
            default -> false;
        };
    }

    /// What an assignment assigns to: a name, a namespace's field, or several.
    Target target(boolean withNamespace) {
        List<Target> targets = new ArrayList<>();
        boolean several = false;
        while (targets.isEmpty() || !(tokens.isName("in") || tokens.isOperator("=") || endsTuple())) {
            targets.add(singleTarget(withNamespace));
            if (!tokens.skipOperator(",")) {
                break;
            }
            several = true;
        }
        return several ? new Target.Several(List.copyOf(targets)) : targets.getFirst();
    }

    private Target singleTarget(boolean withNamespace) {
        if (tokens.skipOperator("(")) {
            tokens.enter();
            Target inner = target(withNamespace);
            tokens.leave();
            tokens.expectOperator(")");
            return inner;
        }
        int line = tokens.line();
        String name = tokens.expectName();
        if (Set.of("true", "false", "none", "True", "False", "None").contains(name)) {
            throw tokens.error("can't assign to '" + name + "'", line);
        }
        if (withNamespace && tokens.skipOperator(".")) {
            return new Target.NamespaceField(name, tokens.expectName());
        }
        return new Target.Variable(name);
    }
}
