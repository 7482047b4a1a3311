//! Posting to receivers that the operator named: of records, and of traces. One client for all of them, and what the
//! forms of OpenTelemetry have in common.
//!
//! Must never know what is sent, nor decide what becomes of it. Must never show a credential (I10): headers go to the
//! receiver and nowhere else.

mod client;
mod fault;
pub mod otlp;
mod request;

pub use client::{Client, Response, SAID_BYTES_MAX, said};
pub use fault::Fault;
pub use request::{Compression, post};
