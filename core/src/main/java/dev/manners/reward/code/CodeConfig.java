package dev.manners.reward.code;

import dev.manners.config.Key;

/// Options of [CodeReward].
public record CodeConfig(
        @Key(value = "What completions are written in: python or java", required = true)
        Language codeLanguage,

        @Key(
                value = "Seconds a candidate may take for all of its tests, compilation included",
                byDefault = "10",
                min = 0.1,
                max = 3600)
        double codeTimeoutSeconds,

        @Key(
                value = "Memory of a candidate and the processes it starts, together, in MiB",
                byDefault = "512",
                min = 64,
                max = 1_000_000)
        int codeMemoryMb,

        @Key(value = "Processes and threads of a candidate, the interpreter's own included", byDefault = "64", min = 32)
        int codeMaxProcesses,

        @Key(
                value = "Bytes a candidate may print and return, together; also the size of its folder",
                byDefault = "4194304",
                min = 65_536,
                max = 1_000_000_000)
        int codeMaxOutputBytes,

        @Key(value = "Candidates that run at once; 0: one for each processor", byDefault = "0", min = 0, max = 1024)
        int codeParallel,

        @Key(
                value = "Seconds for a whole batch; candidates whose turn does not come get no score",
                byDefault = "600",
                min = 1,
                max = 1_000_000)
        double codeBatchTimeoutSeconds,

        @Key(value = "Reward the share of the tests passed instead of all or nothing", byDefault = "false")
        boolean codePartialCredit,

        @Key(
                value = "Run candidates even where this machine cannot keep them from its network and files",
                byDefault = "false")
        boolean codeAllowUnisolated,

        @Key(value = "Python interpreter, a name or a path", byDefault = "python3")
        String codePython) {}
