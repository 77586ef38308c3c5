package dev.manners.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.config.Options;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/// The files in recipes/ that are for a command's `--config`, each called as its command is.
class RecipesTest {

    /// A key, commented out or not.
    private static final Pattern KEY = Pattern.compile("(?m)^#? *([a-z][a-z0-9_]*):(?: |$)");

    private static List<String> names() throws IOException {
        try (Stream<Path> files = Files.list(recipes())) {
            return files.map(f -> f.getFileName().toString().replace(".yaml", ""))
                    .filter(name -> !Set.of("parrot", "study").contains(name)) // for `run`
                    .sorted()
                    .toList();
        }
    }

    private static Path recipes() {
        return Path.of(System.getProperty("manners.home", ".."), "recipes");
    }

    @Test
    void everyCommandThatTrainsOrChoosesHasOne() throws IOException {
        assertThat(names())
                .containsExactly(
                        "best-of",
                        "cpo",
                        "dpo",
                        "grpo",
                        "kto",
                        "orpo",
                        "ppo",
                        "raft",
                        "reinforce",
                        "reward",
                        "rloo",
                        "sft");
    }

    @Test
    void everyKeyInThemIsAnOptionAlsoWhereItIsCommentedOut() throws IOException {
        Set<String> unknown = new TreeSet<>();
        for (String name : names()) {
            Command command = Main.commands().stream()
                    .filter(c -> c.name().equals(name))
                    .findFirst()
                    .orElseThrow();
            Set<String> options = command.options().stream()
                    .flatMap(type -> Options.describe(type).stream())
                    .map(doc -> doc.key())
                    .collect(Collectors.toSet());
            Set<String> keys = KEY.matcher(Files.readString(recipes().resolve(name + ".yaml")))
                    .results()
                    .map(match -> match.group(1))
                    .collect(Collectors.toSet());
            assertThat(keys).as(name).hasSizeGreaterThan(8);
            keys.stream().filter(key -> !options.contains(key)).forEach(key -> unknown.add(name + " " + key));
        }
        assertThat(unknown).isEmpty();
    }
}
