package dev.manners.data;

import dev.manners.BadInput;
import dev.manners.files.Json;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/// A dataset as token ids and masks, on disk and mapped into memory: larger than memory, the same for every epoch, and
/// made once for every combination of data, tokenizer, template and options.
///
/// The file's name is a SHA-256 over all that its contents depend on, the version of this code's format among it: a
/// cache made by another tokenizer or template is never found, not found stale. Safe for use by several threads.
///
/// **After close:** nothing but a failure is to be had from it.
public final class Tokenised implements AutoCloseable {

    /// Part of the key. To be raised with every change to what a row's tokens or mask are.
    private static final int FORMAT = 1;

    private static final int CHUNK_ROWS = 512;
    private static final long CHUNK_BYTES = 8L << 20;
    static final int PROBLEMS_NAMED = 20;

    private final DatasetFile source;
    private final RowKind kind;
    private final Tokenisation options;
    private final TokenFile file;
    private final Packing packing;
    private final boolean fromCache;

    /// Tokenises a dataset, or finds it tokenised.
    ///
    /// @param source stays open as long as this, and is closed by the one who opened it
    /// @param folder where caches are kept; made if need be
    /// @param progress is told the number of rows done, now and then
    /// @throws BadInput naming every row that cannot be used, unless `options.skipBad()`; or if none can
    public static Tokenised of(
            DatasetFile source, Encoder encoder, Tokenisation options, Path folder, IntConsumer progress) {
        RowKind kind = RowKind.detect(source, options.textField());
        if (kind.conversational() && !encoder.hasChat()) {
            throw new BadInput(source.path() + ": the rows are conversations and the model has no chat template"
                    + " (chat_template.jinja, or chat_template in tokenizer_config.json). Put one into the model"
                    + " directory, or give text, or prompt and completion as plain text.");
        }
        RowEncoder rows = new RowEncoder(kind, encoder, options);
        Path cache = folder.resolve(key(source, kind, encoder, options) + ".tokens");
        try {
            Optional<TokenFile> kept = TokenFile.open(cache);
            boolean fromCache = kept.isPresent();
            if (!fromCache) {
                write(source, rows, encoder, options, cache, progress);
                kept = TokenFile.open(cache);
            }
            TokenFile file = kept.orElseThrow(
                    () -> new BadInput(cache + ": cannot be read back; is something else writing there?"));
            return new Tokenised(source, kind, options, file, fromCache);
        } catch (IOException e) {
            throw new BadInput(cache + ": tokens cannot be kept there: " + e, e);
        }
    }

    private Tokenised(DatasetFile source, RowKind kind, Tokenisation options, TokenFile file, boolean fromCache) {
        this.source = source;
        this.kind = kind;
        this.options = options;
        this.file = file;
        this.packing = Packing.of(options.packing(), lengths(), options.maxLength());
        this.fromCache = fromCache;
    }

    /// Number of examples.
    public int size() {
        return file.rows();
    }

    public Example get(int i) {
        int length = file.length(i);
        int[] ids = new int[length];
        boolean[] trained = new boolean[length];
        file.copy(i, 0, length, ids, trained, 0);
        return new Example(ids, trained, source(i));
    }

    /// `file:line` of example `i`.
    public String source(int i) {
        return source.source(file.rowInFile(i));
    }

    /// Tokens of each example, in order.
    public int[] lengths() {
        return IntStream.range(0, size()).map(file::length).toArray();
    }

    /// Tokens of each example before truncation, in order.
    public int[] fullLengths() {
        return IntStream.range(0, size()).map(file::fullLength).toArray();
    }

    /// How the examples share sequences, by the options they were made with.
    public Packing packing() {
        return packing;
    }

    /// Tokens of all examples, after truncation.
    public long totalTokens() {
        return file.tokens();
    }

    /// Tokens that carry loss; the first of an example does not.
    public long trainedTokens() {
        return count("trained_tokens");
    }

    /// What was counted while tokenising; see [TokenReport].
    long count(String name) {
        return file.notes().path(name).asLong(0);
    }

    public RowKind kind() {
        return kind;
    }

    public Tokenisation options() {
        return options;
    }

    /// One line for the user on what the rows are and how they were converted.
    public String describe() {
        return kind.describe(source.row(file.rowInFile(0)));
    }

    /// Whether the tokens were there already.
    public boolean fromCache() {
        return fromCache;
    }

    /// Rows left out because `skipBad` was set.
    public int rejected() {
        return file.notes().path("rejects").size();
    }

