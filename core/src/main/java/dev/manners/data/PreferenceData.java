package dev.manners.data;

import dev.manners.BadInput;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.function.IntConsumer;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;

/// The rows of a file for learning from preferences or rewards, as tokens in memory, and what became of the others.
///
/// Tokenised as TRL's RewardTrainer and DPOTrainer do: conversations by the chat template, plain text with the EOS
/// token behind each completion. Where tokens would merge across the border of a plain prompt and its completion, the
/// two are tokenised apart, as they are when the model is asked; a template that renders a prompt differently once its
/// completion follows is refused. TRL warns of both.
///
/// @param rows those that can be used, in the file's order
/// @param read rows of the file
/// @param overLong rows with more than `max_length` tokens: left out, not cut, as the cut would take the end that is
/// scored
/// @param useless rows from which nothing can be learned, by reason: two completions are the same, one is empty
/// @param rejects bad rows that were left out as asked for, `file:line: reason`
public record PreferenceData<R extends PreferenceRow>(
        PreferenceKind kind, List<R> rows, int read, int overLong, Map<String, Integer> useless, List<String> rejects) {

    /// A file of which more is useless than this is not what it was taken for.
    private static final double MOST_USELESS = 0.1;

    public PreferenceData {
        rows = List.copyOf(rows);
        useless = new TreeMap<>(useless);
        rejects = List.copyOf(rejects);
    }

    /// Comparisons: chosen and rejected, or rankings.
    ///
    /// @param maxLength longest prompt and completion together, in tokens; 0 for no limit
    /// @param skipBad leave out rows that cannot be used, instead of refusing the file
    /// @param progress is told the number of rows done, now and then
    /// @throws BadInput naming every row that cannot be used, unless `skipBad`; or if too many are useless
    public static PreferenceData<PreferenceRow.Ranking> rankings(
            DatasetFile file, Encoder encoder, int maxLength, boolean skipBad, IntConsumer progress) {
        return read(file, PreferenceRow.Ranking.class, encoder, maxLength, skipBad, progress);
    }

    /// Completions with a label. Rows of chosen and rejected will not do: unpair them first.
    public static PreferenceData<PreferenceRow.Labelled> labelled(
            DatasetFile file, Encoder encoder, int maxLength, boolean skipBad, IntConsumer progress) {
        return read(file, PreferenceRow.Labelled.class, encoder, maxLength, skipBad, progress);
    }

    /// Prompts. Rows of other kinds have one too, and serve as well; their other columns go to the rewards.
    public static PreferenceData<PreferenceRow.Prompt> prompts(
            DatasetFile file, Encoder encoder, int maxLength, boolean skipBad, IntConsumer progress) {
        return read(file, PreferenceRow.Prompt.class, encoder, maxLength, skipBad, progress);
    }

    private static <R extends PreferenceRow> PreferenceData<R> read(
            DatasetFile file, Class<R> wanted, Encoder encoder, int maxLength, boolean skipBad, IntConsumer progress) {
        PreferenceKind found = PreferenceKind.detect(file);
        PreferenceKind kind = wanted == PreferenceRow.Prompt.class ? found.promptsAlone() : found;
        if (wanted != give(kind)) {
            throw new BadInput(file.path() + ": the rows are " + kind.describe() + ". Expected "
                    + (wanted == PreferenceRow.Ranking.class
                            ? "chosen and rejected, or prompt, completions and ranks"
                            : wanted == PreferenceRow.Labelled.class ? "prompt, completion and label" : "prompt")
                    + ".");
        }
        if (kind.conversational() && !encoder.hasChat()) {
            throw new BadInput(file.path() + ": the rows are conversations and the model has no chat template"
                    + " (chat_template.jinja, or chat_template in tokenizer_config.json). Put one into the model"
                    + " directory, or give plain text.");
        }
        Tokens tokens = new Tokens(encoder);
        List<R> rows = new ArrayList<>();
        Map<String, Integer> useless = new LinkedHashMap<>();
        List<BadRow> bad = new ArrayList<>();
        int overLong = 0;
        for (int i = 0; i < file.size(); i++) {
            try {
                Row row = file.row(i);
                PreferenceText text = kind.read(row);
                String reason = text.useless();
                if (reason != null) {
                    useless.merge(reason, 1, Integer::sum);
                    continue;
                }
                R encoded = wanted.cast(tokens.encode(row, text));
                if (maxLength > 0 && longest(encoded) > maxLength) {
                    overLong++;
                } else {
                    rows.add(encoded);
                }
            } catch (BadRow e) {
                bad.add(e);
            }
            if (i % 256 == 255) {
                progress.accept(i + 1);
            }
        }
        file.requireUnchanged();
        progress.accept(file.size());
        if (!bad.isEmpty() && !skipBad) {
            throw Tokenised.problems(
                    bad.subList(0, Math.min(bad.size(), Tokenised.PROBLEMS_NAMED)), bad.size(), file.size());
        }
        PreferenceData<R> data = new PreferenceData<>(
                kind,
                rows,
                file.size(),
                overLong,
                useless,
                bad.stream().map(e -> e.source() + ": " + e.reason()).toList());
        data.refuseUseless(file, maxLength, skipBad);
        return data;
    }

    private void refuseUseless(DatasetFile file, int maxLength, boolean skipBad) {
        int count = useless.values().stream().mapToInt(n -> n).sum();
        if (count > MOST_USELESS * read && !skipBad) {
            throw new BadInput("%s: %,d of %,d rows teach nothing (%s). Look what happened to the file, or pass"
                            .formatted(file.path(), count, read, said(useless))
                    + " --skip-bad to train on the others.");
        }
        if (rows.isEmpty()) {
            throw new BadInput("%s: none of %,d rows can be used: %,d have more than max_length %d tokens, %s"
                    .formatted(
                            file.path(),
                            read,
                            overLong,
                            maxLength,
                            useless.isEmpty() ? rejects.size() + " are bad" : said(useless)));
        }
    }

    private static String said(Map<String, Integer> reasons) {
        return reasons.entrySet().stream()
                .map(e -> "%s: %,d".formatted(e.getKey(), e.getValue()))
                .collect(Collectors.joining("; "));
    }

    private static Class<? extends PreferenceRow> give(PreferenceKind kind) {
        return switch (kind) {
            case PreferenceKind.Pair p -> PreferenceRow.Ranking.class;
            case PreferenceKind.Ranked r -> PreferenceRow.Ranking.class;
            case PreferenceKind.Labelled l -> PreferenceRow.Labelled.class;
            case PreferenceKind.Prompt p -> PreferenceRow.Prompt.class;
        };
    }

    private static int longest(PreferenceRow row) {
        return row.prompt().length
                + switch (row) {
                    case PreferenceRow.Ranking r ->
                        r.completions().stream().mapToInt(c -> c.length).max().orElseThrow();
                    case PreferenceRow.Labelled l -> l.completion().length;
                    case PreferenceRow.Prompt p -> 0;
                };
    }

    /// A few lines for the user.
    public String describe() {
        StringBuilder lines = new StringBuilder("%,d rows: %s".formatted(rows.size(), kind.describe()));
        long margins = rows.stream()
                .filter(row -> row instanceof PreferenceRow.Ranking ranking && ranking.margin() != null)
                .count();
        if (margins > 0) {
            lines.append("\n%,d of %,d rows have a margin".formatted(margins, rows.size()))
                    .append(margins < rows.size() ? "; that of the others is 0" : "");
        }
        if (overLong > 0) {
            lines.append("\n%,d rows left out: longer than max_length".formatted(overLong));
        }
        useless.forEach((reason, count) -> lines.append("\n%,d rows left out: %s".formatted(count, reason)));
        if (!rejects.isEmpty()) {
            lines.append("\n%,d rows left out: they cannot be read".formatted(rejects.size()));
        }
        return lines.toString();
    }

    /// Text and conversations to tokens.
    private static final class Tokens {

        private final Encoder encoder;
        private final int[] opening;
        private final int @Nullable [] eos;
        private final String eosName;

        Tokens(Encoder encoder) {
            this.encoder = encoder;
            int[] bare = encoder.text("a");
            int[] dressed = encoder.textWithSpecial("a");
            opening = Arrays.copyOf(dressed, RowEncoder.indexOf(dressed, bare));
            OptionalInt id = encoder.eos();
            eos = id.isPresent() ? new int[] {id.getAsInt()} : null;
            eosName = id.isPresent() ? encoder.show(id.getAsInt()) : "";
        }

        PreferenceRow encode(Row row, PreferenceText text) {
            int[] prompt = prompt(row, text.prompt());
            List<int[]> completions = text.completions().stream()
                    .map(c -> completion(row, text.prompt(), prompt, c))
                    .toList();
            return switch (text.verdict()) {
                case PreferenceText.Verdict.Ranks(int[] ranks, Double margin) ->
                    new PreferenceRow.Ranking(prompt, completions, ranks, margin, row.source());
                case PreferenceText.Verdict.Label(boolean label) ->
                    new PreferenceRow.Labelled(prompt, completions.getFirst(), label, row.source());
                case PreferenceText.Verdict.None(var columns) -> {
                    if (prompt.length == 0) {
                        throw new BadRow(row.source(), "the prompt has no token", "Give it one");
                    }
                    yield new PreferenceRow.Prompt(prompt, text.prompt(), columns, row.source());
                }
            };
        }

        private int[] prompt(Row row, JsonNode prompt) {
            return prompt instanceof ArrayNode messages
                    ? chat(row, messages, true)
                    : RowEncoder.join(opening, encoder.text(prompt.asString()));
        }

        private int[] completion(Row row, JsonNode prompt, int[] given, JsonNode completion) {
            if (prompt instanceof ArrayNode messages && completion instanceof ArrayNode answer) {
                ArrayNode all =
                        JsonNodeFactory.instance.arrayNode().addAll(messages).addAll(answer);
                Conversations.check(row, "prompt and completion", all);
                int[] whole = chat(row, all, false);
                if (!RowEncoder.startsWith(whole, given)) {
                    throw new BadRow(
                            row.source(),
                            "the chat template renders the prompt differently once a completion follows it (from token %d"
                                            .formatted(RowEncoder.commonPrefix(whole, given))
                                    + " of %d)".formatted(given.length),
                            "Take white space off the completion's start, or use a template whose rendering of a prompt"
                                    + " does not depend on what follows");
                }
                return Arrays.copyOfRange(whole, given.length, whole.length);
            }
            if (eos == null) {
                throw new BadInput("the tokenizer has no EOS token to end a completion with. Name one (eos_token in"
                        + " tokenizer_config.json).");
            }
            String text = completion.asString();
            text = !eosName.isEmpty() && text.endsWith(eosName)
                    ? text.substring(0, text.length() - eosName.length())
                    : text;
            int[] whole = RowEncoder.join(opening, encoder.text(prompt.asString() + text));
            int[] rest = RowEncoder.startsWith(whole, given)
                    ? Arrays.copyOfRange(whole, given.length, whole.length)
                    : encoder.text(text);
            return RowEncoder.join(rest, eos);
        }

        private int[] chat(Row row, ArrayNode messages, boolean generationPrompt) {
            try {
                return encoder.chat(
                                messages, row.fields().get("tools") instanceof ArrayNode t ? t : null, generationPrompt)
                        .ids();
            } catch (BadRow e) {
                throw e;
            } catch (BadInput e) {
                throw new BadRow(row.source(), String.valueOf(e.getMessage()), "Change the row or the chat template");
            }
        }
    }

    /// What rankings agree and disagree on, and what a trainer should be warned of.
    public static List<String> warnings(List<PreferenceRow.Ranking> rows) {
        return Consistency.of(rows).warnings();
    }
}
