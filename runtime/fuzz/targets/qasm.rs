//! `qdllm_fuzz::qasm` on whatever libFuzzer makes of the corpus.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| qdllm_fuzz::qasm(data));
