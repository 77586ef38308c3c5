package dev.manners.text.jinja;

import dev.manners.text.jinja.Node.Expr;
import dev.manners.text.jinja.Node.Stmt;
import dev.manners.text.jinja.Node.Target;
import dev.manners.text.jinja.Value.Undefined;
import java.time.Clock;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import org.jspecify.annotations.Nullable;

/// What statements do. One interpreter renders once.
final class Interpreter {

    private enum Flow {
        NEXT,
        BREAK,
        CONTINUE
    }

    private static final int NO_MESSAGE = -1;

    private final Evaluator evaluator;
    private final Budget budget;
    private final Operations operations;
    private final IdentityHashMap<Value, Integer> messages;
    private final Text output;
    private final List<Template.Generation> generations = new ArrayList<>();
    private boolean inGeneration;
    /// Index of the message whose turn it is in a loop over messages.
    private int message = NO_MESSAGE;

    Interpreter(Clock clock, IdentityHashMap<Value, Integer> messages) {
        this.evaluator = new Evaluator(clock);
        this.budget = evaluator.budget;
        this.operations = evaluator.operations;
        this.messages = messages;
        this.output = new Text(budget);
    }

    Str run(List<Stmt> template, Map<String, Value> variables) {
        run(template, new Scope(variables, null).inner(), output);
        return output.toStr();
    }

    /// What each `{% generation %}` wrote.
    List<Template.Generation> generations() {
        return generations;
    }

    /// Where it is now, for messages.
    int line() {
        return evaluator.line;
    }

    String where() {
        return message == NO_MESSAGE ? "" : " (at messages[" + message + "])";
    }

    private Flow run(List<Stmt> body, Scope scope, Text out) {
        for (Stmt statement : body) {
            Flow flow = run(statement, scope, out);
            if (flow != Flow.NEXT) {
                return flow;
            }
        }
        return Flow.NEXT;
    }

    private Flow run(Stmt node, Scope scope, Text out) {
        budget.enter();
        evaluator.line = node.line();
        Flow flow = Flow.NEXT;
        switch (node) {
            case Node.Data d -> out.append(d.text());
            case Node.Print p -> {
                Value value = evaluator.evaluate(p.value(), scope);
                evaluator.line = p.line();
                out.append(evaluator.repr.str(value));
            }
            case Node.If i -> flow = ifStatement(i, scope, out);
            case Node.For f -> flow = forStatement(f, scope, out);
            case Node.Set s -> assign(s.target(), evaluator.evaluate(s.value(), scope), scope);
            case Node.SetBlock s -> {
                Str text = captured(s.body(), scope.inner());
                assign(s.target(), s.filter() == null ? text : evaluator.evaluate(s.filter(), scope, text), scope);
            }
            case Node.With w -> {
                Scope inner = scope.inner();
                for (int i = 0; i < w.targets().size(); i++) {
                    assign(w.targets().get(i), evaluator.evaluate(w.values().get(i), scope), inner);
                }
                flow = run(w.body(), inner, out);
            }
            case Node.FilterBlock f -> {
                Str text = captured(f.body(), scope.inner());
                out.append(evaluator.repr.str(evaluator.evaluate(f.filter(), scope, text)));
            }
            case Node.MacroDefinition m -> scope.set(m.macro().name(), macro(m.macro(), scope));
            case Node.CallBlock c -> {
                Value target = evaluator.evaluate(c.call().target(), scope);
                Arguments given = evaluator.arguments(c.call().arguments(), scope);
                Map<String, Value> named = new LinkedHashMap<>(given.named());
                named.put("caller", macro(c.caller(), scope));
                evaluator.line = c.line();
                out.append(evaluator.repr.str(evaluator.call(target, new Arguments(given.positional(), named))));
            }
            case Node.Generation g -> generation(g, scope, out);
            case Node.Break b -> flow = Flow.BREAK;
            case Node.Continue c -> flow = Flow.CONTINUE;
        }
        budget.leave();
        return flow;
    }

    private Str captured(List<Stmt> body, Scope scope) {
        Text text = new Text(budget);
        run(body, scope, text);
        return text.toStr();
    }

    private Flow ifStatement(Node.If node, Scope scope, Text out) {
        for (int i = 0; i < node.tests().size(); i++) {
            if (operations.truth(evaluator.evaluate(node.tests().get(i), scope))) {
                return run(node.bodies().get(i), scope, out);
            }
        }
        return run(node.otherwise(), scope, out);
    }

    private Flow forStatement(Node.For node, Scope scope, Text out) {
        Value iterable = evaluator.evaluate(node.iterable(), scope);
        evaluator.line = node.line();
        return loop(node, iterable, scope, out, 0);
    }

