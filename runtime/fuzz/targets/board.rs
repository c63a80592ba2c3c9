//! `qdllm_fuzz::board::board` on whatever libFuzzer makes of the corpus.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|data: &[u8]| qdllm_fuzz::board::board(data));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let room = max_size.min(data.len());
    qdllm_fuzz::board::mutate(&mut data[..room], size, seed, |bytes, size| {
        let room = bytes.len();
        fuzzer_mutate(bytes, size, room)
    })
});
