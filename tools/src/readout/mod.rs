//! From measured counts to a decision: expectations, logits, class, and what the shots leave uncertain.
//!
//! Every shot of a circuit gives one value of each read-out word, hence one logit a class; their mean
//! and sample covariance over the shots are the estimate and its statistical error, whatever the
//! words have in common. The circuits of a mixture add up with their weights.
//!
//! [`counts`] holds what was measured and knows the order of the bits, [`mitigation`] undoes known
//! read-out errors, [`decision`] takes the model's last layer to the expectations.

pub mod counts;
pub mod decision;
pub mod mitigation;

pub use counts::{Counts, CountsError};
pub use decision::{Answer, AnswerError, Estimate, LinearHead, Part, answer, expectations};
pub use mitigation::{BitError, Readout};
