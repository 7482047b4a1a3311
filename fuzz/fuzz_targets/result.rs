//! Any bytes as a result: what is read out of it and rewritten for another revision, and tool definitions.
#![no_main]

#[path = "../bodies/result.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
