package dev.manners.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.config.Options;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/// The launcher gives the vector kernels to the commands that generate many completions.
class LauncherTest {

    /// Those that sample have a temperature. `generate` and `chat` answer one at a time and should begin at once.
    @Test
    void commandsThatSampleHaveTheKernels() throws Exception {
        Matcher line = Pattern.compile("(?m)^ *((?:[a-z-]+\\\\ [a-z*]+ *\\| *)+[a-z-]+\\\\ [a-z*]+)\\)$")
                .matcher(Files.readString(Path.of(System.getProperty("manners.home"), "manners")));
        assertThat(line.find()).isTrue();
        TreeSet<String> found = new TreeSet<>();
        for (String pattern : line.group(1).split(" *\\| *")) {
            found.add(pattern.substring(0, pattern.indexOf('\\')));
        }
        TreeSet<String> wanted = new TreeSet<>(List.of("run", "bench"));
        for (Command command : Main.commands()) {
            boolean samples = command.options().stream()
                    .flatMap(type -> Options.describe(type).stream())
                    .anyMatch(doc -> doc.key().equals("temperature"));
            if (samples && !List.of("generate", "chat").contains(command.name())) {
                wanted.add(command.name());
            }
        }
        assertThat(found).isEqualTo(wanted);
        assertThat(wanted).contains("ppo", "grpo", "sample", "best-of");
    }
}
