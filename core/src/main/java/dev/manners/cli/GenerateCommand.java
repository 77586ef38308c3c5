package dev.manners.cli;

import dev.manners.BadInput;
import dev.manners.config.Key;
import dev.manners.files.Json;
import dev.manners.files.Printable;
import dev.manners.rollout.Completion;
import dev.manners.rollout.Sampling;
import dev.manners.run.LoadedModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/// `generate`: completions of prompts.
///
/// With `--chat` a chat template that writes the date is told today's, as a user expects; what models are trained on is
/// rendered on a fixed day ([dev.manners.data.ModelEncoder]).
final class GenerateCommand implements Command {

    record GenerateOptions(
            @Key("Prompt; may be empty where the tokenizer puts a BOS token in front") @Nullable
            String prompt,

            @Key("File with one prompt a line") @Nullable Path promptsFile,

            @Key(value = "Give the prompt as a user's message, in the model's chat format", byDefault = "false")
            boolean chat,

            @Key(value = "Completions of each prompt", byDefault = "1", min = 1, max = 10000)
            int numCompletions,

            @Key(value = "Completions generated at a time", byDefault = "16", min = 1, max = 4096)
            int batchSize,

            @Key(value = "Print JSON lines with token ids and log-probabilities", byDefault = "false")
            boolean json) {}

    @Override
    public String name() {
        return "generate";
    }

    @Override
    public String summary() {
        return "Continues prompts, or answers them with --chat.";
    }

    @Override
    public String details() {
        return """
                Examples:
                  manners generate --model DIR --prompt "Once upon a time" --do-sample false
                  manners generate --model DIR --chat --prompt "What is 2 + 3?" --temperature 0.7 --seed 1""";
    }

    @Override
    public List<Class<? extends Record>> options() {
        return List.of(ModelOptions.class, GenerateOptions.class, Sampling.class);
    }

    @Override
    public int run(Call call) {
        List<Record> bound = call.bind();
        GenerateOptions options = (GenerateOptions) bound.get(1);
        Sampling sampling = (Sampling) bound.get(2);
        List<String> prompts = prompts(options);
        try (LoadedModel model = ((ModelOptions) bound.get(0)).open()) {
            List<int[]> ids = new ArrayList<>();
            for (String prompt : prompts) {
                ids.add(
                        options.chat()
                                ? chatIds(model, prompt)
                                : model.tokenizer().encodeContentWithSpecial(prompt));
            }
            boolean stream = ids.size() == 1 && options.numCompletions() == 1 && !options.json();
            if (stream && !options.chat()) {
                call.out().print(Printable.escape(prompts.getFirst()));
            }
            List<Completion> done = model.engine(options.batchSize())
                    .generate(
                            ids,
                            options.numCompletions(),
                            sampling,
                            stream
                                    ? (prompt, text) -> {
                                        call.out().print(Printable.escape(text));
                                        call.out().flush();
                                    }
                                    : null);
            if (stream) {
                call.out().println();
                return 0;
            }
            for (Completion c : done) {
                call.out()
                        .println(options.json() ? json(prompts.get(c.prompt()), c) : plain(prompts.get(c.prompt()), c));
            }
            return 0;
        }
    }

    static int[] chatIds(LoadedModel model, String prompt) {
        ArrayNode messages = Json.MAPPER.createArrayNode();
        messages.addObject().put("role", "user").put("content", prompt);
        return model.chat()
                .orElseThrow(() -> new BadInput("--chat: the model has no chat template; leave --chat out"))
                .encode(messages, null, true)
                .ids();
    }

    private static List<String> prompts(GenerateOptions options) {
        List<String> prompts = new ArrayList<>();
        if (options.prompt() != null) {
            prompts.add(options.prompt());
        }
        if (options.promptsFile() != null) {
            try {
                prompts.addAll(Files.readAllLines(options.promptsFile()));
            } catch (IOException e) {
                throw new BadInput(
                        "--prompts-file " + options.promptsFile() + ": cannot be read: " + e.getMessage(), e);
            }
        }
        if (prompts.isEmpty()) {
            prompts.add("");
        }
        return prompts;
    }

    private static String plain(String prompt, Completion c) {
        return "> " + Printable.escape(prompt) + "\n" + Printable.escape(c.text()) + "\n";
    }

    private static String json(String prompt, Completion c) {
        ObjectNode node = Json.MAPPER.createObjectNode();
        node.put("prompt", prompt);
        node.put("completion", c.text());
        node.put("finish_reason", c.finish().name().toLowerCase(java.util.Locale.ROOT));
        ArrayNode ids = node.putArray("completion_ids");
        IntStream.of(c.ids()).forEach(ids::add);
        ArrayNode logps = node.putArray("logps");
        for (float logp : c.logps()) {
            logps.add(logp);
        }
        return node.toString();
    }
}
