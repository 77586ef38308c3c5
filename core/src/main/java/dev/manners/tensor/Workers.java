package dev.manners.tensor;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.global.torch;

/// Threads that each compute parts of a batch by themselves, from beginning to end.
///
/// libtorch shares out single operations among its threads, which helps where they are large: those of a small model
/// are over before another thread has begun. Here the batch is shared out instead, and an operation of a worker uses
/// that worker's thread alone. There are as many as libtorch has threads for an operation ([LibTorch#threads()]).
///
/// Which worker computes what does not depend on chance, so that sums are the same in every run.
public final class Workers {

    static {
        LibTorch.load();
    }

    private static final ThreadLocal<Integer> CURRENT = ThreadLocal.withInitial(() -> 0);

    private static final List<Executor> WORKERS = new ArrayList<>();

    private Workers() {}

    /// How many parts can be computed side by side: 1 within a worker.
    public static int count() {
        return torch.get_num_threads();
    }

    /// Number of the worker that this thread is, from 0; also 0 where it is none.
    public static int current() {
        return CURRENT.get();
    }

    /// Computes every part: side by side, or one after the other by the caller where there is one worker.
    ///
    /// @param workers at most [#count()]; part i is computed by worker i mod workers, in order
    /// @return their results, in order
    /// @throws RuntimeException of the workers that failed, what the first one's part threw, when all have ended
    public static <T, R> List<R> map(int workers, List<T> parts, Function<T, R> work) {
        int used = Math.min(workers, parts.size());
        if (used <= 1) {
            return parts.stream().map(work).toList();
        }
        if (used > count()) {
            throw new IllegalArgumentException(used + " workers wanted, there are " + count());
        }
        List<Executor> executors = executors(used);
        List<CompletableFuture<List<R>>> begun = new ArrayList<>();
        for (int w = 0; w < used; w++) {
            int first = w;
            begun.add(CompletableFuture.supplyAsync(
                    () -> {
                        List<R> mine = new ArrayList<>();
                        for (int i = first; i < parts.size(); i += used) {
                            mine.add(work.apply(parts.get(i)));
                        }
                        return mine;
                    },
                    executors.get(w)));
        }
        CompletableFuture.allOf(begun.toArray(CompletableFuture[]::new))
                .exceptionally(failed -> null)
                .join();
        try {
            List<List<R>> ofWorkers =
                    begun.stream().map(CompletableFuture::join).toList();
            return IntStream.range(0, parts.size())
                    .mapToObj(i -> ofWorkers.get(i % used).get(i / used))
                    .toList();
        } catch (CompletionException failed) {
            switch (failed.getCause()) {
                case RuntimeException e -> throw e;
                case Error e -> throw e;
                case null, default -> throw failed;
            }
        }
    }

    private static synchronized List<Executor> executors(int wanted) {
        while (WORKERS.size() < wanted) {
            int threads = LibTorch.threads();
            int number = WORKERS.size();
            Executor worker = Executors.newSingleThreadExecutor(
                    Thread.ofPlatform().name("worker-" + number).daemon().factory());
            CompletableFuture.runAsync(() -> begin(number), worker).join();
            WORKERS.add(worker);
            // Setting a thread's number also sets that of threads to come.
            LibTorch.setThreads(threads);
        }
        return WORKERS;
    }

    private static void begin(int number) {
        CURRENT.set(number);
        // The first question takes over the common number, which would otherwise come later and undo this.
        int common = LibTorch.threads();
        if (common != 1) {
            LibTorch.setThreads(1);
        }
    }
}
