package dev.manners.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.manners.config.Options;
import dev.manners.files.CannotWrite;
import dev.manners.files.Manifest;
import dev.manners.testing.OneThread;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/// A run asked to stop in each of its stages, and begun again each time, ends as one that was left alone.
@ExtendWith(OneThread.class)
class ParrotRunTest {

    @TempDir
    Path folder;

    private static ParrotRecipe recipe(String until) {
        return ParrotRecipe.bind(small().set("until", until, "until"));
    }

    /// A world of a few places and steps of every stage.
    static Options small() {
        Options options = new Options();
        for (String set : List.of(
                "world.places=5",
                "world.attributes=2",
                "world.corpus_documents=300",
                "world.demonstrations=20",
                "world.held_out_shown=6",
                "world.held_out_unshown=2",
                "world.held_out_sums=4",
                "world.opinion_demonstrations=4",
                "world.feedback_prompts=40",
                "world.held_out_opinions=2",
                "world.held_out_feedback=10",
                "model.vocab_size=400",
                "model.hidden_size=32",
                "model.intermediate_size=48",
                "model.layers=1",
                "model.heads=2",
                "model.max_positions=256",
                "pretrain.max_length=64",
                "pretrain.packing=true",
                "pretrain.packing_strategy=wrapped",
                "pretrain.num_train_epochs=1",
                "pretrain.logging_steps=1",
                "pretrain.bf16=false",
                "sft.max_length=64",
                "sft.assistant_only_loss=true",
                "sft.per_device_train_batch_size=4",
                "sft.logging_steps=1",
                "sft.bf16=false",
                "annotators.answers=8",
                "annotators.held_out_percent=50",
                "annotators.tie=0",
                "reward.per_device_train_batch_size=2",
                "reward.num_train_epochs=1",
                "reward.max_length=128",
                "reward.logging_steps=1",
                "reward.bf16=false",
                "ppo.per_device_train_batch_size=4",
                "ppo.max_steps=2",
                "ppo.num_ppo_epochs=1",
                "ppo.response_length=8",
                "ppo.logging_steps=1",
                "ppo.bf16=false",
                "chains.demonstrations=8",
                "chains.hasty_demonstrations=4",
                "chains.prompts=8",
                "chains.held_out=4",
                "chain_sft.per_device_train_batch_size=4",
                "chain_sft.num_train_epochs=1",
                "chain_sft.max_length=128",
                "chain_sft.assistant_only_loss=true",
                "chain_sft.logging_steps=1",
                "chain_sft.bf16=false",
                "grpo.per_device_train_batch_size=4",
                "grpo.num_generations=2",
                "grpo.max_steps=2",
                "grpo.max_completion_length=8",
                "grpo.logging_steps=1",
                "grpo.bf16=false")) {
            options.set(set.split("=", 2)[0], set.split("=", 2)[1], set);
        }
        return options;
    }

    /// Asks to stop as soon as a text is printed, which is when its stage begins.
    static PrintStream stopping(Interrupts interrupts, String at) {
        return new PrintStream(OutputStream.nullOutputStream(), true, StandardCharsets.UTF_8) {
            @Override
            public PrintStream printf(String format, Object... arguments) {
                if (arguments.length > 0 && at.equals(arguments[0])) {
                    interrupts.heard("TERM", 15);
                }
                return this;
            }
        };
    }

    private static boolean run(Path output, String stopAt) {
        return run(output, stopAt, "sft");
    }

    private static boolean run(Path output, String stopAt, String until) {
        try (Interrupts interrupts = new Interrupts()) {
            boolean done =
                    new ParrotRun(recipe(until), output, List.of("run"), stopping(interrupts, stopAt)).run(interrupts);
            assertThat(done).isEqualTo(!interrupts.requested());
            assertThat(interrupts.exitCode()).isEqualTo(done ? 0 : 143);
            return done;
        }
    }

