package dev.manners.train;

import dev.manners.BadInput;
import dev.manners.loss.LogProbs;
import dev.manners.model.Decoder;
import dev.manners.model.Parameter;
import dev.manners.tensor.NoGrad;
import dev.manners.tensor.Scope;
import dev.manners.tensor.Tensor;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/// The reference policy, which the policy may not leave too far: a model of its own, or the policy without its
/// adapters. It has no dropout and is never trained; it may follow the policy (`sync_ref_model`).
final class Reference {

    private final Decoder policy;
    private final @Nullable Decoder own;

    /// @param own a model of its own, or null: the policy without its adapters
    /// @throws BadInput if there is neither
    Reference(Decoder policy, @Nullable Decoder own) {
        if (own == null && policy.lora() == null) {
            throw new BadInput("there is no reference: a policy that is trained in full needs a model of its own beside"
                    + " it, one with adapters is its own without them");
        }
        this.policy = policy;
        this.own = own;
    }

    /// Log-probabilities of completions' tokens.
    LogProbs logProbs(Completions batch, double temperature) {
        if (own != null) {
            return batch.logProbs(own, temperature);
        }
        try (Decoder.AdaptersOff off = policy.withoutAdapters()) {
            return batch.logProbs(policy, temperature);
        }
    }

    /// Refuses a reference that cannot follow the policy.
    ///
    /// @throws BadInput if it is no model of its own, or has other parameters than the policy
    void requireLikePolicy() {
        if (own == null) {
            throw new BadInput("sync_ref_model is true and the reference is the policy without its adapters, which does"
                    + " not move: set it to false, or train in full");
        }
        List<String> different = own.parameters().stream()
                .filter(p -> policy.parameters().stream()
                        .noneMatch(q -> q.name().equals(p.name())
                                && Arrays.equals(q.value().shape(), p.value().shape())))
                .map(Parameter::name)
                .toList();
        if (!different.isEmpty() || policy.lora() != null) {
            throw new BadInput("sync_ref_model is true and the reference "
                    + (different.isEmpty()
                            ? "is beside a policy with adapters, which it cannot take over: train in full"
                            : "is not made like the policy: " + different.size() + " parameters differ, such as "
                                    + different.getFirst())
                    + ", or set it to false");
        }
    }

    /// Takes over a share of the policy: ref ← (1 - α) ref + α policy (Gorbatovski et al. 2024, "Learn your
    /// reference model", arXiv:2404.09656).
    ///
    /// @throws BadInput as [#requireLikePolicy]
    void follow(double alpha) {
        requireLikePolicy();
        Decoder own = Objects.requireNonNull(this.own);
        try (NoGrad off = NoGrad.on();
                Scope scope = Scope.open()) {
            for (Parameter p : own.parameters()) {
                p.value()
                        .detach()
                        .mul_(1 - alpha)
                        .add_(policy.parameter(p.name()).value().detach(), alpha);
            }
        }
        own.refresh();
    }

    /// What a checkpoint needs of a reference that follows.
    Map<String, Tensor> tensors() {
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        if (own != null) {
            own.parameters().forEach(p -> tensors.put("reference." + p.name(), p.value()));
        }
        return tensors;
    }

    /// Takes its parameters' values over, after a checkpoint was read.
    void refresh() {
        if (own != null) {
            own.refresh();
        }
    }
}
