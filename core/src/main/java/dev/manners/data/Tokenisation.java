package dev.manners.data;

import dev.manners.BadInput;
import org.jspecify.annotations.Nullable;

/// How rows become examples. Names and defaults are TRL's `SFTConfig`.
///
/// @param maxLength longest example, in tokens; 0 for no limit. When packing, the length of a pack
/// @param truncation which end of a longer row is kept
/// @param packing how examples share sequences
/// @param completionOnlyLoss loss on the completion alone; null: on it alone if rows have a prompt and a completion
/// @param assistantOnlyLoss loss only on what the chat template marks as the assistant's
/// @param textField column of plain text rows
/// @param appendEos whether the EOS token ends text and standard completions (TRL: always)
/// @param skipBad leave out rows that cannot be used, instead of refusing the file
public record Tokenisation(
        int maxLength,
        Truncation truncation,
        Packing.Strategy packing,
        @Nullable Boolean completionOnlyLoss,
        boolean assistantOnlyLoss,
        String textField,
        boolean appendEos,
        boolean skipBad) {

    /// Which end of a row longer than `maxLength` is kept.
    public enum Truncation {
        KEEP_START,
        KEEP_END
    }

    /// TRL's defaults.
    public static final Tokenisation DEFAULT =
            new Tokenisation(1024, Truncation.KEEP_START, Packing.Strategy.NONE, null, false, "text", true, false);

    public Tokenisation {
        if (maxLength < 0 || maxLength == 1) {
            throw new BadInput("max_length is %d. Expected at least 2 tokens, or 0 for no limit.".formatted(maxLength));
        }
        if (packing != Packing.Strategy.NONE && maxLength == 0) {
            throw new BadInput("packing needs max_length, the length of a pack. Set it, or turn packing off.");
        }
    }

    public Tokenisation withMaxLength(int length) {
        return new Tokenisation(
                length, truncation, packing, completionOnlyLoss, assistantOnlyLoss, textField, appendEos, skipBad);
    }

    public Tokenisation withTruncation(Truncation mode) {
        return new Tokenisation(
                maxLength, mode, packing, completionOnlyLoss, assistantOnlyLoss, textField, appendEos, skipBad);
    }

    public Tokenisation withPacking(Packing.Strategy strategy) {
        return new Tokenisation(
                maxLength, truncation, strategy, completionOnlyLoss, assistantOnlyLoss, textField, appendEos, skipBad);
    }

    public Tokenisation withCompletionOnlyLoss(@Nullable Boolean only) {
        return new Tokenisation(maxLength, truncation, packing, only, assistantOnlyLoss, textField, appendEos, skipBad);
    }

    public Tokenisation withAssistantOnlyLoss(boolean only) {
        return new Tokenisation(
                maxLength, truncation, packing, completionOnlyLoss, only, textField, appendEos, skipBad);
    }

    public Tokenisation withSkipBad(boolean skip) {
        return new Tokenisation(
                maxLength, truncation, packing, completionOnlyLoss, assistantOnlyLoss, textField, appendEos, skip);
    }

    /// Rows are cut before they are packed only where packing does not itself carry the rest over into another pack.
    int cutAt() {
        return packing == Packing.Strategy.WRAPPED || packing == Packing.Strategy.BFD_SPLIT ? 0 : maxLength;
    }
}
