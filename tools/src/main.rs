//! `qdllm-hw`.

fn main() {}
