package dev.manners.cli;

import dev.manners.config.Options;
import java.io.PrintStream;
import java.util.List;

/// A command of the command line.
interface Command {

    /// What it is called: `sft`.
    String name();

    /// One sentence for the list of commands.
    String summary();

    /// What it does, how to call it, an example; shown by `--help`.
    String details();

    /// The records its options are bound to.
    List<Class<? extends Record>> options();

    /// What its positional arguments are, `MODEL`, in order; the keys they stand for.
    default List<String> positionals() {
        return List.of();
    }

    /// @param call the options given, and the words of the command line
    /// @return the exit code
    int run(Call call);

    /// A call of a command.
    ///
    /// @param words the whole command line, for records
    /// @param out standard output
    record Call(Options options, List<Class<? extends Record>> types, List<String> words, PrintStream out) {

        /// The options as records, in the order of [Command#options()].
        List<Record> bind() {
            return options.bind(types);
        }
    }
}