    /// Both branches, stopped as each stage begins, end in the bytes of a run that was left alone.
    @Test
    void tr12_theWholeStoryStoppedAndBegunAgain() throws Exception {
        Path straight = folder.resolve("straight");
        Path broken = folder.resolve("broken");
        assertThat(run(straight, "nowhere", "all")).isTrue();
        assertThat(run(broken, "sft", "all")).isFalse();
        for (String stage : List.of("feedback", "reward", "ppo", "chains", "grpo")) {
            assertThat(run(broken, stage, "all")).as(stage).isFalse();
        }
        assertThat(run(broken, "nowhere", "all")).isTrue();
        for (String part : List.of("feedback", "reward", "rlhf", "reasoner", "verified")) {
            assertThat(Manifest.verify(broken.resolve(part)).id())
                    .as(part)
                    .isEqualTo(Manifest.verify(straight.resolve(part)).id());
        }
        for (String file :
                List.of("metrics.jsonl", "samples.jsonl", "comparison.jsonl", "results.json", "overoptimisation.svg")) {
            assertThat(broken.resolve(file)).isNotEmptyFile().hasSameBinaryContentAs(straight.resolve(file));
        }
        assertThat(Files.readString(straight.resolve("metrics.jsonl")))
                .contains("eval_gold", "eval_proxy", "eval_kl", "eval_accuracy");
    }

    @Test
    void tr12_stoppedInEveryStageAndBegunAgain() throws Exception {
        Path straight = folder.resolve("straight");
        Path broken = folder.resolve("broken");
        assertThat(run(straight, "nowhere")).isTrue();

        assertThat(run(broken, "pretrain")).isFalse();
        assertThat(broken.resolve("checkpoints/pretrain/checkpoint-1")).isDirectory();
        assertThat(broken.resolve("base")).doesNotExist();
        assertThat(run(broken, "sft")).isFalse();
        assertThat(broken.resolve("base/MANIFEST.json")).exists();
        assertThat(broken.resolve("checkpoints/sft/checkpoint-1")).isDirectory();
        assertThat(broken.resolve("sft")).doesNotExist();
        assertThat(run(broken, "nowhere")).isTrue();

        for (String file : List.of(
                "metrics.jsonl",
                "samples.jsonl",
                "comparison.jsonl",
                "results.json",
                "base/MANIFEST.json",
                "sft/MANIFEST.json",
                "sft/model.safetensors")) {
            assertThat(broken.resolve(file)).hasSameBinaryContentAs(straight.resolve(file));
        }
    }

    /// What was measured is written down before the model is saved. The other way round, a run that ended in
    /// between would find the model there, take the stage for done, and never write the line. Here the save
    /// is what fails.
    @Test
    void tr02_endedBetweenAStagesMeasurementAndItsModel() throws Exception {
        Path straight = folder.resolve("straight");
        Path broken = folder.resolve("broken");
        assertThat(run(straight, "nowhere")).isTrue();
        assertThat(run(broken, "pretrain")).isFalse();
        Path inTheWay = Files.createDirectories(broken.resolve("base/mine"));
        assertThatThrownBy(() -> run(broken, "nowhere"))
                .isInstanceOf(CannotWrite.class)
                .hasMessageContaining("will not be replaced");
        assertThat(broken.resolve("metrics.jsonl")).content().contains("\"stage\":\"pretrain_held_out\"");
        Files.delete(inTheWay);
        Files.delete(inTheWay.getParent());

        assertThat(run(broken, "nowhere")).isTrue();
        for (String file : List.of("metrics.jsonl", "samples.jsonl", "base/MANIFEST.json", "sft/MANIFEST.json")) {
            assertThat(broken.resolve(file)).hasSameBinaryContentAs(straight.resolve(file));
        }
    }

    @Test
    void aSignalIsHeardOnceItIsSent() {
        try (Interrupts interrupts = new Interrupts()) {
            assertThat(interrupts.requested()).isFalse();
            assertThat(interrupts.exitCode()).isZero();
            interrupts.heard("HUP", 1);
            assertThat(interrupts.requested()).isTrue();
            assertThat(interrupts.exitCode()).isEqualTo(129);
        }
    }
}
