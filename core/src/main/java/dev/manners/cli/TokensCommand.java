package dev.manners.cli;

import dev.manners.config.Key;
import dev.manners.data.DatasetFile;
import dev.manners.data.ModelEncoder;
import dev.manners.data.Packed;
import dev.manners.data.TokenReport;
import dev.manners.data.TokenView;
import dev.manners.data.Tokenised;
import dev.manners.files.Json;
import dev.manners.files.Printable;
import dev.manners.run.LoadedModel;
import dev.manners.text.ChatFormat;
import dev.manners.text.Tokenizer;
import dev.manners.train.SftConfig;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/// `tokens`: what training would see.
final class TokensCommand implements Command {

    record TokensOptions(
            @Key(value = "Model directory: only its tokenizer and chat template are read", required = true)
            Path model,

            @Key(value = "Rows: .jsonl or .json, also .gz; a part of it as FILE[:100]", required = true)
            String dataset,

            @Key(value = "Sequences shown", byDefault = "3", min = 0)
            int rows,

            @Key(value = "Colour: trained tokens bright, masked ones dim", byDefault = "true")
            boolean colour,

            @Key(value = "Draw a line between tokens", byDefault = "true")
            boolean borders,

            @Key(value = "Leave out rows that cannot be used, instead of stopping", byDefault = "false")
            boolean skipBad) {}

    @Override
    public String name() {
        return "tokens";
    }

    @Override
    public String summary() {
        return "Shows rows as trained and masked tokens, with lengths, counts and checks, before any training.";
    }

    @Override
    public String details() {
        return """
                Takes the options of `sft` that decide what is trained on.
                Example:
                  manners tokens --model DIR --dataset train.jsonl --max-length 512 --packing""";
    }

    @Override
    public List<Class<? extends Record>> options() {
        return List.of(TokensOptions.class, SftConfig.class);
    }

    @Override
    public int run(Call call) {
        List<Record> bound = call.bind();
        TokensOptions options = (TokensOptions) bound.get(0);
        SftConfig config = (SftConfig) bound.get(1);
        try (Tokenizer tokenizer = Tokenizer.load(options.model());
                DatasetFile file = DatasetFile.open(options.dataset());
                ScoreCommand.Folder cache = ScoreCommand.Folder.temporary();
                Tokenised rows = Tokenised.of(
                        file,
                        new ModelEncoder(tokenizer),
                        config.tokenisation(options.skipBad()),
                        cache.path(),
                        n -> {})) {
            call.out().println(Printable.escape(rows.describe()));
            TokenView view = new TokenView(new ModelEncoder(tokenizer), options.colour(), options.borders());
            for (int i = 0; i < Math.min(options.rows(), rows.packing().size()); i++) {
                Packed sequence = rows.packing().read(rows, i);
                call.out().println(view.show(sequence));
            }
            call.out().print(Printable.escape(TokenReport.of(rows).text()));
            formatWarnings(options.model(), tokenizer).forEach(w -> call.out().println("! " + Printable.escape(w)));
            return 0;
        }
    }

    private static List<String> formatWarnings(Path model, Tokenizer tokenizer) {
        if (tokenizer.chatTemplateSource().isEmpty()) {
            return List.of();
        }
        ArrayNode exchange = Json.MAPPER.createArrayNode();
        exchange.addObject().put("role", "user").put("content", "Hello");
        exchange.addObject().put("role", "assistant").put("content", "Hello.");
        Set<Integer> stops = new LinkedHashSet<>();
        tokenizer.eosId().ifPresent(stops::add);
        Path generation = model.resolve("generation_config.json");
        if (java.nio.file.Files.exists(generation)) {
            ObjectNode json = Json.readObject(generation);
            LoadedModel.addIds(stops, json.path("eos_token_id"));
        }
        return ChatFormat.of(tokenizer).warnings(exchange, stops);
    }
}
