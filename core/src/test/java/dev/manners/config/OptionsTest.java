package dev.manners.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.manners.BadInput;
import dev.manners.data.DatasetSlice;
import dev.manners.model.Lora;
import dev.manners.run.ParrotRecipe;
import dev.manners.train.SftConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Options from files and flags: what is wrong with them is said at once, with what would be right.
class OptionsTest {

    @TempDir
    Path folder;

    record Paths(
            @Key(value = "Model", required = true) Path model,

            @Key(value = "Folder", byDefault = "runs/x") Path outputDir,

            @Key("Adapter") @Nullable Path adapter,

            @Key(value = "Column", byDefault = "text") String column,

            @Key(value = "More", byDefault = "[]") List<Path> more) {}

    private Options yaml(String text) throws IOException {
        return new Options().yaml(Files.writeString(folder.resolve("o.yaml"), text));
    }

    private static BadInput refusal(Options options, Class<? extends Record> type) {
        BadInput refusal = catchThrowableOfType(BadInput.class, () -> options.bind(type));
        assertThat(refusal).isNotNull();
        return refusal;
    }

    record Sandbox(
            @Key(value = "Language", required = true) String language,

            @Key(value = "Seconds", byDefault = "10") int seconds) {}

    record Job(
            @Key(value = "Name", byDefault = "job") String name,
            @Nullable Sandbox sandbox) {}

    /// What nobody asks for is not there, whatever it requires; what is asked for is there in full.
    @Test
    void aNullablePartIsThereIfOneOfItsOptionsIsGiven() {
        assertThat(new Options().set("name", "x", "--name").bind(Job.class)).isEqualTo(new Job("x", null));
        assertThat(new Options().set("language", "java", "--language").bind(Job.class))
                .isEqualTo(new Job("job", new Sandbox("java", 10)));
        assertThat(refusal(new Options().set("seconds", "3", "--seconds"), Job.class)
                        .problems())
                .containsExactly("option language is missing: Language");
        assertThat(Options.toMap(new Job("x", null))).containsOnlyKeys("name");
    }

    @Test
    void cf01_aTypoIsNamedWithTheNearestOption() throws IOException {
        Options options = yaml("seed: 1\nlearing_rate: 1\n")
                .set("max-lenght", "5", "--set max-lenght")
                .set("zzzzzzzz", "5", "--set zzzzzzzz");
        assertThat(refusal(options, SftConfig.class).problems())
                .containsExactlyInAnyOrder(
                        folder.resolve("o.yaml") + ":2:1: unknown option learing_rate (did you mean learning_rate?)",
                        "--set max-lenght: unknown option max_lenght (did you mean max_length?)",
                        // Nothing is near: then nothing is suggested.
                        "--set zzzzzzzz: unknown option zzzzzzzz");
    }

    @Test
    void cf01_aTypoInARecipe() throws IOException {
        Options recipe = yaml("""
                recipe: parrot
                sed: 1
                pretrain:
                  learing_rate: 1e-3
                pretrian:
                  learning_rate: 1e-3
                world: {place: 3}
                """);
        BadInput refusal = catchThrowableOfType(BadInput.class, () -> ParrotRecipe.bind(recipe));
        assertThat(refusal.problems()).hasSize(4);
        assertThat(refusal)
                .hasMessageContaining(
                        "o.yaml:4:3: unknown option pretrain.learing_rate (did you mean pretrain.learning_rate?)")
                .hasMessageContaining("unknown option pretrian.learning_rate (did you mean pretrain.learning_rate?)")
                .hasMessageContaining("unknown option sed (did you mean seed?)")
                .hasMessageContaining("unknown option world.place (did you mean world.places?)");
    }

    @ParameterizedTest
    @ValueSource(strings = {"0", "-1e-3", "NaN", "1e3", "Infinity", "-Infinity", "1e999"})
    void cf03_learningRates(String rate) {
        Options options = new Options().set("learning_rate", rate, "--learning-rate");
        assertThat(refusal(options, SftConfig.class))
                .hasMessage(
                        "options: --learning-rate: learning_rate is " + rate + ", allowed is above 0 to 10, finite");
    }

    @Test
    void cf03_everyRangeAtOnce() throws IOException {
        Options options = yaml("""
                learning_rate: 0
                per_device_train_batch_size: 0
                gradient_accumulation_steps: -1
                num_train_epochs: -1
                max_steps: -2
                adam_beta1: 1.5
                adam_beta2: 1
                adam_epsilon: 0
                weight_decay: -0.1
                max_grad_norm: NaN
                warmup_steps: -Infinity
                max_length: 1.5
                logging_steps: 0
                save_total_limit: 99999999999
                seed: -1
                packing: maybe
                packing_strategy: bdf
                """);
        String message = String.valueOf(refusal(options, SftConfig.class).getMessage());
        assertThat(message)
                .contains(
                        "options: 17 problems",
                        "learning_rate is 0, allowed is above 0 to 10",
                        "per_device_train_batch_size is 0, allowed is from 1",
                        "gradient_accumulation_steps is -1, allowed is from 1",
                        "num_train_epochs is -1, allowed is from 0",
                        "max_steps is -2, allowed is from -1",
                        "adam_beta1 is 1.5, allowed is from 0 to 0.9999999",
                        "adam_beta2 is 1, allowed is from 0 to 0.9999999",
                        "adam_epsilon is 0, allowed is above 0 to 1",
                        "weight_decay is -0.1, allowed is from 0 to 10",
                        "max_grad_norm is NaN, allowed is from 0",
                        "warmup_steps is -Infinity, allowed is from 0",
                        "max_length is 1.5, expected a whole number",
                        "logging_steps is 0, allowed is from 1",
                        "save_total_limit is 99999999999, allowed is",
                        "seed is -1, allowed is from 0",
                        "packing is maybe, expected true or false",
                        "packing_strategy is bdf, expected one of [bfd, bfd_split, none, wrapped] (did you mean bfd?)");
        assertThat(message.lines().skip(1)).allSatisfy(line -> assertThat(line).contains("o.yaml:"));
    }

