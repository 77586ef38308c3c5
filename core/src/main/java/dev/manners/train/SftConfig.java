package dev.manners.train;

import dev.manners.config.Checked;
import dev.manners.config.Key;
import dev.manners.data.Packing;
import dev.manners.data.Sampler;
import dev.manners.data.Tokenisation;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Options of supervised fine-tuning: names and defaults of TRL's `SFTConfig`.
public record SftConfig(
        @Key(value = "Step size at its highest", byDefault = "2e-5", min = 0, aboveMin = true, max = 10)
        double learningRate,

        TrainingConfig training,

        @Key(value = "Longest sequence in tokens; 0: no limit", byDefault = "1024", min = 0)
        int maxLength,

        @Key(value = "Which end of a longer row is kept", byDefault = "keep_start")
        Tokenisation.Truncation truncationMode,

        @Key(value = "Put several rows into one sequence", byDefault = "false")
        boolean packing,

        @Key(value = "How rows share sequences when packing", byDefault = "bfd")
        Packing.Strategy packingStrategy,

        @Key(value = "Loss on completions only; unset: if rows have a prompt and a completion") @Nullable
        Boolean completionOnlyLoss,

        @Key(value = "Loss only on what the chat template marks as the assistant's", byDefault = "false")
        boolean assistantOnlyLoss,

        @Key(value = "Column of plain text rows", byDefault = "text")
        String datasetTextField,

        @Key(value = "Order of the rows within an epoch", byDefault = "random")
        Sampler.Order trainSamplingStrategy)
        implements Checked {

    @Override
    public List<String> problems() {
        List<String> problems = new ArrayList<>();
        if (packing && maxLength == 0) {
            problems.add("packing is true and max_length is 0: packing needs a length to fill");
        }
        if (packing && packingStrategy == Packing.Strategy.NONE) {
            problems.add("packing is true and packing_strategy is none: choose how to pack, or set packing to false");
        }
        if (maxLength == 1) {
            problems.add("max_length is 1: a sequence needs at least 2 tokens, one to see and one to predict");
        }
        if (assistantOnlyLoss && Boolean.TRUE.equals(completionOnlyLoss)) {
            problems.add("assistant_only_loss and completion_only_loss are both true: choose one");
        }
        return problems;
    }

    /// How rows become examples under these options.
    public Tokenisation tokenisation(boolean skipBad) {
        return new Tokenisation(
                maxLength,
                truncationMode,
                packing ? packingStrategy : Packing.Strategy.NONE,
                completionOnlyLoss,
                assistantOnlyLoss,
                datasetTextField,
                true,
                skipBad);
    }
}
