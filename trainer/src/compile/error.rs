//! Why nothing was compiled.

use thiserror::Error;

/// Fewest texts that can be calibrated with and reported on.
pub const LEAST_TEXTS: usize = 20;

#[derive(Debug, Error)]
pub enum CompileError {
    /// The share asked for is no share.
    #[error("--agreement is {0}; give more than 0, at most 1, for example 0.999")]
    Agreement(f64),
    /// Too few texts to calibrate and to report on.
    #[error(
        "{0} texts; at least {LEAST_TEXTS} are needed: half are fitted, a quarter chooses, a quarter is reported on"
    )]
    TooFewTexts(usize),
    #[error(
        "no {what} agrees on {asked} of the texts; the best found, {best}, agrees on {reached:.4} of {texts} texts. Ask for less with --agreement {floor:.4}"
    )]
    OutOfReach {
        /// The kind of back end, with its limit.
        what: String,
        asked: f64,
        best: String,
        /// Its share on the texts reported on.
        reached: f64,
        floor: f64,
        texts: usize,
    },
    /// The circuit is too entangled for an exact train.
    #[error(
        "the exact train has a bond of {widest}, wider than the {} that the runtime takes; compile a truncated one with --agreement",
        qdllm_runtime::compiled::tensor_train::MAX_BOND
    )]
    TooWide { widest: usize },
    /// The runtime refuses a text or the result.
    #[error(transparent)]
    Runtime(#[from] qdllm_runtime::Error),
}
