//! Why a receiver could not be asked.
//!
//! Must never hold what was to be sent.

use std::io;

/// Nothing came back that could be understood.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// TLS could not be set up.
    #[error("no TLS: {0}")]
    Tls(String),
    /// The connection could not be made, or broke.
    #[error("the connection: {0}")]
    Connection(String),
    /// No request can be made of the settings.
    #[error("no request can be made: {0}")]
    Request(String),
    /// The body could not be packed.
    #[error("compressing: {0}")]
    Packing(io::Error),
    /// Nothing came back in time.
    #[error("it did not take anything for {0} s")]
    TooSlow(u64),
}
