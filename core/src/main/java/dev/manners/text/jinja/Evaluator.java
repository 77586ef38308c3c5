package dev.manners.text.jinja;

import dev.manners.text.jinja.Node.ArgumentList;
import dev.manners.text.jinja.Node.Expr;
import dev.manners.text.jinja.Value.Bool;
import dev.manners.text.jinja.Value.Callable;
import dev.manners.text.jinja.Value.Dict;
import dev.manners.text.jinja.Value.ListValue;
import dev.manners.text.jinja.Value.Tuple;
import dev.manners.text.jinja.Value.Undefined;
import java.time.Clock;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// What expressions mean.
final class Evaluator {

    final Budget budget = new Budget();
    final Operations operations = new Operations(budget);
    final Repr repr = new Repr(budget);
    final Map<String, Value> globals;
    private final Formatting formatting = new Formatting(budget);
    private final Arithmetic arithmetic = new Arithmetic(budget, formatting);
    private final Attributes attributes = new Attributes(budget, operations, formatting);
    private final Tests tests = new Tests(budget, operations);
    private final Filters filters = new Filters(budget, operations, arithmetic, formatting, attributes, tests);
    /// Where the template is, for messages.
    int line = 1;

    Evaluator(Clock clock) {
        this.globals = Globals.of(budget, operations, clock);
    }

    Value evaluate(Expr node, Scope scope) {
        return evaluate(node, scope, Str.EMPTY);
    }

    /// @param piped what a filter without a target of its own filters
    Value evaluate(Expr node, Scope scope, Str piped) {
        budget.enter();
        line = node.line();
        Value value = switch (node) {
            case Node.Constant c -> c.value();
            case Node.Name n -> name(n.name(), scope);
            case Node.ListExpr l -> new ListValue(all(l.items(), scope));
            case Node.TupleExpr t -> new Tuple(all(t.items(), scope));
            case Node.DictExpr d -> dict(d, scope);
            case Node.Unary u -> unary(u, scope);
            case Node.Binary b -> {
                Value left = evaluate(b.left(), scope);
                Value right = evaluate(b.right(), scope);
                line = b.line();
                yield arithmetic.binary(b.operator(), left, right);
            }
            case Node.And a -> {
                Value left = evaluate(a.left(), scope);
                yield operations.truth(left) ? evaluate(a.right(), scope) : left;
            }
            case Node.Or o -> {
                Value left = evaluate(o.left(), scope);
                yield operations.truth(left) ? left : evaluate(o.right(), scope);
            }
            case Node.Concat c -> {
                Text text = new Text(budget);
                for (Expr part : c.parts()) {
                    text.append(repr.str(evaluate(part, scope)));
                }
                yield text.toStr();
            }
            case Node.Compare c -> compare(c, scope);
            case Node.Conditional c -> conditional(c, scope);
            case Node.Attribute a -> {
                Value target = evaluate(a.target(), scope);
                line = a.line();
                yield attributes.attribute(target, a.name());
            }
            case Node.Subscript s -> subscript(s, scope);
            case Node.SliceExpr s -> throw Fault.unsupported("a slice with several dimensions");
            case Node.Call c -> {
                Value target = evaluate(c.target(), scope);
                Arguments arguments = arguments(c.arguments(), scope);
                line = c.line();
                yield call(target, arguments);
            }
            case Node.Filter f -> {
                Value target = f.target() == null ? piped : evaluate(f.target(), scope, piped);
                Arguments arguments = arguments(f.arguments(), scope);
                line = f.line();
                yield filters.apply(f.name(), target, arguments);
            }
            case Node.Test t -> {
                Value target = evaluate(t.target(), scope);
                Arguments arguments = arguments(t.arguments(), scope);
                line = t.line();
                yield Bool.of(tests.test(t.name(), target, arguments));
            }
        };
        budget.leave();
        return value;
    }

    private Value name(String name, Scope scope) {
        Value value = scope.get(name);
        if (value == null) {
            value = globals.get(name);
        }
        return value != null ? value : new Undefined("'" + name + "' is undefined");
    }

