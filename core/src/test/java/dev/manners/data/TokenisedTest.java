package dev.manners.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.manners.BadInput;
import dev.manners.files.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenisedTest {

    private static final ByteEncoder BYTES = new ByteEncoder();
    private static final Tokenisation DEFAULT = Tokenisation.DEFAULT;

    @TempDir
    Path folder;

    @Test
    void ds04_rowsWithoutATrainableTokenStopTheRunByName() {
        Path path = write("train.jsonl", """
                {'prompt':'short','completion':'yes'}
                {'prompt':'0123456789012345678901234567890','completion':'never seen'}
                {'prompt':'again','completion':'yes'}
                {'prompt':'01234567890123456789','completion':'neither'}
                """);
        try (DatasetFile file = DatasetFile.open(path)) {
            assertThatThrownBy(() -> tokenise(file, BYTES, DEFAULT.withMaxLength(16)))
                    .isInstanceOf(BadInput.class)
                    .hasMessage(path
                            + ":2: row has no trainable token after truncation to max_length 16 (prompt 31 tokens,"
                            + " completion 11). Raise max_length, shorten the prompt, or pass --skip-bad to leave such"
                            + " rows out (2 of 4).\n  also " + path
                            + ":4: row has no trainable token after truncation to"
                            + " max_length 16 (prompt 20 tokens, completion 8)");
            assertThat(leftovers()).isEmpty();
        }
    }

    @Test
    void ds04_aRowOfOneTokenHasNothingToPredict() {
        try (DatasetFile file = DatasetFile.open(write("train.jsonl", "{'text':''}\n"))) {
            assertThatThrownBy(() -> tokenise(file, BYTES, DEFAULT))
                    .hasMessageContaining("row has no trainable token (1 tokens)");
        }
    }

    @Test
    void ds04_aTemplateThatMarksNothing() {
        ByteEncoder unmarked = new ByteEncoder(false, false, false, false);
        String chat = "{'messages':[{'role':'user','content':'a'},{'role':'assistant','content':'b'}]}";
        try (DatasetFile file = DatasetFile.open(write("train.jsonl", chat))) {
            assertThatThrownBy(() -> tokenise(file, unmarked, DEFAULT.withAssistantOnlyLoss(true)))
                    .hasMessageContaining("marks no token")
                    .hasMessageContaining("{% generation %}");
        }
    }

    @Test
    void ds02_skipBadLeavesBadRowsOutAndWritesThemDown() throws IOException {
        Path path = write("train.jsonl", "{'text':'one'}\n{'text':3}\nnot json\n{'text':'two'}\n{'text':''}\n");
        Tokenisation skip = DEFAULT.withSkipBad(true);
        for (int round = 0; round < 2; round++) { // the second time from the cache
            try (DatasetFile file = DatasetFile.open(path);
                    Tokenised rows = tokenise(file, BYTES, skip)) {
                assertThat(rows.fromCache()).isEqualTo(round == 1);
                assertThat(rows.size()).isEqualTo(2);
                assertThat(rows.get(1).source()).isEqualTo(path + ":4");
                assertThat(BYTES.read(rows.get(1).ids())).isEqualTo("two<end>");
                assertThat(rows.rejected()).isEqualTo(3);
                Path rejects = folder.resolve("rejects" + round + ".jsonl");
                rows.writeRejects(rejects);
                List<String> lines = Files.readAllLines(rejects);
                assertThat(lines).hasSize(3);
                assertThat(Json.parseObject(lines.get(1).getBytes(java.nio.charset.StandardCharsets.UTF_8), "rejects")
                                .path("row")
                                .asString())
                        .isEqualTo("not json");
                assertThat(lines.get(0)).contains(path + ":2", "column text is number");
            }
        }
        try (DatasetFile file = DatasetFile.open(path)) {
            assertThatThrownBy(() -> tokenise(file, BYTES, DEFAULT))
                    .hasMessageContaining("(3 of 5)")
                    .hasMessageContaining(path + ":3:1: not valid JSON")
                    .hasMessageContaining(path + ":5: row has no trainable token");
        }
    }

    @Test
    void ds02_whenEveryRowIsBadSkippingThemIsNoWayOut() {
        try (DatasetFile file = DatasetFile.open(write("train.jsonl", "{'text':''}\n{'text':''}\n"))) {
            assertThatThrownBy(() -> tokenise(file, BYTES, DEFAULT.withSkipBad(true)))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("none of 2 rows can be used");
        }
    }

    @Test
    void ds02_rowsOfNoKindAreRefusedWithTheirColumns() {
        try (DatasetFile file = DatasetFile.open(write("train.jsonl", "{'question':'a','answer':'b'}\n"))) {
            assertThatThrownBy(() -> tokenise(file, BYTES, DEFAULT))
                    .hasMessageContaining("columns are [question, answer]")
                    .hasMessageContaining("Expected text; messages; prompt and completion");
        }
        try (DatasetFile file = DatasetFile.open(write("pairs.jsonl", "{'chosen':'a','rejected':'b'}\n"))) {
            assertThatThrownBy(() -> tokenise(file, BYTES, DEFAULT)).hasMessageContaining("preference row");
        }
    }

    @Test
    void ds06_aRowOutOfProportionIsReportedAndCut() {
        StringBuilder rows = new StringBuilder();
        for (int i = 0; i < 20; i++) {
            rows.append("{'text':'%s'}\n".formatted("x".repeat(i == 13 ? 5000 : 49)));
        }
        Path path = write("train.jsonl", rows.toString());
        try (DatasetFile file = DatasetFile.open(path);
                Tokenised tokens = tokenise(file, BYTES, DEFAULT.withMaxLength(1024))) {
            TokenReport report = TokenReport.of(tokens);
            assertThat(report.outliers()).containsExactly(new TokenReport.Outlier(path + ":14", 5001));
            assertThat(report.truncated()).isEqualTo(1);
            assertThat(report.lengths()).isEqualTo(new TokenReport.Lengths(50, 50, 50, 5001, 5001));
            assertThat(report.tokens()).isEqualTo(19 * 50 + 1024);
            assertThat(report.trained()).isEqualTo(19 * 49 + 1023);
            assertThat(report.endWithEos()).isEqualTo(19);
            assertThat(report.text()).contains(path + ":14 has 5,001 tokens, the median row 50", "cut       1 (5.0%)");
        }
    }

    /// Axolotl's stale cache: everything that can change a token or a mask is in the key.
    @Test
    void ds14_anotherTokenizerTemplateOptionOrFileIsAnotherCache() throws IOException {
        Path path = write("train.jsonl", "{'text':'one'}\n{'text':'two'}\n");
        assertThat(fromCache(path, BYTES, DEFAULT)).isFalse();
        assertThat(fromCache(path, BYTES, DEFAULT)).isTrue();
        assertThat(fromCache(path, new ByteEncoder(true, false, true, false), DEFAULT))
                .isFalse();
        assertThat(fromCache(path, new ByteEncoder(false, true, true, false), DEFAULT))
                .isFalse();
        assertThat(fromCache(path, BYTES, DEFAULT.withMaxLength(3))).isFalse();
        assertThat(fromCache(path, BYTES, DEFAULT.withMaxLength(3).withTruncation(Tokenisation.Truncation.KEEP_END)))
                .isFalse();
        assertThat(fromCache(path, BYTES, DEFAULT.withPacking(Packing.Strategy.WRAPPED)))
                .isFalse();
        assertThat(fromCache(path, BYTES, DEFAULT.withSkipBad(true))).isFalse();
        try (DatasetFile file = DatasetFile.open(path + "[:1]");
                Tokenised rows = tokenise(file, BYTES, DEFAULT)) {
            assertThat(rows.fromCache()).isFalse();
            assertThat(rows.size()).isEqualTo(1);
        }
        Files.writeString(path, "{\"text\":\"one\"}\n{\"text\":\"tow\"}\n");
        assertThat(fromCache(path, BYTES, DEFAULT)).isFalse();
        assertThat(fromCache(path, BYTES, DEFAULT)).isTrue();
    }

    @Test
    void ds14_aDamagedCacheIsMadeAnew() throws IOException {
        Path path = write("train.jsonl", "{'text':'one'}\n{'text':'two'}\n");
        assertThat(fromCache(path, BYTES, DEFAULT)).isFalse();
        Path cache = leftovers().getFirst();
        byte[] whole = Files.readAllBytes(cache);
        for (int cut : new int[] {0, 7, 31, 40, whole.length - 1}) {
            Files.write(cache, java.util.Arrays.copyOf(whole, cut));
            assertThat(fromCache(path, BYTES, DEFAULT)).as("cut to %d", cut).isFalse();
            assertThat(Files.readAllBytes(cache)).isEqualTo(whole);
        }
        for (int at = 0; at < whole.length; at++) {
            byte[] bent = whole.clone();
            bent[at] ^= (byte) 0x80;
            Files.write(cache, bent);
            assertThat(TokenFile.open(cache)).as("bit at %d", at).isEmpty();
        }
    }

    @Test
    void tk08_namesOfSpecialTokensInContentStayText() {
        String text = "{'text':'a<end>b<end>'}\n";
        try (DatasetFile file = DatasetFile.open(write("train.jsonl", text));
                Tokenised rows = tokenise(file, BYTES, DEFAULT)) {
            int[] ids = rows.get(0).ids();
            assertThat(ids).containsOnlyOnce(ByteEncoder.EOS).endsWith(ByteEncoder.EOS);
            assertThat(BYTES.read(ids)).isEqualTo("a<end>b<end>");
            assertThat(ids).hasSize(1 + 5 + 1 + 1);
        }
    }

    @Test
    void tk10_eosIsTrainedWhateverPadIs() {
        String row = "{'prompt':'ask ','completion':'tell'}\n";
        try (DatasetFile file = DatasetFile.open(write("train.jsonl", row));
                Tokenised rows = tokenise(file, BYTES, DEFAULT)) {
            Example example = rows.get(0);
            assertThat(BYTES.read(example.ids())).isEqualTo("ask tell<end>");
            assertThat(example.trained()).containsExactly(false, false, false, false, true, true, true, true, true);
            assertThat(rows.trainedTokens()).isEqualTo(5);
        }
    }

    @Test
    void tokensThatMergeAcrossTheBorderAreTokenisedApart() {
        Path path = write("train.jsonl", "{'prompt':'Q\\n','completion':'\\nA'}\n{'prompt':'Q','completion':'A'}\n");
        try (DatasetFile file = DatasetFile.open(path);
                Tokenised rows = tokenise(file, BYTES, DEFAULT)) {
            assertThat(rows.get(0).ids()).containsExactly('Q', '\n', '\n', 'A', ByteEncoder.EOS);
            assertThat(rows.get(0).trained()).containsExactly(false, false, true, true, true);
            assertThat(TokenReport.of(rows).warnings())
                    .singleElement()
                    .asString()
                    .contains("merge across the border of prompt and completion: 1 row");
        }
    }

    /// Whoever reads row after row asks for the plan each time, and it costs a pass over the whole dataset.
    @Test
    void packingIsPlannedOnce() {
        Path path = write("train.jsonl", "{'text':'one'}\n{'text':'two'}\n");
        try (DatasetFile file = DatasetFile.open(path);
                Tokenised rows = tokenise(file, BYTES, DEFAULT)) {
            assertThat(rows.packing()).isSameAs(rows.packing());
        }
    }

    @Test
    void bosIsAddedOnceAndASecondOneIsReported() {
        Path texts = write("texts.jsonl", "{'text':'hi'}\n");
        try (DatasetFile file = DatasetFile.open(texts);
                Tokenised rows = tokenise(file, new ByteEncoder(true, false, true, false), DEFAULT)) {
            assertThat(BYTES.read(rows.get(0).ids())).isEqualTo("<s>hi<end>");
            assertThat(TokenReport.of(rows).beginWithBos()).isEqualTo(1);
            assertThat(TokenReport.of(rows).warnings()).isEmpty();
        }
        Path doubled = write(
                "doubled.jsonl", "{'messages':[{'role':'user','content':'a'},{'role':'assistant','content':'b'}]}");
        ByteEncoder twice = new ByteEncoder(true, true, true, false);
        try (DatasetFile file = DatasetFile.open(doubled);
                Tokenised rows = tokenise(file, twice, DEFAULT)) {
            assertThat(BYTES.read(rows.get(0).ids())).isEqualTo("<s><start>user\na<end>\n<start>assistant\nb<end>\n");
            assertThat(TokenReport.of(rows).doubleBos()).isZero();
        }
    }

    @Test
    void masksOfConversations() {
        String chat =
                "{'prompt':[{'role':'user','content':'a'},{'role':'assistant','content':'b'},{'role':'user','content':'c'}],"
                        + "'completion':[{'role':'assistant','content':'d'}]}";
        Path path = write("chat.jsonl", chat);
        assertThat(trained(path, DEFAULT)).isEqualTo("d<end>\n");
        assertThat(trained(path, DEFAULT.withAssistantOnlyLoss(true))).isEqualTo("d<end>");
        assertThat(trained(path, DEFAULT.withAssistantOnlyLoss(true).withCompletionOnlyLoss(false)))
                .isEqualTo("b<end>d<end>");
        assertThat(trained(path, DEFAULT.withCompletionOnlyLoss(false)))
                .isEqualTo("user\na<end>\n<start>assistant\nb<end>\n<start>user\nc<end>\n<start>assistant\nd<end>\n");
        assertThat(trained(path, DEFAULT.withMaxLength(4).withTruncation(Tokenisation.Truncation.KEEP_END)))
                .isEqualTo("d<end>\n");
    }

    @Test
    void aTemplateThatTreatsThePromptDifferentlyLaterIsRefused() {
        Path path = write(
                "chat.jsonl",
                "{'prompt':[{'role':'user','content':'a'}],'completion':[{'role':'assistant','content':'d'}]}");
        try (DatasetFile file = DatasetFile.open(path)) {
            assertThatThrownBy(() -> tokenise(file, new ByteEncoder(false, false, true, true), DEFAULT))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("renders the prompt differently")
                    .hasMessageContaining("from token 1 of");
        }
    }

    @Test
    void whatTheTemplateRefusesIsNamedByRow() {
        String rows =
                "{'messages':[{'role':'user','content':'a'}]}\n{'messages':[{'role':'developer','content':'a'}]}\n";
        Path path = write("chat.jsonl", rows);
        try (DatasetFile file = DatasetFile.open(path)) {
            assertThatThrownBy(() -> tokenise(file, BYTES, DEFAULT))
                    .hasMessageStartingWith(path + ":2: template line 1: no developer here");
        }
    }

    @Test
    void optionsThatCannotApplyAreRefused() {
        try (DatasetFile file = DatasetFile.open(write("train.jsonl", "{'text':'one'}\n"))) {
            assertThatThrownBy(() -> tokenise(file, BYTES, DEFAULT.withCompletionOnlyLoss(true)))
                    .hasMessageContaining("the rows have no completion");
            assertThatThrownBy(() -> tokenise(file, BYTES, DEFAULT.withAssistantOnlyLoss(true)))
                    .hasMessageContaining("the rows are not conversations");
        }
        assertThatThrownBy(() -> DEFAULT.withMaxLength(1)).isInstanceOf(BadInput.class);
        assertThatThrownBy(() -> DEFAULT.withPacking(Packing.Strategy.BFD).withMaxLength(0))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("packing needs max_length");
    }

    @Test
    void ds05_oneRowAndManyChunksOfThemKeepTheirOrder() {
        StringBuilder rows = new StringBuilder();
        for (int i = 0; i < 3000; i++) {
            rows.append("{'text':'row %d'}\n".formatted(i));
        }
        try (DatasetFile file = DatasetFile.open(write("train.jsonl", rows.toString()));
                Tokenised tokens = tokenise(file, BYTES, DEFAULT)) {
            assertThat(tokens.size()).isEqualTo(3000);
            for (int i = 0; i < 3000; i += 7) {
                assertThat(BYTES.read(tokens.get(i).ids())).isEqualTo("row " + i + "<end>");
            }
        }
        try (DatasetFile file = DatasetFile.open(write("one.jsonl", "{'text':'only'}"));
                Tokenised tokens = tokenise(file, BYTES, DEFAULT)) {
            assertThat(tokens.size()).isEqualTo(1);
            assertThat(tokens.packing().size()).isEqualTo(1);
        }
    }

    private String trained(Path path, Tokenisation options) {
        try (DatasetFile file = DatasetFile.open(path);
                Tokenised rows = tokenise(file, BYTES, options)) {
            Packed packed = rows.packing().read(rows, 0);
            Ints trained = new Ints();
            for (int i = 0; i < packed.length(); i++) {
                if (packed.trained()[i]) {
                    trained.add(packed.ids()[i]);
                }
            }
            return BYTES.read(trained.toArray());
        }
    }

    private boolean fromCache(Path path, Encoder encoder, Tokenisation options) {
        try (DatasetFile file = DatasetFile.open(path);
                Tokenised rows = tokenise(file, encoder, options)) {
            return rows.fromCache();
        }
    }

    private Tokenised tokenise(DatasetFile file, Encoder encoder, Tokenisation options) {
        return Tokenised.of(file, encoder, options, folder.resolve("cache"), done -> {});
    }

    private List<Path> leftovers() {
        Path cache = folder.resolve("cache");
        if (!Files.exists(cache)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(cache)) {
            return files.toList();
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private Path write(String name, String rows) {
        try {
            return Files.writeString(folder.resolve(name), rows.replace('\'', '"'));
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }
}
