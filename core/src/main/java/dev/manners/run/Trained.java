package dev.manners.run;

import dev.manners.model.Lora;
import dev.manners.tensor.DType;
import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// A policy that was trained, to be saved in its run's folder: a whole model, or an adapter.
///
/// @param base directory it was trained from
/// @param lora null if all of it was trained
record Trained(
        RunDirectory run,
        LoadedModel policy,
        Path base,
        @Nullable Lora lora) {

    String baseName() {
        return base.toAbsolutePath().normalize().getFileName().toString();
    }

    /// Writes `model/` with its card.
    ///
    /// @param how what was done to it, one sentence
    Path save(String how, Map<String, ?> results, Map<String, ?> options) {
        Path target = run.path().resolve("model");
        ModelCard card = new ModelCard(
                        run.path().getFileName().toString(), baseName(), lora == null ? "finetune" : "adapter", null)
                .paragraph(how)
                .table("result", "value", results)
                .table("option", "value", options);
        Map<String, Object> extra = Map.of("kind", lora == null ? "model" : "adapter", "base_model", baseName());
        if (lora == null) {
            policy.save(target, DType.F32, card.toString(), extra);
        } else {
            policy.saveAdapter(target, base.toString(), card.toString(), extra);
        }
        return target;
    }
}
