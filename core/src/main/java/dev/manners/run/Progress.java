package dev.manners.run;

import dev.manners.train.Tracker;
import java.io.PrintStream;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.function.LongSupplier;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;

/// Shows how far a stage is: on a terminal a bar, elsewhere a plain line every few seconds. Stage, steps, loss,
/// tokens per second, time left. Times are read from a monotonic clock.
public final class Progress implements Tracker, AutoCloseable {

    private static final long EVERY = Duration.ofSeconds(5).toNanos();

    private final String stage;
    private final PrintStream out;
    private final boolean terminal;
    private final LongSupplier clock;
    private final long began;
    private long said;
    private long firstStep = -1;
    private long firstTime;
    private double firstTokens;
    private @Nullable ProgressBar bar;

    /// Progress of a stage on standard error.
    @SuppressWarnings("SystemConsoleNull") // it is null again from JDK 25 on
    public static Progress of(String stage) {
        return new Progress(
                stage, System.err, System.console() != null && System.console().isTerminal(), System::nanoTime);
    }

    Progress(String stage, PrintStream out, boolean terminal, LongSupplier clock) {
        this.stage = stage;
        this.out = out;
        this.terminal = terminal;
        this.clock = clock;
        this.began = clock.getAsLong();
        this.said = began;
    }

    @Override
    public void progress(long step, long total, Map<String, Double> shown) {
        long now = clock.getAsLong();
        double tokens = shown.getOrDefault("num_tokens", 0.0);
        if (firstStep < 0) {
            // The first step warms up: speed and time left are measured from here.
            firstStep = step;
            firstTime = now;
            firstTokens = tokens;
        }
        double seconds = (now - firstTime) / 1e9;
        long steps = step - firstStep;
        String speed = steps > 0 && tokens > firstTokens
                ? String.format(Locale.ROOT, " · %,.0f tokens/s", (tokens - firstTokens) / seconds)
                : "";
        String left = steps > 0 ? " · " + clock(seconds / steps * (total - step)) + " left" : "";
        String loss = shown.containsKey("loss") ? String.format(Locale.ROOT, " · loss %.4f", shown.get("loss")) : "";
        if (terminal) {
            if (bar == null) {
                bar = new ProgressBarBuilder()
                        .setTaskName(stage)
                        .setInitialMax(total)
                        .setStyle(ProgressBarStyle.UNICODE_BLOCK)
                        .setUpdateIntervalMillis(200)
                        .hideEta()
                        .build();
            }
            bar.stepTo(step);
            bar.setExtraMessage(loss + speed + left);
            if (step == total) {
                close();
            }
        } else if (now - said >= EVERY || step == total) {
            said = now;
            out.println(stage + ": " + step + "/" + total + loss + speed + left);
        }
    }

    @Override
    public void event(String name, Map<String, ?> details) {
        switch (name) {
            case "resumed" -> out.println(stage + ": goes on from update " + details.get("step"));
            case "checkpoint_skipped", "kl_of_one_prompt" -> out.println("manners: " + details.get("message"));
            default -> {}
        }
    }

    private static String clock(double seconds) {
        long s = Math.round(seconds);
        return s >= 3600
                ? String.format(Locale.ROOT, "%d:%02d:%02d", s / 3600, s / 60 % 60, s % 60)
                : String.format(Locale.ROOT, "%d:%02d", s / 60, s % 60);
    }

    @Override
    public void close() {
        if (bar != null) {
            bar.close();
            bar = null;
        }
    }
}
