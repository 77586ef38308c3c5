package dev.manners.run;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.jline.utils.Signals;

/// SIGTERM, SIGINT (Ctrl-C) and SIGHUP: the first asks the run to finish its update, save and end; the second ends the
/// process at once. The exit code is 128 plus the signal's number, as shells expect.
///
/// A shutdown hook would hear the first signal too, but could not tell a second one from it, and would see the JVM's
/// own exit as a signal; so the JDK's signal handlers are used, by way of JLine.
public final class Interrupts implements AutoCloseable {

    /// How long a run may take to finish its update and save.
    public static final Duration GRACE = Duration.ofMinutes(5);

    private static final Map<String, Integer> NUMBERS = Map.of("HUP", 1, "INT", 2, "TERM", 15);

    private final AtomicInteger signal = new AtomicInteger();
    private final CountDownLatch ended = new CountDownLatch(1);
    private final Map<String, Object> before = new HashMap<>();

    /// Installs the handlers.
    public static Interrupts install() {
        Interrupts interrupts = new Interrupts();
        // A system without one of them, or a JVM that keeps it for itself, ends the process as usual.
        NUMBERS.forEach((name, number) -> {
            Object handler = Signals.register(name, () -> interrupts.heard(name, number));
            if (handler != null) {
                interrupts.before.put(name, handler);
            }
        });
        return interrupts;
    }

    void heard(String name, int number) {
        if (!signal.compareAndSet(0, number)) {
            Runtime.getRuntime().halt(128 + number);
        }
        System.err.println();
        System.err.println("manners: SIG" + name
                + ": finishing the update and saving; once more ends at once, losing what is not saved");
        Thread.ofPlatform().daemon().start(() -> {
            try {
                if (!ended.await(GRACE.toSeconds(), TimeUnit.SECONDS)) {
                    Runtime.getRuntime().halt(128 + number);
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
    }

    /// Thrown where there is nothing to save and nobody to return to: amid the tokenising of rows.
    static final class Stopped extends RuntimeException {
        private static final long serialVersionUID = 1L;
    }

    /// @throws Stopped if the run was asked to end
    void stopIfRequested() {
        if (requested()) {
            throw new Stopped();
        }
    }

    /// Whether the run was asked to end.
    public boolean requested() {
        return signal.get() != 0;
    }

    /// Exit code for a run that was asked to end; 0 if it was not.
    public int exitCode() {
        return signal.get() == 0 ? 0 : 128 + signal.get();
    }

    /// Signals do again what they did before.
    @Override
    public void close() {
        ended.countDown();
        before.forEach(Signals::unregister);
        before.clear();
    }
}