    /// Writes the rows left out, one JSON object a line: `source`, `reason` and the row's text. Nothing if there are
    /// none.
    public void writeRejects(Path to) {
        JsonNode rejects = file.notes().path("rejects");
        if (rejects.isEmpty()) {
            return;
        }
        try (BufferedWriter out = Files.newBufferedWriter(to, StandardCharsets.UTF_8)) {
            for (JsonNode reject : rejects) {
                int row = reject.path("row").asInt();
                ObjectNode line = JsonNodeFactory.instance.objectNode();
                line.put("source", source.source(row));
                line.set("reason", reject.path("reason"));
                line.put("row", source.text(row));
                out.write(Json.MAPPER.writeValueAsString(line));
                out.write('\n');
            }
        } catch (IOException e) {
            throw new BadInput(to + ": the rows left out cannot be written there: " + e, e);
        }
    }

    @Override
    public void close() {
        file.close();
    }

    /// Copies a run of example `i`'s tokens into arrays, for [Packing].
    void copy(int i, int from, int length, int[] ids, boolean[] trained, int at) {
        file.copy(i, from, length, ids, trained, at);
    }

    static String key(DatasetFile source, RowKind kind, Encoder encoder, Tokenisation options) {
        ObjectNode parts = JsonNodeFactory.instance.objectNode();
        parts.put("format", FORMAT);
        parts.put("data", source.sha256());
        parts.put("rows", source.range().toString());
        parts.put("kind", kind.toString());
        parts.put("encoder", encoder.fingerprint());
        parts.put("options", options.toString());
        byte[] hash = DatasetFile.newSha256().digest(Json.MAPPER.writeValueAsBytes(parts));
        return HexFormat.of().formatHex(hash);
    }

    /// A row's tokens, or what is wrong with it; never both.
    private record Outcome(
            RowEncoder.@Nullable Encoded encoded, @Nullable BadRow problem) {}

    private static void write(
            DatasetFile source,
            RowEncoder rows,
            Encoder encoder,
            Tokenisation options,
            Path cache,
            IntConsumer progress)
            throws IOException {
        TokenReport.Counter counter = new TokenReport.Counter(encoder.bos(), encoder.eos());
        List<BadRow> named = new ArrayList<>();
        ObjectNode notes = JsonNodeFactory.instance.objectNode();
        var rejects = notes.putArray("rejects");
        int bad = 0;
        try (TokenFile.Writer writer = new TokenFile.Writer(cache)) {
            int from = 0;
            while (from < source.size()) {
                int to = chunkEnd(source, from);
                // Rows are independent: encoded by all cores, kept in order.
                List<Outcome> outcomes = IntStream.range(from, to)
                        .parallel()
                        .mapToObj(i -> outcome(source, rows, i))
                        .toList();
                for (int i = from; i < to; i++) {
                    Outcome outcome = outcomes.get(i - from);
                    if (outcome.problem() != null) {
                        bad++;
                        if (options.skipBad()) {
                            rejects.addObject()
                                    .put("row", i)
                                    .put("reason", outcome.problem().reason());
                        } else if (named.size() < PROBLEMS_NAMED) {
                            named.add(outcome.problem());
                        }
                    } else if (outcome.encoded() != null && named.isEmpty()) {
                        counter.count(outcome.encoded());
                        writer.add(i, outcome.encoded());
                    }
                }
                progress.accept(to);
                from = to;
            }
            source.requireUnchanged();
            if (!named.isEmpty()) {
                throw problems(named, bad, source.size());
            }
            if (bad == source.size()) {
                throw new BadInput("%s: none of %,d rows can be used; the first: %s"
                        .formatted(
                                source.path(),
                                bad,
                                rejects.get(0).path("reason").asString()));
            }
            counter.write(notes);
            writer.finish(notes);
        }
    }

    private static Outcome outcome(DatasetFile source, RowEncoder rows, int i) {
        try {
            return new Outcome(rows.encode(source.row(i)), null);
        } catch (BadRow e) {
            return new Outcome(null, e);
        }
    }

    private static int chunkEnd(DatasetFile source, int from) {
        int to = from;
        long bytes = 0;
        while (to < source.size() && to - from < CHUNK_ROWS && bytes < CHUNK_BYTES) {
            bytes += source.bytes(to++);
        }
        return to;
    }

    static BadInput problems(List<BadRow> named, int bad, int rows) {
        BadRow first = named.getFirst();
        StringBuilder message = new StringBuilder("%s: %s. %s, or pass --skip-bad to leave such rows out (%,d of %,d)."
                .formatted(first.source(), first.reason(), first.advice(), bad, rows));
        for (BadRow next : named.subList(1, named.size())) {
            message.append("\n  also ").append(next.source()).append(": ").append(next.reason());
        }
        if (bad > named.size()) {
            message.append("\n  and %,d more".formatted(bad - named.size()));
        }
        return new BadInput(message.toString());
    }
}
