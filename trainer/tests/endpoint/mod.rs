//! `qdllm teach --endpoint` against an HTTP server on loopback whose answers come from a trained student, and which
//! fails by script: rate limits, server errors, time-outs, cut answers, web pages, numbers that are none.
#![cfg(feature = "endpoint")]

mod labels;
mod run;
mod server;
mod thoughts;
mod trouble;
