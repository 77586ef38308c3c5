package dev.manners.files;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.manners.BadInput;
import java.io.BufferedReader;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DirectoryLockTest {

    @TempDir
    Path temp;

    @Test
    void tr13_aSecondProcessIsRefusedAndADeadOneForgotten() throws Exception {
        Process child = Child.start("lock", temp.toString());
        try (BufferedReader output = Child.output(child)) {
            assertThat(output.readLine()).isEqualTo("locked");
            for (int attempt = 0; attempt < 2; attempt++) {
                assertThatThrownBy(() -> DirectoryLock.acquire(temp))
                        .isInstanceOf(BadInput.class)
                        .hasMessageContaining("in use by process " + child.pid() + " on ")
                        .hasMessageContaining("started 20");
            }
        } finally {
            child.destroyForcibly().waitFor();
        }
        assertThat(Files.readString(temp.resolve(DirectoryLock.FILE))).contains("" + child.pid());
        try (DirectoryLock lock = DirectoryLock.acquire(temp)) {
            assertThat(lock).isNotNull();
            assertThat(Files.readString(temp.resolve(DirectoryLock.FILE)))
                    .contains("" + ProcessHandle.current().pid());
        }
    }

    /// Trying a second time must not give up the first lock, which is what closing a second handle does on Linux.
    @Test
    void tr13_theSameProcessIsRefusedAndKeepsItsLock() throws Exception {
        try (DirectoryLock lock = DirectoryLock.acquire(temp)) {
            assertThat(lock).isNotNull();
            assertThatThrownBy(() -> DirectoryLock.acquire(temp.resolve("../" + temp.getFileName())))
                    .isInstanceOf(BadInput.class)
                    .hasMessageContaining("this same process");
            Process child = Child.start("lock", temp.toString());
            assertThat(child.waitFor()).isEqualTo(1);
        }
        DirectoryLock.acquire(temp).close();
    }

    @Test
    void aLinkInPlaceOfTheLockFileIsNotFollowedToADevice() throws Exception {
        Files.createSymbolicLink(temp.resolve(DirectoryLock.FILE), Path.of("/dev/zero"));
        assertThatThrownBy(() -> DirectoryLock.acquire(temp))
                .isInstanceOf(BadInput.class)
                .hasMessageContaining("not a regular file");
    }
}
