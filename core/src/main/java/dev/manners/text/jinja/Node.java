package dev.manners.text.jinja;

import java.util.List;
import org.jspecify.annotations.Nullable;

/// A template's syntax tree. Every node knows its line, for messages.
sealed interface Node {

    int line();

    /// Something with a value.
    sealed interface Expr extends Node {}

    record Constant(Value value, int line) implements Expr {}

    record Name(String name, int line) implements Expr {}

    record ListExpr(List<Expr> items, int line) implements Expr {}

    record TupleExpr(List<Expr> items, int line) implements Expr {}

    record DictExpr(List<Expr> keys, List<Expr> values, int line) implements Expr {}

    record Unary(String operator, Expr operand, int line) implements Expr {}

    record Binary(String operator, Expr left, Expr right, int line) implements Expr {}

    record And(Expr left, Expr right, int line) implements Expr {}

    record Or(Expr left, Expr right, int line) implements Expr {}

    /// `a ~ b ~ c`
    record Concat(List<Expr> parts, int line) implements Expr {}

    /// `a < b <= c`: one operator per operand.
    record Compare(Expr first, List<String> operators, List<Expr> operands, int line) implements Expr {}

    record Conditional(Expr test, Expr then, @Nullable Expr otherwise, int line) implements Expr {}

    record Attribute(Expr target, String name, int line) implements Expr {}

    record Subscript(Expr target, Expr index, int line) implements Expr {}

    record SliceExpr(
            @Nullable Expr start,
            @Nullable Expr stop,
            @Nullable Expr step,
            int line) implements Expr {}

    record Call(Expr target, ArgumentList arguments, int line) implements Expr {}

    /// @param target absent only in `{% filter %}` and `{% set x | filter %}`, whose input is the block's text
    record Filter(@Nullable Expr target, String name, ArgumentList arguments, int line) implements Expr {}

    record Test(Expr target, String name, ArgumentList arguments, int line) implements Expr {}

    record ArgumentList(
            List<Expr> positional,
            List<String> names,
            List<Expr> named,
            @Nullable Expr spread,
            @Nullable Expr spreadNamed) {
        static final ArgumentList NONE = new ArgumentList(List.of(), List.of(), List.of(), null, null);
    }

    /// Something done.
    sealed interface Stmt extends Node {}

    record Data(Str text, int line) implements Stmt {}

    record Print(Expr value, int line) implements Stmt {}

    record If(List<Expr> tests, List<List<Stmt>> bodies, List<Stmt> otherwise, int line) implements Stmt {}

    record For(
            Target target,
            Expr iterable,
            @Nullable Expr filter,
            List<Stmt> body,
            List<Stmt> otherwise,
            boolean recursive,
            int line)
            implements Stmt {}

    record Set(Target target, Expr value, int line) implements Stmt {}

    record SetBlock(Target target, @Nullable Expr filter, List<Stmt> body, int line) implements Stmt {}

    record With(List<Target> targets, List<Expr> values, List<Stmt> body, int line) implements Stmt {}

    record FilterBlock(Expr filter, List<Stmt> body, int line) implements Stmt {}

    record MacroDefinition(Macro macro, int line) implements Stmt {}

    /// `{% call(args) target(...) %}body{% endcall %}`
    record CallBlock(Macro caller, Call call, int line) implements Stmt {}

    /// `{% generation %}`: what the assistant wrote, and is trained on.
    record Generation(List<Stmt> body, int line) implements Stmt {}

    record Break(int line) implements Stmt {}

    record Continue(int line) implements Stmt {}

    /// @param defaults of the last parameters
    record Macro(
            String name,
            List<String> parameters,
            List<Expr> defaults,
            List<Stmt> body,
            boolean takesMore,
            boolean takesMoreNamed,
            boolean takesCaller) {}

    /// What can be assigned to.
    sealed interface Target {
        record Variable(String name) implements Target {}

        record NamespaceField(String namespace, String field) implements Target {}

        record Several(List<Target> targets) implements Target {}
    }
}
