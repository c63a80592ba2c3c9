//! What the training loop needs, resolved from settings, front end and preset.

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    pub seed: u64,
    pub batch_size: usize,
    /// Epochs without a better validation loss after which training stops, unless a fifth of all is more.
    pub patience: usize,
    /// Chance that a part of a text's input is left out.
    pub dropout: f32,
    /// Decoupled decay of the front end's weights.
    pub weight_decay: f32,
    /// Learning rate of the front end's weights.
    pub lr: f32,
    /// Learning rate of angles, biases and head.
    pub circuit_lr: f32,
    /// Whether learning rates fall linearly to zero over the whole run.
    pub falls: bool,
    pub smoothing: f32,
    pub alpha: f32,
    pub temperature: f32,
}
