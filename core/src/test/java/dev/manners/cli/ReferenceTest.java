package dev.manners.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.config.Options;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/// docs/reference.md says what the code does.
class ReferenceTest {

    private static final Path PAGE = Path.of(System.getProperty("manners.home", ".."), "docs", "reference.md");

    @Test
    void theReferencePageIsWhatTheCodeMakes() throws IOException {
        String made = Reference.markdown();
        if (Boolean.getBoolean("reference.write")) {
            Files.createDirectories(PAGE.getParent());
            Files.writeString(PAGE, made);
        }
        assertThat(firstDifference(Files.exists(PAGE) ? Files.readString(PAGE) : "", made))
                .as("docs/reference.md is not what the options say; make it again with"
                        + " ./mvnw verify -Dtest=ReferenceTest -Dreference.write=true")
                .isEmpty();
    }

    private static String firstDifference(String found, String made) {
        if (found.equals(made)) {
            return "";
        }
        String[] is = found.split("\n", -1);
        String[] wanted = made.split("\n", -1);
        int line = Arrays.mismatch(is, wanted);
        return "line " + (line + 1) + " is: " + (line < is.length ? is[line] : "(the end)") + "\n   wanted: "
                + (line < wanted.length ? wanted[line] : "(the end)");
    }

    @Test
    void everyCommandAndEveryOptionStandsInIt() {
        String made = Reference.markdown();
        List<String> missing = new ArrayList<>();
        for (Command command : Main.commands()) {
            if (!made.contains("\n## manners " + command.name() + "\n")) {
                missing.add(command.name());
            }
            for (Class<? extends Record> type : command.options()) {
                Options.describe(type).stream()
                        .map(doc -> "`--" + doc.key().replace('_', '-') + "`")
                        .filter(flag -> !made.contains("| " + flag + " |"))
                        .forEach(flag -> missing.add(command.name() + " " + flag));
            }
        }
        assertThat(missing).isEmpty();
    }
}
