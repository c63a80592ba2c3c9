//! The front end `dense` on the host: vectors of texts (hidden states, embeddings) to a model that takes such vectors.
//!
//! vector -> Dense(n -> 11) -> `pi tanh` or min-max -> circuit -> Dense(11 -> classes). [`vectors`](crate::data::vectors) reads the vectors,
//! [`prepared`] joins them with labels and soft labels, [`student`] computes logits and gradients, [`train`](mod@train)
//! descends, [`export`](mod@export) writes the model file.

pub mod config;
pub mod export;
pub mod prepared;
pub mod student;
pub mod train;
