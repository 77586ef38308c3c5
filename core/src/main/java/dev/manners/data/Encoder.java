package dev.manners.data;

import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;

/// All that this package needs of a tokenizer and its chat template. Implementations are safe for use by several
/// threads.
public interface Encoder {

    /// Ids of a piece of content: no BOS or EOS around it, and names of special tokens inside it are ordinary text.
    int[] text(String text);

    /// The same with what the tokenizer puts around a text of its own accord: BOS for many, nothing for most.
    int[] textWithSpecial(String text);

    /// Ids of a conversation as the chat template renders it.
    ///
    /// @param tools schemas the template may show, or null
    /// @param addGenerationPrompt whether the opening of the assistant's turn is to follow
    Chat chat(ArrayNode messages, @Nullable JsonNode tools, boolean addGenerationPrompt);

    /// A rendered conversation.
    ///
    /// @param ids [T]
    /// @param assistant [T], whether the template marks the token as the assistant's own
    @SuppressWarnings("ArrayRecordComponent") // compared by nobody
    record Chat(int[] ids, boolean[] assistant) {}

    OptionalInt eos();

    OptionalInt bos();

    /// What a token reads as.
    String show(int id);

    /// Whether conversations can be encoded; if not, [#chat] says why.
    default boolean hasChat() {
        return true;
    }

    /// Changes whenever an id that this gives could change: a hash over tokenizer and template.
    String fingerprint();
}
