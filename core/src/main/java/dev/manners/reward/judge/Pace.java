package dev.manners.reward.judge;

import java.time.Duration;

/// When the next request may be sent: evenly spaced, and not before a server that was too busy says.
final class Pace {

    private final long spacing;
    private long next = System.nanoTime();

    /// @param perMinute 0: as fast as asked
    Pace(double perMinute) {
        this.spacing = perMinute == 0 ? 0 : (long) (60e9 / perMinute);
    }

    void await() throws InterruptedException {
        long wait;
        synchronized (this) {
            long now = System.nanoTime();
            if (next - now < 0) {
                next = now;
            }
            wait = next - now;
            next += spacing;
        }
        if (wait > 0) {
            Thread.sleep(Duration.ofNanos(wait));
        }
    }

    synchronized void holdFor(Duration time) {
        long until = System.nanoTime() + time.toNanos();
        if (until - next > 0) {
            next = until;
        }
    }
}