    private Flow loop(Node.For node, Value iterable, Scope scope, Text out, int depth0) {
        Iterator<Value> items = operations.iterate(iterable);
        Loop.Recursion recursion = node.recursive()
                ? (inner, depth) -> {
                    Text text = new Text(budget);
                    budget.enter();
                    loop(node, inner, scope, text, depth);
                    budget.leave();
                    return text.toStr();
                }
                : null;
        Loop loop = new Loop(
                operations,
                node.filter() == null ? items : new Filtered(node.target(), node.filter(), items, scope),
                depth0,
                recursion);
        Value.LoopValue loopValue = new Value.LoopValue(loop);
        int outerMessage = message;
        boolean any = false;
        Flow flow = Flow.NEXT;
        for (Value item = loop.advance(); item != null && flow != Flow.BREAK; item = loop.advance()) {
            any = true;
            budget.steps(1);
            message = messages.getOrDefault(item, outerMessage);
            Scope inner = scope.inner();
            inner.set("loop", loopValue);
            assign(node.target(), item, inner);
            flow = run(node.body(), inner, out);
            if (flow == Flow.BREAK) {
                break;
            }
        }
        message = outerMessage;
        return any ? Flow.NEXT : run(node.otherwise(), scope.inner(), out);
    }

    /// The items that pass a loop's `if`, tested when they are asked for.
    private final class Filtered implements Iterator<Value> {
        private final Target target;
        private final Expr test;
        private final Iterator<Value> items;
        private final Scope scope;
        private @Nullable Value next;

        Filtered(Target target, Expr test, Iterator<Value> items, Scope scope) {
            this.target = target;
            this.test = test;
            this.items = items;
            this.scope = scope;
        }

        @Override
        public boolean hasNext() {
            while (next == null && items.hasNext()) {
                Value item = items.next();
                Scope inner = scope.inner();
                assign(target, item, inner);
                if (operations.truth(evaluator.evaluate(test, inner))) {
                    next = item;
                }
            }
            return next != null;
        }

        @Override
        public Value next() {
            if (!hasNext() || next == null) {
                throw new NoSuchElementException();
            }
            Value item = next;
            next = null;
            return item;
        }
    }

    private void assign(Target target, Value value, Scope scope) {
        switch (target) {
            case Target.Variable v -> scope.set(v.name(), value);
            case Target.NamespaceField f -> {
                Value namespace = scope.get(f.namespace());
                if (!(namespace instanceof Value.Namespace n)) {
                    throw namespace == null
                            ? Fault.undefined("'" + f.namespace() + "' is undefined")
                            : Fault.of("TemplateRuntimeError", "cannot assign attribute on non-namespace object");
                }
                n.attributes().put(f.field(), value);
            }
            case Target.Several s -> {
                List<Value> parts = operations.list(value);
                int expected = s.targets().size();
                if (parts.size() != expected) {
                    throw Fault.value(
                            parts.size() < expected
                                    ? "not enough values to unpack (expected " + expected + ", got " + parts.size()
                                            + ")"
                                    : "too many values to unpack (expected " + expected + ")");
                }
                for (int i = 0; i < expected; i++) {
                    assign(s.targets().get(i), parts.get(i), scope);
                }
            }
        }
    }

    private Value macro(Node.Macro macro, Scope scope) {
        return new Value.Callable("macro", macro.name(), arguments -> call(macro, arguments, scope));
    }

    private Value call(Node.Macro macro, Arguments arguments, Scope scope) {
        Scope inner = scope.inner();
        List<String> parameters = macro.parameters();
        List<Value> positional = arguments.positional();
        Map<String, Value> unused = new LinkedHashMap<>(arguments.named());
        int firstDefault = parameters.size() - macro.defaults().size();
        for (int i = 0; i < parameters.size(); i++) {
            String parameter = parameters.get(i);
            Value value = i < positional.size()
                    ? positional.get(i)
                    : arguments.named().get(parameter);
            if (i >= positional.size()) {
                unused.remove(parameter);
            }
            if (value == null) {
                value = i >= firstDefault
                        ? evaluator.evaluate(macro.defaults().get(i - firstDefault), inner)
                        : new Undefined("parameter '" + parameter + "' was not provided");
            }
            inner.set(parameter, value);
        }
        Value caller = macro.takesCaller() ? unused.remove("caller") : null;
        if (caller != null) {
            inner.set("caller", caller);
        }
        if (macro.takesMoreNamed()) {
            Value.Dict rest = new Value.Dict(false);
            unused.forEach((name, value) -> rest.put(Str.literal(name), value));
            inner.set("kwargs", rest);
        } else if (!unused.isEmpty()) {
            throw Fault.type("macro '" + macro.name() + "' takes no keyword argument '"
                    + unused.keySet().iterator().next() + "'");
        }
        if (macro.takesMore()) {
            int from = Math.min(parameters.size(), positional.size());
            inner.set("varargs", new Value.Tuple(positional.subList(from, positional.size())));
        } else if (positional.size() > parameters.size()) {
            throw Fault.type("macro '" + macro.name() + "' takes not more than " + parameters.size() + " argument(s)");
        }
        // A call needs more of Java's stack than other nodes do.
        budget.enter();
        Str text = captured(macro.body(), inner);
        budget.leave();
        return text;
    }

    private void generation(Node.Generation node, Scope scope, Text out) {
        if (out != output || inGeneration) {
            throw Fault.unsupported("{% generation %} inside a macro, a captured block or another generation, where"
                    + " its place in the text is not known");
        }
        inGeneration = true;
        int begin = output.length();
        run(node.body(), scope.inner(), out);
        generations.add(new Template.Generation(begin, output.length()));
        inGeneration = false;
    }
}
