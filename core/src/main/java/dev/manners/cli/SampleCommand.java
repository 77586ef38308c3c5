package dev.manners.cli;

import dev.manners.BadInput;
import dev.manners.config.Key;
import dev.manners.config.Options;
import dev.manners.data.DatasetFile;
import dev.manners.data.Encoder;
import dev.manners.data.ModelEncoder;
import dev.manners.data.Row;
import dev.manners.feedback.Answer;
import dev.manners.feedback.FeedbackStore;
import dev.manners.feedback.Task;
import dev.manners.files.Json;
import dev.manners.files.Sha256;
import dev.manners.rollout.Completion;
import dev.manners.rollout.Sampling;
import dev.manners.run.LoadedModel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/// `sample`: answers of a model, to be ranked.
///
/// Prompts are rendered as they are for training, by [ModelEncoder]: a chat template that writes the date is told
/// that encoder's day, not today's.
final class SampleCommand implements Command {

    record SampleOptions(
            @Key(value = "Rows with a prompt: .jsonl or .json, also .gz; a part of it as FILE[:100]", required = true)
            String prompts,

            @Key(value = "Feedback store; made if it is absent", required = true)
            Path store,

            @Key(value = "Answers to each prompt", byDefault = "4", min = 2, max = 100)
            int numCompletions,

            @Key(value = "Completions generated at a time", byDefault = "16", min = 1, max = 4096)
            int batchSize) {}

    @Override
    public String name() {
        return "sample";
    }

    @Override
    public String summary() {
        return "Lets a model answer prompts several times, for annotators to rank.";
    }

    @Override
    public String details() {
        return """
                A row's prompt is a text or a list of messages. Completions that read alike become one answer; empty ones are
                kept and not shown, and a prompt with fewer than two answers is kept and not asked about. The same command
                again adds nothing.
                Example:
                  manners sample --model DIR --prompts prompts.jsonl --store feedback.db --temperature 0.8""";
    }

    @Override
    public List<Class<? extends Record>> options() {
        return List.of(ModelOptions.class, SampleOptions.class, Sampling.class);
    }

    @Override
    public int run(Call call) {
        List<Record> bound = call.bind();
        ModelOptions which = (ModelOptions) bound.get(0);
        SampleOptions options = (SampleOptions) bound.get(1);
        Sampling sampling = (Sampling) bound.get(2);
        try (DatasetFile file = DatasetFile.open(options.prompts());
                LoadedModel model = which.open();
                FeedbackStore store = FeedbackStore.open(options.store())) {
            Encoder encoder = new ModelEncoder(model.tokenizer());
            if (!encoder.hasChat()) {
                throw new BadInput(
                        which.model() + ": has no chat template; answers to be ranked are those of a chat model");
            }
            String name =
                    String.valueOf(which.model().toAbsolutePath().normalize().getFileName());
            String hash = hash(which);
            ObjectNode settings = Json.MAPPER.valueToTree(Options.toMap(sampling));
            settings.remove("seed");
            // Enough prompts at a time to keep the engine's places filled; each lot is saved as it is done.
            int lot = Math.max(1, 8 * options.batchSize() / options.numCompletions());
            int added = 0;
            int few = 0;
            int merged = 0;
            for (int from = 0; from < file.size(); from += lot) {
                List<ArrayNode> prompts = new ArrayList<>();
                List<int[]> ids = new ArrayList<>();
                for (int i = from; i < Math.min(from + lot, file.size()); i++) {
                    ArrayNode prompt = prompt(file.row(i));
                    prompts.add(prompt);
                    ids.add(encoder.chat(prompt, null, true).ids());
                }
                // Numbered through the file, so that a lot's size changes no answer.
                List<Completion> done = Objects.requireNonNull(model.engine(options.batchSize())
                        .rollout(ids, options.numCompletions(), sampling, from, () -> false));
                List<Task> tasks = new ArrayList<>();
                for (int p = 0; p < prompts.size(); p++) {
                    List<Map.Entry<String, Answer.Sample>> samples = new ArrayList<>();
                    for (int k = 0; k < options.numCompletions(); k++) {
                        Completion completion = done.get(p * options.numCompletions() + k);
                        samples.add(Map.entry(
                                completion.text(),
                                new Answer.Sample(
                                        name,
                                        hash,
                                        settings,
                                        sampling.seed(),
                                        from + p,
                                        completion.sample(),
                                        Arrays.stream(completion.ids()).boxed().toList(),
                                        finish(completion))));
                    }
                    Task task = Task.of(prompts.get(p), samples);
                    tasks.add(task);
                    few += task.servable().size() < 2 ? 1 : 0;
                    merged += samples.size() - task.answers().size();
                }
                added += store.add(tasks);
            }
            call.out()
                    .printf(
                            "%d prompts, %d new tasks in %s%n%d completions read like another of their prompt%n"
                                    + "%d prompts have fewer than two answers to show%n",
                            file.size(), added, options.store(), merged, few);
            return 0;
        }
    }

    private static Answer.Finish finish(Completion completion) {
        return switch (completion.finish()) {
            case STOP -> Answer.Finish.STOP;
            case LENGTH -> Answer.Finish.LENGTH;
        };
    }

    /// SHA-256 of the model's files, the adapter's too.
    private static String hash(ModelOptions which) {
        String files = LoadedModel.hashes(which.model()).toString();
        return Sha256.ofText(which.adapter() == null ? files : files + LoadedModel.hashes(which.adapter()));
    }

    private static ArrayNode prompt(Row row) {
        JsonNode prompt = row.fields().path("prompt");
        if (prompt.isString()) {
            return Task.question(prompt.asString());
        }
        if (prompt instanceof ArrayNode messages && !messages.isEmpty()) {
            return messages;
        }
        throw new BadInput(row.source() + ": prompt: expected a text or a list of messages, found columns "
                + row.fields().propertyNames());
    }
}
