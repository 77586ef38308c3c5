package dev.manners.cli;

import dev.manners.BadInput;
import dev.manners.files.Json;
import dev.manners.files.Printable;
import dev.manners.rollout.Completion;
import dev.manners.rollout.Sampling;
import dev.manners.run.LoadedModel;
import dev.manners.text.ChatFormat;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import org.jline.reader.EndOfFileException;
import org.jline.reader.LineReader;
import org.jline.reader.LineReaderBuilder;
import org.jline.reader.UserInterruptException;
import org.jline.terminal.Terminal;
import org.jline.terminal.TerminalBuilder;
import tools.jackson.databind.node.ArrayNode;

/// `chat`: a conversation in the terminal.
///
/// A chat template that writes the date is told today's, as a user expects; what models are trained on is rendered on a
/// fixed day ([dev.manners.data.ModelEncoder]).
final class ChatCommand implements Command {

    @Override
    public String name() {
        return "chat";
    }

    @Override
    public String summary() {
        return "Talks with a model in the terminal; it remembers the conversation.";
    }

    @Override
    public String details() {
        return """
                /new starts over, /system TEXT sets a system message, /undo takes the last exchange back, /quit ends.
                Arrow keys go through what was typed. Lines may also come through a pipe.""";
    }

    @Override
    public List<Class<? extends Record>> options() {
        return List.of(ModelOptions.class, Sampling.class);
    }

    @Override
    public int run(Call call) {
        List<Record> bound = call.bind();
        Sampling sampling = (Sampling) bound.get(1);
        try (LoadedModel model = ((ModelOptions) bound.get(0)).open();
                Terminal terminal = TerminalBuilder.builder()
                        .dumb(true)
                        .encoding(StandardCharsets.UTF_8)
                        .build()) {
            ChatFormat format = model.chat()
                    .orElseThrow(
                            () -> new BadInput("the model has no chat template (chat_template.jinja, or chat_template"
                                    + " in tokenizer_config.json); use `manners generate` for plain completions"));
            LineReader reader = LineReaderBuilder.builder()
                    .terminal(terminal)
                    .variable(LineReader.HISTORY_FILE, Path.of(System.getProperty("user.home"), ".manners_history"))
                    .option(LineReader.Option.DISABLE_EVENT_EXPANSION, true)
                    .build();
            converse(call, model, format, reader, sampling);
            return 0;
        } catch (IOException e) {
            throw new BadInput("the terminal cannot be opened: " + e.getMessage(), e);
        }
    }

    private static void converse(
            Call call, LoadedModel model, ChatFormat format, LineReader reader, Sampling sampling) {
        ArrayNode messages = Json.MAPPER.createArrayNode();
        long turn = 0;
        while (true) {
            String line;
            try {
                line = reader.readLine("you> ").strip();
            } catch (EndOfFileException | UserInterruptException e) {
                return;
            }
            if (line.isEmpty()) {
                continue;
            }
            if (line.startsWith("/")) {
                if (line.equals("/quit") || line.equals("/exit")) {
                    return;
                }
                command(call, messages, line);
                continue;
            }
            messages.addObject().put("role", "user").put("content", line);
            int[] ids = format.encode(messages, null, true).ids();
            if (ids.length >= model.decoder().config().maxPositions()) {
                messages.remove(messages.size() - 1);
                call.out()
                        .println("The conversation has " + ids.length
                                + " tokens and no longer fits the model's context of "
                                + model.decoder().config().maxPositions()
                                + ": /new starts over, /undo takes an exchange back.");
                continue;
            }
            Sampling seeded = sampling.withSeed(sampling.seed() + turn++);
            Completion answer = model.engine(1)
                    .generate(List.of(ids), 1, seeded, (prompt, text) -> {
                        call.out().print(Printable.escape(text));
                        call.out().flush();
                    })
                    .getFirst();
            call.out().println();
            if (answer.finish() == Completion.Finish.LENGTH) {
                call.out().println("(cut at " + answer.ids().length + " tokens)");
            }
            messages.addObject().put("role", "assistant").put("content", answer.text());
        }
    }

    private static void command(Call call, ArrayNode messages, String line) {
        if (line.equals("/new")) {
            messages.removeAll();
        } else if (line.equals("/undo")) {
            for (int i = 0; i < 2 && !messages.isEmpty(); i++) {
                messages.remove(messages.size() - 1);
            }
        } else if (line.startsWith("/system ")) {
            messages.removeAll();
            messages.addObject().put("role", "system").put("content", line.substring("/system ".length()));
        } else {
            call.out().println("unknown: " + line + "; there are /new, /undo, /system TEXT, /quit");
        }
    }
}
