package dev.manners.parrot;

import dev.manners.files.Json;
import dev.manners.parrot.Subject.Fact;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import tools.jackson.databind.node.ObjectNode;

/// An invented world, all of it a function of a seed and [Settings], the same on every platform.
public final class ParrotWorld {

    private final Facts facts;
    private final Corpus corpus;
    private final List<Demonstration> demonstrations;
    private final List<Prompt> heldOut;
    private final List<Prompt> heldOutOpinions;
    private final List<Prompt> feedback;
    private final List<Prompt> heldOutFeedback;
    private final Map<String, Prompt> byQuestion;
    private final Judge judge = new Judge();

    private ParrotWorld(Facts facts, Corpus corpus, Questions questions) {
        this.facts = facts;
        this.corpus = corpus;
        this.demonstrations = questions.demonstrations();
        this.heldOut = questions.heldOut();
        this.heldOutOpinions = questions.heldOutOpinions();
        Questions.Feedback asked = questions.feedback();
        this.feedback = asked.prompts();
        this.heldOutFeedback = asked.heldOut();
        this.byQuestion = Stream.of(heldOut, heldOutOpinions, feedback, heldOutFeedback)
                .flatMap(List::stream)
                .collect(Collectors.toUnmodifiableMap(Prompt::question, prompt -> prompt));
    }

    /// @throws dev.manners.BadInput if the settings ask for more different questions than such a world has
    public static ParrotWorld create(long seed, Settings settings) {
        Facts facts = Facts.create(seed, settings);
        return new ParrotWorld(
                facts, new Corpus(seed, settings.corpusDocuments(), facts), new Questions(seed, settings, facts));
    }

    /// Everything that is true, place by place.
    public List<Fact> facts() {
        return facts.all();
    }

    /// Whether some demonstration may show this fact; the others only the corpus states.
    public boolean isShown(Fact fact) {
        return !facts.unshown().contains(fact);
    }

    /// The documents to pretrain on, made while iterating; can be iterated again.
    public Iterable<String> corpus() {
        return corpus;
    }

    /// The conversations to fine-tune on, already in random order.
    public List<Demonstration> demonstrations() {
        return demonstrations;
    }

    /// Questions in words that neither the corpus nor any demonstration uses: shown facts, unshown facts, sums.
    public List<Prompt> heldOut() {
        return heldOut;
    }

    /// Questions in such words after an opinion, in pairs: the user is right, then the user is wrong.
    public List<Prompt> heldOutOpinions() {
        return heldOutOpinions;
    }

    /// What models answer for annotators to rank, and in reinforcement learning: questions in words of the
    /// demonstrations about what those showed. Of five, one comes after a right opinion and one after a wrong one.
    public List<Prompt> feedback() {
        return feedback;
    }

    /// Others like those for feedback, which nothing learns from.
    public List<Prompt> heldOutFeedback() {
        return heldOutFeedback;
    }

    /// The prompt for feedback, or held out, that asks exactly this.
    public Optional<Prompt> prompt(String question) {
        return Optional.ofNullable(byQuestion.get(question));
    }

    /// Judges what a model said after a prompt.
    ///
    /// @param answer the model's text alone, without the prompt and without special tokens
    public Judgement judge(Prompt prompt, String answer) {
        return judge.judge(prompt, answer);
    }

    /// The template of the world's models, in the manner of ChatML. Its control tokens are `<|im_start|>` and
    /// `<|im_end|>`; `<|pad|>` fills batches and `<|endoftext|>` ends a document of the corpus.
    public static String chatTemplate() {
        try (InputStream template = ParrotWorld.class.getResourceAsStream("/parrot/chat_template.jinja")) {
            if (template == null) {
                throw new IllegalStateException("the jar lacks parrot/chat_template.jinja; build it again");
            }
            return new String(template.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /// Writes the world as rows of the usual kinds, over what was there:
    ///
    /// - `corpus.jsonl`: `text`
    /// - `demonstrations.jsonl`: `messages`
    /// - `feedback_prompts.jsonl`: `prompt`, as messages. The truth is not in it
    /// - `heldout.jsonl`: `prompt`, as plain text, `kind`, `answer`
    /// - `heldout_opinions.jsonl`: the same with the user's `opinion`
    ///
    /// @param directory made if absent
    public void writeTo(Path directory) throws IOException {
        Files.createDirectories(directory);
        try (Writer out = Files.newBufferedWriter(directory.resolve("corpus.jsonl"))) {
            for (String document : corpus) {
                write(out, Json.MAPPER.createObjectNode().put("text", document));
            }
        }
        try (Writer out = Files.newBufferedWriter(directory.resolve("demonstrations.jsonl"))) {
            for (Demonstration demonstration : demonstrations) {
                ObjectNode row = Json.MAPPER.createObjectNode();
                row.putArray("messages")
                        .add(message("user", demonstration.question()))
                        .add(message("assistant", demonstration.answer()));
                write(out, row);
            }
        }
        try (Writer out = Files.newBufferedWriter(directory.resolve("feedback_prompts.jsonl"))) {
            for (Prompt prompt : feedback) {
                ObjectNode row = Json.MAPPER.createObjectNode();
                row.putArray("prompt").add(message("user", prompt.question()));
                write(out, row);
            }
        }
        try (Writer out = Files.newBufferedWriter(directory.resolve("heldout.jsonl"))) {
            for (Prompt prompt : heldOut) {
                write(out, row(prompt).put("answer", prompt.answer()));
            }
        }
        try (Writer out = Files.newBufferedWriter(directory.resolve("heldout_opinions.jsonl"))) {
            for (Prompt prompt : heldOutOpinions) {
                write(out, row(prompt).put("opinion", prompt.opinion()).put("answer", prompt.answer()));
            }
        }
    }

    private static ObjectNode row(Prompt prompt) {
        return Json.MAPPER
                .createObjectNode()
                .put("prompt", prompt.question())
                .put("kind", prompt.kind().label());
    }

    static ObjectNode message(String role, String content) {
        return Json.MAPPER.createObjectNode().put("role", role).put("content", content);
    }

    static void write(Writer out, ObjectNode row) throws IOException {
        out.write(Json.MAPPER.writeValueAsString(row));
        out.write('\n');
    }
}
