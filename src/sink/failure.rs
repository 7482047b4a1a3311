//! Why a sink did not take what it was given.
//!
//! Must never hold a record.

use std::io;

/// It is tried again, from the first record that was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The system or the network refused.
    #[error("{doing}: {source}")]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// TLS could not be set up.
    #[error("no TLS: {0}")]
    Tls(String),
    /// The receiver closed the connection.
    #[error("the receiver closed the connection")]
    Closed,
    /// Nothing came back in time.
    #[error("it did not take anything for {0} s")]
    TooSlow(u64),
}

impl Failure {
    /// What an attempt at `doing` makes of an error of the system.
    pub(super) fn doing(doing: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}
