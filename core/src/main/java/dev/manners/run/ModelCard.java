package dev.manners.run;

import dev.manners.config.Yaml;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// README.md of a model directory, with the front matter that Hugging Face reads.
public final class ModelCard {

    private final Map<String, String> front = new LinkedHashMap<>();
    private final StringBuilder body = new StringBuilder();

    /// @param base name of the base model, or null for one trained from nothing
    /// @param relation `finetune` or `adapter`
    /// @param licence of the base model, or null if nobody knows
    public ModelCard(String title, @Nullable String base, String relation, @Nullable String licence) {
        front.put("library_name", "transformers");
        front.put("pipeline_tag", "text-generation");
        if (base != null) {
            front.put("base_model", plain(base));
            front.put("base_model_relation", relation);
        }
        if (licence != null) {
            front.put("license", plain(licence));
        }
        front.put("tags", "[manners]");
        body.append("# ").append(title).append("\n\n");
        if (licence == null && base != null) {
            body.append("The licence of the base model is not recorded: look it up before you share this.\n\n");
        }
    }

    /// What the model is for, as Hugging Face calls it; `text-generation` where nothing is said.
    public ModelCard pipeline(String tag) {
        front.put("pipeline_tag", tag);
        return this;
    }

    /// A folder may be called `a: b` or `#1`, which YAML would read as something else.
    private static String plain(String text) {
        return Yaml.write(Map.of("k", text)).substring("k: ".length()).stripTrailing();
    }

    public ModelCard paragraph(String text) {
        body.append(text).append("\n\n");
        return this;
    }

    /// A table of two columns.
    public ModelCard table(String key, String value, Map<String, ?> rows) {
        body.append("| ").append(key).append(" | ").append(value).append(" |\n|---|---|\n");
        rows.forEach((k, v) -> body.append("| ")
                .append(cell(k))
                .append(" | ")
                .append(cell(String.valueOf(v)))
                .append(" |\n"));
        body.append('\n');
        return this;
    }

    private static String cell(String text) {
        return text.replace("|", "\\|").replace("\n", " ");
    }

    @Override
    public String toString() {
        StringBuilder out = new StringBuilder("---\n");
        front.forEach((key, value) -> out.append(key).append(": ").append(value).append('\n'));
        return out.append("---\n\n").append(body).toString();
    }
}
