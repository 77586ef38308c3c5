package dev.manners.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.config.Options;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/// Words in, exit code and message out.
class MainTest {

    @TempDir
    Path folder;

    static Stream<String> commands() {
        return Main.commands().stream().map(Command::name);
    }

    @ParameterizedTest
    @MethodSource("commands")
    void helpListsEveryOptionWithItsTextAndRange(String name) {
        Manners.Result help = Manners.run(name, "--help");
        assertThat(help.code()).isZero();
        assertThat(help.err()).isEmpty();
        Command command = Main.commands().stream()
                .filter(c -> c.name().equals(name))
                .findFirst()
                .orElseThrow();
        // The lines are wrapped, within words too: what counts are the letters.
        String letters = letters(help.out());
        assertThat(letters).contains(letters("Usage: manners " + name)).contains(letters(command.summary()));
        for (Class<? extends Record> type : command.options()) {
            for (Options.Doc doc : Options.describe(type)) {
                assertThat(letters)
                        .contains("--" + doc.key().replace('_', '-'))
                        .contains(letters(doc.text()))
                        .contains(letters(doc.range()));
            }
        }
    }

    private static String letters(String text) {
        return text.replaceAll("\\s", "");
    }

    @Test
    void everyCommandIsInTheList() {
        Manners.Result help = Manners.run("--help");
        assertThat(help.code()).isZero();
        assertThat(commands()).allSatisfy(name -> assertThat(help.out()).contains("\n  " + name + " "));
        assertThat(Manners.run("--version").out()).startsWith("manners ");
        // Nothing asked for is nothing done, which a script should notice.
        assertThat(Manners.run().code()).isEqualTo(2);
    }

    @ParameterizedTest
    @CsvSource({
        "sft --learing-rate 1e-3, 'unknown: --learing-rate (did you mean --learning-rate?)'",
        "sft --learing_rate=1e-3, 'unknown: --learing_rate=1e-3 (did you mean --learning_rate?)'",
        "sftt, 'unknown: sftt (did you mean sft?)'",
        "run --outputdir x, 'unknown: --outputdir (did you mean --output-dir?)'",
        "sft --set learing_rate=1, 'unknown option learing_rate (did you mean learning_rate?)'",
        "run --set pretrain.learing_rate=1, 'unknown option pretrain.learing_rate (did you mean pretrain.learning_rate?)'",
        "sft --set learning_rate, '--set learning_rate: expected KEY=VALUE'",
        "sft --model, '--model'",
        "sft --seed 1 --seed 2, '--seed'",
        "sft --config none.yaml, 'none.yaml: no such file'",
        "run none.yaml, 'none.yaml: no such recipe'",
    })
    void cf01_whatIsNotKnownIsNamedWithTheNearest(String words, String message) {
        Manners.Result refused = Manners.run(List.of(words.split(" ")));
        assertThat(refused.code()).isEqualTo(2);
        assertThat(refused.err()).startsWith("manners: ").contains(message);
        assertThat(refused.out()).isEmpty();
        // The value of an unknown option is not reported as a second one.
        assertThat(refused.err()).doesNotContain("unknown: 1e-3").doesNotContain("unknown: x");
    }

    @Test
    void cf01_aTypoInTheConfigurationFile() throws IOException {
        Path file = Files.writeString(folder.resolve("c.yaml"), "model: m\ndataset: d\nlearing_rate: 1\n");
        assertThat(Manners.run("sft", "--config", file).err())
                .contains(file + ":3:1: unknown option learing_rate (did you mean learning_rate?)");
    }

    @Test
    void cf03_dashesAndUnderscoresAreTheSameOption() {
        for (String flag : List.of("--learning-rate", "--learning_rate")) {
            for (List<String> words : List.of(List.of(flag, "99"), List.of(flag + "=99"))) {
                List<String> all = new java.util.ArrayList<>(List.of("sft", "--model", "m", "--dataset", "d"));
                all.addAll(words);
                assertThat(Manners.run(all).err())
                        .contains("--learning-rate: learning_rate is 99, allowed is above 0 to 10");
            }
        }
        assertThat(Manners.run("sft", "--learning-rate", "1", "--learning_rate", "2")
                        .code())
                .isEqualTo(2);
    }

    @Test
    void allThatIsMissingIsSaidAtOnce() {
        Manners.Result refused = Manners.run("sft", "--learning-rate", "0", "--max-length", "-1", "--sed", "1");
        assertThat(refused.err()).contains("--sed");
        refused = Manners.run("sft", "--learning-rate", "0", "--max-length", "-1", "--set", "sed=1");
        assertThat(refused.err())
                .contains(
                        "options: 5 problems",
                        "option model is missing",
                        "option dataset is missing",
                        "learning_rate is 0",
                        "max_length is -1",
                        "unknown option sed (did you mean seed?)");
    }

    @Test
    void aStackTraceOnlyForThoseWhoAsk() {
        assertThat(Manners.run("sft", "--model", "none", "--dataset", "none.jsonl")
                        .err())
                .doesNotContain("\tat ");
        Manners.Result debug = Manners.run("sft", "--debug", "--model", "none", "--dataset", "none.jsonl");
        assertThat(debug.code()).isEqualTo(2);
        assertThat(debug.err()).contains("\tat dev.manners.cli.Main");
    }

    /// An unset variable of the shell is a mistake of the user's, not a null pointer of ours.
    @ParameterizedTest
    @MethodSource("commands")
    void cf06_anEmptyPathIsRefused(String name) {
        if (name.equals("run") || name.equals("doctor")) {
            assertThat(Manners.run(name, "--output-dir", "").err()).contains("output_dir is empty, expected a path");
        } else {
            String path = name.equals("rank") || name.equals("feedback") ? "store" : "model";
            List<String> words = switch (name) {
                case "bench" -> List.of("bench", "sft", "");
                case "feedback" -> List.of("feedback", "status", "--store", "");
                default -> List.of(name, "--" + path, "");
            };
            Manners.Result refused = Manners.run(words);
            assertThat(refused.code()).isEqualTo(2);
            assertThat(refused.err())
                    .contains(path + " is empty, expected a path")
                    .doesNotContain("bug of ours");
        }
    }
}