    @Test
    void cf03_adaptersHaveRangesToo() throws IOException {
        Options options = yaml("lora_r: 0\nlora_alpha: 0\nlora_dropout: 1\n");
        assertThat(refusal(options, Lora.class).problems()).hasSize(3);
    }

    @Test
    void cf04_everyContradictionAtOnce() throws IOException {
        Options options = yaml("""
                packing: true
                max_length: 0
                assistant_only_loss: true
                completion_only_loss: true
                warmup_steps: 11
                max_steps: 10
                """);
        assertThat(refusal(options, SftConfig.class).problems())
                .containsExactlyInAnyOrder(
                        "packing is true and max_length is 0: packing needs a length to fill",
                        "assistant_only_loss and completion_only_loss are both true: choose one",
                        "warmup_steps 11.0 is more than max_steps 10");
    }

    @Test
    void flagsWinOverTheFileAndTheFileOverDefaults() throws IOException {
        SftConfig config =
                yaml("seed: 1\nmax_length: 7\n").set("seed", "2", "--seed").bind(SftConfig.class);
        assertThat(config.training().seed()).isEqualTo(2);
        assertThat(config.maxLength()).isEqualTo(7);
        assertThat(config.training().loggingSteps()).isEqualTo(10);
    }

    @Test
    void aSeedIsNotRoundedToADouble() throws IOException {
        // 2^53 + 1, the first whole number that a double does not have.
        assertThat(yaml("seed: 9007199254740993")
                        .bind(SftConfig.class)
                        .training()
                        .seed())
                .isEqualTo(9007199254740993L);
        assertThatThrownBy(() -> yaml("seed: 9223372036854775808").bind(SftConfig.class))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining(
                        "seed is 9223372036854775808, allowed is from 0, finite, at most 9223372036854775807");
    }

    /// `--model "$MODEL"` with nothing in the variable.
    @ParameterizedTest
    @ValueSource(strings = {"", "null", "~"})
    void cf06_nothingIsNoPath(String nothing) {
        Options options = new Options()
                .set("model", nothing, "--model")
                .set("output_dir", nothing, "--output-dir")
                .set("column", nothing, "--column")
                .set("adapter", nothing, "--adapter");
        assertThat(refusal(options, Paths.class).problems())
                .containsExactly(
                        "--model: model is empty, expected a path: Model",
                        "--output-dir: output_dir is empty, expected a path: Folder",
                        "--column: column is empty, expected text: Column");
    }

    @ParameterizedTest
    @CsvSource(
            quoteCharacter = '"',
            value = {
                "~/models/a, HOME/models/a",
                "$HOME/a, $HOME/a",
                "${X}/a, ${X}/a",
                "%TEMP%/a, %TEMP%/a",
                "a~/b, a~/b",
                "~user/a, ~user/a",
                "with space/a b, with space/a b",
                "f\u00fcr/\ud83e\udd9c, f\u00fcr/\ud83e\udd9c",
                "/abs/../a, /abs/../a"
            })
    void cf06_onlyTheHomeFolderIsFilledIn(String given, String path) {
        Path wanted = Path.of(path.replace("HOME/models", System.getProperty("user.home") + "/models"));
        Paths paths = new Options().set("model", given, "--model").bind(Paths.class);
        assertThat(paths.model()).isEqualTo(wanted);
        assertThat(DatasetSlice.parse(given + "/rows.jsonl[:10]").file()).isEqualTo(wanted.resolve("rows.jsonl"));
    }

    @Test
    void cf06_aZeroCharacterIsNoPath() throws IOException {
        Options options = yaml("model: \"a\\0b\"\nmore: [\"c\\0d\", e]\n");
        assertThat(refusal(options, Paths.class).problems())
                .hasSize(2)
                .allSatisfy(p -> assertThat(p).contains("not a path").doesNotContain("\0"));
    }

    @Test
    void listsMayBeGivenInEveryWay() throws IOException {
        for (String list : List.of("[q_proj, v_proj]", "q_proj, v_proj", "\n  - q_proj\n  - v_proj")) {
            assertThat(yaml("lora_target_modules: " + list).bind(Lora.class).loraTargetModules())
                    .containsExactly("q_proj", "v_proj");
        }
        assertThat(yaml("lora_target_modules: null").bind(Lora.class).loraTargetModules())
                .isEmpty();
    }

    record Lists(
            @Key(value = "Numbers", byDefault = "[]") List<Integer> numbers,

            @Key(value = "Texts", byDefault = "[]") List<String> texts) {}

    @Test
    void oneOptionIsChangedAndTheOthersStay() {
        Lists lists = new Lists(List.of(1, 2), List.of("Hello, you"));
        assertThat(Options.changed(lists, "numbers", List.of(3))).isEqualTo(new Lists(List.of(3), lists.texts()));
    }

    @Test
    void oneWordOfAFlagMayHoldSeveralNumbersButATextKeepsItsCommas() {
        Lists lists = new Options()
                .set("numbers", List.of("1,2", "3"), "--numbers")
                .set("texts", List.of("Hello, you"), "--texts")
                .bind(Lists.class);
        assertThat(lists.numbers()).containsExactly(1, 2, 3);
        assertThat(lists.texts()).containsExactly("Hello, you");
    }
}
