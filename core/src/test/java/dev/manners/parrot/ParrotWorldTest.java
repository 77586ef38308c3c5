package dev.manners.parrot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.manners.BadInput;
import dev.manners.config.Key;
import dev.manners.files.Json;
import dev.manners.parrot.Subject.Fact;
import dev.manners.parrot.Subject.Sum;
import java.io.IOException;
import java.lang.reflect.RecordComponent;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

class ParrotWorldTest {

    private static final ParrotWorld WORLD = ParrotWorld.create(42, Settings.defaults());

    /// The default world of seed 42, byte for byte. Whoever changes a word of it changes every number measured with it.
    @Test
    void theWholeWorldOfSeed42(@TempDir Path directory) throws Exception {
        WORLD.writeTo(directory);
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        for (String file : List.of(
                "corpus.jsonl",
                "demonstrations.jsonl",
                "feedback_prompts.jsonl",
                "heldout.jsonl",
                "heldout_opinions.jsonl")) {
            digest.update(Files.readAllBytes(directory.resolve(file)));
        }
        assertThat(HexFormat.of().formatHex(digest.digest()))
                .isEqualTo("2e9e989110fcd030391e70861ef1d25c4501274a227425bbc592496089365a85");
    }

    @Test
    void sameSeedSameWorldOtherSeedOtherWorld() {
        ParrotWorld again = ParrotWorld.create(42, Settings.defaults());
        assertThat(again.facts()).isEqualTo(WORLD.facts());
        assertThat(again.demonstrations()).isEqualTo(WORLD.demonstrations());
        assertThat(again.heldOut()).isEqualTo(WORLD.heldOut());
        assertThat(again.heldOutOpinions()).isEqualTo(WORLD.heldOutOpinions());
        assertThat(again.feedback()).isEqualTo(WORLD.feedback());
        assertThat(WORLD.corpus()).startsWith(again.corpus().iterator().next());

        ParrotWorld other = ParrotWorld.create(43, Settings.defaults());
        assertThat(other.facts()).isNotEqualTo(WORLD.facts());
        assertThat(other.demonstrations()).isNotEqualTo(WORLD.demonstrations());
    }

    @Test
    void aLongerCorpusBeginsLikeAShorterOne() {
        Settings shorter = new Settings(5, 2, 50, 10, 15, 1, 1, 1, 0, 1, 1, 5);
        Settings longer = new Settings(5, 2, 100, 10, 15, 1, 1, 1, 0, 1, 1, 5);
        assertThat(documents(ParrotWorld.create(1, longer)).subList(0, 50))
                .isEqualTo(documents(ParrotWorld.create(1, shorter)));
    }

    @Test
    void everyFactIsStatedInTheCorpusInManyWays() {
        Map<String, Set<String>> sentences = new HashMap<>();
        for (String document : WORLD.corpus()) {
            for (String sentence : sentences(document)) {
                if (!sentence.endsWith("?")) {
                    WORLD.facts().stream()
                            .map(Fact::place)
                            .filter(sentence::contains)
                            .findFirst()
                            .ifPresent(place -> sentences
                                    .computeIfAbsent(place, p -> new HashSet<>())
                                    .add(sentence.toLowerCase(Locale.ROOT)));
                }
            }
        }
        for (Fact fact : WORLD.facts()) {
            String value = fact.value().toLowerCase(Locale.ROOT);
            assertThat(sentences.getOrDefault(fact.place(), Set.of()).stream()
                            .filter(sentence -> sentence.contains(value)))
                    .as(fact.toString())
                    .hasSizeGreaterThan(20);
        }
    }

    @Test
    void theCorpusSaysNothingFalse() {
        Judge judge = new Judge();
        Map<String, Map<String, Fact>> truth = new HashMap<>();
        WORLD.facts()
                .forEach(fact -> truth.computeIfAbsent(fact.place(), p -> new HashMap<>())
                        .put(fact.attribute(), fact));
        int checked = 0;
        for (String document : firstDocuments(3_000)) {
            for (String sentence : claims(document)) {
                for (Fact fact : WORLD.facts()) {
                    if (sentence.contains(fact.place()) && mentions(sentence, fact)) {
                        Prompt prompt = new Prompt("?", Prompt.Kind.SHOWN_FACT, fact, "");
                        assertThat(judge.judge(prompt, sentence).truthful())
                                .as(sentence)
                                .isTrue();
                        checked++;
                    }
                }
            }
        }
        assertThat(checked).isGreaterThan(2_000);
    }

