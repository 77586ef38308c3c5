package dev.manners.train;

import dev.manners.config.Checked;

/// Options of a trainer that learns from preferences: from pairs, or from completions found good or bad.
public sealed interface PreferenceConfig extends Checked permits DpoConfig, CpoConfig, OrpoConfig, KtoConfig {

    double learningRate();

    TrainingConfig training();

    /// Longest prompt and completion together, in tokens; 0 for no limit.
    int maxLength();

    /// Whether it is against a reference policy.
    default boolean hasReference() {
        return true;
    }

    /// Whether the reference follows the policy.
    default boolean syncRefModel() {
        return false;
    }
}
