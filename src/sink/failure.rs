//! Why a sink did not take what it was given.
//!
//! Must never hold a record.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::audit::TailError;
use crate::outbound::Fault;

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
    /// The receiver could not be asked.
    #[error(transparent)]
    Outbound(#[from] Fault),
    /// The receiver closed the connection.
    #[error("the receiver closed the connection")]
    Closed,
    /// The receiver answered with something else than that it has what it was given.
    #[error("the receiver answered with {answer}")]
    Answer {
        /// Its status, what it says beside it, and what to do.
        answer: String,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// The receiver has what it was given, and does not say whether it keeps it.
    #[error("{missing} of {requests} requests were not acknowledged within {seconds} s")]
    Unacknowledged {
        /// How many were not.
        missing: usize,
        /// Of how many.
        requests: usize,
        /// Within which time.
        seconds: u64,
    },
    /// The receiver takes none of what it is given, and nobody can tell whether that is for what stands there.
    #[error("the receiver takes none of {records} records: {why}")]
    TakesNone {
        /// How many it was given.
        records: usize,
        /// Why it did not take the last one.
        why: String,
    },
    /// What the receiver cannot take cannot be kept.
    #[error("`{}` cannot be written: {source}", path.display())]
    DeadLetters {
        /// Where it would stand.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A witness does not vouch for the journal.
    #[error("the witness: {0}")]
    Witness(String),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] TailError),
    /// This program was built without what it takes.
    #[cfg(not(all(feature = "kafka", feature = "nats")))]
    #[error("this program was built without sinks of `type = \"{0}\"`; build it with `--features {0}`")]
    Unbuilt(&'static str),
    /// No request can be made of the settings.
    #[error("no request can be made: {0}")]
    Request(String),
    /// Nothing came back in time.
    #[error("it did not take anything for {0} s")]
    TooSlow(u64),
}

impl Failure {
    /// How long the receiver asks to be left alone.
    pub(super) fn retry_after(&self) -> Duration {
        match self {
            Self::Answer { retry_after, .. } => retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        }
    }

    /// What an attempt at `doing` makes of an error of the system.
    pub(super) fn doing(doing: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}
