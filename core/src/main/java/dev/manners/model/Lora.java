package dev.manners.model;

import dev.manners.config.Key;
import java.util.Arrays;
import java.util.List;

/// Options of low-rank adapters, named as in PEFT and TRL's `ModelConfig`.
///
/// @param loraTargetModules endings of module names, `q_proj`; `all-linear` is every linear layer but the head
public record Lora(
        @Key(value = "Rank of the adapters", byDefault = "16", min = 1)
        int loraR,

        @Key(
                value = "Scaling numerator: the adapter's product is multiplied by alpha / r",
                byDefault = "32",
                min = 0,
                aboveMin = true)
        double loraAlpha,

        @Key(value = "Dropout on the adapters' input", byDefault = "0.05", min = 0, max = 0.99)
        double loraDropout,

        @Key(value = "Divide by the root of r, not by r (rsLoRA)", byDefault = "false")
        boolean useRslora,

        @Key(
                value = "Modules that get an adapter, by the end of their names; all-linear for every linear layer",
                byDefault = "[all-linear]")
        List<String> loraTargetModules) {

    public Lora {
        // A flag may name several: q_proj,v_proj.
        loraTargetModules = loraTargetModules.stream()
                .flatMap(names -> Arrays.stream(names.split(",", -1)))
                .map(String::strip)
                .toList();
    }

    /// alpha / r, or alpha / √r.
    double scaling() {
        return useRslora ? loraAlpha / Math.sqrt(loraR) : loraAlpha / loraR;
    }

    boolean targets(String module) {
        return loraTargetModules.contains("all-linear")
                || loraTargetModules.stream().anyMatch(end -> module.equals(end) || module.endsWith("." + end));
    }
}
