package dev.manners.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.OptionalInt;
import tools.jackson.databind.node.ObjectNode;

/// What a tokenised dataset is like, for a person to look at before a run: how long its rows are, how many were cut,
/// whether they begin and end as they should, and which are out of all proportion.
///
/// @param rows examples
/// @param rejected rows left out
/// @param tokens tokens after truncation
/// @param trained of them, those that carry loss
/// @param lengths before truncation
/// @param truncated examples that were cut
/// @param beginWithBos examples whose first token is BOS, if the tokenizer has one
/// @param doubleBos examples that begin with BOS twice: the template writes one and the tokenizer adds one
/// @param endWithEos examples whose last token that carries loss is EOS: those that teach to stop
/// @param apart rows whose prompt and completion were tokenised apart, since tokens merged across the border
/// @param outliers `file:line` of rows longer than [#OUTLIER] times the median, the longest first, at most ten
public record TokenReport(
        int rows,
        int rejected,
        long tokens,
        long trained,
        Lengths lengths,
        int truncated,
        long beginWithBos,
        long doubleBos,
        long endWithEos,
        long apart,
        List<Outlier> outliers) {

    /// A row this many times as long as the median is named.
    public static final int OUTLIER = 20;

    /// Order statistics of lengths in tokens, by the nearest rank.
    public record Lengths(int shortest, int median, int p90, int p99, int longest) {}

    /// A row out of proportion.
    ///
    /// @param tokens before truncation
    public record Outlier(String source, int tokens) {}

    public static TokenReport of(Tokenised rows) {
        int[] full = rows.fullLengths();
        int[] sorted = full.clone();
        Arrays.sort(sorted);
        int[] kept = rows.lengths();
        int truncated = 0;
        List<Outlier> outliers = new ArrayList<>();
        int median = rank(sorted, 0.5);
        for (int i = 0; i < full.length; i++) {
            truncated += kept[i] < full[i] ? 1 : 0;
            if (full[i] > (long) OUTLIER * median) {
                outliers.add(new Outlier(rows.source(i), full[i]));
            }
        }
        outliers.sort((a, b) -> Integer.compare(b.tokens(), a.tokens()));
        return new TokenReport(
                rows.size(),
                rows.rejected(),
                rows.totalTokens(),
                rows.trainedTokens(),
                new Lengths(sorted[0], median, rank(sorted, 0.9), rank(sorted, 0.99), sorted[sorted.length - 1]),
                truncated,
                rows.count("begin_with_bos"),
                rows.count("double_bos"),
                rows.count("end_with_eos"),
                rows.count("apart"),
                List.copyOf(outliers.subList(0, Math.min(10, outliers.size()))));
    }

    /// What looks wrong, one sentence each; empty if nothing does.
    public List<String> warnings() {
        List<String> warnings = new ArrayList<>();
        if (doubleBos > 0) {
            warnings.add("beginning with BOS twice, written by the chat template and added by the tokenizer: "
                    + count(doubleBos));
        }
        if (beginWithBos > 0 && beginWithBos < rows) {
            warnings.add("not beginning with BOS, as the others do: " + count(rows - beginWithBos));
        }
        if (endWithEos < rows) {
            warnings.add("not training the EOS token at their end, so that they do not teach to stop: "
                    + count(rows - endWithEos) + " (" + count(truncated) + " cut)");
        }
        if (apart > 0) {
            warnings.add(
                    "tokenised apart, since tokens merge across the border of prompt and completion: " + count(apart));
        }
        for (Outlier outlier : outliers) {
            warnings.add("%s has %s tokens, the median row %s"
                    .formatted(outlier.source(), number(outlier.tokens()), number(lengths.median())));
        }
        return warnings;
    }

    /// Several lines for a terminal.
    public String text() {
        StringBuilder text = new StringBuilder();
        text.append("rows      %s%s\n".formatted(number(rows), rejected == 0 ? "" : ", left out " + number(rejected)));
        text.append(
                "tokens    %s, trained %s (%s)\n".formatted(number(tokens), number(trained), percent(trained, tokens)));
        text.append("length    shortest %s, median %s, 90%% %s, 99%% %s, longest %s\n"
                .formatted(
                        number(lengths.shortest),
                        number(lengths.median),
                        number(lengths.p90),
                        number(lengths.p99),
                        number(lengths.longest)));
        text.append("cut       %s (%s)\n".formatted(number(truncated), percent(truncated, rows)));
        text.append("BOS       %s begin with it\n".formatted(number(beginWithBos)));
        text.append("EOS       %s train it at their end\n".formatted(number(endWithEos)));
        warnings().forEach(warning -> text.append("! ").append(warning).append('\n'));
        return text.toString();
    }

    private static String count(long n) {
        return number(n) + (n == 1 ? " row" : " rows");
    }

    private static String number(long n) {
        return String.format(Locale.ROOT, "%,d", n);
    }

    private static String percent(long part, long whole) {
        return String.format(Locale.ROOT, "%.1f%%", 100.0 * part / Math.max(1, whole));
    }

    private static int rank(int[] sorted, double quantile) {
        return sorted[Math.max(0, (int) Math.ceil(quantile * sorted.length) - 1)];
    }

    /// Counts what needs the tokens, as rows go by.
    static final class Counter {
        private final OptionalInt bos;
        private final OptionalInt eos;
        private long trained;
        private long beginWithBos;
        private long doubleBos;
        private long endWithEos;
        private long apart;

        Counter(OptionalInt bos, OptionalInt eos) {
            this.bos = bos;
            this.eos = eos;
        }

        void count(RowEncoder.Encoded row) {
            int[] ids = row.ids();
            int last = -1;
            for (int i = 1; i < ids.length; i++) {
                if (row.trained()[i]) {
                    trained++;
                    last = i;
                }
            }
            beginWithBos += isAt(bos, ids, 0) ? 1 : 0;
            doubleBos += isAt(bos, ids, 0) && isAt(bos, ids, 1) ? 1 : 0;
            // A template may write a line break after EOS, and train on it.
            endWithEos += isAt(eos, ids, last) || (isAt(eos, ids, last - 1) && row.trained()[last - 1]) ? 1 : 0;
            apart += row.apart() ? 1 : 0;
        }

        void write(ObjectNode notes) {
            notes.put("trained_tokens", trained);
            notes.put("begin_with_bos", beginWithBos);
            notes.put("double_bos", doubleBos);
            notes.put("end_with_eos", endWithEos);
            notes.put("apart", apart);
        }

        private static boolean isAt(OptionalInt token, int[] ids, int i) {
            return token.isPresent() && i >= 0 && i < ids.length && ids[i] == token.getAsInt();
        }
    }
}
