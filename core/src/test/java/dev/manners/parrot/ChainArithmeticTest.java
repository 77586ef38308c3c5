package dev.manners.parrot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.manners.BadInput;
import dev.manners.config.Key;
import dev.manners.files.Json;
import dev.manners.parrot.ChainArithmetic.Chain;
import java.lang.reflect.RecordComponent;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

class ChainArithmeticTest {

    private static final ChainArithmetic CHAINS = ChainArithmetic.create(42, ChainSettings.defaults());

    @Test
    void aChainIsWorkedOutStepByStep() {
        Chain chain = new Chain(List.of(3, 4, 2, -5));
        assertThat(chain.question()).isEqualTo("Compute 3 + 4 + 2 - 5.");
        assertThat(chain.demonstration())
                .isEqualTo("<think>3 + 4 = 7. 7 + 2 = 9. 9 - 5 = 4.</think><answer>4</answer>");
        assertThat(chain.hastyDemonstration()).isEqualTo("<think></think><answer>" + chain.result() + "</answer>");
        assertThat(new Chain(List.of(9, -9)).demonstration()).isEqualTo("<think>9 - 9 = 0.</think><answer>0</answer>");
    }

    /// By a reader of its own: every step is right, goes on from the last, and is one of small numbers.
    @Test
    void everyStepIsRightAndOfKnownSize() {
        Pattern step = Pattern.compile("(\\d+) ([+-]) (\\d+) = (\\d+)\\.");
        for (Chain chain : all().toList()) {
            Matcher steps = step.matcher(chain.thinking());
            StringBuilder question =
                    new StringBuilder("Compute " + chain.terms().getFirst());
            int value = chain.terms().getFirst();
            while (steps.find()) {
                int left = Integer.parseInt(steps.group(1));
                int right = Integer.parseInt(steps.group(3));
                assertThat(left).isEqualTo(value);
                value = steps.group(2).equals("+") ? left + right : left - right;
                assertThat(steps.group(4)).isEqualTo(Integer.toString(value));
                assertThat(value).isBetween(0, 29);
                assertThat(right).isBetween(1, 9);
                assertThat(left).isLessThanOrEqualTo(steps.group(2).equals("+") ? 20 : 29);
                question.append(' ').append(steps.group(2)).append(' ').append(right);
            }
            assertThat(chain.question()).isEqualTo(question + ".");
            assertThat(chain.result()).isEqualTo(value);
        }
    }

    @Test
    void noChainIsUsedTwice() {
        assertThat(CHAINS.demonstrations()).hasSize(1_000);
        assertThat(CHAINS.hasty()).hasSize(1_500);
        assertThat(CHAINS.prompts()).hasSize(2_000);
        assertThat(CHAINS.heldOut()).hasSize(200);
        assertThat(all().map(Chain::question)).doesNotHaveDuplicates();
    }

    @Test
    void chainsOfEveryLengthAreHeldOutAndBothKindsOfStep() {
        assertThat(CHAINS.heldOut().stream()
                        .collect(Collectors.groupingBy(c -> c.terms().size(), Collectors.counting()))
                        .values())
                .hasSize(4)
                .allMatch(count -> count > 25);
        long steps = all().mapToLong(c -> c.terms().size() - 1).sum();
        long differences =
                all().flatMap(c -> c.terms().stream()).filter(term -> term < 0).count();
        assertThat(differences / (double) steps).isBetween(0.4, 0.6);
    }

    @Test
    void theSameSeedTheSameChains() {
        ChainArithmetic again = ChainArithmetic.create(42, ChainSettings.defaults());
        assertThat(again.prompts()).isEqualTo(CHAINS.prompts());
        ChainArithmetic more = ChainArithmetic.create(42, new ChainSettings(1_500, 10, 200, 2, 5, 0));
        assertThat(more.heldOut()).isEqualTo(CHAINS.heldOut());
        assertThat(more.demonstrations()).startsWith(CHAINS.demonstrations().toArray(Chain[]::new));
        assertThat(ChainArithmetic.create(43, ChainSettings.defaults()).heldOut())
                .isNotEqualTo(CHAINS.heldOut());
    }

    /// Byte for byte. Whoever changes a chain changes every number measured with it.
    @Test
    void theChainsOfSeed42(@TempDir Path directory) throws Exception {
        CHAINS.writeTo(directory);
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        for (String file : List.of("chains_demonstrations.jsonl", "chains_prompts.jsonl", "chains_heldout.jsonl")) {
            digest.update(Files.readAllBytes(directory.resolve(file)));
        }
        assertThat(HexFormat.of().formatHex(digest.digest()))
                .isEqualTo("c98279a2cc8493996185af1c5408a279764e694c0ea39b6feb95c27dac09eb7e");

        JsonNode row = Json.parseObject(
                Files.readAllLines(directory.resolve("chains_prompts.jsonl"))
                        .getFirst()
                        .getBytes(StandardCharsets.UTF_8),
                "row");
        Chain first = CHAINS.prompts().getFirst();
        assertThat(row.path("prompt").get(0).path("content").asString()).isEqualTo(first.question());
        assertThat(row.path("answer").asString()).isEqualTo(Integer.toString(first.result()));
    }

    @Test
    void moreChainsThanThereAreIsAnError() {
        assertThatThrownBy(() -> ChainArithmetic.create(1, new ChainSettings(10, 1_000, 10, 2, 2, 0)))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("prompts wants 1000 chains")
                .hasMessageContaining("raise max_terms");
        assertThat(new ChainSettings(1, 1, 1, 5, 2, 0).problems()).hasSize(1);
        assertThat(ChainSettings.defaults().problems()).isEmpty();
    }

    @Test
    void theDefaultsOfTheRecipeAreTheDefaultsOfTheChains() throws ReflectiveOperationException {
        for (RecordComponent component : ChainSettings.class.getRecordComponents()) {
            assertThat(component.getAnnotation(Key.class).byDefault())
                    .as(component.getName())
                    .isEqualTo(component
                            .getAccessor()
                            .invoke(ChainSettings.defaults())
                            .toString());
        }
    }

    private static Stream<Chain> all() {
        return Stream.of(CHAINS.demonstrations(), CHAINS.hasty(), CHAINS.prompts(), CHAINS.heldOut())
                .flatMap(List::stream);
    }
}
