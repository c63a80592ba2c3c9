//! The student: front end, circuit and head, how they are trained, and how they become a model file.
//!
//! A front end ([`words`], [`dense`]) reads texts; [`distillation`] trains ([`train`](mod@train)), rounds and calibrates;
//! [`export`](mod@export) writes the file.

pub mod adam;
pub mod ansatz;
pub mod backprop;
pub mod calibrate;
pub mod checkpoint;
pub mod dense;
pub mod distillation;
pub mod examples;
pub mod export;
pub mod front_end;
pub mod loss;
pub mod ngram_regression;
pub mod outcome;
pub mod quantise;
pub mod recipe;
pub mod run;
pub mod shape;
pub mod train;
pub mod vocabulary;
pub mod words;
