package dev.manners.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.manners.BadInput;
import dev.manners.config.Options;
import dev.manners.config.Yaml;
import dev.manners.testing.OneThread;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

@ExtendWith(OneThread.class)
class StudyTest {

    @TempDir
    Path folder;

    /// Two seeds of a world of a few places, steps of everything.
    private Options options() throws IOException {
        Options story = ParrotRunTest.small();
        Map<String, Object> written = new LinkedHashMap<>(Map.of("recipe", "parrot"));
        written.putAll(ParrotRecipe.bind(story).resolved());
        Files.writeString(folder.resolve("parrot.yaml"), Yaml.write(written));
        Options options = new Options();
        for (String set : List.of(
                "recipe=study",
                "seeds=7, 8",
                "comparisons=2, 4",
                "optimised_on=4",
                "ensemble_on=2",
                "members=2",
                "best_of=4",
                "world.feedback_prompts=60",
                "likeable_dpo.per_device_train_batch_size=2",
                "likeable_dpo.max_steps=2",
                "likeable_dpo.sample_steps=1",
                "likeable_dpo.logging_steps=1",
                "likeable_dpo.bf16=false",
                "likeable_grpo.per_device_train_batch_size=4",
                "likeable_grpo.num_generations=2",
                "likeable_grpo.max_steps=2",
                "likeable_grpo.max_completion_length=8",
                "likeable_grpo.logging_steps=1",
                "likeable_grpo.bf16=false",
                "likeable_rloo.per_device_train_batch_size=4",
                "likeable_rloo.num_generations=2",
                "likeable_rloo.max_steps=2",
                "likeable_rloo.max_completion_length=8",
                "likeable_rloo.logging_steps=1",
                "likeable_rloo.bf16=false",
                "ensemble_rloo.per_device_train_batch_size=4",
                "ensemble_rloo.num_generations=2",
                "ensemble_rloo.max_steps=2",
                "ensemble_rloo.max_completion_length=8",
                "ensemble_rloo.logging_steps=1",
                "ensemble_rloo.bf16=false")) {
            options.set(set.split("=", 2)[0], set.split("=", 2)[1], set);
        }
        return options;
    }

    private boolean run(Path output, String stopAt) throws IOException {
        try (Interrupts interrupts = new Interrupts()) {
            PrintStream out = stopAt.isEmpty()
                    ? new PrintStream(OutputStream.nullOutputStream(), true, StandardCharsets.UTF_8)
                    : ParrotRunTest.stopping(interrupts, stopAt);
            return new Study(StudyRecipe.bind(options(), folder), output, List.of("run"), out).run(interrupts);
        }
    }

    /// Stopped as one part begins and begun again, it tells what a study tells that was left alone.
    @Test
    void aStudyStoppedAndBegunAgain() throws Exception {
        Path straight = folder.resolve("straight");
        Path broken = folder.resolve("broken");
        assertThat(run(straight, "")).isTrue();
        String results = Files.readString(straight.resolve("results.md"));
        assertThat(results)
                .contains("| comparisons | seed 7 | seed 8 | mean |")
                .contains("| 4 | ")
                .contains("| dpo, at its best | ")
                .contains("| uwo | ")
                .contains("| GRPO with verified rewards | ");
        assertThat(straight.resolve("methods.svg")).exists();
        for (String stage : List.of("member-1", "likeable-rloo", "best-of", "against-uwo")) {
            assertThat(run(broken, stage)).as(stage).isFalse();
        }
        assertThat(run(broken, "")).isTrue();
        assertThat(Files.readString(broken.resolve("results.md"))).isEqualTo(results);
    }

    /// Parts that are left out cost nothing: neither models nor tables are made for them.
    @Test
    void oneSeedAndOnePart() throws IOException {
        Options options = options().set("parts", "ensembles", "test").set("seeds", "7", "test");
        Path output = folder.resolve("ensembles");
        try (Interrupts interrupts = new Interrupts()) {
            PrintStream out = new PrintStream(OutputStream.nullOutputStream(), true, StandardCharsets.UTF_8);
            assertThat(new Study(StudyRecipe.bind(options, folder), output, List.of("run"), out).run(interrupts))
                    .isTrue();
        }
        assertThat(Files.readString(output.resolve("results.md")))
                .contains("| uwo | ")
                .doesNotContain("| comparisons |")
                .doesNotContain("| dpo")
                .doesNotContain("verified rewards");
        assertThat(output.resolve("methods.svg")).doesNotExist();
        assertThat(output.resolve("seed-7/study/reward-2")).exists();
        assertThat(output.resolve("seed-7/study/reward-4")).doesNotExist();
        assertThat(output.resolve("seed-7/study/verified")).doesNotExist();
    }

    @Test
    void methodsAreComparedAtEqualBudgetsOnly() throws IOException {
        Options options = options().set("likeable_dpo.max_steps", "3", "test");
        assertThatThrownBy(() -> StudyRecipe.bind(options, folder))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("equal budgets")
                .hasMessageContaining("dpo=12");
    }

    @Test
    void moreComparisonsThanThereAreAreRefused() throws IOException {
        Options options = options().set("comparisons", "100000", "test");
        try (Interrupts interrupts = new Interrupts()) {
            Study study = new Study(
                    StudyRecipe.bind(options, folder),
                    folder.resolve("out"),
                    List.of("run"),
                    new PrintStream(OutputStream.nullOutputStream(), true, StandardCharsets.UTF_8));
            assertThatThrownBy(() -> study.run(interrupts))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("raise world.feedback_prompts");
        }
    }
}
