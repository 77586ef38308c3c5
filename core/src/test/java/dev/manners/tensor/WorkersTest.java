package dev.manners.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class WorkersTest {

    private static final List<Integer> SEVEN = List.of(0, 1, 2, 3, 4, 5, 6);

    private final int threads = LibTorch.threads();

    @BeforeEach
    void three() {
        LibTorch.setThreads(3);
    }

    @AfterEach
    void asBefore() {
        LibTorch.setThreads(threads);
    }

    @Test
    void resultsAreInOrderAndEveryPartHasItsWorker() {
        for (int again = 0; again < 50; again++) {
            assertThat(Workers.map(3, SEVEN, part -> part + " " + Workers.current()))
                    .containsExactly("0 0", "1 1", "2 2", "3 0", "4 1", "5 2", "6 0");
        }
        assertThat(Workers.map(3, List.<Integer>of(), part -> part)).isEmpty();
        assertThat(Workers.current()).isZero();
    }

    @Test
    void partsRunAtTheSameTime() {
        CountDownLatch met = new CountDownLatch(3);
        assertThat(Workers.map(3, List.of(1, 2, 3), part -> {
                    met.countDown();
                    try {
                        return met.await(20, TimeUnit.SECONDS);
                    } catch (InterruptedException e) {
                        return false;
                    }
                }))
                .containsOnly(true);
    }

    @Test
    void aWorkerHasOneThreadAndTheCallerKeepsIts() {
        assertThat(Workers.count()).isEqualTo(3);
        // Also after an operation that is large enough to be shared out.
        assertThat(Workers.map(3, SEVEN, part -> {
                    try (Scope scope = Scope.open()) {
                        int before = Workers.count();
                        Tensor.full(1, DType.F32, 1000, 1000).exp();
                        return before * LibTorch.threads();
                    }
                }))
                .containsOnly(1);
        assertThat(LibTorch.threads()).isEqualTo(3);
    }

    @Test
    void oneWorkerIsTheCaller() {
        Thread caller = Thread.currentThread();
        assertThat(Workers.map(1, SEVEN, part -> Thread.currentThread())).containsOnly(caller);
        assertThat(Workers.map(3, List.of(1), part -> Thread.currentThread())).containsOnly(caller);
    }

    @Test
    void whatTheFirstThatFailsThrewIsThrownWhenAllHaveEnded() {
        AtomicInteger ended = new AtomicInteger();
        assertThatThrownBy(() -> Workers.map(3, SEVEN, part -> {
                    switch (part % 3) {
                        case 0 -> slowly(ended);
                        case 1 -> throw new ArithmeticException("of part " + part);
                        default -> throw new IllegalStateException("of part " + part);
                    }
                    return part;
                }))
                .isInstanceOf(ArithmeticException.class)
                .hasMessage("of part 1");
        assertThat(ended).hasValue(3);
        assertThat(Workers.map(3, SEVEN, part -> part)).isEqualTo(SEVEN);
    }

    private static void slowly(AtomicInteger ended) {
        try {
            Thread.sleep(50);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
        ended.incrementAndGet();
    }

    @Test
    void moreWorkersThanThereAreAreRefused() {
        LibTorch.setThreads(2);
        assertThatThrownBy(() -> Workers.map(3, SEVEN, part -> part))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("3 workers wanted, there are 2");
    }
}
