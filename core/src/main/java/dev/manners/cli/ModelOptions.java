package dev.manners.cli;

import dev.manners.config.Key;
import dev.manners.run.LoadedModel;
import dev.manners.tensor.DType;
import dev.manners.tensor.LibTorch;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/// Which model a command works with.
record ModelOptions(
        @Key(value = "Model directory: config.json, tokenizer.json, model.safetensors", required = true)
        Path model,

        @Key(value = "Adapter directory (PEFT) to attach to the model") @Nullable
        Path adapter,

        @Key(value = "What matrices are multiplied in; auto: bf16 where the processor has it", byDefault = "f32")
        Dtype dtype,

        @Key(value = "Load weights with NaN or infinities all the same", byDefault = "false")
        boolean allowNonfinite,

        @Key(
                value = "Threads of one operation; 0: OMP_NUM_THREADS, or one per processor",
                byDefault = "0",
                min = 0,
                max = 1024)
        int threads) {

    enum Dtype {
        F32,
        BF16,
        AUTO;

        DType resolve() {
            return switch (this) {
                case F32 -> DType.F32;
                case BF16 -> DType.BF16;
                case AUTO -> LibTorch.hasFastBf16() ? DType.BF16 : DType.F32;
            };
        }
    }

    LoadedModel open() {
        useThreads(threads);
        return LoadedModel.open(model, adapter, dtype.resolve(), allowNonfinite);
    }

    static void useThreads(int threads) {
        if (threads > 0) {
            LibTorch.setThreads(threads);
        }
    }
}
