package dev.manners.loss;

import dev.manners.tensor.DType;
import dev.manners.tensor.Tensor;

/// The two losses of PPO, each a mean over all tokens of the update. Tokens are actions, and have advantages of
/// their own.
///
/// Source: Schulman et al. 2017, arXiv:1707.06347; the clipped value loss and all names as TRL's PPOTrainer (its
/// last version, 1.10), which follows OpenAI's lm-human-preferences. Means leave masked tokens out; TRL's
/// `approxkl` and `ratio` did not.
public final class PpoLoss {

    private PpoLoss() {}

    /// -min(ρ A, clip(ρ, 1 - ε, 1 + ε) A), mean over tokens. Also the loss of REINFORCE++, with
    /// [Advantages#reinforcePlusPlus].
    ///
    /// @param logps under the policy, [M], a leaf
    /// @param oldLogps under the policy that sampled, [M]
    /// @param advantages of each token, [M]
    /// @param window tokens of the whole update
    public static Loss policy(
            Tensor logps, Segments segments, Tensor oldLogps, Tensor advantages, double cliprange, Window window) {
        Tensor logRatio = segments.kept(logps).sub(segments.kept(oldLogps)); // [K]
        Tensor ratio = logRatio.exp();
        Tensor advantage = segments.kept(advantages);
        Tensor free = ratio.mul(advantage).neg();
        Tensor clipped =
                ratio.clamp(1 - cliprange, 1 + cliprange).mul(advantage).neg();
        Tensor loss = free.maximum(clipped).sum().mul(1 / window.tokens());

        int n = segments.tokens();
        double clips = count(free.detach().lt(clipped.detach()));
        double approxkl = logRatio.detach().square().sum().item() / 2;
        return new Loss(
                loss,
                new Tally()
                        .sum("loss/policy_avg", loss.item())
                        .mean("policy/approxkl_avg", approxkl, n)
                        .mean("policy/clipfrac_avg", clips, n)
                        .mean("val/ratio", ratio.detach().sum().item(), n));
    }

    /// ½ max((V - R)², (clip(V, V_old - ε, V_old + ε) - R)²), mean over tokens, before `vf_coef`.
    ///
    /// @param values of the value function now, [M], a leaf
    /// @param oldValues when the completions were sampled, [M]
    /// @param returns what it should have said, [M]
    /// @param window tokens of the whole update
    public static Loss value(
            Tensor values, Segments segments, Tensor oldValues, Tensor returns, double cliprangeValue, Window window) {
        Tensor value = segments.kept(values); // [K]
        Tensor old = segments.kept(oldValues);
        Tensor wanted = segments.kept(returns);
        Tensor near = value.maximum(old.add(-cliprangeValue)).minimum(old.add(cliprangeValue));
        Tensor free = value.sub(wanted).square();
        Tensor clipped = near.sub(wanted).square();
        Tensor loss = free.maximum(clipped).sum().mul(0.5 / window.tokens());
        return new Loss(
                loss,
                new Tally()
                        .sum("loss/value_avg", loss.item())
                        .mean("val/clipfrac_avg", count(free.detach().lt(clipped.detach())), segments.tokens()));
    }

    private static double count(Tensor holds) {
        return holds.to(DType.F32).sum().item();
    }
}
