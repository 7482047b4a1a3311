//! Any bytes as a message: what the strict parse accepts and refuses, against `serde_json`.
#![no_main]

#[path = "../bodies/parse.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
