package dev.manners.train;

/// What turns gradients into updates. The first has transformers' name.
public enum Optim {
    /// AdamW for every parameter.
    ADAMW_TORCH_FUSED,

    /// [Muon] for the matrices of the layers, AdamW for all else.
    MUON
}
