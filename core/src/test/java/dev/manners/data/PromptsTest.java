package dev.manners.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.manners.BadInput;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Prompts of a file, of one kind.
class PromptsTest {

    private static final String TEXT = "{'prompt':'the bird','answer':1}";
    private static final String CHAT = "{'prompt':[{'role':'user','content':'the bird'}]}";

    @TempDir
    Path folder;

    /// Lines with ' for ".
    private DatasetFile file(String name, String... lines) {
        Path path = folder.resolve(name);
        try {
            Files.writeString(path, String.join("\n", lines).replace('\'', '"'));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return DatasetFile.open(path);
    }

    private static Prompts prompts(DatasetFile file, boolean skipBad) {
        return Prompts.of(file, "prompt", new ByteEncoder(), 100, skipBad, n -> {});
    }

    @Test
    void textsAndConversationsInOneFileAreRefusedByTheFirstOfEach() {
        try (DatasetFile chats = file("chats.jsonl", TEXT, TEXT, CHAT, TEXT, CHAT);
                DatasetFile texts = file("texts.jsonl", CHAT, "{'prompt':7}", TEXT)) {
            assertThatThrownBy(() -> prompts(chats, false))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("prompt is a text in " + chats.path() + ":1 and a list of messages in "
                            + chats.path() + ":3")
                    .hasMessageContaining("make two files");
            // What can be left out is no row that is good and of another kind.
            assertThatThrownBy(() -> prompts(texts, true))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("prompt is a text in " + texts.path() + ":3 and a list of messages in "
                            + texts.path() + ":1");
        }
    }

    @Test
    void theKindIsTheFilesAndTwoFilesAreHeldToOne() {
        try (DatasetFile chats = file("chats.jsonl", CHAT, CHAT);
                DatasetFile texts = file("texts.jsonl", TEXT);
                DatasetFile more = file("more.jsonl", TEXT, TEXT)) {
            Prompts chat = prompts(chats, false);
            Prompts text = prompts(texts, false);
            assertThat(chat.chat()).isTrue();
            assertThat(text.chat()).isFalse();
            assertThatCode(() -> text.requireSameKind(prompts(more, false))).doesNotThrowAnyException();
            assertThatThrownBy(() -> text.requireSameKind(chat))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining(
                            chats.path() + ": prompts are lists of messages, and in " + texts.path() + " texts");
        }
    }
}
