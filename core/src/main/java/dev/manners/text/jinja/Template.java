package dev.manners.text.jinja;

import dev.manners.BadInput;
import java.time.Clock;
import java.util.BitSet;
import java.util.List;
import java.util.Map;

/// A parsed template. Immutable; every rendering has state and a budget of its own.
public final class Template {

    /// Far above any real template, which have about twenty thousand characters.
    private static final int SOURCE = 2 << 20;

    private final String name;
    private final List<Node.Stmt> body;

    private Template(String name, List<Node.Stmt> body) {
        this.name = name;
        this.body = body;
    }

    /// @param name how errors call the template: a file, for example
    /// @throws BadInput with the line of a syntax error
    public static Template parse(String source, String name) {
        if (source.length() > SOURCE) {
            throw new BadInput(
                    name + ": a chat template of " + source.length() + " characters; at most " + SOURCE + " are read");
        }
        return new Template(name, Parser.parse(source, name));
    }

    /// A rendering. Positions are UTF-16.
    ///
    /// @param fromContent what came from the variables
    /// @param generations what each `{% generation %}` wrote, in order
    public record Rendered(String text, BitSet fromContent, List<Generation> generations) {}

    /// The text of one `{% generation %}`, `end` exclusive.
    public record Generation(int begin, int end) {}

    /// @throws BadInput with the template's line, and the message's index inside a loop over messages
    public Rendered render(Map<String, ?> variables, Clock clock) {
        Variables converted = new Variables(variables);
        Interpreter interpreter = new Interpreter(clock, converted.messages);
        try {
            Str text = interpreter.run(body, converted.values);
            return new Rendered(text.text(), text.contentPositions(), List.copyOf(interpreter.generations()));
        } catch (Fault fault) {
            throw new BadInput(
                    name + ":" + interpreter.line() + interpreter.where() + ": " + fault.getMessage(), fault);
        }
    }
}