    private List<Value> all(List<Expr> nodes, Scope scope) {
        List<Value> values = new ArrayList<>(nodes.size());
        for (Expr node : nodes) {
            values.add(evaluate(node, scope));
        }
        return values;
    }

    private Value dict(Node.DictExpr node, Scope scope) {
        Dict dict = new Dict(false);
        for (int i = 0; i < node.keys().size(); i++) {
            Value key = evaluate(node.keys().get(i), scope);
            dict.put(key, evaluate(node.values().get(i), scope));
        }
        return dict;
    }

    private Value unary(Node.Unary node, Scope scope) {
        Value operand = evaluate(node.operand(), scope);
        line = node.line();
        return node.operator().equals("not")
                ? Bool.of(!operations.truth(operand))
                : arithmetic.unary(node.operator(), operand);
    }

    private Value compare(Node.Compare node, Scope scope) {
        Value left = evaluate(node.first(), scope);
        for (int i = 0; i < node.operators().size(); i++) {
            Value right = evaluate(node.operands().get(i), scope);
            line = node.line();
            String operator = node.operators().get(i);
            boolean holds = switch (operator) {
                case "==" -> operations.equal(left, right);
                case "!=" -> !operations.equal(left, right);
                case "in" -> operations.contains(right, left);
                case "not in" -> !operations.contains(right, left);
                default -> operations.ordered(operator, left, right);
            };
            if (!holds) {
                return Bool.FALSE;
            }
            left = right;
        }
        return Bool.TRUE;
    }

    private Value conditional(Node.Conditional node, Scope scope) {
        if (operations.truth(evaluate(node.test(), scope))) {
            return evaluate(node.then(), scope);
        }
        return node.otherwise() != null
                ? evaluate(node.otherwise(), scope)
                : new Undefined("the inline if-expression on line " + node.line()
                        + " evaluated to false and no else section was defined.");
    }

    private Value subscript(Node.Subscript node, Scope scope) {
        Value target = evaluate(node.target(), scope);
        if (node.index() instanceof Node.SliceExpr slice) {
            Value start = optional(slice.start(), scope);
            Value stop = optional(slice.stop(), scope);
            Value step = optional(slice.step(), scope);
            line = node.line();
            return operations.slice(target, start, stop, step);
        }
        Value index = evaluate(node.index(), scope);
        line = node.line();
        return attributes.element(target, index);
    }

    private @Nullable Value optional(@Nullable Expr node, Scope scope) {
        return node == null ? null : evaluate(node, scope);
    }

    Arguments arguments(ArgumentList list, Scope scope) {
        List<Value> positional = all(list.positional(), scope);
        Map<String, Value> named = new LinkedHashMap<>();
        for (int i = 0; i < list.names().size(); i++) {
            named.put(list.names().get(i), evaluate(list.named().get(i), scope));
        }
        if (list.spread() != null) {
            positional.addAll(operations.list(evaluate(list.spread(), scope)));
        }
        if (list.spreadNamed() != null) {
            if (!(evaluate(list.spreadNamed(), scope) instanceof Dict dict)) {
                throw Fault.type("argument after ** must be a mapping");
            }
            dict.entries().forEach(entry -> named.put(repr.str(entry.getKey()).text(), entry.getValue()));
        }
        return new Arguments(positional, named);
    }

    Value call(Value target, Arguments arguments) {
        return switch (target) {
            case Callable c -> c.body().call(arguments);
            case Undefined u -> throw u.fault();
            case Value.LoopValue l
            when l.loop().recursion != null ->
                l.loop()
                        .recursion
                        .render(
                                arguments.bind("loop", "iterable").require("iterable"),
                                l.loop().depth0() + 1);
            case Value.LoopValue l ->
                throw Fault.type("The loop must have the 'recursive' marker to be called recursively.");
            default -> throw Fault.type("'" + target.type() + "' object is not callable");
        };
    }
}
