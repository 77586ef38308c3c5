package dev.manners.run;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/// Plain lines where there is no terminal, with a clock of our own.
class ProgressTest {

    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private long now = 1_000_000_000_000L;

    private List<String> run(double secondsEach, int steps, int total) {
        try (Progress progress =
                new Progress("sft", new PrintStream(bytes, true, StandardCharsets.UTF_8), false, () -> now)) {
            for (int step = 1; step <= steps; step++) {
                now += (long) (secondsEach * 1e9);
                progress.progress(step, total, Map.of("loss", 2.0 / step, "num_tokens", 1000.0 * step));
            }
        }
        return bytes.toString(StandardCharsets.UTF_8).lines().toList();
    }

    @Test
    void aLineEveryFiveSecondsAndOneAtTheEnd() {
        assertThat(run(2, 10, 10))
                .containsExactly(
                        "sft: 3/10 · loss 0.6667 · 500 tokens/s · 0:14 left",
                        "sft: 6/10 · loss 0.3333 · 500 tokens/s · 0:08 left",
                        "sft: 9/10 · loss 0.2222 · 500 tokens/s · 0:02 left",
                        "sft: 10/10 · loss 0.2000 · 500 tokens/s · 0:00 left");
    }

    @Test
    void timeLeftIsMeasuredFromTheSecondStepBecauseTheFirstWarmsUp() {
        now = 0;
        Progress progress = new Progress("sft", new PrintStream(bytes, true, StandardCharsets.UTF_8), false, () -> now);
        now += Duration.ofSeconds(60).toNanos();
        progress.progress(1, 3601, Map.of());
        now += Duration.ofSeconds(10).toNanos();
        progress.progress(11, 3601, Map.of());
        progress.close();
        assertThat(bytes.toString(StandardCharsets.UTF_8).lines())
                .containsExactly("sft: 1/3601", "sft: 11/3601 · 59:50 left");
    }

    @Test
    void hoursAndThousands() {
        assertThat(run(5, 2, 10_000))
                .last()
                .asString()
                .isEqualTo("sft: 2/10000 · loss 1.0000 · 200 tokens/s · 13:53:10 left");
    }

    @Test
    void whatHappenedIsSaid() {
        try (Progress progress =
                new Progress("sft", new PrintStream(bytes, true, StandardCharsets.UTF_8), false, () -> now)) {
            progress.event("resumed", Map.of("step", 7));
            progress.event("checkpoint_skipped", Map.of("message", "checkpoint-9 is damaged"));
            progress.event("saved", Map.of());
        }
        assertThat(bytes.toString(StandardCharsets.UTF_8).lines())
                .containsExactly("sft: goes on from update 7", "manners: checkpoint-9 is damaged");
    }
}
