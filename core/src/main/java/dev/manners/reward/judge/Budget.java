package dev.manners.reward.judge;

/// What may be spent and what was. Before a request is sent, the most it can cost is set aside, so that requests under
/// way together do not overdraw it.
final class Budget {

    private final JudgeConfig config;
    private double reserved;
    private int underWay;
    private long inputTokens;
    private long outputTokens;

    Budget(JudgeConfig config) {
        this.config = config;
    }

    /// Cost of that many tokens.
    double cost(long input, long output) {
        return input * config.judgeInputPrice() / 1e6 + output * config.judgeOutputPrice() / 1e6;
    }

    /// @return whether it is within the budget; then it is set aside until [#settle]
    synchronized boolean reserve(long input, long output) throws InterruptedException {
        double most = cost(input, output);
        while (config.judgeMaxCost() > 0 && spent() + reserved + most > config.judgeMaxCost()) {
            if (underWay == 0) {
                return false;
            }
            wait();
        }
        underWay++;
        reserved += most;
        return true;
    }

    /// What was set aside became this.
    synchronized void settle(long input, long output, long usedInput, long usedOutput) {
        underWay--;
        reserved = underWay == 0 ? 0 : reserved - cost(input, output);
        inputTokens += usedInput;
        outputTokens += usedOutput;
        notifyAll();
    }

    synchronized double spent() {
        return cost(inputTokens, outputTokens);
    }

    synchronized long inputTokens() {
        return inputTokens;
    }

    synchronized long outputTokens() {
        return outputTokens;
    }
}
