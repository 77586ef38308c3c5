package dev.manners.cli;

import dev.manners.BadInput;
import dev.manners.config.Key;
import dev.manners.feedback.Export;
import dev.manners.feedback.FeedbackStore;
import dev.manners.feedback.Import;
import dev.manners.feedback.Quality;
import dev.manners.feedback.Snapshot;
import dev.manners.files.Json;
import dev.manners.files.Printable;
import dev.manners.run.RunDirectory;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// `feedback`: what is in a store, out of it and into it.
final class FeedbackCommand implements Command {

    /// What to do.
    enum Action {
        STATUS,
        AGREEMENT,
        EXPORT,
        IMPORT
    }

    record FeedbackOptions(
            @Key(value = "What to do", required = true) Action action,

            @Key(value = "Feedback store", required = true) Path store,

            @Key("import: a folder that export wrote, or rows with completions and ranks, or with chosen and rejected")
            @Nullable
            String input,

            @Key("export: folder to write; it must not exist") @Nullable
            Path output,

            @Key("export, agreement: number of the last verdict to look at; unset: the newest") @Nullable
            Long through,

            @Key(value = "export: also verdicts that came after a task had all it wanted", byDefault = "false")
            boolean late,

            @Key(value = "export: also second verdicts of one annotator on one task", byDefault = "false")
            boolean repeats,

            @Key(value = "export: also verdicts on tasks that check the annotators", byDefault = "true")
            boolean gold,

            @Key(value = "export: annotators to leave out", byDefault = "[]")
            List<String> leaveOut,

            @Key(value = "import: who gave the verdicts of rows that do not say", byDefault = "imported")
            String annotator,

            @Key(value = "import: leave out rows that cannot be used, instead of stopping", byDefault = "false")
            boolean skipBad,

            @Key(value = "status, agreement: print JSON", byDefault = "false")
            boolean json,

            @Key(value = "agreement: seed of the intervals", byDefault = "42", min = 0)
            long seed) {}

    @Override
    public String name() {
        return "feedback";
    }

    @Override
    public String summary() {
        return "Tells what a feedback store holds and how far its annotators agree; exports and imports datasets.";
    }

    @Override
    public String details() {
        return """
                status     how many tasks and verdicts there are
                agreement  Krippendorff's alpha, Fleiss' kappa and raw agreement of pairs of answers, with 95 % intervals;
                           each annotator's preference for the first place and for length, ties, consistency
                export     tasks.jsonl and verdicts.jsonl with everything, rankings.jsonl and pairs.jsonl to train on
                import     the same back, or rankings and pairs of others; the same file again changes nothing
                Examples:
                  manners feedback agreement --store feedback.db
                  manners feedback export --store feedback.db --output data/feedback-1
                  manners feedback import --store feedback.db --input pairs.jsonl --annotator crowd""";
    }

    @Override
    public List<Class<? extends Record>> options() {
        return List.of(FeedbackOptions.class);
    }

    @Override
    public List<String> positionals() {
        return List.of("action");
    }

    @Override
    public int run(Call call) {
        FeedbackOptions options = (FeedbackOptions) call.bind().getFirst();
        if (options.action() == Action.IMPORT && options.input() == null) {
            throw new BadInput("feedback import: --input is missing: a folder that export wrote, or a .jsonl file");
        }
        try (FeedbackStore store = options.action() == Action.IMPORT
                ? FeedbackStore.open(options.store())
                : RankCommand.openExisting(options.store())) {
            if (options.action() == Action.IMPORT) {
                in(store, Objects.requireNonNull(options.input()), options, call.out());
                return 0;
            }
            try (Snapshot snapshot = store.snapshot()) {
                switch (options.action()) {
                    case STATUS -> status(snapshot, options, call.out());
                    case AGREEMENT -> agreement(snapshot, options, call.out());
                    case EXPORT -> export(snapshot, options, call.out());
                    case IMPORT -> throw new IllegalStateException();
                }
            }
            return 0;
        }
    }