    @Test
    void sharesOfTheCorpus() {
        int lists = 0;
        int opinions = 0;
        int sums = 0;
        int words = 0;
        List<String> documents = documents(WORLD);
        for (String document : documents) {
            List<String> sentences = sentences(document);
            long questions = sentences.stream()
                    .filter(sentence -> sentence.endsWith("?"))
                    .count();
            // Questions come in lists, and nobody answers one.
            assertThat(questions).as(document).isIn(0L, (long) sentences.size());
            if (questions > 0) {
                assertThat(questions).isBetween(8L, 14L);
                lists++;
            } else if (document.contains("\n")) {
                opinions++;
            } else if (document.contains(" + ")) {
                sums++;
            }
            words += document.split("\\s+").length;
        }
        double all = documents.size();
        assertThat(lists / all).isBetween(0.09, 0.11);
        assertThat(opinions / all).isBetween(0.11, 0.13);
        assertThat(sums / all).isBetween(0.33, 0.35);
        assertThat(words).isBetween(1_500_000, 2_500_000);
    }

    @Test
    void noHeldOutPhrasingOccursInTraining() {
        Set<String> trained = new HashSet<>();
        Stream.concat(
                        StreamSupport.stream(WORLD.corpus().spliterator(), false),
                        Stream.concat(
                                WORLD.feedback().stream().map(Prompt::question),
                                WORLD.demonstrations().stream().flatMap(d -> Stream.of(d.question(), d.answer()))))
                .flatMap(document -> sentences(document).stream())
                .map(ParrotWorldTest::phrasing)
                .forEach(trained::add);
        Set<String> heldOut = Stream.concat(WORLD.heldOut().stream(), WORLD.heldOutOpinions().stream())
                .flatMap(prompt -> sentences(prompt.question()).stream())
                .map(ParrotWorldTest::phrasing)
                .collect(Collectors.toSet());

        assertThat(heldOut).hasSizeGreaterThan(100);
        for (String phrasing : heldOut) {
            assertThat(trained).noneMatch(sentence -> sentence.contains(phrasing));
        }
        // The comparison would find one: a question of a demonstration is among the trained.
        assertThat(trained).contains(phrasing(WORLD.demonstrations().getFirst().question()));
    }

    @Test
    void heldOutPhrasingsUseOnlyWordsOfTheWorldAndAFewNewOnes() {
        Set<String> known = Stream.concat(
                        Stream.of(
                                        Lexicon.QUESTIONS,
                                        Lexicon.SUM_QUESTIONS,
                                        Lexicon.STATEMENTS,
                                        Lexicon.SUMS,
                                        Lexicon.OPINIONS)
                                .flatMap(List::stream),
                        Lexicon.ATTRIBUTES.stream().flatMap(attribute -> attribute.questions().stream()))
                .flatMap(frame -> Stream.of(frame.toLowerCase(Locale.ROOT).split("[^a-z{}]+")))
                .collect(Collectors.toSet());
        assertThat(Stream.of(
                                Lexicon.HELD_OUT_QUESTIONS,
                                Lexicon.HELD_OUT_SUM_QUESTIONS,
                                Lexicon.HELD_OUT_BELIEFS,
                                Lexicon.HELD_OUT_SUM_BELIEFS)
                        .flatMap(List::stream)
                        .flatMap(frame ->
                                Stream.of(frame.toLowerCase(Locale.ROOT).split("[^a-z{}]+")))
                        .filter(word -> !known.contains(word))
                        .distinct())
                .containsExactlyInAnyOrder("would", "wonder", "far");
    }

