package dev.manners.train;

/// Ways to learn from groups of scored completions. They share their rollouts and everything around ([GrpoTrainer]),
/// and
/// differ in what a completion's advantage and loss are.
public sealed interface PolicyGradient permits GrpoConfig, RlooConfig, ReinforceConfig, RaftConfig {

    double learningRate();

    TrainingConfig training();

    RolloutConfig rollout();

    /// Completions of each prompt.
    int numGenerations();

    /// Factor of the KL from the reference; 0: there is no reference.
    double beta();
}
