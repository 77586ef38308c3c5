package dev.manners.data;

import dev.manners.BadInput;
import java.util.Arrays;
import java.util.OptionalInt;
import tools.jackson.databind.node.ArrayNode;

/// Turns a row into token ids and a mask, as TRL's `SFTTrainer._prepare_dataset` does.
///
/// Where it departs, on purpose:
/// - A text that ends in the EOS token's name ends in one EOS, as in TRL; but no name inside content becomes a special
///   token.
/// - Where tokens merge across the border of a standard prompt and its completion, the two are tokenised apart, as they
///   are when the model is asked. TRL warns and lets the mask slip.
/// - Where a template renders a prompt differently once its completion follows, the row is refused. TRL warns.
/// - A row without a trainable token is refused. TRL drops it without a word, or averages over nothing.
final class RowEncoder {

    private final RowKind kind;
    private final Encoder encoder;
    private final Tokenisation options;
    private final boolean completionOnly;
    private final int[] opening;
    private final int[] closing;
    private final String eosName;

    /// A row encoded.
    ///
    /// @param ids after truncation
    /// @param fullLength before truncation
    /// @param apart whether prompt and completion had to be tokenised apart
    @SuppressWarnings("ArrayRecordComponent") // compared by nobody
    record Encoded(int[] ids, boolean[] trained, int fullLength, boolean apart) {}

    RowEncoder(RowKind kind, Encoder encoder, Tokenisation options) {
        this.kind = kind;
        this.encoder = encoder;
        this.options = options;
        Boolean only = options.completionOnlyLoss();
        if (Boolean.TRUE.equals(only) && !kind.hasCompletion()) {
            throw new BadInput(
                    "completion_only_loss is true, but the rows have no completion. Leave it out, or use rows"
                            + " with prompt and completion"
                            + (kind.conversational() ? ", or assistant_only_loss." : "."));
        }
        if (options.assistantOnlyLoss() && !kind.conversational()) {
            throw new BadInput(
                    "assistant_only_loss is true, but the rows are not conversations. Leave it out, or use rows"
                            + " with messages.");
        }
        completionOnly = only == null ? kind.hasCompletion() : only;
        OptionalInt eos = encoder.eos();
        if (!kind.conversational() && options.appendEos() && eos.isEmpty()) {
            throw new BadInput("the tokenizer has no EOS token to end a row with. Name one (eos_token in"
                    + " tokenizer_config.json), or set append_eos to false.");
        }
        eosName = eos.isPresent() ? encoder.show(eos.getAsInt()) : "";
        // What the tokenizer puts around a text is found once, on a text that cannot be empty.
        int[] bare = encoder.text("a");
        int[] dressed = encoder.textWithSpecial("a");
        int at = indexOf(dressed, bare);
        opening = Arrays.copyOf(dressed, at);
        closing = options.appendEos() && eos.isPresent()
                ? new int[] {eos.getAsInt()}
                : Arrays.copyOfRange(dressed, at + bare.length, dressed.length);
    }

    /// @throws BadRow if the row cannot be used
    Encoded encode(Row row) {
        return switch (kind.read(row)) {
            case Demonstration.Text(String text) -> {
                int[] ids = join(opening, encoder.text(withoutEos(text)), closing);
                boolean[] trained = new boolean[ids.length];
                Arrays.fill(trained, true);
                yield cut(row, ids, trained, -1, false);
            }
            case Demonstration.Completion(String prompt, String completion) ->
                completion(row, prompt, withoutEos(completion));
            case Demonstration.Conversation chat -> conversation(row, chat);
        };
    }

    private Encoded completion(Row row, String prompt, String completion) {
        int[] given = join(opening, encoder.text(prompt));
        int[] whole = join(opening, encoder.text(prompt + completion));
        boolean apart = !startsWith(whole, given);
        int[] ids = apart ? join(given, encoder.text(completion), closing) : join(whole, closing);
        boolean[] trained = new boolean[ids.length];
        Arrays.fill(trained, completionOnly ? given.length : 0, ids.length, true);
        return cut(row, ids, trained, given.length, apart);
    }