    private static void status(Snapshot snapshot, FeedbackOptions options, PrintStream out) {
        Map<String, Long> counts = new LinkedHashMap<>();
        counts.put("tasks", snapshot.tasks());
        counts.put("tasks_to_show", snapshot.servable());
        counts.put("tasks_with_a_verdict", snapshot.done(1));
        counts.put("tasks_with_two_annotators", snapshot.done(2));
        counts.put("verdicts", snapshot.through());
        Map<String, Long> kinds = new java.util.TreeMap<>();
        snapshot.forEachStanding(
                snapshot.through(),
                (task, each) ->
                        kinds.merge(each.verdict().ranking().kind().name().toLowerCase(Locale.ROOT), 1L, Long::sum));
        kinds.forEach((kind, n) -> counts.put("verdicts_standing_" + kind, n));
        if (options.json()) {
            out.println(Json.MAPPER.writeValueAsString(counts));
        } else {
            counts.forEach((what, n) -> out.printf("%-28s %d%n", what.replace('_', ' '), n));
        }
    }

    private static long through(Snapshot snapshot, FeedbackOptions options) {
        return options.through() == null ? snapshot.through() : options.through();
    }

    private static void agreement(Snapshot snapshot, FeedbackOptions options, PrintStream out) {
        Quality quality = Quality.of(snapshot, through(snapshot, options), options.seed());
        if (options.json()) {
            out.println(Json.MAPPER.writeValueAsString(quality));
            return;
        }
        out.println("Agreement on pairs of answers (worse, tie, better), n pairs that two annotators or more judged");
        out.println("  Krippendorff's alpha, ordinal  " + quality.alpha());
        out.println("  Krippendorff's alpha, nominal  " + quality.nominalAlpha());
        out.println("  Fleiss' kappa                  " + quality.kappa()
                + (quality.kappaAnnotators() == 0 ? "" : ", of " + quality.kappaAnnotators() + " annotators each"));
        out.println("  raw                            " + quality.raw().percent());
        for (Quality.Annotator each : quality.annotators()) {
            out.println();
            out.println(Printable.escape(each.name()));
            out.printf(
                    "  verdicts                       %d: %d rankings, %d all bad, %d skipped%n",
                    each.verdicts(), each.ranked(), each.allBad(), each.skipped());
            out.println("  shown first is best            " + bias(each.firstWins()));
            out.println("  longest is best                " + bias(each.longerWins()));
            out.println("  tie for the first place        " + each.ties().percent());
            out.println("  same best when asked again     " + each.consistent().percent());
            out.println("  gold answers found             " + each.goldPassed().percent());
            out.println(
                    "  median time                    " + (each.medianMs() == null ? "n/a" : each.medianMs() + " ms"));
        }
    }

    private static String bias(Quality.Bias bias) {
        return bias.rate().isDefined()
                ? String.format(
                        Locale.ROOT,
                        "%s; by chance %.1f %%%s",
                        bias.rate().percent(),
                        100 * bias.byChance(),
                        bias.isApart() ? ", outside the interval" : "")
                : "n/a";
    }

    private static void export(Snapshot snapshot, FeedbackOptions options, PrintStream out) {
        if (options.output() == null) {
            throw new BadInput("feedback export: --output is missing: the folder to write");
        }
        Export.Counts counts = Export.write(
                snapshot,
                options.output(),
                new Export.Filter(
                        through(snapshot, options),
                        options.late(),
                        options.repeats(),
                        options.gold(),
                        Set.copyOf(options.leaveOut())),
                Map.of("manners", RunDirectory.version()));
        counts.rows().forEach((file, n) -> out.printf("%s/%s.jsonl: %d rows%n", options.output(), file, n));
        counts.leftOut().forEach((why, n) -> out.printf("left out, %s: %d verdicts%n", why.replace('_', ' '), n));
        out.printf("left out, tied: %d pairs%n", counts.tiedPairs());
    }

    private static void in(FeedbackStore store, String input, FeedbackOptions options, PrintStream out) {
        Import.Counts counts = Files.isDirectory(Path.of(input))
                ? Import.folder(store, Path.of(input))
                : Import.file(store, input, options.annotator(), options.skipBad(), Clock.systemUTC());
        out.printf(
                "%d new tasks, %d new verdicts; %d verdicts were there already%n",
                counts.tasks(), counts.verdicts(), counts.known());
        counts.leftOut().forEach(problem -> out.println("left out: " + Printable.escape(problem)));
    }
}
