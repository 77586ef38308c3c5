package dev.manners.train;

import dev.manners.config.Checked;
import dev.manners.config.Key;
import dev.manners.loss.KlController;
import dev.manners.loss.KlEstimator;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Options of PPO: names and defaults of TRL's `PPOConfig` (its last version, 1.10) and, for the adaptive controller,
/// of its `PPOConfig` before that.
///
/// A step samples `per_device_train_batch_size × gradient_accumulation_steps` completions and makes
/// `num_ppo_epochs × num_mini_batches` updates with them; `max_steps`, `logging_steps` and their like count steps.
public record PpoConfig(
        @Key(value = "Step size at its highest", byDefault = "3e-6", min = 0, aboveMin = true, max = 10)
        double learningRate,

        TrainingConfig training,

        @Key(value = "Completions sampled in all; -1: as many as max_steps or num_train_epochs take", byDefault = "-1")
        long totalEpisodes,

        @Key(value = "Times each step's completions are gone through", byDefault = "4", min = 1)
        int numPpoEpochs,

        @Key(value = "Updates each time", byDefault = "1", min = 1)
        int numMiniBatches,

        @Key(value = "Longest completion in tokens", byDefault = "53", min = 1)
        int responseLength,

        @Key(
                value = "Temperature of sampling, and of every log-probability",
                byDefault = "0.7",
                min = 0,
                aboveMin = true)
        double temperature,

        @Key(value = "Subtracted from the score of a completion that was cut off", min = 0) @Nullable
        Double missingEosPenalty,

        @Key(value = "Factor of the KL penalty in the reward", byDefault = "0.05", min = 0)
        double klCoef,

        @Key(value = "Estimator of each token's KL from the reference", byDefault = "k1")
        KlEstimator klEstimator,

        @Key(value = "Move kl_coef so that the KL stays near target", byDefault = "false")
        boolean adapKlCtrl,

        @Key(value = "KL of a whole completion to hold, nats", byDefault = "6", min = 0, aboveMin = true)
        double target,

        @Key(
                value = "Completions over which the adaptive controller would double kl_coef",
                byDefault = "10000",
                min = 0,
                aboveMin = true)
        double horizon,

        @Key(value = "Clip range of the probability ratio", byDefault = "0.2", min = 0, aboveMin = true)
        double cliprange,

        @Key(value = "Factor of the value function's loss", byDefault = "0.1", min = 0)
        double vfCoef,

        @Key(value = "Clip range of the value function's change", byDefault = "0.2", min = 0, aboveMin = true)
        double cliprangeValue,

        @Key(value = "Discount per token", byDefault = "1", min = 0, max = 1)
        double gamma,

        @Key(value = "λ of generalised advantage estimation", byDefault = "0.95", min = 0, max = 1)
        double lam,

        @Key(value = "Make the variance of the tokens' rewards 1", byDefault = "false")
        boolean whitenRewards,

        @Key(value = "Which token is given the score", byDefault = "last_token")
        RewardPlacement rewardPlacement,

        @Key(
                value = "Write a step's completions with rewards and advantages to samples.jsonl, every logging_steps",
                byDefault = "true")
        boolean logCompletions,

        @Key(value = "End the run when an alarm has held for long enough", byDefault = "false")
        boolean stopOnAlarm)
        implements Checked {

    /// Where the score goes.
    public enum RewardPlacement {
        /// On the completion's last token: the stop token, or the last before it was cut off.
        LAST_TOKEN,
        /// On the first padding behind the stop token, which is kept alive for it, as in TRL and in OpenAI's code
        /// (trl#3750). For comparisons.
        TRL
    }

    @Override
    public List<String> problems() {
        List<String> problems = new ArrayList<>();
        if (episodes() % numMiniBatches != 0) {
            problems.add("num_mini_batches is " + numMiniBatches + " and a step has " + episodes()
                    + " completions (per_device_train_batch_size × gradient_accumulation_steps): it must divide them");
        }
        if (episodes() < 2) {
            problems.add("a step has 1 completion; advantages need 2 at least to be compared: raise"
                    + " per_device_train_batch_size or gradient_accumulation_steps");
        }
        if (adapKlCtrl && klCoef == 0) {
            problems.add("adap_kl_ctrl is true and kl_coef 0: a controller that multiplies cannot leave 0");
        }
        if (adapKlCtrl && episodes() >= 5 * horizon) {
            problems.add("horizon is " + horizon + " and a step has " + episodes()
                    + " completions: expected more than a fifth of them, or a step could turn the sign of kl_coef");
        }
        if (totalEpisodes >= 0 && training.maxSteps() >= 0) {
            problems.add("total_episodes and max_steps are both given: choose one");
        }
        return problems;
    }

    /// Completions of a step.
    public int episodes() {
        return training.perDeviceTrainBatchSize() * training.gradientAccumulationSteps();
    }

    /// Steps of the whole run.
    ///
    /// @param prompts in an epoch
    long totalSteps(int prompts) {
        return totalEpisodes >= 0
                ? Math.ceilDiv(totalEpisodes, episodes())
                : training.totalSteps(Math.max(1, prompts / episodes()));
    }

    KlController controller() {
        return adapKlCtrl ? new KlController.Adaptive(klCoef, target, horizon) : new KlController.Fixed(klCoef);
    }
}
