package dev.manners.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.manners.testing.NativeMemory;
import java.util.List;
import org.junit.jupiter.api.Test;

/// Who owns a tensor, and when its memory goes.
class ScopeTest {

    private static Tensor made() {
        return Tensor.full(7, DType.F32, 3);
    }

    private static void assertAlive(Tensor tensor) {
        assertThat(tensor.pointer().isNull()).isFalse();
        assertThat(tensor.toFloats()).containsExactly(7, 7, 7);
    }

    private static void assertFreed(Tensor tensor) {
        assertThat(tensor.pointer().isNull()).isTrue();
    }

    @Test
    void closingFreesWhatWasMadeInside() {
        Tensor outside;
        Tensor inside;
        try (Scope outer = Scope.open()) {
            outside = made();
            try (Scope inner = Scope.open()) {
                inside = made();
                assertAlive(inside);
            }
            assertFreed(inside);
            assertAlive(outside);
        }
        assertFreed(outside);
    }

    @Test
    void keepGivesItToTheEnclosingScope() {
        Tensor kept;
        try (Scope outer = Scope.open()) {
            try (Scope middle = Scope.open()) {
                try (Scope inner = Scope.open()) {
                    kept = middle.keep(inner.keep(made()));
                }
                assertAlive(kept);
            }
            assertAlive(kept);
        }
        assertFreed(kept);
    }

    /// One scope further, and not two.
    @Test
    void keepIsOneScopeOnly() {
        Tensor kept;
        try (Scope outer = Scope.open()) {
            try (Scope middle = Scope.open()) {
                try (Scope inner = Scope.open()) {
                    kept = inner.keep(made());
                }
                assertAlive(kept);
            }
            assertFreed(kept);
        }
    }

    @Test
    void keptOutOfTheOutermostItLivesUntilClosed() {
        Tensor kept;
        try (Scope scope = Scope.open()) {
            kept = scope.keep(made());
        }
        assertAlive(kept);
        kept.close();
        assertFreed(kept);
    }

    @Test
    void keepForeverLeavesEveryScope() {
        Tensor direct;
        Tensor afterKeep;
        try (Scope outer = Scope.open()) {
            try (Scope inner = Scope.open()) {
                direct = inner.keepForever(made());
                afterKeep = inner.keep(made());
            }
            outer.keepForever(afterKeep);
        }
        assertAlive(direct);
        assertAlive(afterKeep);
        direct.close();
        afterKeep.close();
        assertFreed(direct);
        assertFreed(afterKeep);
    }

    /// A view keeps the memory it looks at.
    @Test
    void aKeptViewOutlivesItsBase() {
        try (Scope outer = Scope.open()) {
            Tensor view;
            try (Scope inner = Scope.open()) {
                view = inner.keep(Tensor.full(7, DType.F32, 5).narrow(0, 1, 3));
            }
            assertAlive(view);
        }
    }

    /// A scope belongs to its thread: what another makes meanwhile is not freed by it.
    @Test
    void anotherThreadsTensorsAreItsOwn() throws InterruptedException {
        Tensor[] theirs = new Tensor[1];
        try (Scope scope = Scope.open()) {
            Thread thread = new Thread(() -> theirs[0] = made());
            thread.start();
            thread.join();
        }
        assertAlive(theirs[0]);
        theirs[0].close();
    }

    /// By the C library's books: a thousand rounds of everything that makes tensors leave nothing behind.
    @Test
    void nothingIsLeftBehind() {
        assumeThat(NativeMemory.inUse()).as("glibc").isPresent();
        long before = 0;
        for (int round = 0; round < 1200; round++) {
            if (round == 200) {
                before = NativeMemory.inUse().orElseThrow();
            }
            try (Scope outer = Scope.open()) {
                Tensor kept;
                try (Scope inner = Scope.open()) {
                    Tensor x = Tensor.zeros(DType.F32, 100, 100);
                    Tensor y = Tensor.cat(0, List.of(x, x.add(1)))
                            .sort(true)[0]
                            .topk(3)[0]
                            .softmax(-1);
                    kept = inner.keep(y);
                    Tensor forever = inner.keepForever(x.mul(2));
                    forever.close();
                }
                assertThat(kept.toFloats()).hasSize(600);
            }
        }
        // A single tensor of each round would be 40 MB.
        assertThat(NativeMemory.inUse().orElseThrow() - before).isLessThan(4L << 20);
    }
}
