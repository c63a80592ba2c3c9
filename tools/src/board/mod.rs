//! Talks to a board: a port, the protocol's client over it, and the transfer of a model.

pub mod client;
pub mod error;
pub mod port;
pub mod transfer;

pub use client::Client;
pub use error::BoardError;
pub use port::{Link, Port};