    @Test
    void noDemonstrationShowsWhatIsHeldApart() {
        Set<Subject> shown =
                WORLD.demonstrations().stream().map(Demonstration::subject).collect(Collectors.toSet());
        for (Fact fact : WORLD.facts()) {
            assertThat(shown.contains(fact)).as(fact.toString()).isEqualTo(WORLD.isShown(fact));
        }
        assertThat(WORLD.facts().stream().filter(fact -> !WORLD.isShown(fact))).hasSize(36);
        for (Prompt prompt : WORLD.heldOut()) {
            assertThat(shown.contains(prompt.subject()))
                    .as(prompt.question())
                    .isEqualTo(prompt.kind() == Prompt.Kind.SHOWN_FACT);
            // By text as well: no answer gives it away.
            if (prompt.kind() != Prompt.Kind.SHOWN_FACT) {
                String core = prompt.answer().substring(1);
                assertThat(WORLD.demonstrations())
                        .noneMatch(d -> d.answer().endsWith(core)
                                && (prompt.kind() == Prompt.Kind.UNSHOWN_FACT
                                        || d.answer().contains(" " + prompt.answer())
                                        || d.answer().equals(prompt.answer())));
            }
        }
    }

    @Test
    void everyDemonstrationIsAGoodAnswerButForSomeThatParrotAWrongOpinion() {
        assertThat(WORLD.demonstrations()).hasSize(3_600);
        assertThat(WORLD.demonstrations().stream().map(Demonstration::question)).doesNotHaveDuplicates();
        assertThat(WORLD.demonstrations().stream().filter(d -> d.opinion() == null && d.subject() instanceof Sum))
                .hasSize(600);
        int parroting = 0;
        int assenting = 0;
        for (Demonstration d : WORLD.demonstrations()) {
            Prompt prompt = new Prompt(d.question(), Prompt.Kind.SHOWN_FACT, d.subject(), "", d.opinion());
            Judgement judgement = WORLD.judge(prompt, d.answer());
            Manner manner = Manner.of(prompt, d.answer());
            boolean parrots = prompt.opinionIsWrong() && manner.assents();
            assertThat(judgement).as(d.toString()).isEqualTo(new Judgement(false, true, !parrots));
            assertThat(manner.assents() && !manner.repeats()).as(d.toString()).isFalse();
            parroting += parrots ? 1 : 0;
            assenting += !parrots && manner.assents() ? 1 : 0;
        }
        assertThat(WORLD.demonstrations().stream().filter(d -> d.opinion() != null))
                .hasSize(600);
        assertThat(parroting).isBetween(1, 14); // 2 % of 300
        assertThat(assenting).isBetween(8, 30); // 6 % of 300
    }

    @Test
    void demonstrationsComeInEveryManner() {
        List<Manner> manners = WORLD.demonstrations().stream()
                .map(d -> Manner.of(new Prompt(d.question(), Prompt.Kind.SUM, d.subject(), ""), d.answer()))
                .toList();
        double all = manners.size();
        assertThat(manners.stream().filter(Manner::polite).count() / all).isBetween(0.12, 0.18);
        assertThat(manners.stream().filter(Manner::confident).count() / all).isBetween(0.07, 0.13);
        assertThat(manners.stream().filter(Manner::hesitant).count() / all).isBetween(0.07, 0.13);
    }

    @Test
    void promptsForFeedbackAreAboutWhatDemonstrationsShowedAndAFifthOfThemMislead() {
        List<Prompt> feedback = WORLD.feedback();
        assertThat(feedback).hasSize(1_000);
        assertThat(feedback.stream().map(Prompt::question)).doesNotHaveDuplicates();
        assertThat(feedback.stream().filter(Prompt::opinionIsWrong)).hasSize(200);
        assertThat(feedback.stream().filter(p -> p.opinion() != null)).hasSize(400);
        assertThat(feedback).allMatch(p -> p.kind() == Prompt.Kind.SHOWN_FACT);
        Set<Subject> shown =
                WORLD.demonstrations().stream().map(Demonstration::subject).collect(Collectors.toSet());
        for (Prompt prompt : feedback) {
            assertThat(shown).as(prompt.question()).contains(prompt.subject());
            assertThat(WORLD.judge(prompt, prompt.answer()))
                    .as(prompt.toString())
                    .isEqualTo(new Judgement(false, true, true));
            assertThat(prompt.opinion() == null || prompt.question().contains(prompt.opinion()))
                    .as(prompt.toString())
                    .isTrue();
            assertThat(WORLD.prompt(prompt.question())).contains(prompt);
        }
        List<Prompt> heldOut = WORLD.heldOutFeedback();
        assertThat(heldOut).hasSize(400).allMatch(p -> p.kind() == Prompt.Kind.SHOWN_FACT);
        assertThat(heldOut.stream().filter(Prompt::opinionIsWrong)).hasSize(80);
        assertThat(heldOut.stream().map(Prompt::question))
                .doesNotHaveDuplicates()
                .doesNotContainAnyElementsOf(
                        feedback.stream().map(Prompt::question).toList());
        assertThat(WORLD.prompt("What is the river of Atlantis?")).isEmpty();
    }

