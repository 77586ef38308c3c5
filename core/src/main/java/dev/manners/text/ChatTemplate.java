package dev.manners.text;

import dev.manners.BadInput;
import dev.manners.text.jinja.Template;
import java.time.Clock;
import java.time.ZoneId;
import java.util.BitSet;
import java.util.List;
import java.util.Map;

/// A chat template: Jinja that turns a conversation into the text a model reads, as Hugging Face renders it
/// (`trim_blocks`, `lstrip_blocks`, loop controls, `tojson` that keeps non-ASCII, `raise_exception`, `strftime_now`,
/// `{% generation %}`), with Python's strings and numbers.
///
/// Templates come with downloaded models and are not trusted: they can call only what the interpreter defines, read
/// nothing but their variables, and end with [BadInput] when they use more steps, memory or nesting than any real
/// template needs.
///
/// Immutable, so that threads may share one.
public final class ChatTemplate {

    private final String source;
    private final Template template;
    private final Clock clock;

    private ChatTemplate(String source, Template template, Clock clock) {
        this.source = source;
        this.template = template;
        this.clock = clock;
    }

    /// @param name how errors call the template: a file, for example
    /// @throws BadInput with the template's line if it is not valid or uses what is refused, as `include`
    public static ChatTemplate parse(String source, String name) {
        return new ChatTemplate(source, Template.parse(source, name), Clock.system(ZoneId.systemDefault()));
    }

    /// The same template with another idea of now. A template that writes the date makes a model's prompt, and with it
    /// every score, depend on the day: fix the clock wherever runs are to be compared.
    public ChatTemplate withClock(Clock clock) {
        return new ChatTemplate(source, template, clock);
    }

    /// Renders a conversation.
    ///
    /// @param variables `messages`, `tools`, `add_generation_prompt`, `bos_token` and what else the template reads:
    ///     Jackson nodes, maps, lists, strings, numbers, booleans, null
    /// @throws BadInput naming the template's line, and the index of the message in a loop over messages
    public Rendering render(Map<String, ?> variables) {
        Template.Rendered rendered = template.render(variables, clock);
        List<Span> generation = rendered.generations().stream()
                .map(span -> new Span(span.begin(), span.end()))
                .toList();
        return new Rendering(rendered.text(), rendered.fromContent(), generation);
    }

    public String source() {
        return source;
    }

    /// A rendered conversation.
    ///
    /// @param fromContent the UTF-16 positions of `text` that came from the variables and not from the
    ///     template. The template's own vocabulary does not count: strings named `..._token`, and a message's
    ///     `role` if it is one of the usual words. A control token is one only if the template wrote all of it.
    /// @param generation what stands in `{% generation %}`: what the assistant said, and what is trained on
    public record Rendering(String text, BitSet fromContent, List<Span> generation) {}

    /// UTF-16 positions, `end` exclusive.
    public record Span(int begin, int end) {}
}
