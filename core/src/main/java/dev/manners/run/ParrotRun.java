package dev.manners.run;

import dev.manners.files.AtomicDirectory;
import dev.manners.files.AtomicFile;
import dev.manners.files.Json;
import dev.manners.files.Manifest;
import dev.manners.files.Printable;
import dev.manners.files.Sha256;
import dev.manners.model.Decoder;
import dev.manners.parrot.ChainArithmetic;
import dev.manners.parrot.Demonstration;
import dev.manners.parrot.ParrotWorld;
import dev.manners.tensor.DType;
import dev.manners.tensor.Inference;
import dev.manners.tensor.LibTorch;
import dev.manners.text.BpeTrainer;
import dev.manners.text.Tokenizer;
import dev.manners.train.Outcome;
import dev.manners.train.SftConfig;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/// The built-in story: a world is invented, a base model learns to go on in its manner, demonstrations teach it to
/// answer. Then it is made likeable, by people's rankings and a reward model that learns to predict them; and, in a
/// branch of its own, right, by rewards that a rule verifies. Held-out questions measure what changed.
///
/// Every stage that has ended is on the disk, complete; a run that was interrupted goes on from there.
public final class ParrotRun {

    private static final String END = "<|endoftext|>";
    private static final String TURN_END = "<|im_end|>";
    private static final List<String> SPECIAL = List.of(END, "<|im_start|>", TURN_END, "<|pad|>");

    private final ParrotRecipe recipe;
    private final Path outputDir;
    private final List<String> command;
    private final PrintStream out;

    /// @param command the whole command line, for the record
    /// @param out where the story is told
    public ParrotRun(ParrotRecipe recipe, Path outputDir, List<String> command, PrintStream out) {
        this.recipe = recipe;
        this.outputDir = outputDir;
        this.command = List.copyOf(command);
        this.out = out;
    }

    /// @return whether it came to its end; false if it was interrupted
    public boolean run(Interrupts interrupts) {
        Instant began = Instant.now();
        try (RunDirectory run = RunDirectory.open(outputDir, recipe.resolved(), List.of())) {
            run.warnings().forEach(w -> System.err.println("manners: " + w));
            LibTorch.warnings().forEach(w -> System.err.println("manners: " + w));
            Inference.warnings().forEach(w -> System.err.println("manners: " + w));

            // 1. The world, as files like any other dataset.
            ParrotWorld world = ParrotWorld.create(recipe.top().seed(), recipe.world());
            ChainArithmetic chains = ChainArithmetic.create(recipe.top().seed(), recipe.chains());
            Path rows = write(world, chains, run.path().resolve("world"));
            out.printf(
                    "World: %,d places with %,d facts; %,d documents, %,d demonstrations, %,d held-out prompts%n",
                    recipe.world().places(),
                    world.facts().size(),
                    recipe.world().corpusDocuments(),
                    world.demonstrations().size(),
                    world.heldOut().size());

            // 2. The base model reads the corpus; asked, it goes on in the corpus's manner.
            HeldOut base = stage(run, "pretrain", "base", rows.resolve("corpus.jsonl"), world, chains, interrupts);
            if (base == null) {
                return false;
            }

            // 3. Demonstrations teach it to answer.
            HeldOut sft = stage(run, "sft", "sft", rows.resolve("demonstrations.jsonl"), world, chains, interrupts);
            if (sft == null) {
                return false;
            }

            List<HeldOut> models = new ArrayList<>(List.of(base, sft));
            List<String> outputs = new ArrayList<>(List.of("config.yaml", "world", "base", "sft"));
            Map<String, Object> results = new LinkedHashMap<>();
            Story story = new Story(run, recipe, world, rows, run.path().resolve("sft"), out, interrupts);

            // 4. Made likeable: rankings, a reward model, reinforcement learning against it.
            if (recipe.top().until() != ParrotRecipe.Top.Until.SFT) {
                Likeable.Result likeable = new Likeable(story).run();
                if (likeable == null) {
                    return false;
                }
                models.add(likeable.rlhf());
                outputs.addAll(List.of("feedback", "reward", "rlhf", "overoptimisation.svg"));
                results.put("reward_model", likeable.report());
                results.put("noise_ceiling", likeable.ranked().ceiling());
                results.put("tastes", likeable.tastes());
                AtomicFile.write(
                        run.path().resolve("overoptimisation.svg"),
                        Taste.chart(likeable.tastes()).svg());
                out.printf("%n%s%n", Taste.table(likeable.tastes()));
            }

            // 5. Made right: demonstrations of thinking, and rewards that a rule verifies.
            if (recipe.top().until() == ParrotRecipe.Top.Until.ALL) {
                Right.Result right = new Right(story, chains.heldOut()).run();
                if (right == null) {
                    return false;
                }
                outputs.addAll(List.of("reasoner", "verified"));
                Map<String, Object> rates = new LinkedHashMap<>();
                rates.put("demonstrated", right.rateBefore());
                rates.put("verified", right.rateAfter());
                rates.put("difference", right.difference());
                results.put("chains", rates);
                out.printf(
                        "%nHeld-out chains of sums answered rightly: %s after demonstrations, %s after verified rewards,"
                                + " difference %s%n",
                        right.rateBefore().percent(),
                        right.rateAfter().percent(),
                        right.difference().percent());
            }

            // 6. What changed.
            Comparison comparison = new Comparison(models);
            results.putAll(comparison.results());
            AtomicFile.write(run.path().resolve("comparison.jsonl"), comparison.lines());
            AtomicFile.write(run.path().resolve("results.json"), Json.pretty(results));
            out.println();
            out.println(Printable.escape(comparison.sideBySide()));
            out.println(comparison.table());
            Map<String, String> inputs = Map.of("world", Sha256.of(rows.resolve(Manifest.FILE)));
            outputs.addAll(List.of("metrics.jsonl", "samples.jsonl", "comparison.jsonl", "results.json"));
            run.finish(command, inputs, outputs, results, began);
            Duration took = Duration.between(began, Instant.now());
            out.printf(
                    "%nDone in %d:%02d. Everything is in %s%nTalk to it: ./manners chat --model %s%n",
                    took.toMinutes(),
                    took.toSecondsPart(),
                    outputDir,
                    outputDir.resolve(models.getLast().model()));
            return true;
        } catch (Interrupts.Stopped e) {
            out.println("Interrupted while the rows were tokenised. The same command goes on from there.");
            return false;
        }
    }

