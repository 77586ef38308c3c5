package dev.manners.cli;

import dev.manners.config.Options;
import dev.manners.model.Lora;
import dev.manners.rollout.Sampling;
import dev.manners.run.ParrotRecipe;
import dev.manners.run.RewardFuncs;
import dev.manners.run.StudyRecipe;
import dev.manners.train.SftConfig;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.lang.reflect.RecordComponent;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/// docs/reference.md, made from the commands and their option records, so that it cannot say anything else than they
/// do. `ReferenceTest` holds the file to it.
final class Reference {

    /// Records that several commands bind: described once, under a title of their own.
    private static final Map<Class<? extends Record>, String> SHARED = shared();

    private Reference() {}

    private static Map<Class<? extends Record>, String> shared() {
        Map<Class<? extends Record>, String> shared = new LinkedHashMap<>();
        shared.put(ModelOptions.class, "Model options");
        shared.put(SftConfig.class, "Training options");
        shared.put(RewardTrainingCommand.TrainingOptions.class, "Options of training with rewards");
        shared.put(RewardFuncs.class, "Reward options");
        shared.put(Lora.class, "Adapter options");
        shared.put(Sampling.class, "Sampling options");
        return shared;
    }

    /// Prints the page.
    public static void main(String[] words) {
        new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8).print(markdown());
    }

    /// The whole page; ends with a newline.
    static String markdown() {
        StringBuilder page = new StringBuilder(INTRODUCTION);
        page.append("\n## Commands\n\n| Command | What it does |\n|---|---|\n");
        for (Command command : Main.commands()) {
            page.append("| [`%1$s`](#manners-%1$s) | %2$s |\n".formatted(command.name(), cell(command.summary())));
        }
        page.append('\n').append(EVERY_COMMAND);
        Main.commands().forEach(command -> command(page, command));
        page.append("\n# Options that several commands share\n");
        SHARED.forEach((type, title) -> {
            page.append("\n## ").append(title).append("\n\n");
            page.append("Taken by: ").append(users(type)).append(".\n\n");
            table(page, type, "--");
        });
        recipe(page);
        return page.append('\n').append(CONVENTIONS).toString().replaceAll("\n{3,}", "\n\n");
    }

    private static void command(StringBuilder page, Command command) {
        page.append("\n## manners ").append(command.name()).append("\n\n");
        page.append(command.summary()).append("\n\n```text\nmanners ").append(command.name());
        command.positionals()
                .forEach(key ->
                        page.append(" [").append(key.toUpperCase(Locale.ROOT)).append(']'));
        page.append(" [OPTIONS]\n\n").append(command.details().strip()).append("\n```\n\n");
        for (Class<? extends Record> type : command.options()) {
            if (SHARED.containsKey(type)) {
                continue;
            }
            table(page, type, "--");
        }
        List<String> links = command.options().stream()
                .filter(SHARED::containsKey)
                .map(type -> link(String.valueOf(SHARED.get(type))))
                .toList();
        if (!links.isEmpty()) {
            page.append("It also takes: ").append(String.join(", ", links)).append(".\n");
        }
        if (!command.positionals().isEmpty()) {
            page.append("\nWithout a flag's name, in this order: ")
                    .append(String.join(
                            ", ",
                            command.positionals().stream()
                                    .map(key -> "`" + flag(key) + "`")
                                    .toList()))
                    .append(".\n");
        }
    }

    private static void recipe(StringBuilder page) {
        page.append('\n').append(RECIPE);
        for (RecordComponent section : ParrotRecipe.class.getRecordComponents()) {
            section(page, section.getName(), section.getType().asSubclass(Record.class));
        }
        page.append(STUDY);
        for (RecordComponent section : StudyRecipe.class.getRecordComponents()) {
            if (section.getType().isRecord()) {
                section(page, section.getName(), section.getType().asSubclass(Record.class));
            }
        }
    }

    private static void section(StringBuilder page, String name, Class<? extends Record> type) {
        String study = type.getEnclosingClass() == StudyRecipe.class ? " of a study" : "";
        boolean top = name.equals("top");
        String key = Options.snake(name);
        page.append("\n## ").append(top ? "Outside all sections" + study : "Section `" + key + "`");
        page.append("\n\n");
        if (SHARED.containsKey(type)) {
            page.append("The ")
                    .append(link(String.valueOf(SHARED.get(type))))
                    .append(", written `")
                    .append(key)
                    .append(".KEY`, such as `")
                    .append(key)
                    .append('.')
                    .append(Options.describe(type).getFirst().key())
                    .append("`. `seed`, where it is not given, is the recipe's.\n");
        } else {
            table(page, type, top ? "" : key + ".");
        }
    }

    /// One row an option.
    ///
    /// @param prefix `--` for flags; for keys of a recipe their section and a dot, or nothing
    private static void table(StringBuilder page, Class<? extends Record> type, String prefix) {
        boolean flags = prefix.equals("--");
        page.append(flags ? "| Option" : "| Key")
                .append(" | Type | Default | Range | Meaning |\n|---|---|---|---|---|\n");
        for (Options.Doc doc : Options.describe(type)) {
            String name = flags ? flag(doc.key()) : prefix + doc.key();
            page.append("| `%s` | %s | %s | %s | %s |\n"
                    .formatted(
                            name,
                            cell(doc.type()),
                            byDefault(doc.byDefault()),
                            cell(doc.range()),
                            cell(doc.text().strip())));
        }
        page.append('\n');
    }

    private static String flag(String key) {
        return "--" + key.replace('_', '-');
    }

    private static String byDefault(String given) {
        return given.equals("required") ? "**required**" : given.isEmpty() ? "unset" : "`" + cell(given) + "`";
    }

    private static String cell(String text) {
        return text.replace("|", "\\|").replace("\n", " ");
    }

    private static String link(String title) {
        return "[" + title.toLowerCase(Locale.ROOT) + "](#"
                + title.toLowerCase(Locale.ROOT).replace(' ', '-') + ")";
    }

    private static String users(Class<? extends Record> type) {
        return String.join(
                ", ",
                Main.commands().stream()
                        .filter(command -> command.options().contains(type))
                        .map(command -> "`" + command.name() + "`")
                        .toList());
    }

    private static final String INTRODUCTION = """
            <!-- Made from the code by dev.manners.cli.Reference; change it there, then run
                 ./mvnw verify -Dtest=ReferenceTest -Dreference.write=true -->

            # Reference

            Every command, every option. The [tutorial](tutorial.md) shows them at work.

            ## How options are given

            An option has one key, written in snake case: `learning_rate`. It can be given in three ways.

            - As a flag: `--learning-rate 1e-3`, `--learning_rate 1e-3` or `--learning-rate=1e-3`. A flag of type "true or
              false" may stand alone, `--packing`, or take a value, `--packing false`.
            - In a YAML file: `--config FILE` with lines of `key: value`. Tags, anchors and duplicate keys are refused.
            - As `--set key=value`, as many times as you like.

            Where a key is given more than once, `--set` wins over a flag, and a flag wins over the file.

            - **integer, number**: `1000`, `1e-3`, `1_000`.
            - **path**: `~/` in front is your home folder. `$VARIABLES` are not replaced: that is the shell's work.
            - **list**: repeat the flag, `--stop A --stop B`. In YAML `[A, B]`. With `--set`, or as a plain value in YAML,
              commas separate the items: `--set stop=A,B`. Of numbers, choices and rewards a flag takes several with commas
              too: `--reward-funcs accuracy,format`.
            - **choice** (`linear | cosine`): in any case, with `-` or `_`.
            - **true or false**: also `yes`, `on`, `1` and `no`, `off`, `0`.
            - **unset**: nothing is given and the option decides by itself, as its text says. In YAML `null` is unset.

            All wrong values are reported at once. An unknown key is an error, with the nearest known one.
            """;

    private static final String EVERY_COMMAND = """
            Every command takes `--config FILE`, `--set KEY=VALUE`, `--help`, `--version` and `--debug`. `--debug` prints the
            Java stack trace of an error.

            `./manners` is the launcher: it finds Java 25, builds the program if its sources are newer than the last build,
            and starts it. Texts below write `manners` for it.
            """;

    private static final String RECIPE = """
            # Recipes

            A recipe is a YAML file for `manners run`. `recipe: parrot` is the built-in story:
            [recipes/parrot.yaml](../recipes/parrot.yaml), which runs where no recipe is given; `recipe: study`
            [compares](#outside-all-sections-of-a-study) over several of them. The defaults below are what a
            recipe gets that leaves the key out; `recipes/parrot.yaml` sets many of them. Any key can be set on the command
            line: `manners run --set sft.learning_rate=5e-4`.
            """;

    private static final String STUDY = """

            ## A study

            `recipe: study`, as [recipes/study.yaml](../recipes/study.yaml). It may also hold any key of the story's recipe
            that stands in a section: what it says goes before.
            """;

    private static final String CONVENTIONS = """
            # Conventions

            ## Exit codes

            | Code | Meaning |
            |---|---|
            | 0 | Done. |
            | 1 | Training met a number that is not finite; memory ran out; `doctor` found something missing; the launcher found no Java or could not build; or a bug of ours. |
            | 2 | Something given cannot be used: an option, a file, a dataset row, a model directory. Nothing was trained. Also `manners` without a command. |
            | 128 + n | Ended by signal n: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP. Commands that train, and `run`, finish the update and save first; the second signal ends them at once. |

            ## Environment variables

            | Variable | Meaning |
            |---|---|
            | `JAVA_HOME` | A JDK 25 or newer. Where it is not one, the launcher looks on `PATH` and in the usual folders. |
            | `MANNERS_HEAP` | Largest Java heap, `2g` where unset. It holds rows and text; tensors live outside it. |
            | `MANNERS_JAVA_OPTIONS` | Further options for the Java process, separated by spaces. |
            | `OMP_NUM_THREADS` | Threads of one operation; where unset, one per processor. `--threads` wins over it. Another number of threads gives other last bits, so a run can only be resumed with the same. |

            The launcher sets `OPENBLAS_NUM_THREADS` to 1 and adds settings to `GLIBC_TUNABLES`. Commands that sample many completions start with
            `--add-modules jdk.incubator.vector`, of which Java says a line on standard error; who starts Java without it samples the same, more slowly.

            ## Dataset files

            `.jsonl` or `.ndjson`: one JSON object a line. `.json`: an array of objects, or lines. Both may be gzipped, with
            `.gz` at the end of the name. The text is UTF-8. Parquet and CSV are not read.

            A part of a file is chosen in brackets: `FILE[:1000]`, `FILE[-100:]`, `FILE[10:20]`, `FILE[:90%]`. Rows are counted
            from 0 in the file's order. A slice that reaches outside the file, or holds no row, is an error. Quote it, or your
            shell may take the brackets for itself.

            ## Dataset rows

            | Kind | Columns | Loss by default |
            |---|---|---|
            | Plain text | `text`, or the column that `dataset_text_field` names | all tokens |
            | Conversation | `messages`: a list of `role` and `content`; `tools` if there are any | all tokens; with `assistant_only_loss` those that the chat template marks |
            | Conversation, ShareGPT | `conversations`: a list of `from` and `value` (`human`, `gpt`, `observation`, `system`) | the same |
            | Prompt and completion | `prompt` and `completion`, both strings | the completion |
            | Prompt and completion, conversational | `prompt` and `completion`, both lists of messages; `tools` if there are any | the completion |
            | Alpaca | `instruction`, `output`, and `input`, which may be empty or absent | the output |

            The kind is that of the file, found from its first good row; every row is held to it. Where a row has the columns
            of several kinds, the order is: prompt and completion, `messages`, `conversations`, text, Alpaca.

            Conversations need a chat template: `chat_template.jinja` in the model directory, or `chat_template` in its
            `tokenizer_config.json`. Roles are `system`, `developer`, `user`, `assistant` and `tool`.

            ## Rows of comparisons, labels and prompts

            | Kind | Columns |
            |---|---|
            | Pair | `chosen` and `rejected`; `prompt`, or both begin with it; `margin`, a number: a row without it has margin 0 |
            | Pair, LLaMA-Factory | `conversations`, and `chosen` and `rejected`, one message each |
            | Ranking | `prompt`, `completions` (two or more) and `ranks`: whole numbers from 1, the best; the same number is a tie |
            | Label | `prompt`, `completion` and `label`, true or false; or `messages` and `label` |
            | Prompt | `prompt`, of one kind in all rows of a file; all other columns go to the rewards |

            Prompts and completions are strings, or lists of messages. Beside a prompt of messages a completion may also be a
            string: what the assistant said.

            ## The folder of a run

            What `sft`, `dpo`, `kto`, `cpo` and `orpo` leave in `--output-dir`:

            | File | What it holds |
            |---|---|
            | `config.yaml` | All options, the defaults too. A folder with other options is refused. |
            | `metrics.jsonl` | One JSON object a line: `stage`, `step` and the metrics that the algorithm's page explains: [sft](algorithms/sft.md), [dpo](algorithms/dpo.md), [kto](algorithms/kto.md). No clock: two equal runs write equal bytes. |
            | `timings.jsonl` | When each line of metrics was written, in seconds since the stage began in this process. |
            | `samples.jsonl` | Sample completions: `stage`, `step`, `prompt`, `completion`. |
            | `events.jsonl` | What happened and when: `started`, `resumed`, `saved`, `interrupted`, `non_finite`, `checkpoint_skipped`. |
            | `tensorboard/` | The metrics again, as TensorBoard's event files. |
            | `checkpoint-N/` | State after N updates: `trainable.safetensors`, `optimizer.safetensors`, `trainer_state.json`, `MANIFEST.json`. |
            | `damaged-checkpoint-N-…` | A checkpoint that did not match its manifest, set aside. |
            | `rejects.jsonl` | With `--skip-bad`: each row left out, where it is and why. |
            | `model/` | The result: a Hugging Face model directory, or with `--use-peft` a PEFT adapter directory, with `README.md` and `MANIFEST.json`. |
            | `manifest.json` | Written last: the run is finished. Options, SHA-256 of what was read and written, results; apart from them the command, clock, versions, machine. |
            | `.tokenised/` | The rows as tokens. A cache; it may be removed. |
            | `.reference/` | With `--precompute-ref-log-probs`, what the reference said. A cache; it may be removed. |
            | `.lock` | Locked while a process works in the folder. Leave it alone. |

            `reward` leaves the same but samples, and `results.json`: accuracy and calibration on held-out rows. An ensemble has
            `member-0/`, `member-1/`, ... in the place of `model/`, and with `--warm` the mean of their weights in `warm/`.

            `grpo`, `rloo`, `reinforce`, `raft` and `ppo` leave the same but `rejects.jsonl` and `.tokenised/`; their samples
            carry rewards and advantages. `ppo` adds `value_model/`, the value model it was trained with.

            `best-of` leaves `config.yaml`, `metrics.jsonl`, `events.jsonl`, `tensorboard/`, `manifest.json`, and
            `completions.jsonl` and `best.jsonl`: [best-of-n](algorithms/best_of_n.md).

            `run` writes these files too, but for `model/` and `rejects.jsonl`. Lines carry their stage: `pretrain`, `sft`, and
            `pretrain_held_out` and `sft_held_out` for the rates on held-out prompts. It adds:

            | File | What it holds |
            |---|---|
            | `world/` | `corpus.jsonl`, `demonstrations.jsonl`, `heldout.jsonl`: the invented world as datasets. |
            | `base/`, `sft/` | The model directories of the two stages. |
            | `checkpoints/STAGE/` | Checkpoints of each stage, in the place of `checkpoint-N/` above. |
            | `comparison.jsonl` | Every held-out prompt with both models' answers and the judge's findings. |
            | `results.json` | Rates and paired differences with 95 % intervals. |

            `chat` keeps what was typed in `~/.manners_history`.
            """;
}