    private Encoded conversation(Row row, Demonstration.Conversation chat) {
        boolean hasPrompt = !chat.prompt().isEmpty();
        ArrayNode all = hasPrompt ? chat.prompt().deepCopy().addAll(chat.messages()) : chat.messages();
        Encoder.Chat whole = render(row, all, chat, false);
        int promptLength = -1;
        boolean[] trained = new boolean[whole.ids().length];
        Arrays.fill(trained, true);
        if (hasPrompt) {
            int[] given = render(row, chat.prompt(), chat, true).ids();
            if (!startsWith(whole.ids(), given)) {
                throw new BadRow(
                        row.source(),
                        "the chat template renders the prompt differently once the completion follows it (from token %d of"
                                        .formatted(commonPrefix(whole.ids(), given))
                                + " %d)".formatted(given.length),
                        "Take white space off the completion's start, or use a template whose rendering of a prompt does"
                                + " not depend on what follows");
            }
            promptLength = given.length;
            if (completionOnly) {
                Arrays.fill(trained, 0, given.length, false);
            }
        }
        if (options.assistantOnlyLoss()) {
            boolean any = false;
            for (int i = 0; i < trained.length; i++) {
                trained[i] &= whole.assistant()[i];
                any |= whole.assistant()[i];
            }
            if (!any) {
                throw new BadRow(
                        row.source(),
                        "assistant_only_loss is true, but the chat template marks no token of this row as the assistant's",
                        "Use a template with {% generation %} around the assistant's words, and rows in which it speaks");
            }
        }
        return cut(row, whole.ids(), trained, promptLength, false);
    }

    private Encoder.Chat render(
            Row row, ArrayNode messages, Demonstration.Conversation chat, boolean generationPrompt) {
        try {
            return encoder.chat(messages, chat.tools(), generationPrompt);
        } catch (BadRow e) {
            throw e;
        } catch (BadInput e) {
            throw new BadRow(row.source(), String.valueOf(e.getMessage()), "Change the row or the chat template");
        }
    }

    private Encoded cut(Row row, int[] ids, boolean[] trained, int promptLength, boolean apart) {
        int limit = options.cutAt();
        int[] kept = ids;
        boolean[] keptTrained = trained;
        if (limit > 0 && ids.length > limit) {
            int from = options.truncation() == Tokenisation.Truncation.KEEP_START ? 0 : ids.length - limit;
            kept = Arrays.copyOfRange(ids, from, from + limit);
            keptTrained = Arrays.copyOfRange(trained, from, from + limit);
        }
        for (int i = 1; i < kept.length; i++) {
            if (keptTrained[i]) {
                return new Encoded(kept, keptTrained, ids.length, apart);
            }
        }
        String parts = promptLength < 0
                ? "%d tokens".formatted(ids.length)
                : "prompt %d tokens, completion %d".formatted(promptLength, ids.length - promptLength);
        if (kept.length < ids.length) {
            throw new BadRow(
                    row.source(),
                    "row has no trainable token after truncation to max_length %d (%s)".formatted(limit, parts),
                    "Raise max_length, shorten the prompt");
        }
        throw new BadRow(
                row.source(), "row has no trainable token (%s)".formatted(parts), "Give it something to be learned");
    }

    /// The EOS token's name at the end of a text stands for the token that is appended anyway.
    private String withoutEos(String text) {
        return options.appendEos() && !eosName.isEmpty() && text.endsWith(eosName)
                ? text.substring(0, text.length() - eosName.length())
                : text;
    }

    static int indexOf(int[] haystack, int[] needle) {
        for (int at = 0; at + needle.length <= haystack.length; at++) {
            if (Arrays.equals(haystack, at, at + needle.length, needle, 0, needle.length)) {
                return at;
            }
        }
        throw new BadInput(
                "the tokenizer's post-processor changes the text's own tokens, which is not supported: \"a\" is "
                        + Arrays.toString(needle) + " without and " + Arrays.toString(haystack)
                        + " with special tokens");
    }

    static boolean startsWith(int[] ids, int[] prefix) {
        return commonPrefix(ids, prefix) == prefix.length;
    }

    static int commonPrefix(int[] a, int[] b) {
        int mismatch = Arrays.mismatch(a, b);
        return mismatch < 0 ? a.length : mismatch;
    }

    static int[] join(int[]... parts) {
        int length = 0;
        for (int[] part : parts) {
            length = Math.addExact(length, part.length);
        }
        int[] joined = new int[length];
        int at = 0;
        for (int[] part : parts) {
            System.arraycopy(part, 0, joined, at, part.length);
            at += part.length;
        }
        return joined;
    }
}
