package dev.manners.run;

import static org.assertj.core.api.Assertions.assertThat;

import dev.manners.config.Yaml;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ModelCardTest {

    @TempDir
    Path folder;

    private Map<String, Yaml.Entry> front(ModelCard card) throws IOException {
        String[] parts = card.toString().split("---\n", -1);
        assertThat(parts[0]).isEmpty();
        return Yaml.read(Files.writeString(folder.resolve("front.yaml"), parts[1]));
    }

    @Test
    void theFrontMatterSaysWhereItComesFrom() throws IOException {
        ModelCard card = new ModelCard("mine", "base", "adapter", null);
        assertThat(front(card))
                .hasEntrySatisfying("base_model", e -> assertThat(e.value()).isEqualTo("base"));
        assertThat(front(card))
                .hasEntrySatisfying(
                        "base_model_relation", e -> assertThat(e.value()).isEqualTo("adapter"));
        assertThat(front(card))
                .hasEntrySatisfying("tags", e -> assertThat(e.value()).isEqualTo(List.of("manners")));
        assertThat(front(card)).doesNotContainKey("license");
        // Nobody knows the licence: then it is said, not guessed.
        assertThat(card.toString()).contains("The licence of the base model is not recorded");
        ModelCard fresh = new ModelCard("mine", null, "finetune", "apache-2.0");
        assertThat(front(fresh)).doesNotContainKey("base_model").containsKey("license");
        assertThat(fresh.toString()).doesNotContain("not recorded");
    }

    /// A base model is named after its folder, and a folder may be called anything.
    @ParameterizedTest
    @ValueSource(strings = {"a: b", "#1", "- x", "'", "f\u00fcr", "[x]", "&a", "8", "no"})
    void oddNamesDoNotBreakTheFrontMatter(String base) throws IOException {
        assertThat(front(new ModelCard("t", base, "finetune", null)))
                .hasEntrySatisfying("base_model", e -> assertThat(e.value()).isEqualTo(base));
    }

    @Test
    void aCellStaysACell() {
        Map<String, Object> rows = new LinkedHashMap<>();
        rows.put("a|b", "c\nd|e");
        rows.put("loss", 1.5);
        assertThat(new ModelCard("t", null, "finetune", null)
                        .table("k", "v", rows)
                        .toString())
                .endsWith("| k | v |\n|---|---|\n| a\\|b | c d\\|e |\n| loss | 1.5 |\n\n");
    }
}
