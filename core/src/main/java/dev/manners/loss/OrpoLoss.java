package dev.manners.loss;

import dev.manners.tensor.DType;
import dev.manners.tensor.Tensor;

/// Odds ratio preference optimisation: imitation of the chosen, and a term that tells it from the rejected,
///
///     L = NLL(y₊) - β log σ(log odds(y₊) - log odds(y₋)),   odds = p / (1 - p),   log p = mean over tokens
///
/// The NLL is that of the chosen completion's tokens (equation 6 of the paper). TRL's ORPOTrainer has the
/// prompt's tokens in it as well.
///
/// Source: Hong et al. 2024, arXiv:2403.07691.
public final class OrpoLoss {

    /// The odds of p = 1 are infinite; in F32 log p is no nearer to 0 than this unless it is 0.
    private static final double NEAREST = -1e-7;

    private OrpoLoss() {}

    /// @param logps log-probabilities of tokens, [M], a leaf
    /// @param segments the completions' tokens: chosen and rejected of the first pair, of the second, ...
    /// @param window pairs, and chosen tokens, of the whole update
    public static Loss of(Tensor logps, Segments segments, Window window, double beta) {
        Tensor sums = segments.sums(logps); // [2P]
        Pairs completions = Pairs.of(sums.div(segments.lengths()));
        Pairs logOdds = Pairs.of(logOdds(sums.div(segments.lengths())));
        Tensor delta = logOdds.chosen().sub(logOdds.rejected()); // [P]
        Tensor ratio = delta.logSigmoid();
        Tensor nll = Pairs.of(sums).chosen().sum().mul(-1 / window.tokens());
        Tensor loss = nll.sub(ratio.sum().mul(beta / window.rows()));

        Tally metrics = new Tally();
        completions.rewards(metrics, beta);
        completions.logps(metrics);
        double pairs = delta.numel();
        metrics.sum("nll_loss", nll.item())
                .mean("log_odds_ratio", ratio.detach().sum().item(), pairs)
                .mean("log_odds_chosen", delta.detach().sum().item(), pairs);
        return new Loss(loss, metrics);
    }

    /// log p - log(1 - p). Each way to write log(1 - e^x) is used where it is exact; the other gets a harmless
    /// argument, as its gradient is multiplied by 0 and may not be infinite.
    private static Tensor logOdds(Tensor logp) {
        double middle = -Math.log(2);
        Tensor x = logp.clamp(Double.NEGATIVE_INFINITY, NEAREST);
        Tensor small = x.clamp(Double.NEGATIVE_INFINITY, middle).exp().neg().log1p();
        Tensor large = x.clamp(middle, NEAREST).expm1().neg().log();
        Tensor is = x.detach().lt(middle).to(DType.F32);
        return logp.sub(small.mul(is).add(large.mul(is.neg().add(1))));
    }
}
