//! What an upstream asks of the client during a call, whichever era it speaks.
//!
//! Must never be answered but through its own `reply`: whoever drops that declines.

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::wire::Method;
use crate::wire::input::Asked;

/// Most questions of one call that may be open at once; further ones are declined.
pub const QUESTIONS_MAX: usize = 16;
/// Most times that one call may ask for input before it answers (2026-07-28).
pub const ROUNDS_MAX: usize = 16;

/// Questions that are asked at once, and where their answers go.
#[derive(Debug)]
pub struct Question {
    /// What is asked.
    pub asked: Vec<Asked>,
    /// Takes the answers, in the order of the questions.
    pub reply: oneshot::Sender<Vec<Said>>,
}

/// What the client said to one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A result, raw.
    Result(Bytes),
    /// A JSON-RPC error, raw: it would not, or could not.
    Error(Bytes),
    /// Nothing: it left this one out, and may be asked again.
    Nothing,
    /// It may not be asked, or may not answer.
    Declined,
}

impl Said {
    /// The result that says it where only a result can be said (2026-07-28); `None` where there is none.
    pub(super) fn as_result(&self, method: &Method) -> Option<Bytes> {
        match self {
            Self::Result(raw) => Some(raw.clone()),
            // client/elicitation, "Response Actions": the one question that can be declined by a result.
            Self::Declined | Self::Error(_) if *method == Method::ElicitationCreate => Some(DECLINE.into()),
            Self::Error(_) | Self::Nothing | Self::Declined => None,
        }
    }
}

/// The answer of somebody who would rather not.
const DECLINE: &[u8] = b"{\"action\":\"decline\"}";
