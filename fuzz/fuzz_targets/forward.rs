//! Any bytes as the `params` of a call: what is forwarded is what came in, except for what the gateway owns.
#![no_main]

#[path = "../bodies/forward.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
