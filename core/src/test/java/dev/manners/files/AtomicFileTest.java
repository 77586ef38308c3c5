package dev.manners.files;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AtomicFileTest {

    @TempDir
    Path temp;

    @Test
    void sha256OfKnownTexts() throws IOException {
        String abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assertThat(Sha256.ofText("abc")).isEqualTo(abc);
        assertThat(Sha256.of(Files.writeString(temp.resolve("abc"), "abc"))).isEqualTo(abc);
        assertThat(Sha256.of(new byte[0]))
                .isEqualTo("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    @Test
    void writesAndReplaces() {
        Path file = temp.resolve("state.json");
        AtomicFile.write(file, "one");
        AtomicFile.write(file, "zwei \u00fc");
        assertThat(file).hasContent("zwei \u00fc");
        assertThat(temp).isDirectoryContaining("glob:**/state.json");
        assertThat(temp.toFile().list()).hasSize(1);
    }

    @Test
    void tr03_whateverStepFailsTheFileIsAsItWas() throws IOException {
        Path file = temp.resolve("state.json");
        List<String> steps = new ArrayList<>();
        AtomicFile.write(file, out -> out.write(ByteBuffer.wrap(new byte[] {'1'})), (step, path) -> steps.add(step));
        assertThat(steps).containsExactly("write", "fsync", "rename", "fsync");
        for (int n = 0; n < 3; n++) {
            int[] left = {n};
            assertThatThrownBy(() -> AtomicFile.write(
                            file, out -> out.write(ByteBuffer.wrap(new byte[] {'2'})), (step, path) -> {
                                if (left[0]-- == 0) {
                                    throw new IOException("disk on fire");
                                }
                            }))
                    .isInstanceOf(CannotWrite.class)
                    .hasMessageContaining("state.json: cannot be saved: disk on fire");
            assertThat(file).hasContent("1");
            assertThat(temp.toFile().list()).hasSize(1);
        }
    }

    @Test
    void tr05_folderIsGone() {
        assertThatThrownBy(() -> AtomicFile.write(temp.resolve("gone/state.json"), "x"))
                .isInstanceOf(CannotWrite.class)
                .hasMessageContaining("no such file or folder");
    }
}
