package dev.manners.cli;

import dev.manners.BadInput;
import dev.manners.config.Key;
import dev.manners.data.DatasetFile;
import dev.manners.data.Example;
import dev.manners.data.ModelEncoder;
import dev.manners.data.Packing;
import dev.manners.data.Tokenisation;
import dev.manners.data.Tokenised;
import dev.manners.files.Json;
import dev.manners.files.RegularFile;
import dev.manners.model.Dropout;
import dev.manners.model.Sequences;
import dev.manners.run.LoadedModel;
import dev.manners.tensor.DType;
import dev.manners.tensor.NoGrad;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/// `score`: log-probabilities that a model gives to the tokens of a dataset.
final class ScoreCommand implements Command {

    record ScoreOptions(
            @Key(value = "Rows to score: .jsonl or .json, also .gz; a part of it as FILE[:100]", required = true)
            String dataset,

            @Key("File for the JSON lines; unset: standard output") @Nullable
            Path output,

            @Key(value = "Longest row in tokens; 0: no limit", byDefault = "0", min = 0)
            int maxLength,

            @Key(value = "Column of plain text rows", byDefault = "text")
            String datasetTextField,

            @Key("Score completions only; unset: if rows have a prompt and a completion") @Nullable
            Boolean completionOnlyLoss,

            @Key(value = "Append EOS to texts and completions, as training does", byDefault = "true")
            boolean appendEos,

            @Key(value = "Leave out rows that cannot be used", byDefault = "false")
            boolean skipBad) {}

    @Override
    public String name() {
        return "score";
    }

    @Override
    public String summary() {
        return "Teacher-forced log-probabilities and mean negative log-likelihood of a dataset, as JSON lines.";
    }

    @Override
    public String details() {
        return """
                One line a row: source, tokens scored, nll (mean, nats), ids, logps; a last line sums up.
                Example:
                  manners score --model DIR --dataset heldout.jsonl --output scores.jsonl""";
    }

    @Override
    public List<Class<? extends Record>> options() {
        return List.of(ModelOptions.class, ScoreOptions.class);
    }

    @Override
    public int run(Call call) {
        List<Record> bound = call.bind();
        ScoreOptions options = (ScoreOptions) bound.get(1);
        Tokenisation how = new Tokenisation(
                options.maxLength(),
                Tokenisation.Truncation.KEEP_START,
                Packing.Strategy.NONE,
                options.completionOnlyLoss(),
                false,
                options.datasetTextField(),
                options.appendEos(),
                options.skipBad());
        try (LoadedModel model = ((ModelOptions) bound.get(0)).open();
                DatasetFile file = DatasetFile.open(options.dataset());
                Folder cache = Folder.temporary();
                Tokenised rows = Tokenised.of(file, new ModelEncoder(model.tokenizer()), how, cache.path(), n -> {});
                Output output = Output.of(options.output(), call.out())) {
            PrintStream out = output.stream();
            double total = 0;
            long tokens = 0;
            for (int i = 0; i < rows.size(); i++) {
                Example row = rows.get(i);
                ObjectNode line = score(model, row);
                total += line.path("nll").doubleValue() * line.path("tokens").intValue();
                tokens += line.path("tokens").intValue();
                out.println(line);
            }
            ObjectNode sum = Json.MAPPER.createObjectNode();
            sum.put("rows", rows.size()).put("tokens", tokens).put("nll", total / tokens);
            sum.put("perplexity", Math.exp(total / tokens));
            out.println(sum);
            output.requireWritten();
            return 0;
        }
    }

    /// A temporary folder, gone when closed.
    record Folder(Path path) implements AutoCloseable {
        static Folder temporary() {
            try {
                return new Folder(Files.createTempDirectory("manners"));
            } catch (IOException e) {
                throw new dev.manners.BadInput("no temporary folder can be made: " + e.getMessage(), e);
            }
        }

        @Override
        public void close() {
            try (var files = Files.walk(path)) {
                for (Path file :
                        files.sorted(java.util.Comparator.reverseOrder()).toList()) {
                    Files.deleteIfExists(file);
                }
            } catch (IOException e) {
                System.err.println("manners: " + path + " could not be removed: " + e.getMessage());
            }
        }
    }

    /// Where the lines go; standard output is not ours to close.
    private record Output(PrintStream stream, @Nullable Path file) implements AutoCloseable {

        static Output of(@Nullable Path file, PrintStream standard) {
            if (file == null) {
                return new Output(standard, null);
            }
            try {
                return new Output(
                        new PrintStream(Files.newOutputStream(file), false, java.nio.charset.StandardCharsets.UTF_8),
                        file);
            } catch (IOException e) {
                throw new BadInput("--output " + file + " cannot be written: " + RegularFile.reason(e), e);
            }
        }

        /// A print stream keeps its failures to itself: half a file would look like a whole one.
        void requireWritten() {
            if (stream.checkError()) {
                throw new BadInput((file == null ? "standard output" : "--output " + file)
                        + ": not all lines could be written; is the disk full?");
            }
        }

        @Override
        public void close() {
            if (file != null) {
                stream.close();
            }
        }
    }

    private static ObjectNode score(LoadedModel model, Example row) {
        try (Scope scope = Scope.open();
                NoGrad off = NoGrad.on()) {
            Tensor ids = Tensor.of(row.ids());
            int n = row.length() - 1;
            Tensor hidden = model.decoder().hidden(ids, new Sequences(row.length()), Dropout.NONE);
            float[] logps = model.decoder()
                    .logits(hidden.narrow(0, 0, n))
                    .to(DType.F32)
                    .logSoftmax(-1)
                    .gather(1, ids.narrow(0, 1, n).unsqueeze(1))
                    .toFloats();
            ObjectNode line = Json.MAPPER.createObjectNode();
            line.put("source", row.source());
            ArrayNode scoredIds = Json.MAPPER.createArrayNode();
            ArrayNode scored = Json.MAPPER.createArrayNode();
            double sum = 0;
            for (int i = 1; i < row.length(); i++) {
                if (row.trained()[i]) {
                    scoredIds.add(row.ids()[i]);
                    scored.add(logps[i - 1]);
                    sum -= logps[i - 1];
                }
            }
            line.put("tokens", scored.size());
            line.put("nll", sum / scored.size());
            line.set("ids", scoredIds);
            line.set("logps", scored);
            return line;
        }
    }
}
