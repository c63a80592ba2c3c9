//! The circuit as a tensor train: how it is factored, ordered, fitted to texts, rounded and stored.

pub mod chain;
pub mod error_bound;
pub mod gauge;
pub mod least_squares;
pub mod mode_order;
pub mod quantise;
pub mod search;
pub mod svd;
pub mod whitening;

pub use search::{exact, exact_train, truncated};
