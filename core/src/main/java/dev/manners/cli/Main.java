package dev.manners.cli;

import dev.manners.BadInput;
import dev.manners.NonFinite;
import dev.manners.config.Options;
import dev.manners.run.RunDirectory;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/// The entry: finds the command, reads its options, prints what went wrong so that it can be mended.
///
/// Exit codes: 0 done; 1 a bug of ours or a failed run; 2 something given cannot be used; 128 + n ended by signal n.
public final class Main {

    private static final List<Command> COMMANDS = List.of(
            new RunCommand(),
            new SftCommand(),
            PreferenceCommand.dpo(),
            PreferenceCommand.kto(),
            PreferenceCommand.cpo(),
            PreferenceCommand.orpo(),
            new RewardCommand(),
            new PpoCommand(),
            RewardTrainingCommand.grpo(),
            RewardTrainingCommand.rloo(),
            RewardTrainingCommand.reinforce(),
            RewardTrainingCommand.raft(),
            new BestOfCommand(),
            new GenerateCommand(),
            new ChatCommand(),
            new ScoreCommand(),
            new TokensCommand(),
            new SampleCommand(),
            new RankCommand(),
            new FeedbackCommand(),
            new ExportCommand(),
            new DoctorCommand(),
            new BenchCommand());

    private Main() {}

    public static void main(String[] words) {
        // Half of the text that models make is not ASCII, whatever the locale.
        PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
        System.setOut(out);
        System.setErr(new PrintStream(new FileOutputStream(FileDescriptor.err), true, StandardCharsets.UTF_8));
        int code = execute(Arrays.asList(words), out, System.err);
        out.flush();
        System.exit(code);
    }

    static List<Command> commands() {
        return COMMANDS;
    }

    /// Runs one command line.
    static int execute(List<String> words, PrintStream out, PrintStream err) {
        boolean debug = words.contains("--debug");
        List<String> given = words.stream().filter(w -> !w.equals("--debug")).toList();
        try {
            return dispatch(given, out);
        } catch (BadInput e) {
            err.println("manners: " + e.getMessage());
            trace(e, debug, err);
            return 2;
        } catch (NonFinite e) {
            err.println("manners: stopped: " + e.getMessage());
            trace(e, debug, err);
            return 1;
        } catch (OutOfMemoryError e) {
            err.println(
                    "manners: out of memory: " + e.getMessage() + "\nThe Java heap's limit is set by MANNERS_HEAP"
                            + " (MANNERS_HEAP=4g ./manners ...); tensors live outside it, and need a smaller batch or max_length.");
            trace(e, debug, err);
            return 1;
        } catch (RuntimeException e) {
            String message = String.valueOf(e.getMessage());
            err.println("manners: this is a bug of ours: " + e.getClass().getSimpleName() + ": "
                    + message.lines().findFirst().orElse("")
                    + "\nRun the same command with --debug for the whole story.");
            trace(e, debug, err);
            return 1;
        }
    }

    private static void trace(Throwable e, boolean debug, PrintStream err) {
        if (debug) {
            e.printStackTrace(err);
        }
    }

    private static int dispatch(List<String> words, PrintStream out) {
        CommandLine line = new CommandLine(CommandSpec.create()
                .name("manners")
                .mixinStandardHelpOptions(true)
                .version("manners " + RunDirectory.version()));
        line.getCommandSpec()
                .usageMessage()
                .description("Post-training for language models on the JVM.")
                .footer("", "manners COMMAND --help tells more. Every command takes --debug.");
        for (Command command : COMMANDS) {
            line.addSubcommand(command.name(), spec(command));
        }
        CommandLine.ParseResult parsed;
        try {
            parsed = line.parseArgs(words.toArray(String[]::new));
        } catch (CommandLine.ParameterException e) {
            throw new BadInput(explain(e), e);
        }
        CommandLine.ParseResult chosen = parsed.subcommand();
        if (chosen == null || parsed.isUsageHelpRequested() || parsed.isVersionHelpRequested()) {
            if (parsed.isVersionHelpRequested()) {
                line.printVersionHelp(out);
            } else {
                line.usage(out);
            }
            return chosen == null && words.isEmpty() ? 2 : 0;
        }
        if (chosen.isUsageHelpRequested()) {
            chosen.commandSpec().commandLine().usage(out);
            return 0;
        }
        Command command = COMMANDS.stream()
                .filter(c -> c.name().equals(chosen.commandSpec().name()))
                .findFirst()
                .orElseThrow();
        return command.run(new Command.Call(options(command, chosen), command.options(), words, out));
    }

