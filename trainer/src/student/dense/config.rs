//! Settings of a student with the front end `dense`.

use qdllm_runtime::angles::Squash;
use serde::{Deserialize, Serialize};

use crate::options::Config;

/// Which design is trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// The one that scores best: standardised inputs, dropout and decay, `pi tanh`.
    #[default]
    Product,
    /// arXiv 2505.13205 as its public code has it: Dense, min-max to 0..10 over the sample's 11 features, the circuit,
    /// Dense; loss `(1-a) CE + a T^2 KL + a JS` with T = 2, a = 0.5; Adam.
    Paper,
}

/// How the 11 features become angles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum SquashKind {
    /// `pi tanh(x)`.
    PiTanh,
    /// Min-max of the sample's features to 0..10.
    MinMax,
}

/// The front end `dense`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DenseConfig {
    /// Which design.
    pub preset: Preset,
    /// How features become angles; `None` as the preset has it.
    pub squash: Option<SquashKind>,
    /// Chance that an input is left out in training (product).
    pub dropout: f32,
    /// Decoupled weight decay of the Dense layer (product).
    pub decay: f32,
    /// Learning rate of the Dense layer (product).
    pub rate: f32,
    /// Adam's learning rate for all parameters (paper). The published description gives none.
    pub paper_rate: f32,
}

impl Default for DenseConfig {
    fn default() -> Self {
        Self {
            preset: Preset::Product,
            squash: None,
            // Least validation loss on hidden states with few texts: faster rates overfit within two epochs.
            dropout: 0.5,
            decay: 10.0,
            rate: 0.0003,
            // Of 0.001, 0.003, 0.01 and 0.03 the least mean loss on the parts held out of the paper's three training sets.
            paper_rate: 0.01,
        }
    }
}

/// What training needs, resolved from settings and preset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    /// Features to angles.
    pub squash: Squash,
    /// Whether inputs are standardised on the training vectors.
    pub standardise: bool,
    /// Chance that an input is left out.
    pub dropout: f32,
    /// Decay of the Dense weights.
    pub decay: f32,
    /// Rate of the Dense layer, and of angles and head.
    pub rates: (f32, f32),
    /// Whether rates fall linearly to zero.
    pub falls: bool,
    /// Label smoothing.
    pub smoothing: f32,
    /// The teacher's share of the loss.
    pub alpha: f32,
    /// Temperature of the distillation term.
    pub temperature: f32,
}

impl Recipe {
    /// What the settings come to.
    pub fn new(config: &Config) -> Self {
        let (dense, training) = (&config.dense, &config.training);
        let chosen = dense.squash.map(|squash| match squash {
            SquashKind::PiTanh => Squash::PiTanh,
            SquashKind::MinMax => Squash::MinMax10,
        });
        match dense.preset {
            Preset::Product => Self {
                squash: chosen.unwrap_or(Squash::PiTanh),
                standardise: true,
                dropout: dense.dropout,
                decay: dense.decay,
                rates: (dense.rate, training.heart_rate),
                falls: true,
                smoothing: training.smoothing,
                alpha: training.alpha,
                temperature: training.temperature,
            },
            Preset::Paper => Self {
                squash: chosen.unwrap_or(Squash::MinMax10),
                standardise: false,
                dropout: 0.0,
                decay: 0.0,
                rates: (dense.paper_rate, dense.paper_rate),
                falls: false,
                smoothing: 0.0,
                alpha: 0.5,
                temperature: 2.0,
            },
        }
    }
}
