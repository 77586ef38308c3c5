package dev.manners.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.manners.BadInput;
import dev.manners.testing.Shared;
import dev.manners.testing.Tiny;
import dev.manners.text.Tokenizer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Rows of preferences, from the files of several worlds to tokens.
class PreferenceDataTest {

    private static final Tokenizer TOKENIZER = Tiny.tokenizer(Tiny.CHATML);
    private static final Encoder ENCODER = new ModelEncoder(TOKENIZER);

    @TempDir
    Path folder;

    @AfterAll
    static void close() {
        TOKENIZER.close();
    }

    /// Lines with ' for ".
    private DatasetFile file(String... lines) {
        Path path = folder.resolve("rows-" + System.nanoTime() + ".jsonl");
        try {
            Files.writeString(path, String.join("\n", lines).replace('\'', '"'));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return DatasetFile.open(path);
    }

    private static PreferenceData<PreferenceRow.Ranking> rankings(DatasetFile file) {
        return PreferenceData.rankings(file, ENCODER, 0, false, done -> {});
    }

    private static String text(int[]... parts) {
        return TOKENIZER.decode(
                Arrays.stream(parts).flatMapToInt(Arrays::stream).toArray(), false);
    }

    @Test
    void plainTextEndsInOneEosAndThePromptStandsApart() {
        try (DatasetFile file = file(
                "{'prompt':'the bird','chosen':' sings','rejected':' sleeps<|im_end|>','margin':0.5}",
                "{'prompt':'','chosen':'in the garden','rejected':'nowhere','margin':2}")) {
            PreferenceData<PreferenceRow.Ranking> data = rankings(file);
            PreferenceRow.Ranking row = data.rows().getFirst();
            assertThat(text(row.prompt())).isEqualTo("the bird");
            assertThat(row.completions().stream().map(c -> text(c)))
                    .containsExactly(" sings<|im_end|>", " sleeps<|im_end|>");
            assertThat(row.margin()).isEqualTo(0.5);
            assertThat(row.isPair()).isTrue();
            assertThat(data.rows().get(1).prompt()).isEmpty();
            assertThat(data.describe()).contains("2 rows", "2 of 2 rows have a margin", "plain text");
        }
    }

    /// Whichever stands first: the feedback store exports such files.
    @Test
    void marginsThatSomeRowsHaveAreTheirs() {
        String with = "{'prompt':'the bird','chosen':' sings','rejected':' sleeps','margin':0.5}";
        String without = "{'prompt':'the bird','chosen':' sings','rejected':' flies'}";
        try (DatasetFile file = file(with, without, with);
                DatasetFile turned = file(without, with)) {
            assertThat(rankings(file).rows())
                    .extracting(PreferenceRow.Ranking::margin)
                    .containsExactly(0.5, null, 0.5);
            assertThat(rankings(turned).rows())
                    .extracting(PreferenceRow.Ranking::margin)
                    .containsExactly(null, 0.5);
            assertThat(rankings(turned).describe()).contains("1 of 2 rows have a margin; that of the others is 0");
        }
        try (DatasetFile file = file("{'prompt':'the','completions':[' bird',' river'],'ranks':[2,1],'margin':3}")) {
            assertThat(rankings(file).rows().getFirst().margin()).isEqualTo(3);
        }
        // The first row has none, and so none was looked at.
        try (DatasetFile file = file(without, without.replace("}", ",'margin':'big'}"))) {
            assertThatThrownBy(() -> rankings(file))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining(file.path() + ":2: column margin is string")
                    .hasMessageContaining("whose margin is 0");
        }
    }

    @Test
    void conversationsAreRenderedByTheTemplate() {
        String user = "[{'role':'user','content':'the river'}]";
        String good = "[{'role':'assistant','content':'quietly'}]";
        String bad = "[{'role':'assistant','content':'winter'}]";
        String whole = "[{'role':'user','content':'the river'},{'role':'assistant','content':'%s'}]";
        List<int[]> found = new ArrayList<>();
        for (String line : List.of(
                "{'prompt':%s,'chosen':%s,'rejected':%s}".formatted(user, good, bad),
                "{'chosen':%s,'rejected':%s}".formatted(whole.formatted("quietly"), whole.formatted("winter")),
                "{'conversations':[{'from':'human','value':'the river'}],'chosen':{'from':'gpt','value':'quietly'},"
                        + "'rejected':{'from':'gpt','value':'winter'}}",
                "{'prompt':%s,'completions':['winter','quietly'],'ranks':[2,1]}".formatted(user),
                "{'prompt':%s,'completions':[%s,%s],'ranks':[1,2]}".formatted(user, good, bad))) {
            try (DatasetFile file = file(line)) {
                PreferenceRow.Ranking row = rankings(file).rows().getFirst();
                found.add(row.prompt());
                assertThat(text(row.prompt(), row.completions().getFirst()))
                        .isEqualTo("<|im_start|>user\nthe river<|im_end|>\n<|im_start|>assistant\nquietly<|im_end|>\n");
                assertThat(text(row.completions().get(1))).isEqualTo("winter<|im_end|>\n");
                assertThat(row.ranks()).containsExactly(1, 2);
            }
        }
        assertThat(found).allSatisfy(prompt -> assertThat(prompt).isEqualTo(found.getFirst()));
    }

    @Test
    void rankingsComeBestFirstWithTheirTies() {
        try (DatasetFile file = file("{'prompt':'the','completions':[' bird',' river',' garden',' mountain'],"
                + "'ranks':[3,1,3,2],'annotator':'a'}")) {
            PreferenceRow.Ranking row = rankings(file).rows().getFirst();
            assertThat(row.completions().stream().map(c -> text(c).replace("<|im_end|>", "")))
                    .containsExactly(" river", " mountain", " bird", " garden");
            assertThat(row.ranks()).containsExactly(1, 2, 3, 3);
            assertThat(row.comparisons()).isEqualTo(5);
            assertThat(row.isPair()).isFalse();
        }
    }

    /// As TRL's extract_prompt gives them.
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '~',
            value = {
                "~Q: a b A: yes~   | ~Q: a b A: no~    | ~Q: a b A:~ | ~ yes~   | ~ no~",
                "~The sky is blue~ | ~The sky isnt~    | ~The sky is~ | ~ blue~ | ~nt~",
                "~I agree~         | ~I agree fully~   | ~I agre~ | ~e~ | ~e fully~",
                "~x🙂~             | ~x🙃~             | ~x~ | ~🙂~ | ~🙃~",
            })
    void whatBothBeginWithIsThePrompt(String chosen, String rejected, String prompt, String first, String second) {
        PreferenceText text =
                PreferenceText.split(chosen, rejected, new PreferenceText.Verdict.Ranks(new int[] {1, 2}, null));
        assertThat(text.prompt().asString()).isEqualTo(prompt);
        assertThat(text.completions().get(0).asString()).isEqualTo(first);
        assertThat(text.completions().get(1).asString()).isEqualTo(second);
    }

