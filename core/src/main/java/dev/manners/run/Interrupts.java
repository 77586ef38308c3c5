package dev.manners.run;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import sun.misc.Signal;

/// SIGTERM, SIGINT (Ctrl-C) and SIGHUP: the first asks the run to finish its update, save and end; the second ends the
/// process at once. The exit code is 128 plus the signal's number, as shells expect.
///
/// A shutdown hook would hear the first signal too, but could not tell a second one from it, and would see the JVM's
/// own exit as a signal; so the JDK's signal handlers (`sun.misc.Signal`, supported in jdk.unsupported) are used.
public final class Interrupts implements AutoCloseable {

    /// How long a run may take to finish its update and save.
    public static final Duration GRACE = Duration.ofMinutes(5);

    private final AtomicInteger signal = new AtomicInteger();
    private final CountDownLatch ended = new CountDownLatch(1);

    /// Installs the handlers.
    public static Interrupts install() {
        Interrupts interrupts = new Interrupts();
        for (String name : new String[] {"TERM", "INT", "HUP"}) {
            try {
                Signal.handle(new Signal(name), interrupts::heard);
            } catch (IllegalArgumentException e) {
                // This system has no such signal, or the JVM keeps it for itself: then it ends the process as usual.
                continue;
            }
        }
        return interrupts;
    }

    private void heard(Signal heard) {
        if (!signal.compareAndSet(0, heard.getNumber())) {
            Runtime.getRuntime().halt(128 + heard.getNumber());
        }
        System.err.println();
        System.err.println("manners: SIG" + heard.getName()
                + ": finishing the update and saving; once more ends at once, losing what is not saved");
        Thread.ofPlatform().daemon().start(() -> {
            try {
                if (!ended.await(GRACE.toSeconds(), TimeUnit.SECONDS)) {
                    Runtime.getRuntime().halt(128 + heard.getNumber());
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
    }

    /// Whether the run was asked to end.
    public boolean requested() {
        return signal.get() != 0;
    }

    /// Exit code for a run that was asked to end; 0 if it was not.
    public int exitCode() {
        return signal.get() == 0 ? 0 : 128 + signal.get();
    }

    @Override
    public void close() {
        ended.countDown();
    }
}
