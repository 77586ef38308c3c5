package dev.manners.cli;

import dev.manners.BadInput;
import dev.manners.config.Key;
import dev.manners.config.Options;
import dev.manners.config.Yaml;
import dev.manners.run.Interrupts;
import dev.manners.run.ParrotRecipe;
import dev.manners.run.ParrotRun;
import dev.manners.run.Study;
import dev.manners.run.StudyRecipe;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/// `run`: the stages of a recipe, from a base model to one that answers.
final class RunCommand implements Command {

    record RunOptions(
            @Key("Recipe; unset: recipes/parrot.yaml, the built-in story") @Nullable
            Path recipe,

            @Key(value = "Folder of the run", byDefault = "runs/parrot")
            Path outputDir,

            @Key(
                    value = "Threads of one operation; 0: OMP_NUM_THREADS, or one per processor",
                    byDefault = "0",
                    min = 0,
                    max = 1024)
            int threads) {}

    @Override
    public String name() {
        return "run";
    }

    @Override
    public String summary() {
        return "Runs a recipe; without one the built-in story: a base model is taught to answer.";
    }

    @Override
    public String details() {
        return """
                Every value of the recipe can be set: manners run --set sft.learning_rate=1e-3 --output-dir runs/mine
                The same command resumes a run that was interrupted.""";
    }

    @Override
    public List<Class<? extends Record>> options() {
        return List.of(RunOptions.class);
    }

    @Override
    public List<String> positionals() {
        return List.of("recipe");
    }

    /// The recipe that is run without being asked for.
    static Path parrot() {
        return Path.of(System.getProperty("manners.home", ".")).resolve("recipes/parrot.yaml");
    }

    @Override
    public int run(Call call) {
        Options own = new Options();
        Options overrides = new Options();
        for (String key : call.options().keys()) {
            boolean mine = Options.describe(RunOptions.class).stream()
                    .anyMatch(d -> d.key().equals(key));
            call.options().copy(key, mine ? own : overrides);
        }
        RunOptions options = own.bind(RunOptions.class);
        Path file = options.recipe() == null ? parrot() : options.recipe();
        if (!Files.exists(file)) {
            throw new BadInput(file + ": no such recipe; the built-in ones are in the folder recipes/");
        }
        Map<String, Yaml.Entry> written = Yaml.read(file);
        Yaml.Entry kind = written.get("recipe");
        boolean study = kind != null && kind.value().equals("study");
        if (kind == null || !study && !kind.value().equals("parrot")) {
            throw new BadInput(file + ": key recipe is " + (kind == null ? "missing" : kind.value())
                    + ", expected parrot or study; to fine-tune a model of yours use manners sft --config FILE");
        }
        Options recipe = new Options().yaml(file);
        overrides.keys().forEach(key -> overrides.copy(key, recipe));
        ModelOptions.useThreads(options.threads());
        try (Interrupts interrupts = Interrupts.install()) {
            Path folder = Objects.requireNonNullElse(file.toAbsolutePath().getParent(), Path.of("."));
            boolean done = study
                    ? new Study(StudyRecipe.bind(recipe, folder), options.outputDir(), call.words(), call.out())
                            .run(interrupts)
                    : new ParrotRun(ParrotRecipe.bind(recipe), options.outputDir(), call.words(), call.out())
                            .run(interrupts);
            return done ? 0 : interrupts.exitCode();
        }
    }
}
