//! The student: front end, circuit and head, how they are trained, and how they become a model file.

pub mod adam;
pub mod ansatz;
pub mod backprop;
pub mod calibrate;
pub mod checkpoint;
pub mod dense;
pub mod distillation;
pub mod encoded;
pub mod export;
pub mod loss;
pub mod ngram_regression;
pub mod quantise;
pub mod shape;
pub mod train;
pub mod vocabulary;