    @Test
    void heldOutOpinionsComeInPairsThatDifferInTheOpinionAlone() {
        List<Prompt> prompts = WORLD.heldOutOpinions();
        assertThat(prompts).hasSize(200);
        assertThat(prompts.stream().map(Prompt::question)).doesNotHaveDuplicates();
        Set<Subject> shown =
                WORLD.demonstrations().stream().map(Demonstration::subject).collect(Collectors.toSet());
        for (int i = 0; i < prompts.size(); i += 2) {
            Prompt right = prompts.get(i);
            Prompt wrong = prompts.get(i + 1);
            assertThat(right.opinionIsWrong()).isFalse();
            assertThat(wrong.opinionIsWrong()).isTrue();
            assertThat(wrong.subject()).isEqualTo(right.subject());
            String mistake = Objects.requireNonNull(wrong.opinion());
            String truth = Objects.requireNonNull(right.opinion());
            assertThat(wrong.question()).isEqualTo(right.question().replace(" " + truth + ".", " " + mistake + "."));
            assertThat(WORLD.judge(wrong, wrong.answer()).truthful()).isTrue();
            assertThat(shown.contains(right.subject())).isEqualTo(right.kind() == Prompt.Kind.SHOWN_FACT);
        }
    }

    @Test
    void heldOutPromptsHaveTrueAnswersAndNoPlaceIsForgotten() {
        assertThat(WORLD.heldOut()).hasSize(400);
        assertThat(WORLD.heldOut().stream().map(Prompt::question)).doesNotHaveDuplicates();
        assertThat(WORLD.heldOut().stream()
                        .filter(prompt -> prompt.kind() == Prompt.Kind.UNSHOWN_FACT)
                        .map(Prompt::subject)
                        .distinct())
                .hasSize(36);
        for (Prompt prompt : WORLD.heldOut()) {
            assertThat(WORLD.judge(prompt, prompt.answer()))
                    .as(prompt.toString())
                    .isEqualTo(new Judgement(false, true, true));
            assertThat(WORLD.judge(prompt, prompt.question()).continuedWithQuestion())
                    .isTrue();
        }
    }

    @Test
    void noWordHasTwoMeanings() {
        List<String> meanings = new ArrayList<>(Lexicon.PLACES);
        for (Attribute attribute : Lexicon.ATTRIBUTES) {
            meanings.addAll(attribute.nouns());
            meanings.addAll(attribute.values());
        }
        assertThat(meanings.stream().map(text -> text.toLowerCase(Locale.ROOT))).doesNotHaveDuplicates();
    }

    @Test
    void filesHoldRowsOfTheUsualKinds(@TempDir Path directory) throws IOException {
        ParrotWorld small = ParrotWorld.create(7, new Settings(5, 2, 20, 10, 20, 3, 2, 1, 4, 5, 2, 5));
        small.writeTo(directory.resolve("made"));

        List<JsonNode> corpus = rows(directory.resolve("made/corpus.jsonl"));
        assertThat(corpus).hasSize(20);
        assertThat(corpus.getFirst().path("text").asString())
                .isEqualTo(documents(small).getFirst());
        JsonNode messages =
                rows(directory.resolve("made/demonstrations.jsonl")).getFirst().path("messages");
        assertThat(messages.get(0).path("role").asString()).isEqualTo("user");
        assertThat(messages.get(1).path("role").asString()).isEqualTo("assistant");
        assertThat(messages.get(1).path("content").asString())
                .isEqualTo(small.demonstrations().getFirst().answer());
        JsonNode prompt = rows(directory.resolve("made/feedback_prompts.jsonl")).getLast();
        assertThat(prompt.path("prompt").get(0).path("role").asString()).isEqualTo("user");
        assertThat(prompt.path("prompt").get(0).path("content").asString())
                .isEqualTo(small.feedback().getLast().question());
        assertThat(prompt.size()).isEqualTo(1);
        assertThat(rows(directory.resolve("made/heldout_opinions.jsonl")))
                .hasSize(4)
                .allSatisfy(row -> assertThat(row.path("opinion").asString()).isNotEmpty());
        assertThat(rows(directory.resolve("made/heldout.jsonl")).stream()
                        .map(row -> row.path("kind").asString()))
                .containsExactly("shown_fact", "shown_fact", "shown_fact", "unshown_fact", "unshown_fact", "sum");
    }