    private static Path write(ParrotWorld world, ChainArithmetic chains, Path target) {
        if (!Files.exists(target.resolve(Manifest.FILE))) {
            try (AtomicDirectory folder = AtomicDirectory.create(target)) {
                world.writeTo(folder.path());
                chains.writeTo(folder.path());
                folder.commit(Map.of());
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
        Manifest.verify(target);
        return target;
    }

    /// One stage: trains unless its model is there already, and asks the held-out questions.
    ///
    /// @param name of the stage; `pretrain` starts from nothing, any other from the base model
    /// @param output folder of the model it makes
    /// @return null if it was interrupted
    private @Nullable HeldOut stage(
            RunDirectory run,
            String name,
            String output,
            Path rows,
            ParrotWorld world,
            ChainArithmetic chains,
            Interrupts interrupts) {
        Path target = run.path().resolve(output);
        boolean pretrain = name.equals("pretrain");
        SftConfig config = pretrain ? recipe.pretrain() : recipe.sft();
        DType dtype = Stage.dtype(config);
        if (Files.exists(target.resolve(Manifest.FILE))) {
            Manifest.verify(target);
            try (LoadedModel model = LoadedModel.open(target, null, dtype, false)) {
                return HeldOut.ask(model, output, !pretrain, world, interrupts);
            }
        }
        Path base = run.path().resolve("base");
        Map<String, String> inputs = pretrain ? Map.of() : LoadedModel.hashes(base);
        Path cache = run.path().resolve(".tokenised");
        try (LoadedModel policy =
                        pretrain ? initial(world, chains, dtype) : LoadedModel.open(base, null, dtype, false);
                Stage.Data train = Stage.Data.open(rows.toString(), policy, config, false, cache, interrupts)) {
            out.printf(
                    "%n%s: %,d parameters, %,d tokens in %,d sequences, %s%n",
                    name,
                    policy.decoder().parameters().stream()
                            .mapToLong(p -> p.value().numel())
                            .sum(),
                    train.rows().totalTokens(),
                    train.rows().packing().size(),
                    dtype);
            List<String> prompts = pretrain ? questions(world) : List.of();
            Path checkpoints = run.path().resolve("checkpoints").resolve(name);
            Stage stage = new Stage(run, name, checkpoints, policy, inputs, config, train, null, prompts);
            Outcome outcome = stage.train(interrupts);
            HeldOut asked = outcome.interrupted() ? null : HeldOut.ask(policy, output, !pretrain, world, interrupts);
            if (asked == null) {
                out.println(FineTuning.interrupted(outcome));
                return null;
            }
            // Before the model is saved: a run that ends in between comes by here again and writes the same line, but
            // one that found the model there already would not.
            MetricsLog log = new MetricsLog(run.path(), name + "_held_out");
            log.event("started", Map.of());
            log.metrics(outcome.steps(), asked.metrics());
            policy.save(target, DType.F32, card(name, config, outcome, asked), Map.of("stage", name));
            return asked;
        }
    }

    private static List<String> questions(ParrotWorld world) {
        return world.heldOut().stream().limit(3).map(p -> p.question()).toList();
    }

    private String card(String name, SftConfig config, Outcome outcome, HeldOut asked) {
        boolean pretrain = name.equals("pretrain");
        Map<String, Object> results = new LinkedHashMap<>();
        results.put("mean training loss", outcome.trainLoss());
        asked.rates().forEach((rate, interval) -> results.put(rate, interval.percent()));
        return new ModelCard("parrot-" + (pretrain ? "base" : name), pretrain ? null : "parrot-base", "finetune", null)
                .paragraph("A model of the parrot world, an invented world for experiments, made by Manners "
                        + RunDirectory.version() + " (`./manners run`). It knows nothing of the real one.")
                .paragraph(
                        pretrain
                                ? "Pretrained on the world's corpus: asked a question, it goes on in the corpus's manner."
                                : "Fine-tuned on demonstrations: asked a question in its chat format, it answers.")
                .table("on held-out prompts", "rate, 95 % interval", results)
                .table("option", "value", dev.manners.config.Options.toMap(config))
                .toString();
    }

    /// A tokenizer learned from the world's texts, and random weights.
    private LoadedModel initial(ParrotWorld world, ChainArithmetic chains, DType dtype) {
        List<String> texts = new ArrayList<>();
        world.corpus().forEach(texts::add);
        for (Demonstration demonstration : world.demonstrations()) {
            texts.add(demonstration.question());
            texts.add(demonstration.answer());
        }
        chains.demonstrations().forEach(chain -> {
            texts.add(chain.question());
            texts.add(chain.demonstration());
        });
        ParrotRecipe.Model size = recipe.model();
        ObjectNode tokenizerConfig = Json.MAPPER
                .createObjectNode()
                .put("tokenizer_class", "PreTrainedTokenizerFast")
                .put("eos_token", END)
                .put("pad_token", "<|pad|>")
                .put("clean_up_tokenization_spaces", false)
                .put("model_max_length", size.maxPositions());
        Tokenizer tokenizer = Tokenizer.of(
                BpeTrainer.train(texts, size.vocabSize(), SPECIAL), tokenizerConfig, ParrotWorld.chatTemplate());
        int end = SPECIAL.indexOf(END);
        int turnEnd = SPECIAL.indexOf(TURN_END);
        ObjectNode config = Json.MAPPER.createObjectNode();
        config.putArray("architectures").add("LlamaForCausalLM");
        config.put("model_type", "llama")
                .put("vocab_size", tokenizer.vocabSize())
                .put("hidden_size", size.hiddenSize())
                .put("intermediate_size", size.intermediateSize())
                .put("num_hidden_layers", size.layers())
                .put("num_attention_heads", size.heads())
                .put("num_key_value_heads", size.heads())
                .put("head_dim", size.hiddenSize() / size.heads())
                .put("hidden_act", "silu")
                .put("rms_norm_eps", 1e-5)
                .put("max_position_embeddings", size.maxPositions())
                .put("tie_word_embeddings", true)
                .put("attention_bias", false)
                .put("mlp_bias", false)
                .put("initializer_range", 0.02)
                .put("eos_token_id", end)
                .put("pad_token_id", SPECIAL.indexOf("<|pad|>"));
        config.putNull("bos_token_id");
        config.putObject("rope_parameters").put("rope_type", "default").put("rope_theta", 10_000.0);
        ObjectNode generation = Json.MAPPER.createObjectNode();
        generation.putArray("eos_token_id").add(end).add(turnEnd);
        generation.put("pad_token_id", SPECIAL.indexOf("<|pad|>"));
        return LoadedModel.of(Decoder.initialise(config, recipe.top().seed(), dtype), tokenizer, generation);
    }
}
