//! How a forwarded call, or the start of an instance, went wrong.
//!
//! Must never claim that a call was not executed once a byte of it may have reached the upstream, nor
//! hold a credential. It trusts nothing an upstream said: what is quoted is bounded.

use bytes::Bytes;

use crate::model::reason::Reason;
use crate::model::text::{Bounded, printable, with_causes};
use crate::spool::Rest;

/// Bound of what is quoted of an upstream or of the system in a failure, in bytes.
pub const DETAIL_BYTES_MAX: usize = 256;

/// Why no answer came back that may be handed on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The upstream could not be started or reached; it got nothing of the call.
    #[error("the tool server cannot be reached: {0}")]
    Unavailable(Detail),
    /// The upstream failed so often that it is left alone for a while; it got nothing of the call.
    #[error("the tool server failed repeatedly and is left alone for a while")]
    Broken,
    /// Every instance that the upstream may have is in use by others; it got nothing of the call.
    #[error("the tool server has no free instance")]
    InstancesFull,
    /// The gateway is stopping; the upstream got nothing of the call.
    #[error("the gateway is shutting down")]
    Draining,
    /// What the upstream offers under this name is not what was decided on; it got nothing of the call.
    #[error("the definition of the tool changed since the call was decided")]
    PinChanged,
    /// The upstream no longer offers the tool; it got nothing of the call.
    #[error("the tool server no longer offers this tool")]
    Vanished,
    /// No whole answer within the deadline of the call.
    #[error("the tool server did not answer in time")]
    Timeout(Executed),
    /// The upstream went away before it answered.
    #[error("the tool server went away: {0}")]
    Closed(Detail),
    /// What came back is not a valid answer; it is withheld.
    #[error("the answer of the tool server is not valid: {0}")]
    Invalid(Detail),
    /// The answer is larger than `result_max`; it is withheld.
    #[error("the answer of the tool server is larger than `result_max`")]
    TooLarge,
    /// The answer is too large for memory and could not be kept on disk; it is withheld.
    #[error("the answer of the tool server could not be kept on disk: {0}")]
    Unkept(Detail),
    /// The upstream wants input before it answers, which it is not given.
    #[error("the tool server wants input that it is not given")]
    InputRequired,
    /// The upstream wants input, and nobody gave it in time.
    #[error("nobody gave the tool server the input that it wants")]
    Abandoned,
    /// The upstream answered that it answers later, which its client does not take.
    #[error("the tool server made a task of the call")]
    TaskMade,
    /// The upstream does not tell of changes of the resource.
    #[error("the tool server does not tell of changes of this resource")]
    NotWatched(Executed),
    /// The caller cancelled.
    #[error("the call was cancelled")]
    Cancelled(Executed),
}

/// Whether the upstream executed a call, as far as anybody can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Executed {
    /// Not a byte of the call was handed to it.
    No,
    /// It may have.
    Unknown,
    /// It answered.
    Yes,
}

impl Failure {
    /// The one word for this failure in records, metrics and replies.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Unavailable(_) => Reason::UpstreamUnavailable,
            Self::Broken => Reason::UpstreamBroken,
            Self::InstancesFull => Reason::InstancesFull,
            Self::Draining => Reason::Draining,
            Self::PinChanged => Reason::PinChanged,
            Self::Vanished => Reason::NotVisible,
            // The time went by before there was an instance to send it to.
            Self::Timeout(Executed::No) => Reason::UpstreamUnavailable,
            Self::Timeout(_) => Reason::UpstreamTimeout,
            Self::Closed(_) => Reason::UpstreamClosed,
            Self::Invalid(_) => Reason::UpstreamInvalid,
            Self::TooLarge => Reason::ResultTooLarge,
            Self::Unkept(_) => Reason::SpoolFailed,
            Self::InputRequired => Reason::InputRequired,
            Self::Abandoned => Reason::Abandoned,
            Self::TaskMade => Reason::TaskMade,
            Self::NotWatched(_) => Reason::NotWatched,
            Self::Cancelled(_) => Reason::Cancelled,
        }
    }

    /// Whether the upstream executed the call.
    #[must_use]
    pub fn executed(&self) -> Executed {
        match self {
            Self::Unavailable(_) | Self::Broken | Self::InstancesFull | Self::Draining => Executed::No,
            Self::PinChanged | Self::Vanished => Executed::No,
            Self::Timeout(executed) | Self::Cancelled(executed) | Self::NotWatched(executed) => *executed,
            Self::Closed(_) | Self::Invalid(_) => Executed::Unknown,
            Self::InputRequired | Self::Abandoned | Self::TaskMade => Executed::Unknown,
            Self::TooLarge | Self::Unkept(_) => Executed::Yes,
        }
    }
}

/// A bounded, printable remark for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail(Bounded<DETAIL_BYTES_MAX>);

impl Detail {
    /// The beginning of `text`, with everything that a terminal would obey escaped.
    #[must_use]
    pub fn new(text: &str) -> Self {
        // Escaping only makes text longer, so what is cut here would be cut below as well.
        let head = Bounded::<DETAIL_BYTES_MAX>::new(text);
        Self(Bounded::new(&printable(head.as_str())))
    }

    /// An error and its causes, joined by colons.
    #[must_use]
    pub fn of_error(error: &dyn std::error::Error) -> Self {
        Self::new(&with_causes(error, DETAIL_BYTES_MAX))
    }

    /// The remark.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl std::fmt::Display for Detail {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.as_str())
    }
}

/// What an upstream answered: one value, parsed strictly, otherwise exactly as it came (I7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Which member of the response it was.
    pub kind: AnswerKind,
    /// The raw value. Where `rest` is something, marks stand in it for long strings.
    pub raw: Bytes,
    /// What of it lies on disk.
    pub rest: Rest,
}

/// Which member of a JSON-RPC response an answer was, and what a result is (2026-07-28, `resultType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerKind {
    /// `result`, complete.
    Result,
    /// `result`, of a call that goes on once the upstream has the input that it asks for.
    InputRequired,
    /// `result`, of a call that goes on as a task.
    Task,
    /// `error`.
    Error,
}
