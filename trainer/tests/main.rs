//! Tests of the library and of the program `qdllm`, in one program.

mod bench;
mod compile;
mod controls;
mod data;
mod distill;
mod endpoint;
mod many;
mod metrics;
mod reproduce;
mod soft;
mod teacher;
mod tfidf;
mod vectors;