    @Test
    void ds03_comparisonsThatSayNothingAreLeftOutAndCounted() {
        List<String> lines = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
            lines.add("{'prompt':'the','chosen':' bird %d','rejected':' river'}".formatted(i));
        }
        lines.add("{'prompt':'the','chosen':' bird','rejected':' bird'}");
        lines.add("{'prompt':'the','chosen':'','rejected':' river'}");
        lines.add("{'prompt':'the','chosen':' bird','rejected':' \\n '}");
        try (DatasetFile file = file(lines.toArray(String[]::new))) {
            PreferenceData<PreferenceRow.Ranking> data = rankings(file);
            assertThat(data.rows()).hasSize(40);
            assertThat(data.useless())
                    .isEqualTo(Map.of("two completions are the same", 1, "a completion is empty or white space", 2));
            assertThat(data.describe()).contains("1 rows left out: two completions are the same");
        }
    }

    @Test
    void ds03_promptsThatDifferAreFoundAndAFileFullOfSuchRowsIsRefused() {
        String row = "{'chosen':[{'role':'user','content':'the river'},{'role':'assistant','content':'a'}],"
                + "'rejected':[{'role':'user','content':'the bird'},{'role':'assistant','content':'b'}]}";
        String good = "{'chosen':[{'role':'user','content':'the bird'},{'role':'assistant','content':'a'}],"
                + "'rejected':[{'role':'user','content':'the bird'},{'role':'assistant','content':'b'}]}";
        try (DatasetFile file = file(row, good)) {
            assertThatThrownBy(() -> rankings(file))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("1 of 2 rows teach nothing")
                    .hasMessageContaining("the prompts of chosen and rejected differ: 1")
                    .hasMessageContaining("--skip-bad");
            assertThat(PreferenceData.rankings(file, ENCODER, 0, true, done -> {})
                            .rows())
                    .hasSize(1);
        }
    }

    @Test
    void longRowsAreLeftOutWhole() {
        try (DatasetFile file = file(
                "{'prompt':'the','chosen':' bird','rejected':' river'}",
                "{'prompt':'the','chosen':' bird','rejected':' river in the garden in the morning in winter'}")) {
            PreferenceData<PreferenceRow.Ranking> data = PreferenceData.rankings(file, ENCODER, 8, false, done -> {});
            assertThat(data.rows()).hasSize(1);
            assertThat(data.overLong()).isEqualTo(1);
            assertThatThrownBy(() -> PreferenceData.rankings(file, ENCODER, 2, false, done -> {}))
                    .hasMessageContaining("none of 2 rows can be used: 2 have more than max_length 2 tokens");
        }
    }

    /// Each would mislead a trainer without a word; each is named by line and by what is wrong with it.
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '~',
            value = {
                "{'prompt':'a','chosen':'b','rejected':7}                        | column rejected is number",
                "{'prompt':'a','chosen':'b','rejected':null}                     | column rejected is null",
                "{'prompt':'a','chosen':'b','rejected':'c','margin':'big'}       | column margin is string",
                "{'prompt':'a','chosen':'b','rejected':'c','margin':null}        | column margin is null",
                "{'prompt':'a','completions':['b','c'],'ranks':[1,2],'margin':'x'}   | column margin is string",
                "{'prompt':'a','completions':['b'],'ranks':[1]}                  | completions are 1, nothing to compare",
                "{'prompt':'a','completions':['b','c'],'ranks':[1]}              | completions are 2, ranks are 1",
                "{'prompt':'a','completions':['b','c'],'ranks':[0,1]}            | rank 1 is 0",
                "{'prompt':'a','completions':['b','c'],'ranks':[1,1.5]}          | rank 2 is 1.5",
                "{'prompt':'a','completion':'b','label':1}                       | column label is number",
                "{'prompt':[{'role':'user','content':'a'}],'chosen':[{'role':'user','content':'b'}],"
                        + "'rejected':'c'}                                       | begins with a message that is not the",
                "{'prompt':[{'role':'user','content':'a'},{'role':'assistant','content':'b'}],'chosen':'c',"
                        + "'rejected':'d'}                                       | follows another of the assistant's",
                "{'other':1}                                                     | Expected chosen and rejected",
            })
    void badRowsAreNamed(String line, String reason) {
        try (DatasetFile file = file(line.strip())) {
            assertThatThrownBy(() -> {
                        if (line.contains("label")) {
                            PreferenceData.labelled(file, ENCODER, 0, false, done -> {});
                        } else {
                            rankings(file);
                        }
                    })
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining(file.path() + ":1: ")
                    .hasMessageContaining(reason.strip());
        }
    }

    @Test
    void labelsAndPrompts() {
        try (DatasetFile file = file(
                "{'prompt':'the bird','completion':' sings','label':true,'answer':4}",
                "{'prompt':'the bird','completion':' sleeps','label':false,'answer':5}")) {
            List<PreferenceRow.Labelled> rows =
                    PreferenceData.labelled(file, ENCODER, 0, false, done -> {}).rows();
            assertThat(rows.stream().map(PreferenceRow.Labelled::label)).containsExactly(true, false);
            assertThat(text(rows.getFirst().completion())).isEqualTo(" sings<|im_end|>");
            List<PreferenceRow.Prompt> prompts =
                    PreferenceData.prompts(file, ENCODER, 0, false, done -> {}).rows();
            assertThat(text(prompts.getFirst().prompt())).isEqualTo("the bird");
            assertThat(prompts.getFirst().columns().path("answer").asInt()).isEqualTo(4);
            assertThat(prompts.getFirst().columns().has("prompt")).isFalse();
            assertThatThrownBy(() -> rankings(file))
                    .hasMessageContaining("the rows are prompt, completion and label; plain text. Expected chosen");
        }
    }

    @Test
    void ds12_tiesContradictionsAndCirclesAreTold() {
        int[] p = {1};
        int[] a = {2};
        int[] b = {3};
        int[] c = {4};
        Consistency found = Consistency.of(List.of(
                pair(p, a, b), pair(p, b, c), pair(p, c, a), pair(new int[] {9}, a, b), pair(new int[] {9}, b, a)));
        assertThat(found).isEqualTo(new Consistency(5, 0, 0, 2, 1));
        assertThat(found.warnings()).anyMatch(w -> w.contains("2 of 5 comparisons are contradicted"));
        assertThat(found.warnings())
                .anyMatch(w -> w.contains("1 prompts have completions that are better in a circle"));
        Consistency tied =
                Consistency.of(List.of(new PreferenceRow.Ranking(p, List.of(a, b, c), new int[] {1, 1, 1}, null, "")));
        assertThat(tied).isEqualTo(new Consistency(0, 3, 1, 0, 0));
        assertThat(tied.warnings()).containsExactly("all 1 rankings are ties: nothing says what is better");
        assertThat(Consistency.of(List.of(pair(p, a, b), pair(p, b, c), pair(p, a, c)))
                        .warnings())
                .isEmpty();
    }

    private static PreferenceRow.Ranking pair(int[] prompt, int[] chosen, int[] rejected) {
        return new PreferenceRow.Ranking(prompt, List.of(chosen, rejected), new int[] {1, 2}, null, "");
    }

    /// Anthropic's HH, flat text, and LLaMA-Factory's pairs and labels.
    @Test
    void realFilesAreRead() {
        Path hh = Shared.path("data/preference/hh-rlhf/harmless-base-test.jsonl.gz");
        try (DatasetFile file = DatasetFile.open(hh + "[:200]")) {
            PreferenceData<PreferenceRow.Ranking> data = rankings(file);
            assertThat(data.rows()).hasSizeGreaterThan(190);
            assertThat(text(data.rows().getFirst().prompt())).startsWith("\n\nHuman:");
        }
        Path factory = Shared.path("data/preference/llamafactory");
        try (DatasetFile file = DatasetFile.open(factory.resolve("dpo_en_demo.json") + "[:50]")) {
            assertThat(rankings(file).rows()).hasSizeGreaterThan(45);
        }
        try (DatasetFile file = DatasetFile.open(factory.resolve("kto_en_demo.json") + "[:50]")) {
            assertThat(PreferenceData.labelled(file, ENCODER, 0, false, done -> {})
                            .rows())
                    .hasSizeGreaterThan(45);
        }
    }
}