    private static String explain(CommandLine.ParameterException e) {
        String message = String.valueOf(e.getMessage());
        if (e instanceof CommandLine.UnmatchedArgumentException unmatched) {
            List<String> known = new ArrayList<>();
            CommandSpec spec = unmatched.getCommandLine().getCommandSpec();
            spec.options().forEach(o -> known.addAll(Arrays.asList(o.names())));
            known.addAll(spec.subcommands().keySet());
            List<String> words = unmatched.getUnmatched();
            // The value of an unknown option is not a second mistake.
            boolean options = words.stream().anyMatch(word -> word.startsWith("-"));
            message = words.stream()
                    .filter(word -> !options || word.startsWith("-"))
                    .map(word -> "unknown: " + word + Options.nearest(word.split("=", 2)[0], known))
                    .reduce((a, b) -> a + "\n" + b)
                    .orElse(message);
        }
        String name = e.getCommandLine().getCommandName();
        return message + "\n" + (name.equals("manners") ? name : "manners " + name) + " --help lists what there is.";
    }

    private static CommandSpec spec(Command command) {
        CommandSpec spec = CommandSpec.create().name(command.name()).mixinStandardHelpOptions(true);
        spec.usageMessage()
                .description(command.summary())
                .footer(("\n" + command.details()).split("\n", -1))
                .sortOptions(false)
                .width(110);
        spec.addOption(OptionSpec.builder("--config")
                .type(Path.class)
                .paramLabel("FILE")
                .description("YAML file with options; flags come after it and win")
                .build());
        spec.addOption(OptionSpec.builder("--set")
                .type(List.class)
                .auxiliaryTypes(String.class)
                .paramLabel("KEY=VALUE")
                .description("One option, as in the YAML file; may be given several times")
                .build());
        for (Class<? extends Record> type : command.options()) {
            for (Options.Doc doc : Options.describe(type)) {
                spec.addOption(option(doc));
            }
        }
        for (int i = 0; i < command.positionals().size(); i++) {
            spec.addPositional(PositionalParamSpec.builder()
                    .index(String.valueOf(i))
                    .paramLabel(command.positionals().get(i).toUpperCase(java.util.Locale.ROOT))
                    .type(String.class)
                    .arity("0..1")
                    .description("the same as --" + command.positionals().get(i).replace('_', '-'))
                    .build());
        }
        return spec;
    }

    private static OptionSpec option(Options.Doc doc) {
        String dashed = "--" + doc.key().replace('_', '-');
        String scored = "--" + doc.key();
        String text = doc.text()
                + (doc.range().isEmpty() ? "" : " (" + doc.range() + ")")
                + (doc.type().contains(" | ") ? " (" + doc.type() + ")" : "")
                + (doc.byDefault().isEmpty() || doc.byDefault().equals("[]") ? "" : " [" + doc.byDefault() + "]");
        OptionSpec.Builder builder =
                dashed.equals(scored) ? OptionSpec.builder(dashed) : OptionSpec.builder(dashed, scored);
        builder.description(text.replace("%", "%%")).paramLabel(doc.type().equals("path") ? "PATH" : "VALUE");
        if (doc.type().equals("list")) {
            return builder.type(List.class)
                    .auxiliaryTypes(String.class)
                    .arity("1")
                    .build();
        }
        builder.type(String.class);
        return doc.flag()
                ? builder.arity("0..1").fallbackValue("true").build()
                : builder.arity("1").build();
    }

    private static Options options(Command command, CommandLine.ParseResult parsed) {
        Options options = new Options();
        if (parsed.hasMatchedOption("--config")) {
            options.yaml(parsed.matchedOptionValue("--config", Path.of("")));
        }
        for (int i = 0; i < command.positionals().size(); i++) {
            String value = parsed.matchedPositionalValue(i, null);
            if (value != null) {
                options.set(
                        command.positionals().get(i),
                        value,
                        command.positionals().get(i));
            }
        }
        parsed.matchedOptions().forEach(option -> {
            String name = option.longestName();
            if (!name.equals("--config") && !name.equals("--set")) {
                options.set(name.substring(2), option.getValue(), name);
            }
        });
        List<String> sets = parsed.matchedOptionValue("--set", List.of());
        for (String set : sets) {
            int equals = set.indexOf('=');
            if (equals < 1) {
                throw new BadInput("--set " + set + ": expected KEY=VALUE");
            }
            options.set(set.substring(0, equals), set.substring(equals + 1), "--set " + set.substring(0, equals));
        }
        return options;
    }
}