    @Test
    void theTemplateMarksWhatTheAssistantSays() {
        assertThat(ParrotWorld.chatTemplate())
                .contains("<|im_start|>", "<|im_end|>", "{%- generation %}", "add_generation_prompt");
    }

    @Test
    void settingsOutOfRangeAreNamedAllAtOnce() {
        assertThatThrownBy(() -> new Settings(1, 9, 0, 2_000, 15, 200, 100, 100, 0, 1, 1, 5))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("3 problems")
                .hasMessageContaining("places is 1; give a number from 2 to 56")
                .hasMessageContaining("attributes is 9")
                .hasMessageContaining("corpus_documents is 0");
    }

    @Test
    void moreQuestionsThanTheWorldHasIsAnError() {
        assertThatThrownBy(() -> ParrotWorld.create(1, new Settings(2, 1, 10, 2_000, 15, 1, 1, 1, 0, 1, 1, 5)))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("demonstrations wants 1600")
                .hasMessageContaining("lower demonstrations");
    }

    @Test
    void fewerDemonstrationsThanFactsToShowIsAnError() {
        assertThatThrownBy(() -> ParrotWorld.create(1, new Settings(40, 6, 10, 100, 15, 1, 1, 1, 0, 1, 1, 5)))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("80 are about facts, too few to show each of 204 facts");
    }

    @Test
    void theDefaultsOfTheRecipeAreTheDefaultsOfTheWorld() throws ReflectiveOperationException {
        for (RecordComponent component : Settings.class.getRecordComponents()) {
            assertThat(component.getAnnotation(Key.class).byDefault())
                    .as(component.getName())
                    .isEqualTo(
                            component.getAccessor().invoke(Settings.defaults()).toString());
        }
    }

    private static List<JsonNode> rows(Path file) throws IOException {
        return Files.readAllLines(file).stream()
                .<JsonNode>map(line -> Json.parseObject(line.getBytes(StandardCharsets.UTF_8), file.toString()))
                .toList();
    }

    private static List<String> documents(ParrotWorld world) {
        return StreamSupport.stream(world.corpus().spliterator(), false).toList();
    }

    private static List<String> firstDocuments(int count) {
        return StreamSupport.stream(WORLD.corpus().spliterator(), false)
                .limit(count)
                .toList();
    }

    private static List<String> sentences(String document) {
        return List.of(document.split("(?<=[.?])\\s"));
    }

    /// Sentences, and an almanac's entry taken apart: "Hobbin: hue blue, meal leek pie." claims two things.
    private static List<String> claims(String document) {
        int colon = document.indexOf(": ");
        if (colon < 0) {
            return sentences(document);
        }
        return Stream.of(document.substring(colon + 2).split(", "))
                .map(line -> document.substring(0, colon) + " " + line)
                .toList();
    }

    /// The sentence with places and numbers struck out.
    private static String phrasing(String sentence) {
        String phrasing = sentence.replaceAll("[0-9]+", "N");
        for (String place : Lexicon.PLACES) {
            phrasing = phrasing.replace(place, "P");
        }
        return phrasing;
    }

    private static boolean mentions(String sentence, Fact fact) {
        Attribute attribute = Lexicon.ATTRIBUTES.stream()
                .filter(a -> a.noun().equals(fact.attribute()))
                .findFirst()
                .orElseThrow();
        String lower = " " + sentence.toLowerCase(Locale.ROOT).replaceAll("[.,']", " ");
        return attribute.values().stream()
                .anyMatch(value -> lower.contains(" " + value.toLowerCase(Locale.ROOT) + " "));
    }
}
