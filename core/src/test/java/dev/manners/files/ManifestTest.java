package dev.manners.files;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.manners.BadInput;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ManifestTest {

    @TempDir
    Path temp;

    private Path newest = Path.of("");

    @BeforeEach
    void save() {
        for (int number : new int[] {2, 9, 10}) {
            Child.save(temp, number, Steps.NONE);
        }
        newest = temp.resolve("checkpoint-10");
    }

    private void fallsBackSaying(String... reasons) {
        assertThatThrownBy(() -> Manifest.verify(newest))
                .isInstanceOf(BadInput.class)
                .hasMessageContainingAll(reasons);
        List<String> warnings = new ArrayList<>();
        assertThat(Manifest.newestVerified(temp, "checkpoint-", warnings::add)).contains(temp.resolve("checkpoint-9"));
        assertThat(warnings).hasSize(1);
        assertThat(warnings.getFirst()).contains("checkpoint-10").contains(reasons);
    }

    @Test
    void verifiesAndTells() {
        Manifest manifest = Manifest.verify(newest);
        assertThat(manifest.extra().path("step").intValue()).isEqualTo(10);
        assertThat(manifest.sha256())
                .containsOnlyKeys("model.bin", "optimizer.bin", "tokenizer/vocab")
                .containsEntry("model.bin", Sha256.ofText("m10"));
        assertThat(manifest.id()).isEqualTo(Sha256.of(newest.resolve(Manifest.FILE)));
        assertThat(Manifest.newestVerified(temp, "checkpoint-", warning -> {})).contains(newest);
        assertThat(Manifest.newestVerified(temp.resolve("absent"), "checkpoint-", warning -> {}))
                .isEmpty();
    }

    @Test
    void mf15_tr14_flippedBit() throws IOException {
        byte[] bytes = Files.readAllBytes(newest.resolve("optimizer.bin"));
        bytes[5000] ^= 1;
        Files.write(newest.resolve("optimizer.bin"), bytes);
        fallsBackSaying("optimizer.bin: the SHA-256 differs");
    }

    @Test
    void tr14_everyProblemAtOnce() throws IOException {
        Files.writeString(newest.resolve("model.bin"), "m");
        Files.delete(newest.resolve("optimizer.bin"));
        Files.writeString(newest.resolve("pytorch_model.bin"), "slipped in");
        Files.writeString(newest.resolve(".DS_Store"), "the user's own");
        fallsBackSaying(
                "3 problems",
                "model.bin: 1 bytes, the manifest says 3",
                "optimizer.bin: no such file",
                "pytorch_model.bin: not in the manifest");
    }

    @Test
    void tr14_newerFormat() throws IOException {
        Files.writeString(newest.resolve(Manifest.FILE), "{\"format\":2,\"files\":[]}");
        fallsBackSaying("format 2 is newer");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"", "{", "[]", "{}", "{\"format\":\"1\"}", "{\"format\":1}", "{\"format\":1e99,\"files\":[]}"})
    void tr14_brokenManifest(String text) throws IOException {
        Files.writeString(newest.resolve(Manifest.FILE), text);
        fallsBackSaying(Manifest.FILE);
    }

    @Test
    void tr14_noManifest() throws IOException {
        Files.delete(newest.resolve(Manifest.FILE));
        fallsBackSaying("no MANIFEST.json");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"../checkpoint-9/model.bin", "/etc/hostname", "a/../model.bin", "", "a\\\\b", "./model.bin"})
    void aManifestCannotReachOutside(String path) throws IOException {
        Files.writeString(
                newest.resolve(Manifest.FILE),
                "{\"format\":1,\"files\":[{\"path\":\"" + path + "\",\"size\":3,\"sha256\":\"" + Sha256.ofText("m10")
                        + "\"}]}");
        fallsBackSaying("must have a \"path\" in the folder");
    }

    @Test
    void otherNamesAreNotCheckpoints() throws IOException {
        for (String name : List.of(
                "checkpoint-",
                "checkpoint-011",
                "checkpoint-99x",
                "checkpoint-99.tmp-1-1",
                "checkpoint--1",
                "checkpoint-9999999999999999999999")) {
            Files.createDirectory(temp.resolve(name));
        }
        List<String> warnings = new ArrayList<>();
        assertThat(Manifest.newestVerified(temp, "checkpoint-", warnings::add)).contains(newest);
        assertThat(warnings).isEmpty();
    }
}
