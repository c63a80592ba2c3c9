//! Language models run here: decoders and encoders on weights that are read from a file or a folder.

pub mod batching;
pub mod causal_lm;
pub mod classifier;
pub mod config;
pub mod decoder;
pub mod encoder;
#[cfg(feature = "hub")]
pub mod hub;
pub mod layers;
pub mod linear;
pub mod load;
pub mod lora;
pub mod parameters;
pub mod pretrained;
pub mod prompt;
pub mod sentence_encoder;
pub mod token_batch;
pub mod tokenizer;
pub mod weights;
